"""How long a run goes on that cannot be written down, and what it says meanwhile."""

import shutil

import pytest

from marl_pbt.fault_points import VARIABLE, arm
from marl_pbt.reports import CheckpointFailed
from marl_pbt.run_directory import RunDirectory
from marl_pbt.run_watch import RunWatch


@pytest.fixture
def run(tmp_path):
    directory = RunDirectory(tmp_path / "a")
    directory.create()
    directory.lock(1)
    yield directory
    arm({})
    directory.unlock()


@pytest.fixture
def watch(run):
    return RunWatch(run, patience_s=600.0)


def said(watch, *times):
    return [line for now in times for line in watch.look(now)]


def test_a_disk_that_takes_no_checkpoint_is_told_once_a_minute_and_stops_the_run_in_the_end(watch):
    """Section 2, disk full: training goes on with one warning a minute, then stops cleanly."""
    arm({VARIABLE: "write:*:full"})
    for member in (0, 1):
        watch.failed(CheckpointFailed(member, 3, "No space left on device"), now=100.0)
    lines = said(watch, *range(100, 699))
    assert len(lines) == 10
    assert "cannot be written (No space left on device): 2 members trained on without a checkpoint" in lines[0]
    assert "the run stops in 10:00 unless that changes" in lines[0]
    assert watch.trouble is None
    assert said(watch, 700.0) == []
    assert "no checkpoint could be written for 10:00" in watch.trouble.line
    assert not watch.trouble.is_gone


def test_one_checkpoint_on_the_disk_ends_the_wait(watch):
    watch.failed(CheckpointFailed(0, 3, "No space left on device"), now=0.0)
    said(watch, 1.0)
    watch.written(0)
    assert said(watch, *range(2, 2000)) == []
    assert watch.trouble is None
    assert watch.unwritten == set()


def test_where_ready_points_are_far_apart_the_watch_tries_the_disk_itself(watch):
    """One checkpoint failed, the next is due in an hour: the disk had room again after a minute."""
    watch.failed(CheckpointFailed(0, 3, "Input/output error"), now=0.0)
    lines = said(watch, *range(3600))
    assert len(lines) == 2
    assert "can be written again" in lines[1]
    assert watch.trouble is None
    assert watch.unwritten == {0}


def test_a_folder_deleted_under_the_lock_is_noticed_within_a_second(watch, run):
    """Section 2, two runs, one directory."""
    assert said(watch, 0.0) == []
    shutil.rmtree(run.root)
    said(watch, 0.5, 1.0)
    assert watch.trouble.is_gone
    assert "was deleted or replaced" in watch.trouble.line


def test_a_folder_that_took_the_place_of_the_runs_is_noticed_and_left_alone(watch, run):
    run.root.rename(run.root.with_name("moved"))
    other = RunDirectory(run.root)
    other.create()
    other.lock(2)
    said(watch, 0.0)
    assert watch.trouble.is_gone
    run.unlock()
    assert (run.root / "lock.txt").read_text().startswith("pid 2 ")
    other.unlock()


def test_a_lock_file_that_somebody_deleted_is_noticed(watch, run):
    """Another run could take the folder now."""
    (run.root / "lock").unlink()
    said(watch, 0.0)
    assert watch.trouble.is_gone
