"""A worker as the supervisor holds it: the process, what it has started, its pipe, its log, its whereabouts."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any

from marl_pbt.logs import RunLog, WorkerLog
from marl_pbt.reports import Report
from marl_pbt.supervision import leftovers
from marl_pbt.supervision.bootstrap import start_worker
from marl_pbt.supervision.mailbox import Mailbox
from marl_pbt.supervision.signals import blocked_while_starting
from marl_pbt.supervision.whereabouts import Whereabouts
from marl_pbt.worker import Command, WorkerJob

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

    Attributes:
        hung: How it hung, once it is being ended for that; else empty.
        is_given_up: True once not even SIGKILL has ended it.
    """

    def __init__(self, berth: Berth, job: WorkerJob) -> None:
        self.hung = ""
        self.is_given_up = False
        self._mark = berth.mark
        name = f"worker_{berth.index}"
        context = spawn_context()
        self._log: WorkerLog = berth.log.open_worker(name)
        self._stacks = _anonymous_file()
        seen = Whereabouts.allocate(context)
        self.whereabouts = Whereabouts(seen)
        ours, theirs = context.Pipe()
        self._mailbox = Mailbox(ours)
        self._process = context.Process(
            target=start_worker,
            args=(theirs, berth.memory, self._log.queue, name, seen, self._stacks),
            name=name,
        )
        resource_tracker.ensure_running()  # not among what is marked: it has to outlive the workers
        with blocked_while_starting(), leftovers.bearing(berth.mark):
            self._process.start()
        theirs.close()  # so that the pipe ends when the worker does
        assert self._process.pid is not None
        self.pid: int = self._process.pid
        self._pidfd = _open_pidfd(self.pid)
        self.send(job)

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

    def reports(self) -> Iterator[Report]:
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
        if hasattr(signal, "SIGUSR1"):
            self._signal_it(signal.SIGUSR1)

    def read_stacks(self) -> str:
        """What it has written so far: when it was asked to, or when it crashed."""
        return os.pread(self._stacks.fileno(), 1 << 20, 0).decode(errors="replace")

    def signal_all(self, number: int) -> None:
        """Signal it, its process group and everything else that it has started."""
        with contextlib.suppress(OSError):
            # While it is not waited for its number is nobody else's; a worker that has just begun has no group yet.
            if self._is_held() and os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, number)
        leftovers.signal_marked(self._mark, number)
        self._signal_it(number)

    def close(self, kill: bool = False) -> int | None:
        """Wait for its end, for a moment at most, end what it has started, and give back what it held.

        Args:
            kill: Do not wait.

        Returns:
            The exit code; None where nothing can end it.
        """
        if kill or not wait([self._end], END_TIMEOUT_S):
            self.signal_all(signal.SIGKILL)
            wait([self._end], 0.0 if self.is_given_up else END_TIMEOUT_S)
        if self._is_held():
            self.signal_all(signal.SIGKILL)  # a group lives on without its leader
        leftovers.end_marked(self._mark)
        self._process.join(0 if self.is_given_up else END_TIMEOUT_S)
        code = self._process.exitcode
        if code == 0:
            self._log.close()
        else:
            self._log.drop()
        self._mailbox.close()
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
        return _sends(self._pidfd, 0) if self._pidfd is not None else self._process.exitcode is None

    def _signal_it(self, number: int) -> None:
        if self._pidfd is not None:
            _sends(self._pidfd, number)
        elif self._process.exitcode is None:
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


def _anonymous_file() -> Connection:
    """A file without a name, as something that processes can be given as they start."""
    if hasattr(os, "memfd_create"):
        return Connection(os.memfd_create("stacks"))
    with tempfile.TemporaryFile() as file:
        return Connection(os.dup(file.fileno()))
