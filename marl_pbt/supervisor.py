"""The supervisor: starts workers, watches and restarts them, records what they tell; decides nothing of PBT."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from typing import Any

from marl_pbt.lineage import LineageEvent
from marl_pbt.logs import RunLog
from marl_pbt.records import Records
from marl_pbt.reports import (
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
from marl_pbt.tasks import Task
from marl_pbt.worker import End, Stop, WorkerJob
from marl_pbt.worker_process import WorkerProcess, spawn_context

MAX_FAILURES = 3
STOP_TIMEOUT_S = 9.0
BACKOFF_S = (0.0, 1.0, 5.0, 30.0)
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        signal: What stopped it early; 0 for none.
        failed: Members that could not go on, with what went wrong.
        stopped: True when members were stopped before they were done.
    """

    signal: int
    failed: dict[int, str]
    stopped: bool


@dataclass
class _Seat:
    """A worker's place: who works there, and what befell those before."""

    index: int
    members: tuple[int, ...]
    worker: WorkerProcess | None = None
    deaths: int = 0
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
        self._seats = [
            _Seat(index, tuple(range(index, population, workers))) for index in range(min(workers, population))
        ]
        self._signals = SignalWatch()
        self._stop_deadline: float | None = None
        self._answers: dict[str, object] = {}

    def run(self, time_limit_s: float | None = None) -> Outcome:
        """Train until every member is done, has failed, or was stopped.

        Args:
            time_limit_s: Wall time after which all are stopped.

        Raises:
            KeyboardInterrupt: A second signal came: end at once.
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
                    self._records.tend(self.state, self.ask)
                self._close_with_tasks()
            finally:
                self.close()
        return Outcome(
            signal=self._signals.received[0] if self._signals.received else 0,
            failed={member.index: member.fault for member in self.state.members if member.state == "failed"},
            stopped=any(member.state == "stopped" for member in self.state.members),
        )

    def ask(self, task: Task) -> bool:
        """Give a task to the worker with the fewest; False when there is none alive."""
        alive = [seat for seat in self._seats if seat.worker is not None]
        if not alive:
            return False
        seat = min(alive, key=lambda each: len(each.tasks))
        seat.tasks.append(task.name)
        assert seat.worker is not None
        seat.worker.send(task)
        return True

    def close(self) -> None:
        """End every worker; none is left afterwards, whatever happened."""
        for seat in self._seats:
            if seat.worker is not None:
                seat.worker.send(End())
        for seat in self._seats:
            if seat.worker is not None:
                still_training = any(not self.state.members[member].is_settled for member in seat.members)
                seat.worker.close(kill=still_training)
                seat.worker = None

    def _start_due_workers(self) -> None:
        for seat in self._seats:
            members = tuple(index for index in seat.members if not self.state.members[index].is_settled)
            if seat.worker is None and members and time.monotonic() >= seat.restart_at and not self._stop_deadline:
                job = replace(self._job, members=members)
                seat.worker = WorkerProcess(seat.index, job, self._memory, self._log)

    def _take_reports(self, timeout: float) -> None:
        waited: list[Any] = [seat.worker.connection for seat in self._seats if seat.worker is not None]
        wait([*waited, self._signals.fileno()], timeout)
        self._signals.drain()
        for seat in self._seats:
            if seat.worker is None:
                continue
            try:
                for report in seat.worker.reports():
                    self._take(seat, report)
            except EOFError:
                self._worker_ended(seat)

    def _take(self, seat: _Seat, report: Report) -> None:
        match report:
            case WorkerUp():
                logger.info("worker_%d is up", seat.index)
            case MemberUp() | UpdateDone() | ReadyPassed():
                if isinstance(report, ReadyPassed):
                    seat.deaths = 0
                self.state.take(report, time.monotonic())
                self._records.take(report, self.state)
            case MemberDone(member):
                self.state.members[member].state = "done"
            case MemberStopped(member):
                self.state.members[member].state = "stopped"
            case MemberFailed():
                self._member_failed(report)
            case TaskDone(name, result):
                seat.tasks.remove(name)
                self._answers[name] = result
                self._records.take_answer(name, result)

    def _member_failed(self, report: MemberFailed) -> None:
        member = self.state.members[report.member]
        member.failures += 1
        if member.fault != report.error:  # the same failure is told once
            logger.error("%s, generation %d: %s", member_name(report.member), report.generation, report.error)
            logger.debug("%s", report.trace)
        member.fault = report.error
        if member.failures >= MAX_FAILURES:
            self._give_up(member)

    def _give_up(self, member: MemberState) -> None:
        member.state = "failed"
        logger.error(
            "%s has failed %d times without a new generation: given up", member_name(member.index), MAX_FAILURES
        )

    def _worker_ended(self, seat: _Seat) -> None:
        """Whoever is unsettled goes on from its last checkpoint in a fresh worker, which starts when it is due."""
        assert seat.worker is not None
        code = seat.worker.close()
        seat.worker = None
        for name in seat.tasks:
            self._answers[name] = None
        seat.tasks.clear()
        unsettled = [self.state.members[index] for index in seat.members if not self.state.members[index].is_settled]
        if not unsettled:
            return
        if self._stop_deadline is not None:
            for member in unsettled:
                member.state = "stopped"
            return
        reported = any(member.failures for member in unsettled)
        seat.deaths += 1
        if seat.deaths > 2 * MAX_FAILURES and not reported:
            for member in unsettled:
                member.fault = f"its worker died {seat.deaths} times in a row (exit code {code})"
                self._give_up(member)
            return
        delay = BACKOFF_S[min(seat.deaths - (0 if reported else 1), len(BACKOFF_S) - 1)]
        seat.restart_at = time.monotonic() + delay
        names = ", ".join(member_name(member.index) for member in unsettled)
        logger.warning("worker_%d ended (exit code %s): %s go on from their last checkpoint", seat.index, code, names)
        for member in unsettled:
            member.state = "restarting"
            self._records.note(_restart_event(member, name, seat.index, code) for name in member.rows)

    def _heed_signals(self) -> None:
        if len(self._signals.received) > 1:
            raise KeyboardInterrupt
        if self._signals.received:
            self._stop_all("stopping: every member finishes its update and writes a checkpoint")
        if self._stop_deadline is not None and time.monotonic() > self._stop_deadline:
            for seat in self._seats:
                if seat.worker is not None and any(not self.state.members[m].is_settled for m in seat.members):
                    logger.warning("worker_%d did not stop in time and is killed", seat.index)
                    seat.worker.close(kill=True)
                    seat.worker = None
            for member in self.state.members:
                member.state = member.state if member.is_settled else "stopped"

    def _stop_all(self, why: str) -> None:
        if self._stop_deadline is not None:
            return
        self._stop_deadline = time.monotonic() + STOP_TIMEOUT_S
        self._records.say(why)
        for seat in self._seats:
            if seat.worker is not None:
                seat.worker.send(Stop())
            else:
                for index in seat.members:
                    if not self.state.members[index].is_settled:
                        self.state.members[index].state = "stopped"

    def _close_with_tasks(self) -> None:
        """What is left to do once nobody trains: nothing after a signal, which wants a quick end."""
        if self._signals.received:
            return
        asked = [task.name for task in self._records.closing_tasks(self.state) if self.ask(task)]
        while not all(name in self._answers for name in asked) and any(seat.worker for seat in self._seats):
            self._take_reports(timeout=0.5)
            if self._signals.received:
                return
            self._records.tend(self.state, None)


def _restart_event(member: MemberState, species: str, worker: int, code: int | None) -> LineageEvent:
    row = member.rows[species]
    return LineageEvent(
        kind="restart",
        member=member.index,
        policy=species,
        generation=row.generation,
        clocks=member.clocks,
        time=time.time(),
        founder=row.founder,
        hyperparameters=row.hyperparameters,
        why={"worker": worker, "exit_code": code, "fault": member.fault},
    )
