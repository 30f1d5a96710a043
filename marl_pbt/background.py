"""What a worker does beside training: disks take their time, which is not to be that of its other members."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait


class Background:
    """One thread of a worker, that does one thing at a time.

    What it does calls neither learner nor environment, which may be bound to the thread that made them.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "background")
        self._latest: list[Future[None]] = []

    def begin(self, act: Callable[[], None]) -> Future[None]:
        """Let it be done once what was begun before is, and wait for that.

        So where the disk is slower than training, one thing at most is left to do when the worker has to end.
        """
        wait(self._latest)
        self._latest = [self._executor.submit(act)]
        return self._latest[0]

    def wait(self, begun: Future[None]) -> None:
        """Wait until it is done; whatever it raised is raised here."""
        begun.result()
