"""Finite or not at all: what is no number is stopped where it enters, and the member goes back."""

import math
import os

import numpy as np
import pytest

from marl_pbt.best_policies import BestPolicies
from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.decision import Question, Rules, decide
from marl_pbt.fault_points import arm
from marl_pbt.protocols import LARGEST, UserError
from marl_pbt.reconstruction import Reconstruction, turns_of
from marl_pbt.rolling_back import DONORS, ROLL_BACKS
from marl_pbt.run_directory import RunDirectory
from marl_pbt.selection import BinaryTournament, Ranking, Truncation, TTest, rank_weighted_donor, uniform_donor
from marl_pbt.snapshot import decode
from marl_pbt.standings import BoardRow, Score
from marl_pbt.streams import stream_seed
from tests.marl_pbt.toy_learner import SPECIES, ToyLearner, ToySettings
from tests.marl_pbt.toy_population import STEADY, Population, board_row, evolution, state_bytes, timeless
from tests.marl_pbt.worldly_learner import Herders

PLACES = {
    "observation": "worlds gave an observation of {} for cow in world ",
    "last_observation": "worlds gave a last observation of {} for cow",
    "reward": "worlds gave a reward of {} for cow in world ",
    "return": "fox: an episode returned {}",
    "loss": "fox: loss is {} in the update",
    "parameters": "fox: policy/theta is not finite",
    "moments": "fox: optimizer/first is not finite",
    "score": "fox: its score is {}",
}
VALUES = ("nan", "inf", "-inf", "huge")
AS_FLOAT32 = ("observation", "last_observation", "reward")


LEVELS = (0.9, 0.5, 0.6)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(autouse=True)
def no_fault_afterwards():
    yield
    arm({})


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    population = Herders(tmp_path_factory.mktemp("undisturbed"), evolution(2), STEADY)
    for _ in range(3):
        population.live()
    return population


def assert_all_is_finite(population):
    """On the board and on the disk."""
    for member in population.members:
        for slot, species in enumerate(SPECIES):
            snapshot = population.board.snapshot(member.index, slot)
            told = [] if snapshot is None else [decode(snapshot).tensors]
            checkpoints = MemberCheckpoints(population.folder / f"member_{member.index:02d}", Retention())
            told += [each.tensors for each in checkpoints.whole()]
            assert all(np.isfinite(array).all() for tensors in told for array in tensors.values())
            if (
                population.board.row(member.index, slot) is not None
                and board_row(population, member.index, slot).newest
            ):
                assert abs(board_row(population, member.index, slot).newest.mean) <= LARGEST, species


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("place", PLACES)
def test_nan_inf_in_observation_reward_loss_parameters_score_is_stopped_where_it_enters_and_leaves_no_trace(
    tmp_path, undisturbed, place, value
):
    """Section 2: once, so that the interval goes well when it is lived again: from there on every bit is the same."""
    arm({"MARL_PBT_FAULT": f"{place}:3:{value}"})
    population = Herders(tmp_path, evolution(2), STEADY)
    for _ in range(3):
        population.live()
        assert_all_is_finite(population)
    rollbacks = [event for event in population.events if event.kind == "rollback"]
    said = {"huge": "1e+308", "-inf": "-inf"}.get(value, value)
    if value == "huge" and place in AS_FLOAT32:
        said = "inf"
    assert [(event.policy, event.why["times"]) for event in rollbacks] == [("fox", 1), ("hare", 1)]
    assert rollbacks[0].why["fault"].startswith(PLACES[place].format(said))
    assert timeless(event for event in population.events if event.kind != "rollback") == timeless(undisturbed.events)
    for mine, theirs in zip(population.members, undisturbed.members, strict=True):
        assert mine.rollbacks == 0
        assert state_bytes(mine) == state_bytes(theirs)
        assert mine.rows() == theirs.rows()


@pytest.mark.parametrize("place", PLACES)
def test_what_is_never_finite_fails_with_its_place_and_is_never_published(tmp_path, place):
    arm({"MARL_PBT_FAULT": f"{place}:*:nan"})
    population = Herders(tmp_path, evolution(2), STEADY)
    for member in range(2):
        with pytest.raises(FloatingPointError, match="and no sound weights could be copied"):
            population.live(member)
        assert board_row(population, member).newest is None
        assert population.board.snapshot(member, 0) is None
    assert not list(tmp_path.glob("*/*.safetensors"))


def test_a_warning_names_member_generation_and_place(tmp_path, caplog):
    arm({"MARL_PBT_FAULT": "reward:50:nan"})
    Herders(tmp_path, evolution(2), STEADY).live()
    (told,) = [record.getMessage() for record in caplog.records]
    assert told == (
        "member_00, generation 0, after env step 40: "
        "worlds gave a reward of nan for cow in world 0; rolled back and lives it again"
    )


# ------------------------------------------------------------------------------------ back, and then to a donor


def sick_and_sound(folder, **trouble):
    population = Population(folder, evolution(2), [{**STEADY, **trouble}, STEADY], levels=(0.9, 0.5))
    population.started = [event for member in population.members for event in member.events]
    population.live(1)
    return population


def test_after_two_roll_backs_in_a_row_a_good_donor_is_copied(tmp_path):
    population = sick_and_sound(tmp_path, diverge_at=2)
    population.live(0)
    mine = [event for event in population.events if (event.member, event.policy) == (0, "fox")]
    assert [event.kind for event in mine] == ["rollback", "rollback", "rollback", "ready", "exploit", "explore"]
    assert [event.why["times"] for event in mine[:3]] == [1, 2, 3]
    assert mine[3].why["rolled_back"] == "fox: the toy diverges at update 2, as it was told to"
    assert not mine[3].score.is_finite
    assert (mine[4].parent.member, mine[3].why["decision"]) == (1, "not_finite")
    assert population[0].rollbacks == ROLL_BACKS + 1
    population.live(0)
    assert population[0].rollbacks == 0
    assert board_row(population, 0).newest.is_finite


def test_what_was_rolled_back_and_what_followed_a_donor_is_replayed_bit_for_bit(tmp_path):
    """`replay --exact` of a run with both: one fault goes away by itself, the other does not."""
    arm({"MARL_PBT_FAULT": "loss:8:nan"})
    settings = [{**STEADY, "diverge_at": 5}, STEADY, STEADY]
    population = Population(tmp_path, evolution(3), settings, levels=LEVELS)
    population.started = [event for member in population.members for event in member.events]
    for _ in range(4):
        population.live(1, 2, 0)
    told = [*population.started, *population.events]
    assert any("rolled_back" in event.why for event in told)

    def fresh(member):
        seed = stream_seed(population.evolution.seed, "learner", member)
        learner = ToyLearner(ToySettings.read(STEADY), SPECIES, seed)
        for species in SPECIES:
            learner._tensors[species]["policy/theta"][...] = LEVELS[member]
        return learner

    for member in population.members:
        again = Reconstruction(turns_of(told), population.evolution, fresh)
        list(again.live(member.index, member.generation))
        for species in SPECIES:
            mine, theirs = again.version(member.index, member.generation, species), member.learner.snapshot(species)
            assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)


def test_a_fault_that_a_replay_meets_and_the_run_did_not_is_told(tmp_path):
    population = sick_and_sound(tmp_path)
    population.live(0)

    def sick(member):
        return ToyLearner(ToySettings.read({"diverge_at": 2}), SPECIES, 0)

    again = Reconstruction(turns_of([*population.started, *population.events]), population.evolution, sick)
    with pytest.raises(UserError, match=r"member_00, generation 0: fox: the toy diverges.*cannot be lived again"):
        list(again.live(0, 1))


def test_donors_that_do_not_help_are_copied_a_few_times_and_no_more_also_after_a_crash(tmp_path):
    """What is wrong is the environment then, and no weights."""
    population = Herders(tmp_path, evolution(4), STEADY)
    population.live()
    arm({"MARL_PBT_FAULT": "score:*:inf"})
    for _ in range(DONORS):
        population.live(0)
        assert population[0].clocks == population[0].clocks_at_ready
    for again in (population, Herders(tmp_path, population.evolution, STEADY)):
        assert again[0].rollbacks == DONORS * (ROLL_BACKS + 1)
        with pytest.raises(FloatingPointError, match="rolled back 9 times in a row, which has not helped"):
            again.live(0)
    assert_all_is_finite(population)


def test_a_member_told_to_stop_writes_nothing_that_is_not_finite(tmp_path):
    population = Population(tmp_path, evolution(1), {**STEADY, "nan_at": 2})
    population[0].place.must_stop = iter([False, False, True, True]).__next__
    assert not population[0].live_one_interval()
    checkpoint = next(MemberCheckpoints(tmp_path / "member_00", Retention()).whole())
    assert all(np.isfinite(array).all() for array in checkpoint.tensors.values())
    assert population[0].clocks.updates == 0


# ------------------------------------------------------------------------------------ never ranked, selected, best

ODD = (math.nan, math.inf, -math.inf, 1e308, -1e308, 4e38)


def some_row(member, rng):
    history = []
    for at in range(1, 4):
        mean = ODD[rng.integers(len(ODD))] if rng.random() < 0.4 else float(rng.normal(0, 10))
        error = ODD[rng.integers(len(ODD))] if rng.random() < 0.1 else float(rng.random())
        if rng.random() < 0.9:
            history.append((at, Score(mean, error, int(rng.integers(1, 20)))))
    return BoardRow(member, 3, history=tuple(history), snapshot_generation=3)


def test_non_finite_never_wins_a_ranking_a_selection_or_best_in_10000_generated_cases(tmp_path):
    """Section 4."""
    rng = np.random.default_rng(20250)
    selections = (Truncation(0.5, 0.5), TTest(0.5), BinaryTournament())
    run = RunDirectory(tmp_path)
    best = {maximize: BestPolicies(run, 6, 1, maximize) for maximize in (True, False)}
    exploits = 0
    for case in range(10_000):
        rows = [some_row(member, rng) for member in range(int(rng.integers(2, 7)))]
        maximize = bool(rng.integers(2))
        rules = Rules(
            selections[case % 3],
            len(rows),
            quorum=0.3,
            min_gap_standard_errors=0.0,
            maximize=maximize,
            compare=("equal_progress", "latest")[case % 2],
            donor=(uniform_donor, rank_weighted_donor)[case // 2 % 2],
        )
        decision = decide(Question(rows[0], rows[1:], 1.0), rules, rng)
        if decision.donor is not None:
            exploits += 1
            assert abs(decision.donor.newest.mean) <= LARGEST
        ranking = Ranking.of({row.member: row.newest for row in rows if row.newest}, maximize, rng)
        assert all(abs(rows[member].newest.mean) <= LARGEST for member in ranking.order)
        for row in rows:
            if row.newest is not None and not abs(row.newest.mean) <= LARGEST:
                assert not row.can_be_donor
                assert not best[maximize]._counts(row.newest)
    assert exploits > 2_000
