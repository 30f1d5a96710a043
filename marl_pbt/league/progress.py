"""How far a league is: a bar in a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from marl_pbt.figures import duration, short_count

LINE_EVERY_S = 10.0


class LeagueProgress:
    """Told after every match, on standard error; a context manager.

    Attributes:
        agent_steps: Played since it began, without what was known from before.
    """

    def __init__(self) -> None:
        self.agent_steps = 0
        console = Console(file=sys.stderr)
        columns = (
            TextColumn("matches"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
        )
        self._is_terminal = console.is_terminal
        self._bar = Progress(*columns, console=console, transient=True, disable=not self._is_terminal)
        self._task = self._bar.add_task("", total=None, speed="")
        self._began_at = self._told_at = time.monotonic()

    def __enter__(self) -> LeagueProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, done: int, total: int, agent_steps: int) -> None:
        """A match is over.

        Args:
            done: Jobs, those that were known from before included.
            total: Jobs in all.
            agent_steps: Played in this one.
        """
        self.agent_steps += agent_steps
        self._bar.update(self._task, completed=done, total=total, speed=self.speed)
        now = time.monotonic()
        if not self._is_terminal and now - self._told_at >= LINE_EVERY_S:
            self._told_at = now
            sys.stderr.write(f"{done} of {total} matches · {self.speed}\n")
            sys.stderr.flush()

    @property
    def elapsed_s(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began_at

    @property
    def speed(self) -> str:
        """`1.2M agent steps, 620k/s`."""
        per_s = self.agent_steps / max(self.elapsed_s, 1e-3)
        return f"{short_count(self.agent_steps)} agent steps, {short_count(per_s)}/s, {duration(self.elapsed_s)}"
