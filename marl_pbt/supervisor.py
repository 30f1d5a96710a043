"""The supervisor: starts workers, replaces those that die, records what they tell; decides nothing of PBT."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from typing import Any

from marl_pbt.logs import RunLog
from marl_pbt.records import Records
from marl_pbt.reports import (
    IntervalBegun,
    MemberDone,
    MemberFailed,
    MemberStopped,
    MemberUp,
    ReadyPassed,
    Report,
    TaskDone,
    UpdateDone,
    WorkerUp,
)
from marl_pbt.run_directory import member_name
from marl_pbt.run_state import MemberState, RunState
from marl_pbt.shared_board import SharedBoard
from marl_pbt.signals import SignalWatch
from marl_pbt.standings import BoardRow
from marl_pbt.tasks import Task
from marl_pbt.worker import End, Stop, WorkerJob
from marl_pbt.worker_process import WorkerProcess, spawn_context

MAX_FAILURES = 3
"""Exceptions of a member without a new generation in between; then it is given up."""
MAX_DEATHS = 6
"""The same for deaths of its worker while it was trained: those may be others' doing."""
STOP_TIMEOUT_S = 9.0
SECOND_SIGNAL_AFTER_S = 0.5
"""A closed terminal may deliver the same wish twice at once."""
BACKOFF_S = (0.0, 1.0, 5.0, 30.0)
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        signal: What stopped it early; 0 for none.
        failed: Members that could not go on, with what went wrong.
        stopped: Members that were stopped before they were done and have written where they stand.
        cut_off: Members that were stopped and could not; they go on from their last generation.
    """

    signal: int
    failed: dict[int, str]
    stopped: tuple[int, ...]
    cut_off: tuple[int, ...]


class SecondSignalError(Exception):
    """A second signal came."""


@dataclass
class _Post:
    """Where a worker works: its number, its members, and what befell those who worked here before."""

    index: int
    members: tuple[int, ...]
    worker: WorkerProcess | None = None
    trained: int | None = None  # the member that is trained now
    deaths: int = 0  # since an interval was begun here
    restart_at: float = 0.0
    tasks: list[str] = field(default_factory=list)


class Supervisor:
    """Runs the population to its end.

    Args:
        job: What every worker is given; `members` is set per worker.
        workers: W.
        records: Where everything that is told goes.
        log: Of the run.
    """

    def __init__(self, job: WorkerJob, workers: int, records: Records, log: RunLog) -> None:
        self._job = job
        self._memory: Any = SharedBoard.allocate(job.board, spawn_context())
        self._log = log
        self._records = records
        population = job.board.members
        self.state = RunState(population, time.monotonic())
        self._posts = [
            _Post(index, tuple(range(index, population, workers))) for index in range(min(workers, population))
        ]
        self._signals = SignalWatch()
        self._stop_deadline: float | None = None

    def run(self, time_limit_s: float | None = None) -> Outcome:
        """Train until every member is done, has failed, or was stopped.

        Args:
            time_limit_s: Wall time after which all are stopped.
        """
        with self._signals.active():
            try:
                deadline = None if time_limit_s is None else time.monotonic() + time_limit_s
                while not self.state.is_settled:
                    self._start_due_workers()
                    self._take_reports(timeout=0.5)
                    self._heed_signals()
                    if deadline is not None and time.monotonic() > deadline:
                        self._stop_all("time limit reached")
                    self._record(self._records.tend, self.state, self.ask)
                self._close_with_tasks()
            except SecondSignalError:
                logger.warning("a second signal: ended at once")
            finally:
                self.close()
        return self._outcome()

    def ask(self, task: Task) -> bool:
        """Give a task to the worker with the fewest; False when there is none alive."""
        alive = [post for post in self._posts if post.worker is not None]
        if not alive:
            return False
        post = min(alive, key=lambda each: len(each.tasks))
        post.tasks.append(task.name)
        assert post.worker is not None
        post.worker.send(task)
        return True

    def close(self) -> None:
        """End every worker; none is left afterwards, whatever happened."""
        working = [post for post in self._posts if post.worker is not None]
        for post in working:
            assert post.worker is not None
            post.worker.send(End())
        for post in working:
            assert post.worker is not None
            # Who still trains or plays would not look at its pipe for a while.
            post.worker.close(kill=bool(post.tasks or self._unsettled(post)))
            post.worker = None

    def _unsettled(self, post: _Post) -> list[MemberState]:
        return [self.state.members[index] for index in post.members if not self.state.members[index].is_settled]

    def _start_due_workers(self) -> None:
        for post in self._posts:
            members = tuple(member.index for member in self._unsettled(post))
            if post.worker is None and members and time.monotonic() >= post.restart_at and not self._stop_deadline:
                post.trained = None
                post.worker = WorkerProcess(post.index, replace(self._job, members=members), self._memory, self._log)

    def _take_reports(self, timeout: float) -> None:
        waited: list[Any] = [post.worker.pipe for post in self._posts if post.worker is not None]
        wait([*waited, self._signals.fileno()], timeout)
        self._signals.drain()
        for post in self._posts:
            if post.worker is None:
                continue
            try:
                for report in post.worker.reports():
                    self._take(post, report)
            except EOFError:
                self._worker_ended(post)

    def _take(self, post: _Post, report: Report) -> None:
        match report:
            case WorkerUp():
                logger.info("worker_%d is up", post.index)
            case IntervalBegun(member):
                post.trained, post.deaths = member, 0
            case MemberUp() | UpdateDone() | ReadyPassed():
                self.state.take(report, time.monotonic())
                self._record(self._records.take, report, self.state)
            case MemberDone(member):
                self.state.members[member].state = "done"
            case MemberStopped(member):
                self.state.members[member].state = "stopped"
            case MemberFailed():
                self._member_failed(report)
            case TaskDone(name, result):
                post.tasks.remove(name)
                self._record(self._records.take_answer, name, result)

    def _record(self, write: Callable[..., Any], *arguments: Any) -> None:
        """Whatever goes wrong with a record, a full disk or a screen that is gone, must not stop the training."""
        try:
            write(*arguments)
        except Exception:
            logger.exception("a record could not be made")

    def _member_failed(self, report: MemberFailed) -> None:
        member = self.state.members[report.member]
        member.failures += 1
        trace = "" if member.fault == report.error else f"\n{report.trace}"  # the same failure is told once
        member.fault = report.error
        logger.error("%s, generation %d: %s%s", member_name(report.member), report.generation, report.error, trace)
        if member.failures >= MAX_FAILURES:
            self._give_up(member)

    def _give_up(self, member: MemberState) -> None:
        """Leave it as it is, and take it out of the others' standings; its worker has written its last."""
        member.state = "failed"
        logger.error("%s is given up: %s", member_name(member.index), member.fault)
        board = SharedBoard(self._job.board, self._memory)
        for slot in range(len(self._job.board.snapshot_bytes)):
            data = board.row(member.index, slot)
            row = BoardRow(member.index, 0) if data is None else BoardRow.from_bytes(data)
            board.publish_row(member.index, slot, replace(row, is_retired=True).to_bytes())

    def _worker_ended(self, post: _Post) -> None:
        """Whoever is unsettled goes on from its last checkpoint in a fresh worker, which starts when it is due."""
        assert post.worker is not None
        code = post.worker.close()
        post.worker = None
        post.tasks.clear()
        if not self._unsettled(post):
            return
        if self._stop_deadline is not None:
            for member in self._unsettled(post):
                member.state = "cut off"
            return
        self._blame(post, code)
        left = self._unsettled(post)
        troubles = max((member.failures + member.deaths for member in left), default=0) + post.deaths
        post.restart_at = time.monotonic() + BACKOFF_S[min(max(troubles - 1, 0), len(BACKOFF_S) - 1)]
        names = ", ".join(member_name(member.index) for member in left)
        logger.warning("worker_%d ended (exit code %s): %s go on from their last checkpoint", post.index, code, names)
        for member in left:
            member.state = "restarting"

    def _blame(self, post: _Post, code: int | None) -> None:
        """A worker that dies without a word is counted against the member that it trained, not against its mates."""
        if any(member.failures for member in self._unsettled(post)) and code == 1:
            return  # it has told who failed
        if post.trained is None:  # it died before it trained anybody: whom it hosts makes no difference
            post.deaths += 1
            if post.deaths < MAX_DEATHS:
                return
            blamed = self._unsettled(post)
        else:
            blamed = [self.state.members[post.trained]]
            blamed[0].deaths += 1
        for member in blamed:
            member.fault = f"its worker died {max(member.deaths, post.deaths)} times in a row (exit code {code})"
            if max(member.deaths, post.deaths) >= MAX_DEATHS and not member.is_settled:
                self._give_up(member)

    def _heed_signals(self) -> None:
        received = self._signals.received
        if not received:
            return
        if any(later.at - received[0].at > SECOND_SIGNAL_AFTER_S for later in received[1:]):
            raise SecondSignalError
        self._stop_all("stopping: every member finishes its update and writes a checkpoint")
        if self._stop_deadline is not None and time.monotonic() > self._stop_deadline:
            for post in self._posts:
                for member in self._unsettled(post):
                    logger.warning("%s did not stop in time", member_name(member.index))
                    member.state = "cut off"

    def _stop_all(self, why: str) -> None:
        if self._stop_deadline is not None:
            return
        self._stop_deadline = time.monotonic() + STOP_TIMEOUT_S
        for post in self._posts:
            if post.worker is not None:
                post.worker.send(Stop())
            else:
                for member in self._unsettled(post):
                    member.state = "cut off"
        self._record(self._records.say, why)

    def _close_with_tasks(self) -> None:
        """What is left to do once nobody trains: nothing after a signal, which wants a quick end."""
        if self._signals.received:
            return
        self._record(lambda: [self.ask(task) for task in self._records.closing_tasks(self.state)])
        while any(post.tasks for post in self._posts) and not self._signals.received:
            self._take_reports(timeout=0.5)
            self._record(self._records.tend, self.state, None)

    def _outcome(self) -> Outcome:
        def those(*states: str) -> tuple[int, ...]:
            return tuple(member.index for member in self.state.members if member.state in states)

        return Outcome(
            signal=self._signals.received[0].number if self._signals.received else 0,
            failed={index: self.state.members[index].fault for index in those("failed")},
            stopped=those("stopped"),
            cut_off=those("cut off", "starting", "training", "restarting"),
        )
