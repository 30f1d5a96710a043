"""Many members, each on its own clock; and what becomes of them when they are stopped, killed and built again."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from marl_pbt.explore import Perturb
from marl_pbt.hyperparameters import DiscreteFactors, Hyperparameter, Real
from marl_pbt.lineage import ancestry, distinct_founders
from marl_pbt.lineage_store import LineageStore, read_lineage
from marl_pbt.protocols import Clocks
from marl_pbt.reports import ReadyPassed
from marl_pbt.standings import BoardRow
from marl_pbt.worker import most_behind
from tests.marl_pbt.toy_learner import SPECIES
from tests.marl_pbt.toy_population import Population, declared, evolution, state_bytes, timeless

NOISY = {"noise": 30.0}


def lived(folder, rounds=6, members=4, settings=NOISY, **fields):
    population = Population(folder, evolution(members, **fields), settings)
    for _ in range(rounds):
        population.live()
    return population


def started(population):
    """The events of members that began afresh."""
    first = Population(population.folder / "first", population.evolution)
    return [event for member in first.members for event in member.events]


def assert_alike(one, other):
    for mine, yours in zip(one.members, other.members, strict=True):
        assert state_bytes(mine) == state_bytes(yours)
        assert (mine.generation, mine.clocks, mine.clocks_at_ready) == (
            yours.generation,
            yours.clocks,
            yours.clocks_at_ready,
        )
        assert mine.rows() == yours.rows()
        assert timeless(mine.events) == timeless(yours.events)
        for species in SPECIES:
            assert mine.policies[species].to_json() == yours.policies[species].to_json()
            assert mine.learner.get_hyperparameters(species) == yours.learner.get_hyperparameters(species)


# ------------------------------------------------------------------------------------ resume


@pytest.mark.parametrize("rounds", [1, 4, 7])
def test_members_built_again_from_their_checkpoints_go_on_bit_for_bit(tmp_path, rounds):
    """D19: weights, moments, generators, clocks, hyperparameters, windows, lineage."""
    original = lived(tmp_path / "original", rounds)
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    again = Population(tmp_path / "copy", original.evolution, NOISY)
    assert_alike(original, again)
    told = len(original.events)
    for population in (original, again):
        for _ in range(4):
            population.live()
    assert_alike(original, again)
    assert timeless(original.events[told:]) == timeless(again.events)
    assert "exploit" in {event.kind for event in original.events}


@pytest.mark.parametrize(("rounds", "updates"), [(0, 1), (0, 2), (3, 1), (5, 2), (5, 0)])
def test_members_stopped_in_the_middle_of_an_interval_go_on_bit_for_bit(tmp_path, rounds, updates):
    """D19: the original is never stopped, the other one stops, and is built again from what it wrote."""
    original = lived(tmp_path / "original", rounds)
    stopped = lived(tmp_path / "copy", rounds)
    stopped.stop_in(updates)
    again = Population(tmp_path / "copy", original.evolution, NOISY)
    assert again[0].clocks.updates == 3 * rounds + updates
    for population in (original, again):
        for _ in range(3):
            population.live()
    assert_alike(original, again)
    assert timeless(original.events[-len(again.events) :]) == timeless(again.events)


def test_stopped_again_and_again_it_is_still_the_same_run(tmp_path):
    """D19."""
    original = lived(tmp_path / "original", 4)
    again = lived(tmp_path / "copy", 0)
    for _ in range(4):
        for updates in (1, 1):
            again.stop_in(updates)
            again = Population(tmp_path / "copy", original.evolution, NOISY)
        again.live()
    assert_alike(original, again)


def test_what_members_tell_again_after_a_resume_is_stored_only_once(tmp_path):
    """D19: nothing fires twice."""
    original = lived(tmp_path / "run", 5)
    store = LineageStore(tmp_path / "lineage.jsonl")
    store.append(started(original))
    store.append(original.events)
    before = len(store.events)
    again = Population(tmp_path / "run", original.evolution, NOISY)
    assert [store.append(member.events) for member in again.members] == [[]] * 4
    again.live()
    assert len(store.append(again.events)) == len(again.events)
    store.close()
    events = read_lineage(tmp_path / "lineage.jsonl")
    assert len(events) == before + len(again.events)
    assert len({event.event_id for event in events}) == len(events)


def test_events_that_were_lost_in_a_crash_are_in_the_checkpoint(tmp_path):
    """D18: checkpoint, publish, tell: killed before telling, the member tells on its return."""
    original = lived(tmp_path / "run", 5)
    last = [report.events for report in original.reports if isinstance(report, ReadyPassed)][-4:]
    again = Population(tmp_path / "run", original.evolution, NOISY)
    assert [timeless(member.events) for member in again.members] == [timeless(events) for events in last]


def test_a_rebuilt_population_stands_on_a_fresh_board_as_it_did_on_the_old_one(tmp_path):
    """D18: resume rebuilds the standings."""
    original = lived(tmp_path / "run", 5)
    again = Population(tmp_path / "run", original.evolution, NOISY)
    for member in range(4):
        for species in range(2):
            assert again.board.row(member, species) == original.board.row(member, species)
            row = BoardRow.from_bytes(again.board.row(member, species))
            if row.can_be_donor:
                assert again.board.snapshot(member, species) == original.board.snapshot(member, species)


def test_a_member_stopped_in_between_republishes_its_ready_point_and_not_where_it_stands(tmp_path):
    """D04: a version is what earned its score."""
    original = lived(tmp_path / "run", 3, control="nothing")
    ready = {(m, s): original.board.snapshot(m, s) for m in range(4) for s in range(2)}
    original.stop_in(2)
    again = Population(tmp_path / "run", original.evolution, NOISY)
    assert {slot: again.board.snapshot(*slot) for slot in ready} == ready


def test_a_member_whose_newest_checkpoint_is_damaged_goes_on_from_the_one_before(tmp_path):
    original = lived(tmp_path / "run", 4)
    original[2].place.checkpoints.path(4).write_bytes(b"damaged")
    again = Population(tmp_path / "run", original.evolution, NOISY)
    assert [member.generation for member in again.members] == [4, 4, 3, 4]
    again.live(2)
    assert again[2].generation == 4


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path):
    """D17's ground: in a fixed order of turns."""
    one, two = lived(tmp_path / "one"), lived(tmp_path / "two")
    assert_alike(one, two)
    assert timeless(one.events) == timeless(two.events)
    assert timeless(lived(tmp_path / "three", seed=1).events) != timeless(one.events)


# ------------------------------------------------------------------------------------ lineage of many


def test_copies_of_copies_are_whole_versions_of_one_acyclic_lineage(tmp_path):
    """D09: A copies B while B copies C, two copy the same donor; uneven speeds, chained exploits."""
    population = Population(tmp_path, evolution(6), NOISY)
    turns = np.random.default_rng(0).choice(6, size=150, p=[0.05, 0.1, 0.15, 0.2, 0.2, 0.3])
    population.live(*turns.tolist())
    events = started(population) + population.events
    exploits = [event for event in events if event.kind == "exploit"]
    assert len(exploits) > 15
    for event in exploits:
        assert event.parent.member != event.member
        assert population.board.versions[event.parent.member, event.policy, event.parent.generation] == {event.checksum}
    for species in SPECIES:
        founders = []
        for member in population.members:
            segments = ancestry(events, species, member.index, member.generation)
            before = next(e for e in segments[-1].events[::-1] if e.kind == "ready" or e.kind == "start")
            assert segments[0].member == before.founder
            assert segments[0].events[0].kind == "start"
            founders.append(member.policies[species].founder)
        assert 1 <= distinct_founders(founders) < 6


def test_no_version_is_ever_published_twice_with_another_content(tmp_path):
    """D03, D04: also by members that were built again."""
    population = lived(tmp_path, 5)
    assert all(len(checksums) == 1 for checksums in population.board.versions.values())
    again = Population(tmp_path, population.evolution, NOISY)
    for key, checksums in again.board.versions.items():
        assert population.board.versions[key] == checksums


def test_a_whole_own_interval_lies_between_two_exploits(tmp_path):
    """R17, D13."""
    population = lived(tmp_path, 12, members=5)
    for member in range(5):
        for species in SPECIES:
            at = [
                e.clocks.updates
                for e in population.events
                if (e.kind, e.member, e.policy) == ("exploit", member, species)
            ]
            assert all(after - before >= 3 for before, after in zip(at, at[1:], strict=False))


def test_hyperparameters_stay_within_their_declaration_all_the_way(tmp_path):
    """D14, D15."""
    population = lived(tmp_path, 12, members=5)
    for event in population.events:
        for hyperparameter in declared(event.policy):
            value = event.hyperparameters[hyperparameter.name]
            assert hyperparameter.distribution.contains(value)
            assert type(value) is (int if hyperparameter.name == "n_epochs" else float)


# ------------------------------------------------------------------------------------ speeds


def test_a_member_ten_times_slower_blocks_nobody_and_is_not_punished(tmp_path):
    """D22."""
    population = Population(tmp_path, evolution(5), {"noise": 1.0})
    for turn in range(30):
        population.live(1, 2, 3, 4)
        if turn % 10 == 9:
            population.live(0)
    assert [member.generation for member in population.members] == [3, 30, 30, 30, 30]
    fast = [event for event in population.events if event.kind == "exploit" and event.member != 0]
    assert len(fast) > 10
    judged = [
        e.why.get("compared_at") for e in population.events if (e.kind, e.member, e.policy) == ("ready", 0, "fox")
    ]
    assert all(at is None or at <= 3 for at in judged)


def test_a_member_that_never_arrives_blocks_nobody(tmp_path):
    """D22: it is dead, or hangs; four of five are a quorum."""
    population = Population(tmp_path, evolution(5), NOISY)
    for _ in range(5):
        population.live(1, 2, 3, 4)
    assert any(event.kind == "exploit" for event in population.events)
    assert all(event.parent.member != 0 for event in population.events if event.kind == "exploit")


def test_the_member_that_is_most_behind_runs_next():
    """R15."""
    by = evolution(3)
    waiting = [
        SimpleNamespace(index=index, evolution=by, clocks=Clocks(updates=updates))
        for index, updates in ((2, 4), (0, 9), (1, 4))
    ]
    assert most_behind(waiting).index == 1
    assert most_behind(waiting[:2]).index == 2
    assert most_behind([replace_clock(waiting[0], 20), waiting[1]]).index == 0


def replace_clock(member, updates):
    return SimpleNamespace(index=member.index, evolution=member.evolution, clocks=Clocks(updates=updates))


# ------------------------------------------------------------------------------------ what it is for


def test_where_learning_rates_start_too_low_pbt_finds_better_ones(tmp_path):
    """Section 8: a convincing case is one whose starting learning rates are drawn too low."""
    low = {
        species: (Hyperparameter(species, "learning_rate", Real(1e-4, 0.1, log=True), Real(1e-4, 1e-3, log=True)),)
        for species in SPECIES
    }
    explorer = Perturb(DiscreteFactors((0.5, 2.0)), 0.25)
    skills = {}
    for control in ("pbt", "exploit_nothing"):
        by = evolution(6, declared=low, explorer=explorer)
        if control != "pbt":
            by = replace(by, rules=replace(by.rules, burn_in=1e9))
        population = Population(tmp_path / control, by, {"noise": 2.0})
        for _ in range(12):
            population.live()
        skills[control] = np.mean(
            [member.learner.skill(species) for member in population.members for species in SPECIES]
        )
    assert skills["pbt"] > skills["exploit_nothing"] + 20
