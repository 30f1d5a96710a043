"""A worker's end of its pipe to the supervisor: reports go out, commands come in."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import TypeAlias

from marl_pbt.reports import Report, TaskDone
from marl_pbt.supervision.watched import WatchedSource
from marl_pbt.supervision.whereabouts import Whereabouts
from marl_pbt.tasks import Task

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stop:
    """Write where you stand and end."""


@dataclass(frozen=True)
class End:
    """Nothing is left to do."""


Command: TypeAlias = Stop | End | Task


class SupervisorGone(BaseException):
    """The other end of the pipe is closed: nobody is left to work for. No `Exception`, which a member may raise."""


class Teller:
    """Sends reports, whole, from any thread of the worker.

    Args:
        pipe: The worker's end.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()  # of this process alone: it dies with it

    def __call__(self, report: Report) -> None:
        """Send one.

        Raises:
            SupervisorGone: There is nobody to take it.
        """
        try:
            with self._lock:
                self._pipe.send(report)
        except OSError:
            raise SupervisorGone from None


class Orders:
    """The supervisor's commands, taken from the pipe as they come.

    Args:
        pipe: The worker's end.
        tell: Reports to the supervisor.
        seen: Of this worker.
    """

    def __init__(self, pipe: Connection, tell: Teller, seen: Whereabouts) -> None:
        self._pipe = pipe
        self._tell = tell
        self._seen = seen
        self.must_stop = False
        self.must_end = False
        self._tasks: list[Task] = []

    def look(self, patience_s: float | None = 0.0) -> None:
        """Take in what has come; where nothing has, wait for something so long at most, for ever with None."""
        while self._pipe.poll(patience_s):
            try:
                command: Command = self._pipe.recv()
            except (OSError, EOFError):
                raise SupervisorGone from None
            patience_s = 0.0
            if isinstance(command, Stop):
                self.must_stop = True
            elif isinstance(command, End):
                self.must_end = True
            else:
                self._tasks.append(command)

    def do_tasks(self) -> None:
        """Do what was asked for; a task that fails says so and stops nobody."""
        while self._tasks and not self.must_end:
            self.look()
            task = self._tasks.pop(0)
            try:
                run = self._seen.during("a task", task.run)
                result: object = run(partial(WatchedSource.of, whereabouts=self._seen))
            except Exception as fault:
                logger.warning("%s failed: %s: %s", task.name, type(fault).__name__, fault, exc_info=True)
                result = None
            self._tell(TaskDone(task.name, result))
