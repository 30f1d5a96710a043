"""Synchronous mode: members that crash, diverge and are resumed around a meeting."""

import os
import shutil
from dataclasses import replace

import pytest

from tests.marl_pbt.meetings import Workers, synchronous
from tests.marl_pbt.toy_population import NOISY, STEADY, Population, assert_alike, board_row


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.mark.parametrize("turns", range(8))
def test_after_a_crash_at_any_moment_the_run_goes_on_bit_for_bit(tmp_path, turns):
    """D18, D19: all processes die, also while members wait; and one member alone."""
    original = Population(tmp_path / "original", synchronous(4), NOISY)
    workers = Workers(original, (0, 1), (2, 3))
    workers.run_to(2)
    for turn in range(turns):
        workers.turn(turn % 2)
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    again = Population(tmp_path / "copy", original.evolution, NOISY)
    assert [member.halves for member in again.members] == [member.halves for member in original.members]
    assert_alike(original, again)
    for population in (original, again):
        Workers(population, (0, 1), (2, 3)).run_to(5)
    assert_alike(original, again)


def test_a_member_that_waits_stands_on_a_fresh_board_as_it_did_on_the_old_one(tmp_path):
    """D18: with the version that others may copy."""
    original = Population(tmp_path, synchronous(3), NOISY)
    original.live()
    again = Population(tmp_path, original.evolution, NOISY)
    for member in range(3):
        for species in range(2):
            assert again.board.row(member, species) == original.board.row(member, species)
            assert again.board.snapshot(member, species) == original.board.snapshot(member, species)


@pytest.mark.parametrize("trouble", ["diverge_at", "stop_short_at", "nan_at"])
def test_a_species_that_has_diverged_follows_a_sound_one_at_the_meeting_also_after_a_crash_there(tmp_path, trouble):
    """R39."""
    settings = [{**STEADY, trouble: 2}, STEADY, STEADY]
    for crash in (False, True):
        folder = tmp_path / str(crash)
        population = Population(folder, synchronous(3, rules={"burn_in": 100.0}), settings, levels=(0.9, 0.5, 0.6))
        population.live()
        if crash:
            population = Population(folder, population.evolution, settings)
        population.live()
        assert [species for species, _ in population[0].learner.adopted][:1] == ["fox"]
        assert board_row(population, 0).stage == "training"
        assert population[0].fault is None
        assert population[0].policies["fox"].parent.generation == 1


def test_a_fault_that_nobody_can_mend_is_still_one_after_a_crash(tmp_path):
    settings = [{**STEADY, "diverge_at": 2}] * 2
    population = Population(tmp_path, synchronous(2), settings)
    population.live()
    for again in (population, Population(tmp_path, population.evolution, settings)):
        with pytest.raises(FloatingPointError, match=r"the toy diverges at update 2.*no sound weights could be copied"):
            again.live(0)


def test_a_run_that_waited_may_be_resumed_without_meetings(tmp_path):
    """And the other way round: members that are apart meet where the furthest is."""
    population = Population(tmp_path, synchronous(3), NOISY)
    population.live()
    apart = Population(tmp_path, replace(population.evolution, meeting_timeout_s=None), NOISY)
    apart.live(0, 1, 1, 1, 2)
    assert [member.generation for member in apart.members] == [1, 3, 1]
    assert [board_row(apart, member).stage for member in range(3)] == ["training"] * 3
    together = Population(tmp_path, population.evolution, NOISY)
    Workers(together, (0, 1), (2,)).run_to(5)
    assert [member.generation for member in together.members] == [5, 5, 5]
