"""Synchronous mode: members that meet at every ready point, driven by hand."""

import os
from dataclasses import replace

import pytest

from marl_pbt.evaluations import Roles
from marl_pbt.explore import Explorer, Resample
from marl_pbt.fire import FIRE
from marl_pbt.mf_pbt import MFPBT
from marl_pbt.reports import IntervalBegun
from marl_pbt.selection import BinaryTournament, Truncation
from marl_pbt.snapshot import decode
from marl_pbt.standings import Source
from tests.marl_pbt.meetings import Workers, synchronous
from tests.marl_pbt.toy_learner import SPECIES
from tests.marl_pbt.toy_population import NOISY, STEADY, Population, assert_alike, board_row, timeless


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def exploits(population):
    return [event for event in population.events if event.kind == "exploit"]


# ------------------------------------------------------------------------------------ all meet


def still(population):
    """Nobody learns anything any more: a policy is worth what it is worth."""
    for member in population.members:
        for species in SPECIES:
            member.learner.set_hyperparameters(species, {"learning_rate": 1e-12})


STILL = {"control": "exploit_only", "declared": dict.fromkeys(SPECIES, ())}
LEVELS = (0.0, 0.3, 0.5, 0.9)


def skills(population):
    return [member.learner.skill("fox") for member in population.members]


def test_synchronous_all_end_at_the_best_possible(tmp_path):
    """R29, R30."""
    population = Population(tmp_path, synchronous(4, Truncation(0.5, 0.25), **STILL), {"noise": 0.0}, LEVELS)
    still(population)
    Workers(population, (0, 2), (1, 3)).run_to(3)
    assert skills(population) == pytest.approx([99.0] * 4, abs=1e-3)
    assert {event.parent.generation - event.generation for event in exploits(population)} == {0}


def test_asynchronous_at_least_one_ends_at_the_best_and_none_hangs(tmp_path):
    """R31: who is through before the best has come has seen nobody better."""
    by = synchronous(4, Truncation(0.5, 0.25), meeting_timeout_s=None, **STILL)
    population = Population(tmp_path, by, {"noise": 0.0}, LEVELS)
    still(population)
    population.live(0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3)
    assert skills(population)[0] == pytest.approx(0.0, abs=1e-3)
    assert max(skills(population)) == pytest.approx(99.0, abs=1e-3)


def test_an_interval_has_two_halves_between_which_the_member_shows_its_score_and_waits(tmp_path):
    """D03, D05: the checkpoint and the version are there before the row that speaks of them."""
    population = Population(tmp_path, synchronous(2), STEADY, levels=(0.0, 0.9))
    population.live(1)
    member, row = population[1], board_row(population, 1)
    assert (member.is_waiting, row.stage, row.can_be_donor) == (True, "waiting", True)
    assert decode(population.board.snapshot(1, 0)).metadata["generation"] == 1
    assert member.place.checkpoints.generations() == [1]
    assert population.events == []
    population.live(0, 1, 0)
    assert [event.member for event in population.events if event.kind == "ready"] == [1, 1, 0, 0]
    assert board_row(population, 0).stage == "training"


def test_who_has_decided_still_shows_the_values_that_earned_its_score_and_says_what_it_has_chosen(tmp_path):
    """Who decides later may take its hyperparameters: those of the score, whoever was faster."""
    population = Population(tmp_path, synchronous(2, Truncation(0.5, 0.5)), STEADY, levels=(0.0, 0.9))
    population.live(0, 1)
    shown = board_row(population, 0)
    population.live(0)
    row, now = board_row(population, 0), population[0].learner.get_hyperparameters("fox")
    assert exploits(population)
    assert row.hyperparameters == shown.hyperparameters != row.chosen
    assert row.in_force == {name: now[name] for name in row.chosen}
    assert shown.in_force == shown.hyperparameters
    population.live(1, 0)
    assert board_row(population, 0).chosen is None


def test_everybody_is_compared_with_all_by_the_same_standings(tmp_path):
    population = Population(tmp_path, synchronous(5), NOISY)
    Workers(population, (0, 1, 2), (3, 4)).run_to(6)
    ready = [event for event in population.events if event.kind == "ready"]
    assert len(ready) == 6 * 5 * 2
    for generation in range(2, 7):
        for species in SPECIES:
            at = [event for event in ready if (event.generation, event.policy) == (generation, species)]
            assert [event.why["compared_at"] for event in at] == [generation] * 5
            assert sorted(event.why["rank"] for event in at) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("selection", [Truncation(0.5, 0.5), BinaryTournament()])
def test_what_is_copied_is_the_version_that_earned_the_score_whatever_its_member_has_copied_since(tmp_path, selection):
    """D03, D09: many lose and are copied at the same meeting; founders say that nobody got what was copied later."""
    population = Population(tmp_path, synchronous(6, selection), NOISY)
    founders = {(member, 0, species): member for member in range(6) for species in SPECIES}
    Workers(population, (0, 1), (2, 3), (4, 5)).run_to(8)
    for event in sorted(population.events, key=lambda event: event.generation):
        if event.kind == "ready":  # as scored: before an exploit at this very ready point
            founders[event.member, event.generation, event.policy] = event.founder
    copied = exploits(population)
    assert len(copied) > 20
    both = {(event.member, event.policy, event.generation) for event in copied}
    for event in copied:
        version = event.parent.member, event.policy, event.parent.generation
        assert event.parent.generation == event.generation
        assert population.board.versions[version] == {event.checksum}
        assert event.founder == founders[event.parent.member, event.parent.generation, event.policy]
    chained = [event for event in copied if (event.parent.member, event.policy, event.generation) in both]
    assert bool(chained) == isinstance(selection, BinaryTournament)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"selection": BinaryTournament()},
        {"exploit_unit": "member"},
        {"rules": {"sub_populations": MFPBT(8, (1, 2))}},
        {"rules": {"sub_populations": FIRE(Roles((4, 2), 2))}},
        {"explorer": Explorer(Resample())},
    ],
)
def test_which_worker_is_faster_and_who_hosts_whom_makes_no_difference(tmp_path, fields):
    one = Population(tmp_path / "one", synchronous(8, **fields), NOISY)
    other = Population(tmp_path / "other", synchronous(8, **fields), NOISY)
    Workers(one).run_to(3)
    Workers(other, (0, 3, 6), (1, 4, 7), (2, 5)).run_to(3, seed=1)
    assert_alike(one, other)
    by_id = {event.event_id: event for event in timeless(one.events)}
    assert by_id == {event.event_id: event for event in timeless(other.events)}
    assert exploits(one)


# ------------------------------------------------------------------------------------ waiting


def test_two_members_on_one_worker_and_one_on_another_meet(tmp_path):
    """A worker goes on with its others while one waits."""
    population = Population(tmp_path, synchronous(3), NOISY)
    workers = Workers(population, (0, 2), (1,))
    assert [workers.turn(0) for _ in range(3)] == [0, 2, None]
    assert workers.turn(1) == 1  # the last one to come decides first, where it likes
    assert workers.turn(1) == 1
    assert workers.turn(1) is None  # not before all have decided: they may want to copy it
    assert [workers.turn(0) for _ in range(2)] == [0, 2]
    assert [member.halves for member in population.members] == [2, 2, 2]


def test_who_gives_no_sign_of_life_is_left_out_after_the_timeout_until_the_next_sign(tmp_path, caplog):
    """R30: it never blocks the rest, and costs them the timeout once."""
    population = Population(tmp_path, synchronous(3), NOISY)
    workers = Workers(population, (0, 1), timeout_s=5.0)
    assert [workers.turn(0) for _ in range(3)] == [0, 1, None]
    workers.wait_in_vain(0, 4.9)
    workers.now += 0.2
    assert [workers.turn(0) for _ in range(8)] == [0, 1] * 4
    assert caplog.text.count("member_02: no sign of life for 5 s") == 1
    back = population[2]
    back.place.must_stop = iter([False, True]).__next__
    back.live_one_interval()  # an update, and it is gone again
    assert workers.turn(0) is None
    workers.wait_in_vain(0, 4.9)
    workers.now += 0.2
    assert workers.turn(0) is not None


def test_after_a_pause_of_the_whole_run_nobody_is_left_out(tmp_path, caplog):
    """Ctrl-Z: the worker has not looked meanwhile, and the others could give no sign."""
    population = Population(tmp_path, synchronous(2), NOISY)
    workers = Workers(population, (0,), timeout_s=5.0)
    assert [workers.turn(0) for _ in range(2)] == [0, None]
    workers.now = 3600.0
    assert workers.turn(0) is None
    assert not caplog.records
    workers.wait_in_vain(0, 2.9)
    workers.now += 0.2
    assert workers.turn(0) == 0


def test_before_either_half_of_an_interval_the_supervisor_is_told_whose_it_is(tmp_path):
    """A worker that dies while one of its members decides has died with this one."""
    population = Population(tmp_path, synchronous(2), NOISY)
    population.live(0, 1, 0, 1)
    assert [report.member for report in population.reports if isinstance(report, IntervalBegun)] == [0, 1, 0, 1]


def test_a_slow_member_is_waited_for_as_long_as_it_moves(tmp_path):
    """D22, the other way round: that is what synchronous means."""
    population = Population(tmp_path, synchronous(2, interval=50.0), NOISY)
    workers, slow = Workers(population, (0,), timeout_s=5.0), population[1]
    assert [workers.turn(0) for _ in range(2)] == [0, None]
    for _ in range(20):
        slow.place.must_stop = iter([False, True]).__next__
        slow.live_one_interval()
        workers.wait_in_vain(0, 4.0)


def test_who_was_left_out_decides_when_it_comes_and_is_waited_for_until_it_has_caught_up(tmp_path):
    population = Population(tmp_path, synchronous(3), STEADY, levels=(0.8, 0.9, 0.0))
    workers = Workers(population, (0, 1), (2,), timeout_s=5.0)
    workers.turn(0), workers.turn(0), workers.turn(0)
    workers.wait_in_vain(0, 4.9)
    workers.now += 0.2
    while min(population[0].halves, population[1].halves) < 6:
        workers.turn(0)
    assert population[2].halves == 0
    while workers.turn(1) is not None:
        assert workers.turn(0) is None or population[2].halves >= 6
    assert [member.generation for member in population.members] == [4, 4, 4]
    assert board_row(population, 2).parent == Source(1, 3)  # there was no older one to be had


@pytest.mark.parametrize("left", [{"is_retired": True}, {"stage": "done"}])
def test_who_is_given_up_or_done_is_not_waited_for(tmp_path, left):
    population = Population(tmp_path, synchronous(3), NOISY)
    for species in range(len(SPECIES)):
        row = replace(board_row(population, 2, species), **left)
        population.board.publish_row(2, species, row.to_bytes())
    workers = Workers(population, (0, 1))
    assert [workers.turn(0) for _ in range(6)] == [0, 1, 0, 1, 0, 1]


def test_all_meet_at_the_last_ready_point_too_and_are_done(tmp_path):
    population = Population(tmp_path, synchronous(3, stop=6.0), NOISY)
    workers = Workers(population, (0, 2), (1,))
    while not all(member.is_done for member in population.members):
        assert [workers.turn(0), workers.turn(1)] != [None, None]
    assert {event.why["decision"] for event in population.events if event.generation == 2 and event.why} == {"finished"}
    assert board_row(population, 0).stage == "done"
