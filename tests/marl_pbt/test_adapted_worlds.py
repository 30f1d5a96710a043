"""Any PettingZoo parallel environment as worlds, through the adapter."""

from __future__ import annotations

import logging
import pickle

import numpy as np
import pytest

from envs.predator_prey_grass import parallel_env
from marl_pbt.adapted import AdaptedWorlds
from marl_pbt.adapted.copies import episode_seed
from marl_pbt.protocols import LIVES_ON, TERMINATED, TRUNCATED, Worlds
from tests.contracts.worlds import WorldsContract
from tests.marl_pbt import adaptable_environments as toys

CROWDED = {
    "width": 6,
    "height": 5,
    "max_steps": 25,
    "grass": {"count": 12, "growth": 0.9},
    "species": {
        "predator": {"initial_count": 3, "birth_energy": 6.0, "window": 3, "slots": 10},
        "prey": {"initial_count": 7, "birth_energy": 4.0, "window": 5, "slots": 30, "decay": 0.01},
    },
}


def make_plain():
    return toys.PlainPredatorPreyGrass(**CROWDED)


class TestMeadow(WorldsContract):
    def make_worlds(self) -> Worlds:
        return AdaptedWorlds(toys.Meadow, 5)


class TestPlainPredatorPreyGrass(WorldsContract):
    def make_worlds(self) -> Worlds:
        return AdaptedWorlds(make_plain, 4)


def started(make, num_worlds=1, patterns=None, in_phase=True, seed=0):
    worlds = AdaptedWorlds(make, num_worlds, patterns)
    worlds.reset(seed, in_phase=in_phase)
    return worlds


def seen(worlds):
    outs = [np.empty((n, *worlds.observation_spaces[name].shape), worlds.observation_spaces[name].dtype)
            for name, n in zip(worlds.species, worlds.rows(), strict=True)]  # fmt: skip
    for species, out in enumerate(outs):
        worlds.observe(species, out)
    return outs


def drawn(worlds, rng):
    return [
        rng.integers(0, worlds.action_spaces[name].n, n) for name, n in zip(worlds.species, worlds.rows(), strict=True)
    ]


def listed(arrays):
    return [array.tolist() for array in arrays]


def test_gives_what_the_environments_own_batched_face_gives():
    """Individual by individual: who sees, earns, ends and lives on is the same, also in the order of the rows."""
    worlds = started(make_plain, 3)
    own = []
    for world in range(3):
        own.append(parallel_env(**CROWDED).batched(1))
        own[-1].reset(episode_seed(worlds._root, world, 0), in_phase=True)
    rng, is_over = np.random.default_rng(0), False
    while not is_over:
        begins = np.cumsum([[0, 0], *(each.rows() for each in own)], axis=0)
        actions = drawn(worlds, rng)
        for s, out in enumerate(seen(worlds)):
            assert np.array_equal(out, np.concatenate([seen(each)[s] for each in own]))
        result = worlds.step(actions)
        theirs = [
            each.step([given[begin:end] for given, begin, end in zip(actions, begins[b], begins[b + 1], strict=True)])
            for b, each in enumerate(own)
        ]
        for s in range(2):
            assert np.array_equal(result.rewards[s], np.concatenate([each.rewards[s] for each in theirs]))
            assert np.array_equal(result.ended[s], np.concatenate([each.ended[s] for each in theirs]))
        is_over = bool(result.episodes)
        if not is_over:
            shifts = np.cumsum([[0, 0], *(each.rows() for each in own)], axis=0)
            for s in range(2):
                links = [np.where(each.next_rows[s] >= 0, each.next_rows[s] + shifts[b][s], -1)
                         for b, each in enumerate(theirs)]  # fmt: skip
                assert np.array_equal(result.next_rows[s], np.concatenate(links))
    (episode,) = result.episodes
    (their_episode,) = theirs[episode.world].episodes
    assert (episode.length, episode.counted, episode.returns) == (
        their_episode.length,
        True,
        dict(their_episode.returns),
    )


def test_a_time_out_truncates_the_living_only_and_hands_over_what_they_saw_last():
    worlds = started(toys.Script)
    assert worlds.species == ("a", "b")
    one = [np.array([0, 1]), np.array([1])]
    assert listed(seen(worlds)) == [[[10], [11]], [[10]]]

    first = worlds.step(one)
    assert listed(first.ended) == [[TERMINATED, LIVES_ON], [LIVES_ON]]
    assert listed(first.next_rows) == [[-1, 0], [0]]
    assert listed(first.rewards) == [[0, 1], [1]]

    second = worlds.step([np.array([1]), np.array([0])])
    assert listed(second.next_rows) == [[1], [0]], "the newborn a_2 stands before a_1 in agents"
    assert listed(seen(worlds)) == [[[32], [31]], [[30]]]

    third = worlds.step(one)
    assert listed(third.ended) == [[TRUNCATED, TRUNCATED], [TRUNCATED]]
    assert listed(third.next_rows) == [[-1, -1], [-1]]
    assert listed(third.truncated_observations) == [[[42], [41]], [[40]]]
    assert listed(seen(worlds)) == [[[50], [51]], [[50]]], "the next episode has begun"
    (episode,) = third.episodes
    assert (episode.length, episode.counted) == (3, True)
    assert episode.returns == {"a": 3.0, "b": 2.0}
    assert episode.metrics == {"a/individuals": 3.0, "b/individuals": 1.0}


def test_an_id_that_is_used_again_is_another_individual():
    worlds = started(toys.ReusesIds)
    worlds.step([np.array([0]), np.array([0])])
    assert worlds.rows() == (0, 1)
    assert listed(worlds.step([np.zeros(0, int), np.array([0])]).next_rows) == [[], [0]]
    last = worlds.step([np.array([0]), np.array([0])])
    assert listed(last.ended) == [[TRUNCATED], [TERMINATED]]
    assert last.episodes[0].metrics == {"a/individuals": 2.0, "b/individuals": 1.0}


def test_each_row_gets_its_own_action_and_tells_its_own_reward():
    worlds = started(toys.Meadow, 3)
    rng = np.random.default_rng(1)
    for _ in range(40):
        actions = drawn(worlds, rng)
        result = worlds.step(actions)
        assert all(np.array_equal(r, a == 1) for r, a in zip(result.rewards, actions, strict=True))


def test_box_and_multidiscrete_actions_arrive_as_their_spaces_say():
    worlds = started(toys.Arms)
    arms, buttons = np.array([[0.5, 9.0], [-1.0, -3.0]], np.float32), np.array([[2, 299]])
    worlds.step([arms, buttons])
    given = worlds._environments[0].given[-1]
    assert (given["arm_1"][0].tolist(), given["arm_1"][1]) == ([-1.0, -3.0], np.float32)
    assert (given["button_0"][0].tolist(), given["button_0"][1]) == ([2, 299], np.int64)
    assert arms[0, 0] == 0.5, "the caller's array is left alone"


@pytest.mark.parametrize(
    ("arms", "buttons", "told"),
    [
        ([[0, 0], [2.5, 0]], [[0, 0]], r"actions\[arm\]: must be in Box.*got \[2.5, 0.0\]"),
        ([[0, 0], [np.nan, 0]], [[0, 0]], r"actions\[arm\]: must be in Box.*got \[nan, 0.0\]"),
        ([[0, 0]], [[0, 0]], r"actions\[arm\]: must be float32 of shape \(2, 2\), got float64 of \(1, 2\)"),
        ([[0, 0], [0, 0]], [[3, 0]], r"actions\[button\]: must be in MultiDiscrete.*got \[3, 0\]"),
        ([[0, 0], [0, 0]], [[0.5, 0]], r"actions\[button\]: must be int64 of shape \(1, 2\), got float64"),
    ],
)
def test_actions_outside_of_their_space_are_refused_before_anything_happens(arms, buttons, told):
    worlds = started(toys.Arms)
    with pytest.raises(ValueError, match=told):
        worlds.step([np.array(arms, np.float64), np.array(buttons)])
    assert worlds._environments[0].given == []


def test_the_state_of_continuous_actions_is_done_again():
    worlds = started(toys.Arms, 3, in_phase=False)
    rng = np.random.default_rng(0)
    for _ in range(4):
        worlds.step([rng.uniform(-1, 2, (6, 2)).astype(np.float32), rng.integers(0, 3, (3, 2))])
    fresh = AdaptedWorlds(toys.Arms, 3)
    fresh.set_state(worlds.get_state())
    assert listed(seen(fresh)) == listed(seen(worlds))
    assert len(np.unique(seen(worlds)[0], axis=0)) == 3


def test_worlds_begin_spread_over_the_usual_length():
    worlds = started(lambda: toys.Meadow(max_steps=20, mortality=0.0), 4, in_phase=False)
    lengths = {}
    for step in range(1, 21):
        for episode in worlds.step([np.zeros(n, int) for n in worlds.rows()]).episodes:
            lengths[episode.world] = (step, episode.length, episode.counted)
    assert lengths == {3: (5, 20, False), 2: (10, 20, False), 1: (15, 20, False), 0: (20, 20, True)}


def test_every_episode_has_a_seed_of_its_own():
    root = tuple(range(4))
    seeds = [episode_seed(root, world, number) for world in range(20) for number in range(20)]
    assert len(set(seeds)) == len(seeds)
    assert max(seeds) < 2**31


def test_only_what_is_needed_is_opened():
    opened = []

    def make():
        opened.append(1)
        return toys.Meadow()

    worlds = AdaptedWorlds(make, 3)
    assert (len(opened), worlds.rows(), worlds.max_rows) == (1, (0, 0), (9, 120))
    worlds.reset(0)
    worlds.reset(1)
    assert len(opened) == 3


def test_worlds_that_never_began_travel_too():
    travelled = pickle.loads(pickle.dumps(AdaptedWorlds(toys.Meadow, 2)))
    with pytest.raises(RuntimeError, match="reset"):
        travelled.step([np.zeros(0, int), np.zeros(0, int)])


@pytest.mark.parametrize("name", ["episode", "random_steps", "steps", "acted", "actions/hare", "actions/fox", "root"])
def test_no_array_of_a_state_may_be_other_than_it_was(name):
    worlds = started(toys.Meadow, 2)
    worlds.step([np.zeros(n, int) for n in worlds.rows()])
    before, state = listed(seen(worlds)), worlds.get_state()
    odd = state[name][:1] if name in ("actions/hare", "root") else (state[name].astype(np.int64) - 5)
    with pytest.raises(ValueError, match=rf"^state\.{name}: must"):
        worlds.set_state({**state, name: odd})
    assert listed(seen(worlds)) == before


def test_a_world_that_cannot_be_brought_back_begins_a_new_episode_and_says_so(caplog):
    worlds = started(toys.Unrepeatable, 2)
    for _ in range(3):
        worlds.step([np.zeros(n, int) for n in worlds.rows()])
    fresh = AdaptedWorlds(toys.Unrepeatable, 2)
    with caplog.at_level(logging.WARNING):
        fresh.set_state(worlds.get_state())
    (record,) = caplog.records
    assert record.getMessage().startswith("worlds 0, 1 begin a new episode")
    assert fresh.rows() == (6, 8)
    lengths = [e.length for _ in range(15) for e in fresh.step([np.zeros(n, int) for n in fresh.rows()]).episodes]
    assert lengths
    assert max(lengths) <= 15


def test_a_state_whose_actions_do_not_lead_there_is_not_believed(caplog):
    worlds = started(toys.Meadow, 2)
    for _ in range(3):
        worlds.step([np.zeros(n, int) for n in worlds.rows()])
    state = worlds.get_state()
    with caplog.at_level(logging.WARNING):
        worlds.set_state({**state, "checksum": state["checksum"] ^ np.array([0, 1], np.uint32)})
        worlds.set_state({**state, "steps": state["steps"] + np.array([0, 10**12])})
    assert [record.getMessage()[:10] for record in caplog.records] == ["worlds 1 b"] * 2


@pytest.mark.parametrize(
    ("toy", "told"),
    [
        (toys.LosesAnObservation, "world 0, step 3: hare_1: has no observation; must have one, it is in agents"),
        (toys.LosesAReward, "world 0, step 3: hare_1: has no reward; must have one, it acted"),
        (toys.WrongShape, "hare_1: observation is float32 of shape (4,); its space says float32 of (5,)"),
        (toys.WrongDtype, "fox_2: observation is float64 of shape (4, 3, 2); its space says uint8 of (4, 3, 2)"),
        (toys.SeesNaN, "world 0, step 3: hare_2: observation holds nan; must be finite"),
        (toys.EarnsNaN, "world 0, step 3: fox_1: reward is nan; must be a finite number"),
        (toys.EarnsNone, "world 0, step 3: fox_1: reward is None; must be a finite number"),
        (toys.FourDicts, "world 0, step 3: must return 5 dictionaries, got dict, dict, dict, dict"),
        (toys.Leaves, "fox_1: left agents without an end flag; must be terminated or truncated"),
        (toys.Stays, "fox_1: has ended and is still in agents; must leave with its end flag"),
        (toys.Stranger, "wolf_0: is in agents; must be in possible_agents, too"),
    ],
)
def test_what_an_environment_does_wrong_is_told_in_a_line(toy, told):
    worlds = started(toy, 2)
    with pytest.raises(ValueError) as caught:
        for _ in range(3):
            worlds.step([np.zeros(n, int) for n in worlds.rows()])
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_environments_own_exception_stays_what_it_is_with_a_note_of_the_world():
    worlds = started(toys.Raises, 2)
    with pytest.raises(IndexError, match="no such hare") as caught:
        for _ in range(3):
            worlds.step([np.zeros(n, int) for n in worlds.rows()])
    assert caught.value.__notes__ == ["world 0, step 3: raised by the environment"]
