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
from marl_pbt.member import Member
from marl_pbt.protocols import DivergedError
from marl_pbt.reports import CheckpointFailed, MemberDone, MemberFailed, MemberStopped, ReadyPassed, UpdateDone
from marl_pbt.snapshot import SnapshotError
from marl_pbt.supervision.whereabouts import Whereabouts
from marl_pbt.worker_pipe import Stop
from tests.marl_pbt.hosted_worker import HostedWorker
from tests.marl_pbt.toy_population import NOISY, STEADY, Population, assert_alike, board_row, evolution, timeless

UPDATES = 3
"""Of an interval."""


class Disk:
    """Under the checkpoints of all members: what becomes of each write is up to the test.

    Attributes:
        before: By folder: what happens before the checkpoint is written.
        threads: By folder, of each write.
    """

    def __init__(self, write: Callable[..., None]) -> None:
        self._write = write
        self.before: dict[str, Callable[[], None]] = {}
        self.threads: dict[str, list[threading.Thread]] = {}

    def write(self, checkpoints: MemberCheckpoints, *args: Any, **kwargs: Any) -> None:
        name = checkpoints.folder.name
        self.threads.setdefault(name, []).append(threading.current_thread())
        self.before.get(name, lambda: None)()
        self._write(checkpoints, *args, **kwargs)

    def gate(self, folder: str) -> threading.Event:
        """Closed: the disk does not answer until it is opened."""
        gate = threading.Event()
        self.before[folder] = lambda: None if gate.wait(20.0) else pytest.fail("nobody opened the gate")
        return gate


@pytest.fixture(autouse=True)
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(MemberCheckpoints.write)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(MemberCheckpoints, "write", lambda *args, **kwargs: disk.write(*args, **kwargs))
    return disk


@pytest.fixture
def gate(disk: Disk) -> Iterator[threading.Event]:
    """Of member 0."""
    gate = disk.gate("member_00")
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


def when_waited_for(member: Member, act: Callable[[], None]) -> None:
    """Do this when the member begins to wait for its ready point."""
    wait = member.place.background.wait

    def acting(begun: Any) -> None:
        act()
        wait(begun)

    member.place.background.wait = acting


def test_others_train_while_a_checkpoint_is_written_and_nobody_hears_of_it_before(
    tmp_path: Path, gate: threading.Event, disk: Disk
) -> None:
    """The disk does not answer until the other member has trained a whole interval."""
    population = sharing_one_worker(tmp_path)
    update, seen = population[1].learner.update, []

    def looking() -> Any:
        report = update()
        row, snapshot = board_row(population, 0), population.board.snapshot(0, 0)
        seen.append((population[0].place.checkpoints.generations(), row.generation, snapshot, passed(population, 0)))
        if len(seen) == UPDATES:
            gate.set()
        return report

    population[1].learner.update = looking
    population.live(0, 1)
    assert seen == [([], 0, None, [])] * UPDATES
    assert disk.threads["member_00"] != [threading.current_thread()]
    assert passed(population, 0) == [1]  # one ready point at most is left to write down


def test_a_ready_point_is_on_the_disk_then_published_and_then_told(tmp_path: Path, disk: Disk) -> None:
    population, order = sharing_one_worker(tmp_path), []
    place, publish = population[0].place, population.board.publish_row
    disk.before["member_00"] = lambda: order.append("checkpoint")
    population.board.publish_row = lambda *args: (order.append("publish"), publish(*args))
    place.tell = lambda report: order.append("tell") if isinstance(report, ReadyPassed) else None
    population.live(0)
    population[0].wait_until_told()
    assert order == ["checkpoint", "publish", "publish", "tell"]


def test_the_learner_is_called_by_its_own_thread_alone(tmp_path: Path, gate: threading.Event) -> None:
    """It may be bound to it."""
    population = sharing_one_worker(tmp_path)
    member, callers = population[0], set()

    class Bound:
        def __init__(self, learner: Any) -> None:
            self.learner = learner

        def __getattr__(self, name: str) -> Any:
            callers.add(threading.current_thread())
            return getattr(self.learner, name)

    member.learner = Bound(member.learner)
    when_waited_for(member, gate.set)
    population.live(0, 0)
    member.wait_until_told()
    assert callers == {threading.current_thread()}


def test_the_member_itself_goes_on_only_when_its_ready_point_is_told(tmp_path: Path, gate: threading.Event) -> None:
    """So at most one interval is lost, and what a checkpoint holds cannot change while it is written."""
    population, begun = sharing_one_worker(tmp_path), []
    member, update = population[0], population[0].learner.update
    member.live_one_interval()
    assert member.passed == 0
    when_waited_for(member, gate.set)
    member.learner.update = lambda: (begun.append(passed(population, 0)), update())[1]
    member.live_one_interval()
    assert begun == [[1]] * UPDATES


def test_the_last_ready_point_is_told_before_its_member_is_done(tmp_path: Path, gate: threading.Event) -> None:
    population = Population(tmp_path, evolution(1, stop=float(UPDATES)), STEADY)
    population[0].place.background = Background()
    when_waited_for(population[0], gate.set)
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
    disk.before["member_00"] = failing(OSError(errno.ENOSPC, "No space left on device"))
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
    disk.before["member_00"] = failing(OSError(errno.EIO, "Input/output error"))
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
    disk.before["member_00"] = failing(SnapshotError("metadata must hold at most 250000 values"))
    population.live(0)
    population.live(1)
    with pytest.raises(SnapshotError, match="at most 250000 values"):
        population.live(0)


def told_of(reports: list[object], member: int) -> list[type]:
    return [type(each) for each in reports if getattr(each, "member", None) == member]


def test_a_stopped_worker_tells_of_what_was_being_written_before_it_says_that_it_has_stopped(
    tmp_path: Path, gate: threading.Event, disk: Disk
) -> None:
    """With a whole worker, of whose two members each is being written down in turn."""
    other_gate = disk.gate("member_01")
    worker = HostedWorker(tmp_path, (0, 1), evolution(2))
    reports = worker.reports_until(UpdateDone, UPDATES, member=1)
    assert not any(isinstance(each, ReadyPassed) for each in reports)
    worker.pipe.send(Stop())
    gate.set()
    reports = worker.reports_until(MemberStopped, 1, member=0)
    assert not worker.pipe.poll(0.3)
    other_gate.set()
    reports += worker.reports_until(MemberStopped, 1, member=1)
    worker.end()
    for member in (0, 1):
        assert told_of(reports, member)[-2:] == [ReadyPassed, MemberStopped]
        assert worker.row(member).generation == 1


def test_who_could_not_be_written_down_hides_no_other_members_stop(
    tmp_path: Path, gate: threading.Event, disk: Disk
) -> None:
    opened = disk.before["member_00"]
    disk.before["member_00"] = lambda: (opened(), failing(SnapshotError("too deep"))())[1]
    worker = HostedWorker(tmp_path, (0, 1), evolution(2))
    worker.reports_until(UpdateDone, UPDATES, member=1)
    worker.pipe.send(Stop())
    gate.set()
    reports = worker.reports_until(MemberFailed, 1)
    worker.thread.join(10.0)
    assert MemberStopped in told_of(reports, 1)
    assert [each.generation for each in reports if isinstance(each, MemberFailed)] == [0]


def test_after_a_death_each_members_first_ready_point_is_written_down_in_its_own_turn(
    tmp_path: Path, disk: Disk
) -> None:
    """So that a ready point that kills its worker is seen to be at fault, and not who trains meanwhile."""
    worker = HostedWorker(tmp_path, (0, 1), evolution(2, stop=3.0 * UPDATES), is_careful=True)
    worker.reports_until(MemberDone, 2)
    worker.end()
    for member in ("member_00", "member_01"):
        in_its_turn = [thread is worker.thread for thread in disk.threads[member]]
        assert in_its_turn == [True, False, False]


@pytest.mark.parametrize("more", [{"meeting_timeout_s": 60.0}, {"deterministic": True}], ids=["synchronous", "exact"])
def test_where_the_moment_matters_or_all_wait_anyway_checkpoints_are_written_at_once(
    tmp_path: Path, disk: Disk, more: dict[str, Any]
) -> None:
    worker = HostedWorker(tmp_path, (0,), evolution(1, stop=float(UPDATES), **more))
    worker.reports_until(ReadyPassed, 1)
    worker.end()
    assert set(disk.threads["member_00"]) == {worker.thread}


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
