"""The supervisor: starts workers, replaces those that die, records what they tell; decides nothing of PBT."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from marl_pbt.logs import RunLog
from marl_pbt.records import Records
from marl_pbt.reports import (
    CheckpointFailed,
    CheckpointWritten,
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
from marl_pbt.run_directory import RunDirectory, member_name
from marl_pbt.run_state import RunState
from marl_pbt.run_watch import FolderGoneError
from marl_pbt.shared_board import SharedBoard
from marl_pbt.standings import BoardRow
from marl_pbt.supervision.crew import Crew
from marl_pbt.supervision.hangs import Patience
from marl_pbt.supervision.lookout import Lookout
from marl_pbt.supervision.memory_figures import memory_kills
from marl_pbt.supervision.posts import Post
from marl_pbt.supervision.signals import SignalWatch
from marl_pbt.supervision.trouble_book import TroubleBook
from marl_pbt.supervision.trouble_files import TroubleFiles
from marl_pbt.supervision.troubles import cause_of_end
from marl_pbt.supervision.worker_process import spawn_context
from marl_pbt.worker import WorkerJob
from marl_pbt.worker_pipe import Stop

HASTE_S = 6.0
"""After a signal, for an update and a checkpoint; what is written and drawn at the end has to fit into ten seconds."""
LEISURE_S = 60.0
"""For the same where nobody waits."""
SECOND_SIGNAL_AFTER_S = 0.5
"""A closed terminal may deliver the same wish twice at once."""
LISTEN_S = 0.25
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


class Supervisor:
    """Runs the population to its end.

    Args:
        job: What every worker is given; `members` is set per worker.
        workers: W.
        records: Where everything that is told goes.
        log: Of the run.
        patience: With workers that do not move.
    """

    def __init__(
        self, job: WorkerJob, workers: int, records: Records, log: RunLog, patience: Patience | None = None
    ) -> None:
        self._job = job
        self._memory: Any = SharedBoard.allocate(job.board, spawn_context())
        self._records = records
        self.state = RunState(job.board.members, time.monotonic())
        files = TroubleFiles(RunDirectory(job.run).troubles)
        self._book = TroubleBook(self.state, files, job.evolution.seed)
        self._lookout = Lookout(self.state, files, patience or Patience())
        self._crew = Crew(job, workers, self._memory, log, self.state)
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
                    if self._stop_deadline is None:
                        self._start_due()
                    self._look_after_workers()
                    self._heed_signals()
                    if deadline is not None and time.monotonic() > deadline:
                        self._stop_all("time limit reached", LEISURE_S)
                    self._cut_off_late_ones()
                    self._record(self._records.tend, self.state, self._crew.ask)
                    self._heed_trouble()
                self._close_with_tasks()
            except SecondSignalError:
                logger.warning("a second signal: ended at once")
            except FolderGoneError as fault:
                logger.error("%s", fault)
            finally:
                self._crew.close()
        return self._outcome()

    def _start_due(self) -> None:
        for post, fault in self._crew.start_due():
            self._book.not_started(post, fault)
            self._give_up(post)

    def _look_after_workers(self) -> None:
        for post, report in self._crew.listen(LISTEN_S, [self._signals.fileno()]):
            if report is None:
                self._worker_ended(post)
            else:
                self._take(post, report)
        self._signals.drain()
        self._lookout.look(self._crew.posts, time.monotonic())

    def _take(self, post: Post, report: Report) -> None:
        match report:
            case WorkerUp():
                logger.info("worker_%d is up", post.index)
            case IntervalBegun(member):
                post.trained = member
                post.troubles.clear()
            case MemberUp() | UpdateDone() | ReadyPassed():
                self.state.take(report, time.monotonic())
                self._record(self._records.take, report, self.state)
            case CheckpointFailed():
                self._record(self._records.checkpoint_failed, report)
            case CheckpointWritten(member):
                self._record(self._records.watch.written, member)
            case MemberDone(member):
                self.state.members[member].state = "done"
            case MemberStopped(member):
                self.state.members[member].state = "stopped"
            case MemberFailed():
                self._book.member_failed(post, report)
                self._give_up(post)
            case TaskDone(name, result):
                post.tasks.remove(name)
                self._record(self._records.take_answer, name, result)

    def _record(self, write: Callable[..., Any], *arguments: Any) -> None:
        """Whatever goes wrong with a record, a full disk or a screen that is gone, must not stop the training."""
        try:
            write(*arguments)
        except Exception:
            logger.exception("a record could not be made")

    def _give_up(self, post: Post) -> None:
        """Leave members as they are, and take them out of the others' standings; their worker has written its last."""
        for member in self._book.given_up(post):
            member.state = "failed"
            board = SharedBoard(self._job.board, self._memory)
            for slot in range(len(self._job.board.snapshot_bytes)):
                data = board.row(member.index, slot)
                row = BoardRow(member.index, 0) if data is None else BoardRow.from_bytes(data)
                board.publish_row(member.index, slot, replace(row, is_retired=True).to_bytes())

    def _worker_ended(self, post: Post) -> None:
        """Whoever is unsettled goes on from its last checkpoint in a fresh worker, which starts when it is due."""
        worker = post.worker
        assert worker is not None
        stacks = "" if worker.hung else worker.read_stacks()
        code = worker.close()
        post.worker = None
        post.tasks.clear()
        if not post.unsettled(self.state):
            return
        if self._stop_deadline is not None:
            for member in post.unsettled(self.state):
                member.state = "cut off"
            return
        cause = cause_of_end(code, worker.hung, post.memory, memory_kills(), worker.unreadable)
        self._book.worker_ended(post, cause, stacks)
        self._give_up(post)
        for member in post.unsettled(self.state):
            member.state = "restarting"

    def _heed_signals(self) -> None:
        if self._signals.wants_pause:
            self._signals.wants_pause = False
            self._crew.pause()
        received = self._signals.received
        if not received:
            return
        if any(later.at - received[0].at > SECOND_SIGNAL_AFTER_S for later in received[1:]):
            raise SecondSignalError
        self._stop_all("stopping: every member finishes its update and writes a checkpoint", HASTE_S)

    def _heed_trouble(self) -> None:
        """A run that cannot be written down ends; where its folder is gone, without a word to the workers."""
        trouble = self._records.trouble
        if trouble is not None and trouble.is_gone:
            raise FolderGoneError(trouble.line)
        if trouble is not None:
            self._stop_all(trouble.line, LEISURE_S)

    def _stop_all(self, why: str, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        if self._stop_deadline is not None:
            self._stop_deadline = min(self._stop_deadline, deadline)  # a signal may come later, and wants haste
            return
        self._stop_deadline = deadline
        self._crew.tell(Stop())
        for post in self._crew.posts:
            if post.worker is None:
                for member in post.unsettled(self.state):
                    member.state = "cut off"
        self._record(self._records.say, why)

    def _cut_off_late_ones(self) -> None:
        if self._stop_deadline is None or time.monotonic() < self._stop_deadline:
            return
        for member in self.state.members:
            if not member.is_settled:
                logger.warning("%s did not stop in time", member_name(member.index))
                member.state = "cut off"

    def _close_with_tasks(self) -> None:
        """What is left to do once nobody trains: nothing after a signal, which wants a quick end."""
        if self._signals.received or self._records.trouble is not None:
            return
        self._record(lambda: [self._crew.ask(task) for task in self._records.closing_tasks(self.state)])
        while any(post.is_awaited(LEISURE_S) for post in self._crew.posts) and not self._signals.received:
            self._look_after_workers()
            self._record(self._records.tend, self.state, None)

    def _outcome(self) -> Outcome:
        def those(*states: str) -> tuple[int, ...]:
            return tuple(member.index for member in self.state.members if member.state in states)

        return Outcome(
            signal=self._signals.received[0].number if self._signals.received else 0,
            failed={index: self.state.members[index].fault for index in those("failed")},
            stopped=those("stopped"),
            cut_off=those("cut off", "starting", "training", "stale", "restarting"),
        )
