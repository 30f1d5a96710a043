"""Reads how much memory a worker has and how much is left; Linux only, elsewhere nothing is known."""

from __future__ import annotations

import os
from pathlib import Path

from marl_pbt.supervision.troubles import MemoryFigures

ROOT = Path("/")


def memory_figures(pid: int, root: Path = ROOT) -> MemoryFigures | None:
    """As it is now; None where it cannot be read.

    Args:
        pid: Of a worker.
        root: Of the file system, for tests.
    """
    try:
        pages = int((root / f"proc/{pid}/statm").read_text().split()[1])
        machine = _table(root / "proc/meminfo")
        total, free = 1024 * machine["MemTotal:"], 1024 * machine["MemAvailable:"]
    except (OSError, LookupError, ValueError):
        return None
    limit, used = _container(root)
    if limit is not None and limit < total:
        total, free = limit, min(free, limit - used)
    return MemoryFigures(pages * os.sysconf("SC_PAGE_SIZE"), free, total, memory_kills(root))


def memory_kills(root: Path = ROOT) -> int:
    """How many processes the system has killed for want of memory: in this container, or all where it does not count.

    Args:
        root: As of `memory_figures`.
    """
    for path in (_cgroup(root) / "memory.events", root / "proc/vmstat"):
        try:
            return _table(path)["oom_kill"]
        except (OSError, LookupError, ValueError):
            continue
    return 0


def _container(root: Path) -> tuple[int | None, int]:
    """The limit, and what counts against it without what the system would give back; None where there is none."""
    folder = _cgroup(root)
    try:
        limit, used = int((folder / "memory.max").read_text()), int((folder / "memory.current").read_text())
        return limit, used - _table(folder / "memory.stat").get("inactive_file", 0)
    except (OSError, ValueError):  # no limit is written "max"
        return None, 0


def _cgroup(root: Path) -> Path:
    """This process's control group (version 2)."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    path = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    return root / "sys/fs/cgroup" / path.lstrip("/")


def _table(path: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    words = (line.split() for line in path.read_text().splitlines())
    return {line[0]: int(line[1]) for line in words if len(line) > 1}
