"""The short forms of `python -m tests.chaos`; section 4 of the promises."""

import pytest

from tests.chaos.crowd_kills import run_with_a_crowd
from tests.chaos.hangs import run_with_hangs
from tests.chaos.tree_kills import run_with_resumes
from tests.chaos.worker_kills import run_with_kills


def assert_sound(outcome, least_kills):
    assert outcome.is_sound, f"seed {outcome.seed}: {outcome.told()}\n{outcome.said}"
    assert outcome.kills >= least_kills


def test_workers_killed_in_any_phase_leave_the_bytes_of_an_undisturbed_run(tmp_path):
    assert_sound(run_with_kills(tmp_path, 6, seed=5), least_kills=6)


@pytest.mark.chaos
def test_fifty_workers_killed_in_every_phase_leave_the_bytes_of_an_undisturbed_run(tmp_path):
    assert_sound(run_with_kills(tmp_path, 50, seed=1), least_kills=50)


@pytest.mark.chaos
def test_a_run_ended_twenty_times_by_any_signal_and_resumed_leaves_the_bytes_of_an_undisturbed_run(tmp_path):
    assert_sound(run_with_resumes(tmp_path, 20, seed=2, ready_points=40), least_kills=15)


@pytest.mark.chaos
def test_four_workers_killed_at_any_moment_lose_no_ready_point(tmp_path):
    assert_sound(run_with_a_crowd(tmp_path, 12, seed=3), least_kills=6)


@pytest.mark.chaos
def test_a_worker_that_hangs_in_every_way_is_noticed_each_time_and_loses_no_ready_point(tmp_path):
    assert_sound(run_with_hangs(tmp_path, 4, seed=4), least_kills=4)
