"""A worker as the supervisor holds it: the process, its pipe and its log."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from typing import Any

from marl_pbt.bootstrap import start_worker
from marl_pbt.logs import RunLog, WorkerLog
from marl_pbt.reports import Report
from marl_pbt.signals import blocked_while_starting
from marl_pbt.worker import Command, WorkerJob

END_TIMEOUT_S = 5.0


def spawn_context() -> SpawnContext:
    """The way processes are started here: never fork, which hangs once torch has used its threads."""
    return multiprocessing.get_context("spawn")


class WorkerProcess:
    """One worker; starts at once.

    Args:
        index: Its number.
        job: What it is there for.
        memory: The board's.
        log: Where its records go.

    Attributes:
        pipe: Readable when it has told something, and when it has ended.
    """

    def __init__(self, index: int, job: WorkerJob, memory: Any, log: RunLog) -> None:
        self.index = index
        self.job = job
        self._log: WorkerLog = log.open_worker(f"worker_{index}")
        context = spawn_context()
        self.pipe: Connection
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=start_worker,
            args=(theirs, memory, self._log.queue, f"worker_{index}"),
            name=f"worker_{index}",
        )
        with blocked_while_starting():
            self.process.start()
        theirs.close()  # so that the pipe ends when the worker does
        self.send(job)

    def reports(self) -> Iterator[Report]:
        """What has come, without waiting.

        Raises:
            EOFError: The worker has ended, and everything it said has been read.
        """
        try:
            while self.pipe.poll():
                report: Report = self.pipe.recv()
                yield report
        except (OSError, EOFError):
            raise EOFError from None

    def send(self, message: Command | WorkerJob) -> None:
        """Tell it something; one that has died will be noticed by its pipe."""
        with contextlib.suppress(OSError):
            self.pipe.send(message)

    def close(self, kill: bool = False) -> int | None:
        """Wait for its end, for a moment at most, and give back what it held.

        Args:
            kill: Do not wait.

        Returns:
            The exit code.
        """
        if kill:
            self.process.kill()
        self.process.join(END_TIMEOUT_S)
        clean = self.process.exitcode == 0
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        code = self.process.exitcode
        self.pipe.close()
        if clean:
            self._log.close()
        else:
            self._log.drop()
        self.process.close()
        return code
