"""The signals that ask a run to end: counted, and able to wake a supervisor that waits for its workers."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

ASK_TO_END = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
PAUSES = "SIGTSTP"


@dataclass(frozen=True)
class Received:
    """A signal that came.

    Attributes:
        number: Which.
        at: Monotonic seconds.
    """

    number: int
    at: float


class SignalWatch:
    """Collects the signals that come while it is active.

    Attributes:
        received: Those that ask to end.
        wants_pause: Whether Ctrl-Z was pressed: the workers do not hear it.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.wants_pause = False
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """Readable when a signal has come: waits on it end at once."""
        return self._reader.fileno()

    def drain(self) -> None:
        """Forget the wake-ups."""
        with contextlib.suppress(BlockingIOError):
            while self._reader.recv(64):
                pass

    @contextlib.contextmanager
    def active(self) -> Iterator[SignalWatch]:
        """Take the signals; gives them back to whoever had them."""
        numbers = [getattr(signal, name) for name in (*ASK_TO_END, PAUSES) if hasattr(signal, name)]
        before = {number: signal.getsignal(number) for number in numbers}
        wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        try:
            for number in numbers:
                if before[number] is not signal.SIG_IGN:  # as nohup wants it
                    signal.signal(number, self._note)
            yield self
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
            self._reader.close()
            self._writer.close()

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if signal.Signals(number).name == PAUSES:
            self.wants_pause = True
        else:
            self.received.append(Received(number, time.monotonic()))


@contextlib.contextmanager
def blocked_while_starting() -> Iterator[None]:
    """Hold the signals back while a worker is started, so that it never sees one before it ignores them.

    They reach the supervisor afterwards; the worker unblocks them once it ignores them.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    numbers = {getattr(signal, name) for name in ASK_TO_END}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
