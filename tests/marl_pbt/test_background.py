"""Ready points that are written down while the worker's other members train."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from marl_pbt.background import Background
from marl_pbt.checkpoints import MemberCheckpoints
from marl_pbt.protocols import DivergedError
from marl_pbt.reports import CheckpointFailed, MemberStopped, ReadyPassed, UpdateDone
from marl_pbt.snapshot import SnapshotError
from marl_pbt.supervision.whereabouts import Whereabouts
from marl_pbt.worker_pipe import Stop
from tests.marl_pbt.hosted_worker import HostedWorker
from tests.marl_pbt.toy_population import NOISY, STEADY, Population, assert_alike, board_row, evolution, timeless

UPDATES = 3
"""Of an interval."""


class Disk:
    """Under the checkpoints of all members: what becomes of each write of member 0 is up to the test."""

    def __init__(self, write: Callable[..., None]) -> None:
        self._write = write
        self.before: Callable[[], None] = lambda: None
        self.thread: threading.Thread | None = None

    def write(self, checkpoints: MemberCheckpoints, *args: Any, **kwargs: Any) -> None:
        if checkpoints.folder.name == "member_00":
            self.thread = threading.current_thread()
            self.before()
        self._write(checkpoints, *args, **kwargs)


@pytest.fixture(autouse=True)
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(MemberCheckpoints.write)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(MemberCheckpoints, "write", lambda *args, **kwargs: disk.write(*args, **kwargs))
    return disk


@pytest.fixture
def gate(disk: Disk) -> Iterator[threading.Event]:
    """Closed: the disk does not answer member 0 until it is opened."""
    gate = threading.Event()
    disk.before = lambda: None if gate.wait(20.0) else pytest.fail("nobody opened the gate")
    yield gate
    gate.set()


def sharing_one_worker(folder: Path, members: int = 2, settings: dict[str, Any] = STEADY) -> Population:
    population, background = Population(folder, evolution(members), settings), Background()
    for member in population.members:
        member.place.background = background
    return population


def passed(population: Population, member: int) -> list[int]:
    """The generations that the supervisor has heard of."""
    told = (each for each in population.reports if isinstance(each, ReadyPassed) and each.member == member)
    return [each.rows["fox"].generation for each in told]


def failing(*faults: Exception) -> Callable[[], None]:
    left = list(faults)

    def fail() -> None:
        if left:
            raise left.pop(0)

    return fail


def test_others_train_while_a_checkpoint_is_written_and_nobody_hears_of_it_before(
    tmp_path: Path, gate: threading.Event, disk: Disk
) -> None:
    """A durable checkpoint is never on another member's time; order: checkpoint, publish, tell."""
    population = sharing_one_worker(tmp_path)
    population.live(0)
    population.live(1)
    trained = [each.member for each in population.reports if isinstance(each, UpdateDone)]
    assert trained == [0] * UPDATES + [1] * UPDATES
    assert disk.thread is not threading.current_thread()
    assert population[0].place.checkpoints.generations() == []
    assert board_row(population, 0).generation == 0
    assert population.board.snapshot(0, 0) is None
    assert passed(population, 0) == []
    gate.set()
    population[0].wait_until_told()
    assert population[0].place.checkpoints.generations() == [1]
    assert board_row(population, 0).generation == 1
    assert population.board.snapshot(0, 0) is not None
    assert passed(population, 0) == [1]


def test_the_member_itself_goes_on_only_when_its_ready_point_is_told(tmp_path: Path, gate: threading.Event) -> None:
    """So at most one interval is lost, and what a checkpoint holds cannot change while it is written."""
    population = sharing_one_worker(tmp_path)
    member = population[0]
    member.live_one_interval()
    waits, begun = member.place.background.wait, []

    def wait(untold: Any) -> None:
        begun.append(len(member.learner.in_force))
        gate.set()
        waits(untold)
        assert passed(population, 0) == [1]

    member.place.background.wait = wait
    member.live_one_interval()
    assert begun == [UPDATES]
    assert len(member.learner.in_force) == 2 * UPDATES


def test_the_last_ready_point_is_told_before_its_member_is_done(tmp_path: Path) -> None:
    population = Population(tmp_path, evolution(1, stop=float(UPDATES)), STEADY)
    population[0].place.background = Background()
    population.live(0)
    assert population[0].is_done
    assert passed(population, 0) == [1]


def test_a_population_becomes_the_same_with_background_or_without(tmp_path: Path) -> None:
    """Where every turn begins with what those before it have come to, as where it does not."""
    one = sharing_one_worker(tmp_path / "one", 4, NOISY)
    other = Population(tmp_path / "other", one.evolution, NOISY)
    for _ in range(6):
        for index in range(4):
            one.live(index)
            one[index].wait_until_told()
        other.live()
    assert_alike(one, other)
    assert timeless(one.events) == timeless(other.events)


def test_a_full_disk_in_the_background_is_told_and_the_member_goes_on(tmp_path: Path, disk: Disk) -> None:
    """Both ready points are told with the next one, whose checkpoint is written."""
    population = sharing_one_worker(tmp_path)
    disk.before = failing(OSError(errno.ENOSPC, "No space left on device"))
    population.live(0)
    population.live(0)
    population[0].wait_until_told()
    failed = [each for each in population.reports if isinstance(each, CheckpointFailed)]
    assert [(each.member, each.generation, each.reason) for each in failed] == [(0, 1, "No space left on device")]
    assert passed(population, 0) == [2]
    ready = [event.generation for event in population.events if event.kind == "ready" and event.policy == "fox"]
    assert ready == [1, 2]


def test_where_the_disk_failed_an_interval_can_still_be_lived_again(tmp_path: Path, disk: Disk) -> None:
    """What it began with is in memory."""
    population = sharing_one_worker(tmp_path)
    member, update = population[0], population[0].learner.update
    disk.before = failing(OSError(errno.EIO, "Input/output error"))
    member.live_one_interval()
    diverge = failing(DivergedError("fox", "its loss is nan"))
    member.learner.update = lambda: diverge() or update()
    member.live_one_interval()
    member.wait_until_told()
    assert member.generation == 2
    assert [event.kind for event in population.events].count("rollback") == 2  # of each species


def test_what_goes_wrong_in_the_background_is_raised_in_the_members_own_turn(tmp_path: Path, disk: Disk) -> None:
    """So nobody else is blamed for it."""
    population = sharing_one_worker(tmp_path)
    disk.before = failing(SnapshotError("metadata must hold at most 250000 values"))
    population.live(0)
    population.live(1)
    with pytest.raises(SnapshotError, match="at most 250000 values"):
        population.live(0)


def test_a_stopped_worker_tells_of_what_was_being_written_before_it_says_that_it_has_stopped(
    tmp_path: Path, gate: threading.Event
) -> None:
    """With a whole worker: the mate trains on, and the stop loses nothing."""
    worker = HostedWorker(tmp_path, (0, 1), evolution(2))
    reports = worker.reports_until(UpdateDone, UPDATES, member=1)
    assert not any(isinstance(each, ReadyPassed) and each.member == 0 for each in reports)
    assert worker.row(0).generation == 0
    worker.pipe.send(Stop())
    gate.set()
    reports = worker.reports_until(MemberStopped, 2)
    worker.end()
    ours = [type(each) for each in reports if getattr(each, "member", None) == 0]
    assert ours.index(ReadyPassed) < ours.index(MemberStopped)
    assert worker.row(0).generation >= 1


@pytest.mark.parametrize("more", [{"meeting_timeout_s": 60.0}, {"deterministic": True}], ids=["synchronous", "exact"])
def test_where_the_moment_matters_or_all_wait_anyway_checkpoints_are_written_at_once(
    tmp_path: Path, disk: Disk, more: dict[str, Any]
) -> None:
    worker = HostedWorker(tmp_path, (0,), evolution(1, stop=float(UPDATES), **more))
    worker.reports_until(ReadyPassed, 1)
    worker.end()
    assert disk.thread is worker.thread


def test_what_another_thread_does_is_not_what_the_worker_is_in() -> None:
    """Its silence is measured where it waits."""
    seen = Whereabouts()
    began, sights = seen.look(), []
    writing = seen.during("writing a checkpoint", lambda: sights.append(seen.look()))
    thread = threading.Thread(target=writing)
    thread.start()
    thread.join()
    assert sights == [began]
    assert seen.look() == began
