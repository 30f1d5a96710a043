"""What the supervisor shows of a run on the screen: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Protocol, TextIO

from marl_pbt.figures import duration, short_count
from marl_pbt.outlet import Outlet, pieces_of, takes
from marl_pbt.status import RunDescription, RunStatus

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.live import Live

REDRAW_INTERVAL_S = 1.0
PATIENCE_S = 5.0
"""At the end, with a reader who has not read everything."""


class Console(Protocol):
    """Where a run is shown. `say` may be called from any thread, the rest from one."""

    def update(self, status: RunStatus, now: float) -> None:
        """Show where the run stands; cheap when it was shown a moment ago.

        Args:
            status: Of the population.
            now: Monotonic seconds.
        """

    def say(self, line: str) -> None:
        """Show a line that stays."""

    def close(self) -> None:
        """Show the last status and leave the screen in order."""


def open_console(description: RunDescription, stream: TextIO, interval_s: float = 30.0) -> Console:
    """A live table where the stream is a terminal that can move its cursor, else plain lines.

    Args:
        description: Of the run.
        stream: Standard output.
        interval_s: Between two plain lines.
    """
    if stream.isatty():
        from rich.console import Console as RichConsole

        screen = RichConsole(file=stream, highlight=False)
        if not screen.is_dumb_terminal:
            return LiveConsole(description, screen)
    return PlainConsole(description, stream, interval_s)


class PlainConsole:
    """One line at a time.

    Args:
        description: Of the run.
        stream: Where lines go.
        interval_s: Between two lines on the run's progress.
    """

    def __init__(self, description: RunDescription, stream: TextIO, interval_s: float) -> None:
        self._description = description
        self._stream = stream
        self._interval_s = interval_s
        self._shown_at = float("-inf")
        self._waiting: RunStatus | None = None
        self._outlet = Outlet(stream, self._write)

    def update(self, status: RunStatus, now: float) -> None:
        """Write a line when the last one is `interval_s` old."""
        if now - self._shown_at < self._interval_s:
            self._waiting = status
            return
        self._shown_at = now
        self._waiting = None
        self.say(status_line(self._description, status))

    def say(self, line: str) -> None:
        """Write the line."""
        self._outlet.say(*pieces_of(f"{line}\n"))

    def close(self) -> None:
        """Write the last status, if it has not been."""
        if self._waiting is not None:
            self.say(status_line(self._description, self._waiting))
            self._waiting = None
        self._outlet.close(PATIENCE_S)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class LiveConsole:
    """A table that is drawn anew in its place, with the lines said above it.

    Args:
        description: Of the run.
        screen: rich's console on the terminal.
    """

    def __init__(self, description: RunDescription, screen: RichConsole) -> None:
        from rich.live import Live

        self._description = description
        self._screen = screen
        self._status: RunStatus | None = None
        self._drawn_at = float("-inf")
        self._outlet = Outlet(screen.file, self._print)
        # No thread of its own: the supervisor draws, from its loop.
        self._live: Live = Live(console=screen, auto_refresh=False, vertical_overflow="crop")

    def update(self, status: RunStatus, now: float) -> None:
        """Draw, at most once a second: a drawing takes some 10 ms that the workers could use."""
        self._status = status
        if now - self._drawn_at < REDRAW_INTERVAL_S or not takes(self._screen.file):
            return
        self._drawn_at = now
        self._draw()

    def say(self, line: str) -> None:
        """Print the line above the table."""
        self._outlet.say(line)

    def close(self) -> None:
        """Draw the last status and leave it standing, the cursor below it."""
        self._outlet.close(PATIENCE_S)
        if self._live.is_started:
            self._draw()
            self._live.stop()

    def _print(self, line: str) -> None:
        self._screen.print(line, markup=False, soft_wrap=True)

    def _draw(self) -> None:
        from marl_pbt.console_table import Screen, draw

        if self._status is None:
            return
        size = self._screen.size
        table = draw(self._description, self._status, Screen(size.width, size.height))
        if not self._live.is_started:  # not before: an empty live area would push lines about
            self._live.start()
        self._live.update(table, refresh=True)


def silence(stream: TextIO) -> None:
    """Let go of a stream whose reader is gone: what is written from now on goes nowhere, and nobody complains."""
    with contextlib.suppress(OSError, ValueError):  # it may not be a file at all
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def status_line(description: RunDescription, status: RunStatus) -> str:
    """Where a run stands, in one line: progress, speed, exploits, best scores, time left."""
    from marl_pbt.console_table import best_text

    parts = [
        f"{100 * status.progress:.0f} %",
        f"{short_count(status.agent_steps)} agent steps",
        f"{short_count(status.agent_steps_per_s)}/s",
        f"{duration(status.elapsed_s)} elapsed",
    ]
    if status.left_s is not None:
        parts.append(f"{duration(status.left_s)} left")
    parts.append(f"exploits {status.exploits}")
    parts.append(f"best: {best_text(description, status) or 'no score yet'}")
    return " · ".join(parts)
