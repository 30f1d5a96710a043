"""The stopwatch of the peers' scripts: agent steps, wall time and processor time from the end of the warm-up on.

Nothing but the standard library is imported: the scripts run in virtual environments of the peers.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

RUN_VARIABLE = "BENCHMARK_RUN"
"""Environment variable with a value of its own for each run; whatever process a script starts inherits it."""


@dataclass(frozen=True)
class Reading:
    """What the clocks said at one moment."""

    agent_steps: int
    wall_s: float
    cpu_s: float


class Stopwatch:
    """Reads the clocks between two updates, so that whole updates are measured with the rollouts they learn from.

    Args:
        seconds: How long to measure, at least.
        warm_up: Updates before that.
    """

    def __init__(self, seconds: float, warm_up: int = 2) -> None:
        self._seconds = seconds
        self._warm_up = warm_up
        self._calls = 0
        self._began: Reading | None = None
        self._ended: Reading | None = None

    def is_done(self, agent_steps: int) -> bool:
        """To be asked before the first update and after each: whether enough was measured.

        Args:
            agent_steps: How many have been learned from since the script began.
        """
        self._calls += 1
        if self._calls <= self._warm_up:
            return False
        reading = Reading(agent_steps, time.perf_counter(), cpu_seconds())
        if self._began is None:
            self._began = reading
            return False
        self._ended = reading
        return reading.wall_s - self._began.wall_s >= self._seconds

    def report(self, packages: Sequence[str], settings: Mapping[str, Any]) -> None:
        """Print what was measured, as one line of JSON.

        Args:
            packages: The distributions whose versions are told.
            settings: What it was measured with.

        Raises:
            RuntimeError: Not one update was measured.
        """
        if self._began is None or self._ended is None:
            raise RuntimeError("the script ended before one update was measured")
        measured = {
            "agent_steps": self._ended.agent_steps - self._began.agent_steps,
            "wall_s": self._ended.wall_s - self._began.wall_s,
            "cpu_s": self._ended.cpu_s - self._began.cpu_s,
        }
        print_result(measured, packages, settings)


def print_result(measured: Mapping[str, Any], packages: Sequence[str], settings: Mapping[str, Any]) -> None:
    """The last line of every script."""
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    print(json.dumps({**measured, "settings": dict(settings), "version": versions}), flush=True)


def cpu_seconds() -> float:
    """Processor time of all processes of this run so far, those that have ended included where they were waited for."""
    ticks = sum(_ticks(pid) for pid in processes_of(os.environ.get(RUN_VARIABLE, ""), os.getpid()))
    return ticks / os.sysconf("SC_CLK_TCK") if ticks else time.process_time()


def processes_of(run: str, leader: int) -> set[int]:
    """The ids of a run's processes that are alive; none where there is no /proc.

    Args:
        run: Value of `RUN_VARIABLE` that they were started with; some overwrite it.
        leader: The first process: what is in its session or descends from it belongs to the run, too.
    """
    mark = f"{RUN_VARIABLE}={run}".encode()
    parents: dict[int, int] = {}
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, parent, _, session = _fields(int(entry.name))[:4]
            if state in "ZX":  # it has ended
                continue
            parents[int(entry.name)] = int(parent)
            marked = bool(run) and mark in (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # it has just ended, or belongs to someone else
            continue
        if marked or int(entry.name) == leader or int(session) == leader:
            found.add(int(entry.name))
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _ticks(pid: int) -> int:
    """User and system time of the process and of its children that it waited for."""
    try:
        return sum(int(field) for field in _fields(pid)[11:15])
    except OSError:
        return 0


def _fields(pid: int) -> list[str]:
    """What stands in /proc about it from its state on: state, parent, group, session, …, four clocks."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
