"""Members that are stopped or killed go on bit for bit when they are built again."""

import os
import shutil

import pytest

from marl_pbt.lineage_store import LineageStore, read_lineage
from marl_pbt.reports import ReadyPassed
from marl_pbt.standings import BoardRow
from tests.marl_pbt.toy_population import (
    NOISY,
    Population,
    assert_alike,
    lived,
    started,
    timeless,
)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


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
    slots = [(member, species) for member in range(4) for species in range(2)]
    original.stop_in(2)
    again = Population(tmp_path / "run", original.evolution, NOISY)
    for slot in slots:
        assert again.board.snapshot(*slot) == original.board.snapshot(*slot)
        assert again.board.row(*slot) == original.board.row(*slot)


def test_a_member_whose_newest_checkpoint_is_damaged_goes_on_from_the_one_before(tmp_path):
    original = lived(tmp_path / "run", 4)
    original[2].place.checkpoints.path(4).write_bytes(b"damaged")
    again = Population(tmp_path / "run", original.evolution, NOISY)
    assert [member.generation for member in again.members] == [4, 4, 3, 4]
    again.live(2)
    assert again[2].generation == 4
