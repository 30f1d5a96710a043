"""What a worker does beside training: disks take their time, which is not to be that of its other members."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Background:
    """One thread of a worker, that does one thing after the other.

    What it does calls neither learner nor environment, which may be bound to the thread that made them.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "background")

    def begin(self, act: Callable[[], None]) -> Future[None]:
        """Let it be done as soon as everything before it is."""
        return self._executor.submit(act)

    def wait(self, begun: Future[None]) -> None:
        """Wait until it is done; whatever it raised is raised here."""
        begun.result()
