"""The run's log: records of all processes go to log.txt, warnings are said on the console too.

A worker logs into a queue of its own, which the supervisor alone reads: a worker killed while it writes harms nobody
else. Where the platform allows, multiprocessing-logging's handler does the reading; it wants `Queue.qsize`, which macOS
has not, and is made for platforms that fork, so everywhere else it is the standard `QueueListener`. The supervisor
closes its own end of the writing side when the worker has ended: what was logged is then followed by the end of the
file, which ends either reader by itself, also after a record that was cut in half.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import multiprocessing
import queue
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Any, cast

from multiprocessing_logging import MultiProcessingHandler

from marl_pbt.durable import private
from marl_pbt.fault_points import reach

FORMAT = "%(asctime)s %(levelname)-7s %(processName)s %(member)s %(name)s: %(message)s"
"""`member` is what a record was given with `extra={"member": "member_03"}`, else a dash."""
REPEAT_AFTER_S = 60.0
REMEMBERED_MESSAGES = 512


class RunLog:
    """The supervisor's side of the log; arms the root logger and gives it back as it was on `close`.

    Args:
        path: The log file; appended to.
        say: Takes a line for the console, from any thread.
        level: What is less than this is not logged.
        use_listener: Read the workers' queues with the standard library alone; None: as the platform allows.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(
        self, path: Path, say: Callable[[str], None], level: int = logging.INFO, use_listener: bool | None = None
    ) -> None:
        self._use_listener = not sys.platform.startswith("linux") if use_listener is None else use_listener
        root = logging.getLogger()
        self._level_before = root.level
        self._handlers: tuple[logging.Handler, ...] = (_LogFile(path, say), _SaidAloud(say))
        root.setLevel(level)
        for handler in self._handlers:
            root.addHandler(handler)
        logging.captureWarnings(True)

    def open_worker(self, name: str) -> WorkerLog:
        """A queue for one worker, and what reads it."""
        return _ListenerLog() if self._use_listener else _LibraryLog(name)

    def close(self) -> None:
        """Let go of the root logger and the file; close the workers' logs first."""
        logging.captureWarnings(False)
        root = logging.getLogger()
        root.setLevel(self._level_before)
        for handler in self._handlers:
            root.removeHandler(handler)
            handler.close()


def open_run_log(path: Path, console_say: Callable[[str], None]) -> RunLog:
    """Log to the file from here on, and say warnings on the console.

    Raises:
        OSError: The file cannot be opened.
    """
    return RunLog(path, console_say)


def arm_worker_log(log_queue: Any, worker_name: str, level: int = logging.INFO) -> None:
    """In a worker: send every record to the supervisor, under this name.

    Args:
        log_queue: `WorkerLog.queue`, as it came with the process's arguments.
        worker_name: Becomes the process's name.
        level: What is less than this is not sent.
    """
    multiprocessing.current_process().name = worker_name
    root = logging.getLogger()
    root.addHandler(logging.handlers.QueueHandler(log_queue))
    root.setLevel(level)
    logging.captureWarnings(True)


class WorkerLog:
    """The supervisor's end of one worker's log. Closed or dropped once the worker's process has ended.

    Attributes:
        queue: To be given to the worker's process among its arguments, for `arm_worker_log`.
    """

    def __init__(self) -> None:
        self.queue: Any = multiprocessing.get_context("spawn").Queue(-1)

    def drop(self) -> None:
        """After a worker that was killed: return at once; what it had sent whole is still written."""
        if self.queue is not None:
            self.queue._writer.close()  # the last writer beside the worker's: the reader comes to the end of the file
            self.queue = None

    def close(self) -> None:
        """After a worker that ended by itself: return when its last record is written."""
        self.drop()


class _LibraryLog(WorkerLog):
    """Read by multiprocessing-logging."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._handler: _QueueReader | None = _QueueReader(name, self.queue)

    def drop(self) -> None:
        super().drop()
        # Not its close(), which waits up to 5 s for its thread; that thread ends with the file.
        self._handler = None

    def close(self) -> None:
        handler = self._handler
        self.drop()
        if handler is not None:
            handler.close()


class _ListenerLog(WorkerLog):
    """Read by the standard library."""

    def __init__(self) -> None:
        super().__init__()
        self._listener = _Listener(self.queue, _Relay())
        self._listener.start()

    def close(self) -> None:
        self.drop()
        self._listener.join()


class _Relay(logging.Handler):
    """Gives a worker's record to the supervisor's handlers, under the logger that it was made by."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            logging.getLogger(record.name).handle(record)
        except Exception:  # whatever a handler of somebody else does: the thread that reads must live on
            self.handleError(record)


class _QueueReader(MultiProcessingHandler):  # type: ignore[misc]  # it ships no types
    """multiprocessing-logging's handler on a queue of the spawn context instead of the one that it makes itself."""

    def __init__(self, name: str, log_queue: Any) -> None:
        self._given = log_queue
        super().__init__(f"log of {name}", _Relay())

    @property
    def queue(self) -> Any:
        """What its thread reads."""
        return self._given

    @queue.setter
    def queue(self, default: Any) -> None:
        default.close()  # of the default context; no worker started by spawn could be given it


class _Listener(logging.handlers.QueueListener):
    """A listener that ends when its queue's writers have."""

    _thread: threading.Thread | None  # the standard library's own, which typeshed leaves out

    def dequeue(self, block: bool) -> logging.LogRecord:
        try:
            return super().dequeue(block)
        except (EOFError, OSError):
            raise queue.Empty from None  # which ends its loop

    def join(self) -> None:
        """Wait until everything is written; the writers are gone, so no sentinel is needed or could be sent."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None


class _LogFile(logging.FileHandler):
    """log.txt; when the disk is full it says so once, and the run goes on."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        super().__init__(path, encoding="utf-8")
        self.setFormatter(logging.Formatter(FORMAT, defaults={"member": "-"}))
        self._say = say
        self._has_failed = False

    def _open(self) -> TextIOWrapper:
        return cast("TextIOWrapper", open(self.baseFilename, self.mode, encoding=self.encoding, opener=private))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            reach("log")
        except OSError:
            self.handleError(record)
        else:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the name is logging's
        del record
        if not self._has_failed:
            self._has_failed = True
            self._say(f"warning: {self.baseFilename} cannot be written: {sys.exc_info()[1]}; lines may be lost")

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what could not be written before cannot be written now
            super().close()


class _SaidAloud(logging.Handler):
    """Warnings and errors on the console: the first line of each, and the same one again only after a minute.

    What Python's own `warnings` say stays in the file: they speak to those who write code.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say
        self._told: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "py.warnings":
            return
        try:
            line = record.getMessage().split("\n", 1)[0]
            repeated = self._count(line, record)
            if repeated is not None:
                again = f" ({repeated} more times meanwhile)" if repeated else ""
                self._say(f"{record.levelname.lower()}: {line}{again}")
        except Exception:  # a console that is gone must not end the thread that writes the file
            self.setLevel(logging.CRITICAL + 1)

    def _count(self, line: str, record: logging.LogRecord) -> int | None:
        """How often it was kept back since it was last said; None: keep it back."""
        key = (record.levelname, line)
        said_at, kept_back = self._told.get(key, (float("-inf"), 0))
        if record.created - said_at < REPEAT_AFTER_S:
            self._told[key] = (said_at, kept_back + 1)
            return None
        self._told[key] = (record.created, 0)
        self._told.move_to_end(key)
        while len(self._told) > REMEMBERED_MESSAGES:
            self._told.popitem(last=False)
        return kept_back
