"""Who plays a species: baselines, policies from files; random ones for every kind of actions."""

import pickle

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from marl_pbt.environments import EnvironmentSource
from marl_pbt.policy_files import read_policies
from marl_pbt.protocols import UserError
from marl_pbt.seats import Baseline, Learned, RandomPolicy, Stored, names_in, taken
from tests.marl_pbt.saved_runs import Line, forged, saved_run

MEADOW = EnvironmentSource("tests.marl_pbt.adaptable_environments:Meadow", {})
LEARNER = "agents.ppo:kind"


@pytest.fixture(scope="module")
def run(tmp_path_factory, plan):
    return saved_run(tmp_path_factory.mktemp("runs") / "a", plan)


def sits(seat, plan, species="predator"):
    return seat.take(species, plan.environment, plan.worlds)


def refusal(seat, plan, species="predator"):
    with pytest.raises(UserError) as refused:
        sits(seat, plan, species)
    return str(refused.value)


@pytest.mark.parametrize(
    ("space", "dtype"),
    [
        (Discrete(3), np.int64),
        (Discrete(3, start=-1), np.int64),
        (MultiDiscrete([2, 3]), np.int64),
        (MultiDiscrete([[2, 3], [1, 2]], start=[[5, 0], [-3, 1]]), np.int64),
        (Box(-1, 2, (2,), np.float32), np.float32),
        (Box(0, np.inf, (), np.float64), np.float64),
    ],
)
def test_random_actions_are_in_their_space_and_reach_all_of_it(space, dtype):
    drawn = RandomPolicy(space).act(np.zeros((400, 5)), np.random.default_rng(0))
    assert drawn.shape == (400, *space.shape)
    assert drawn.dtype == dtype
    assert all(space.contains(np.asarray(row, space.dtype)) for row in drawn)
    if not isinstance(space, Box):
        counts = np.prod(getattr(space, "nvec", getattr(space, "n", 0)))
        assert len(np.unique(drawn.reshape(400, -1), axis=0)) == counts
    assert RandomPolicy(space).act(np.zeros((0, 5)), np.random.default_rng(0)).shape == (0, *space.shape)


def test_random_actions_depend_on_the_generator_alone():
    for space in (Discrete(5), MultiDiscrete([3, 4]), Box(-1, 1, (2,), np.float32)):
        once, twice, other = (RandomPolicy(space).act(np.zeros(50), np.random.default_rng(n)) for n in (1, 1, 2))
        assert (once == twice).all()
        assert (once != other).any()


def test_baselines_are_random_and_those_that_the_environment_offers(plan):
    rows = np.zeros((3, 7, 7, 4), np.uint8)
    for name in names_in(plan.environment.open()):
        actions = sits(Baseline(name), plan).act(rows, np.random.default_rng(0))
        assert ((actions >= 0) & (actions < 9)).all()
    assert names_in(plan.environment.open()) == ("random", "greedy", "stay")
    assert refusal(Baseline("gredy"), plan) == (
        "gredy: no baseline of envs.predator_prey_grass:parallel_env; there are random, greedy, stay"
    )


def test_another_environment_has_random_alone():
    worlds = MEADOW.open_worlds(1)
    assert taken({"fox": Baseline("random"), "hare": Baseline("random")}, MEADOW, worlds).keys() == {"fox", "hare"}
    with pytest.raises(UserError, match=r"^greedy: no baseline of .*:Meadow; there are random$"):
        Baseline("greedy").take("fox", MEADOW, worlds)


def test_a_stored_policy_plays_as_the_same_one_that_was_read(plan, run):
    rows = np.random.default_rng(3).integers(0, 256, (40, 7, 7, 4), np.uint8)
    stored = [
        Stored(str(path), LEARNER) for path in (run.best_policy("predator"), run.member(1) / "000004.safetensors")
    ]
    actions = [sits(seat, plan).act(rows, np.random.default_rng(0)) for seat in stored]
    assert (actions[0] == actions[1]).all()
    assert len(set(actions[0].tolist())) > 1
    other = sits(Stored(str(run.member(0) / "000003.safetensors"), LEARNER), plan)
    assert (other.act(rows, np.random.default_rng(0)) != actions[0]).any()


def test_a_file_without_the_species_is_told(plan, run):
    path = run.best_policy("predator")
    assert refusal(Stored(str(path), LEARNER), plan, "prey") == f"{path}: holds no policy of prey"


def test_a_policy_for_another_environment_is_told_both_spaces(plan, run):
    with pytest.raises(UserError) as refused:
        Stored(str(run.best_policy("predator")), LEARNER).take("fox", MEADOW, MEADOW.open_worlds(1))
    assert str(refused.value).endswith("best/predator.safetensors: holds no policy of fox")
    read = Line(plan, 0, 1, 0)
    path = run.root / "fox.safetensors"
    path.write_bytes(forged(read.policy("predator"), species="fox"))
    with pytest.raises(UserError) as refused:
        Stored(str(path), LEARNER).take("fox", MEADOW, MEADOW.open_worlds(1))
    assert str(refused.value) == (
        "fox: observations: the policy expects Box (7, 7, 4) uint8 in [0, 255], "
        "tests.marl_pbt.adaptable_environments:Meadow gives Box (4, 3, 2) uint8 in [0, 255]"
    )


def test_a_policy_that_another_kind_of_learner_cannot_load_is_told_so(plan, run):
    told = refusal(Stored(str(run.best_policy("predator")), "agents.scripted:random_kind"), plan)
    assert told.startswith("predator: architecture: must be of kind 'random' with n_actions ≥ 1, got ")
    told = refusal(Stored(str(run.best_policy("predator")), "agents.ppo:kid"), plan)
    assert told == "learner.make: agents.ppo has no 'kid'; did you mean 'kind'?, got 'agents.ppo:kid'"


def test_seats_travel_between_processes(plan, run):
    learned = Learned(read_policies(run.best_policy("prey"))["prey"], LEARNER)
    for seat in (Baseline("random"), Stored("a", LEARNER)):
        assert pickle.loads(pickle.dumps(seat)) == seat
    assert pickle.loads(pickle.dumps(learned)).policy.digest == learned.policy.digest
