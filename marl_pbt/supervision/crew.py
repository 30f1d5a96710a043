"""The workers of a run: started at their posts, listened to, ended together."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any

from marl_pbt.logs import RunLog
from marl_pbt.reports import Report
from marl_pbt.run_state import RunState
from marl_pbt.supervision.leftovers import KILL, mark_of_run
from marl_pbt.supervision.mailbox import Unreadable
from marl_pbt.supervision.posts import Post
from marl_pbt.supervision.worker_process import Berth, WorkerProcess
from marl_pbt.tasks import Task
from marl_pbt.worker import WorkerJob
from marl_pbt.worker_pipe import Command, End

END_TIMEOUT_S = 2.0
"""For those that have nothing left to do; they end within milliseconds."""


class Crew:
    """Of a run.

    Args:
        job: What every worker is given; `members` is set per worker.
        workers: W.
        memory: The board's.
        log: Of the run.
        state: Of the members.

    Attributes:
        posts: One per worker.
    """

    def __init__(self, job: WorkerJob, workers: int, memory: Any, log: RunLog, state: RunState) -> None:
        self._job = job
        self._memory = memory
        self._log = log
        self._state = state
        population = len(state.members)
        self.posts = [
            Post(index, tuple(range(index, population, workers))) for index in range(min(workers, population))
        ]
        self._mark = mark_of_run()
        self._started = 0

    def start_due(self) -> list[tuple[Post, str]]:
        """Start a worker at every post that has members to train and none yet, unless it is too early.

        Returns:
            Where the system would not have one more (process, thread, memory, file descriptor), with what it said.
        """
        refused: list[tuple[Post, str]] = []
        for post in self.posts:
            unsettled = post.unsettled(self._state)
            members = tuple(member.index for member in unsettled)
            if post.worker is None and members and time.monotonic() >= post.restart_at:
                self._started += 1
                berth = Berth(post.index, self._memory, self._log, f"{self._mark}/{self._started}")
                try:
                    is_careful = any(member.troubles for member in unsettled)
                    post.take_up(WorkerProcess(berth, replace(self._job, members=members, is_careful=is_careful)))
                except (OSError, RuntimeError) as fault:
                    refused.append((post, str(fault)))  # not the exception, which holds what was opened
        return refused

    def listen(self, timeout_s: float, others: list[Any]) -> Iterator[tuple[Post, Report | None]]:
        """What workers tell; None for one that has ended, after everything that it said.

        One that tells what cannot be read is ended.

        Args:
            timeout_s: How long to wait for something.
            others: What else ends the waiting.
        """
        working = [(post, post.worker) for post in self.posts if post.worker is not None]
        wait([*others, *(each for _, worker in working for each in worker.waited_for)], timeout_s)
        for post, worker in working:
            try:
                for report in worker.reports():
                    if isinstance(report, Unreadable):
                        worker.unreadable = report.fault
                        worker.signal_all(KILL)
                    else:
                        yield post, report
            except EOFError:
                yield post, None

    def tell(self, command: Command) -> None:
        """To everybody who is there."""
        for post in self.posts:
            if post.worker is not None:
                post.worker.send(command)

    def ask(self, task: Task) -> bool:
        """Give a task to the worker with the fewest, one that moves if there is one; False when there is none alive."""
        alive = [post for post in self.posts if post.worker is not None and not post.worker.hung]
        if not alive:
            return False
        post = min(alive, key=lambda each: (each.is_stale or each.is_stopped, len(each.tasks)))
        post.tasks.append(task.name)
        assert post.worker is not None
        post.worker.send(task)
        return True

    def pause(self) -> None:
        """Stop everybody and then this process, until somebody lets it go on."""
        self._signal_all(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        self._signal_all(signal.SIGCONT)

    def close(self) -> None:
        """End every worker, and all that they have started; nothing is left afterwards, whatever happened."""
        self.tell(End())
        working = [(post, post.worker) for post in self.posts if post.worker is not None]
        deadline = time.monotonic() + END_TIMEOUT_S
        for post, worker in working:
            # Who still trains or plays would not look at its pipe for a while.
            is_busy = post.tasks or any(not self._is_over(member) for member in post.members)
            while not is_busy and not worker.has_ended and time.monotonic() < deadline:
                wait(worker.waited_for[1:], max(deadline - time.monotonic(), 0.0))
        for _, worker in working:
            if not worker.has_ended:
                worker.signal_all(KILL)
        for post, worker in working:
            worker.close()
            post.worker = None

    def _signal_all(self, number: int) -> None:
        for post in self.posts:
            if post.worker is not None:
                post.worker.signal_all(number)

    def _is_over(self, member: int) -> bool:
        """Whether its worker has said so; one that was cut off may be in the middle of something."""
        return self._state.members[member].state in ("done", "stopped", "failed")
