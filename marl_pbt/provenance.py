"""Where a run came from: its command line, the versions of what computed it, the state of the source."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from marl_pbt.durable import append, open_to_append, write_durably
from marl_pbt.run_directory import RunDirectory

PACKAGES = (
    "marl-pbt",
    "gymnasium",
    "numba",
    "numpy",
    "pettingzoo",
    "safetensors",
    "stable-baselines3",
    "tensorboard",
    "torch",
)


def write_provenance(run: RunDirectory, command: Sequence[str], population: int) -> None:
    """Append the command line; replace the versions by those that compute from now on.

    Args:
        run: Whose.
        command: Line, as it was typed.
        population: Members that the run has from now on; how many it had at first is kept.
    """
    first = population_at_first(run)
    line = f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')}  {shlex.join(command)}\n"
    with open_to_append(run.command) as file:
        append(file, bytearray(line.encode("utf-8", errors="backslashreplace")))
    data = {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "git": _git_state(Path(__file__).parent),
        "population_at_first": population if first is None else first,
    }
    write_durably(run.versions, (json.dumps(data, indent=2) + "\n").encode())


def population_at_first(run: RunDirectory) -> int | None:
    """How many members the run began with; those of higher numbers joined it. None where nobody has written it down."""
    try:
        found = json.loads(run.versions.read_bytes())["population_at_first"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if type(found) is int else None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_state(folder: Path) -> dict[str, object] | None:
    """Commit and cleanliness of the source; None where it is not a checkout."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "changed_files": _git(folder, "status", "--porcelain").splitlines()}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=5).stdout.strip()
