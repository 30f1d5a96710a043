"""Lines to a stream whose reader nobody waits for: a pager that is not scrolled, a terminal that Ctrl-S has stopped."""

from __future__ import annotations

import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import IO

MOST_HELD = 1000
"""Pieces that wait for a reader; the oldest go first."""
PIECE = 1024
"""Characters: in any encoding no more bytes than a pipe takes at once when it says that it takes some."""
LOOK_AGAIN_S = 0.02


def takes(stream: IO[str]) -> bool:
    """Whether something can be written without waiting for a reader; True also where that cannot be told."""
    if not hasattr(select, "poll"):
        return True
    try:
        look = select.poll()
        look.register(stream.fileno(), select.POLLOUT)
        return bool(look.poll(0))  # an error, too: whoever writes then hears of it
    except (OSError, ValueError):  # no file at all, or closed
        return True


class Outlet:
    """Holds text back while it cannot be written. May be used from any thread.

    Args:
        stream: Where it ends.
        write: Writes a piece of it.
    """

    def __init__(self, stream: IO[str], write: Callable[[str], object]) -> None:
        self._stream = stream
        self._write = write
        self._held: deque[str] = deque(maxlen=MOST_HELD)
        self._lock = threading.Lock()

    def say(self, *pieces: str) -> None:
        """Write pieces behind those that are held, as far as they can be written.

        Raises:
            OSError: The reader is gone.
        """
        with self._lock:
            self._held.extend(pieces)
            self._let_out()

    def close(self, patience_s: float) -> None:
        """Write what is held; where nobody reads, only as long as there is patience.

        Raises:
            OSError: The reader is gone.
        """
        deadline = time.monotonic() + patience_s
        with self._lock:
            self._let_out()
            while self._held and time.monotonic() < deadline:
                time.sleep(LOOK_AGAIN_S)
                self._let_out()

    def _let_out(self) -> None:
        while self._held and takes(self._stream):
            self._write(self._held.popleft())


def pieces_of(text: str) -> list[str]:
    """Cut so that a pipe that takes some takes each."""
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
