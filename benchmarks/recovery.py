"""From the death of a worker to when a fresh one is up in its place."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from benchmarks.population import REPOSITORY, children

_ENDED = re.compile(r"^(\S+ \S+) WARNING .*worker_(\d+) (?:ended|hung|stopped by a signal|was killed|died|is gone)")
_UP = re.compile(r"^(\S+ \S+) INFO .*worker_(\d+) is up")
OVERRIDES = ("workers=2", "learner.settings.steps=20000", "stop.progress=1000000")
"""Of configs/toy.yaml: updates that take a moment, without an end in sight."""


def recoveries_s(kills: int) -> list[float]:
    """Seconds by the run's log, in a run of the toy; a worker is killed whenever both are up and have trained."""
    with tempfile.TemporaryDirectory() as runs:
        words = [word for override in OVERRIDES for word in ("--set", override)]
        command = [sys.executable, "-m", "marl_pbt.train", "configs/toy.yaml", "--runs-dir", runs, "--name", "a"]
        process = subprocess.Popen([*command, *words], cwd=REPOSITORY, stdout=subprocess.DEVNULL)
        try:
            for _ in range(kills):
                _wait_for(lambda: len(workers_of(process.pid)) == 2)
                time.sleep(1.5)  # lets it train, so that each death is the first since a ready point
                os.kill(workers_of(process.pid)[0], signal.SIGKILL)
            _wait_for(lambda: len(told_recoveries(Path(runs) / "a")) == kills)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
        return told_recoveries(Path(runs) / "a")


def told_recoveries(run: Path) -> list[float]:
    """Seconds from the end of a worker to when a fresh one was up in its place, by the run's log."""
    ended: dict[str, datetime] = {}
    found = []
    for line in (run / "log.txt").read_text(errors="replace").splitlines():
        if match := _ENDED.match(line):
            ended[match[2]] = _time(match[1])
        elif (match := _UP.match(line)) and match[2] in ended:
            found.append((_time(match[1]) - ended.pop(match[2])).total_seconds())
    return found


def workers_of(supervisor: int) -> list[int]:
    """Process ids, oldest first."""
    return sorted(pid for pid in children(supervisor) if b"spawn_main" in _command_line(pid))


def _command_line(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("what was waited for has not come within a minute")
        time.sleep(0.03)


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S,%f")
