"""A worker as the supervisor holds it: the process, what it has started, its pipe, its log, its whereabouts."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any

from marl_pbt.logs import RunLog, WorkerLog
from marl_pbt.reports import Report
from marl_pbt.supervision import leftovers
from marl_pbt.supervision.bootstrap import start_worker
from marl_pbt.supervision.mailbox import Mailbox, Unreadable
from marl_pbt.supervision.signals import blocked_while_starting
from marl_pbt.supervision.whereabouts import Whereabouts
from marl_pbt.worker import WorkerJob
from marl_pbt.worker_pipe import Command

END_TIMEOUT_S = 5.0


def spawn_context() -> SpawnContext:
    """The way processes are started here: never fork, which hangs once torch has used its threads."""
    return multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Berth:
    """What a worker is started with beside its job.

    Attributes:
        index: Its number.
        memory: The board's.
        log: Where its records go.
        mark: Of the worker; see marl_pbt.supervision.leftovers.
    """

    index: int
    memory: Any
    log: RunLog
    mark: str


class WorkerProcess:
    """One worker; starts at once.

    Args:
        berth: Where it is put.
        job: What it is there for.

    Raises:
        OSError: The system has no process, no memory or no file descriptors left; nothing of it is held.
        RuntimeError: It has no thread left for the log.

    Attributes:
        hung: How it hung, once it is being ended for that; else empty.
        unreadable: Why something that it told could not be read, once it is being ended for that; else empty.
        is_given_up: True once not even SIGKILL has ended it.
    """

    def __init__(self, berth: Berth, job: WorkerJob) -> None:
        self.hung = self.unreadable = ""
        self.is_given_up = False
        self._mark = berth.mark
        with contextlib.ExitStack() as opened:
            self._open(berth, opened)
            opened.pop_all()
        assert self._process.pid is not None
        self.pid: int = self._process.pid
        self._pidfd = _open_pidfd(self.pid)
        self.send(job)

    def _open(self, berth: Berth, opened: contextlib.ExitStack) -> None:
        """Start the process; what is left open where that fails is given to `opened`."""
        name, context = f"worker_{berth.index}", spawn_context()
        self._log: WorkerLog = berth.log.open_worker(name)
        opened.callback(self._log.drop)
        self._stacks = _anonymous_file()
        if self._stacks is not None:
            opened.callback(self._stacks.close)
        seen = Whereabouts.allocate(context)
        self.whereabouts = Whereabouts(seen)
        ours, theirs = context.Pipe()
        opened.callback(ours.close)
        with theirs:  # closed here, so that the pipe ends when the worker does
            self._mailbox = Mailbox(ours)
            opened.callback(self._mailbox.close)
            self._process = context.Process(
                target=start_worker,
                args=(theirs, berth.memory, self._log.queue, name, seen, self._stacks),
                name=name,
            )
            leftovers.start_tracker()  # not among what is marked: it has to outlive the workers
            opened.callback(leftovers.end_marked, berth.mark)
            with blocked_while_starting(), leftovers.bearing(berth.mark):
                self._process.start()

    @property
    def waited_for(self) -> list[Any]:
        """Ready for `multiprocessing.connection.wait` when it has told something, and when it has ended.

        Its pipe does not tell of its end where a process that it has forked holds the other end.
        """
        return [self._mailbox.pipe, self._end]

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to be expected of it."""
        return self.is_given_up or bool(wait([self._end], 0))

    @property
    def state(self) -> str:
        """The letter by which Linux tells what a process does, "T" for one that is stopped; empty where not known."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return ""

    def reports(self) -> Iterator[Report | Unreadable]:
        """What has come, without waiting.

        Raises:
            EOFError: The worker has ended, and everything that it said whole has been read.
        """
        has_ended = self.has_ended  # looked at first: what is read then is all
        messages, is_closed = self._mailbox.take()
        yield from messages
        if has_ended or is_closed:
            raise EOFError

    def send(self, message: Command | WorkerJob) -> None:
        """Tell it something; one that has died will be noticed."""
        self._mailbox.send(message)

    def ask_for_stacks(self) -> None:
        """Let it write the stacks of all its threads, which it does whatever it is in, holding Python's lock or not."""
        if self._stacks is not None and hasattr(signal, "SIGUSR1"):
            self._signal_it(signal.SIGUSR1)

    def read_stacks(self) -> str:
        """What it has written so far: when it was asked to, or when it crashed."""
        return "" if self._stacks is None else os.pread(self._stacks.fileno(), 1 << 20, 0).decode(errors="replace")

    def signal_all(self, number: int) -> None:
        """Signal it, its process group and everything else that it has started."""
        with contextlib.suppress(OSError):
            # While it is not waited for its number is nobody else's; a worker that has just begun has no group yet.
            if hasattr(os, "killpg") and self._is_held() and os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, number)
        leftovers.signal_marked(self._mark, number)
        self._signal_it(number)

    def give_up(self) -> None:
        """Wait for it no more: nothing can end it. Python's own exit would wait for all children, for ever."""
        self.is_given_up = True
        getattr(multiprocessing.process, "_children", set()).discard(self._process)

    def close(self) -> int | None:
        """Wait for its end, for a moment at most, end what it has started, and give back what it held.

        Returns:
            The exit code; None where nothing can end it.
        """
        if not wait([self._end], 0.0 if self.is_given_up else END_TIMEOUT_S):
            self.signal_all(leftovers.KILL)
            wait([self._end], 0.0 if self.is_given_up else END_TIMEOUT_S)
        if self._is_held():
            self.signal_all(leftovers.KILL)  # a group lives on without its leader
        leftovers.end_marked(self._mark)
        self._process.join(0 if self.is_given_up else END_TIMEOUT_S)
        code = self._process.exitcode
        if code == 0:
            self._log.close()
        else:
            self._log.drop()
        self._mailbox.close()
        if self._stacks is not None:
            self._stacks.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
        if code is not None:
            self._process.close()
        return code

    @property
    def _end(self) -> int:
        return self._process.sentinel if self._pidfd is None else self._pidfd

    def _is_held(self) -> bool:
        """Whether the process, alive or dead, still has its number."""
        if self._pidfd is not None:
            return _sends(self._pidfd, 0)
        if not hasattr(os, "waitid"):
            return self._process.exitcode is None  # which takes its number from it, once it is dead
        try:
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True

    def _signal_it(self, number: int) -> None:
        if self._pidfd is not None:
            _sends(self._pidfd, number)
        elif self._is_held():
            with contextlib.suppress(OSError):
                os.kill(self.pid, number)


def _open_pidfd(pid: int) -> int | None:
    """A handle that becomes readable when the process ends; None where the system has no such thing."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _sends(pidfd: int, number: int) -> bool:
    try:
        signal.pidfd_send_signal(pidfd, number)
    except OSError:
        return False
    return True


def _anonymous_file() -> Connection | None:
    """A file without a name, as something that processes can be given as they start; None on Windows."""
    if os.name == "nt" or not hasattr(os, "pread"):
        return None  # a `Connection` holds no file there
    if hasattr(os, "memfd_create"):
        return Connection(os.memfd_create("stacks"))
    with tempfile.TemporaryFile() as file:
        return Connection(os.dup(file.fileno()))
