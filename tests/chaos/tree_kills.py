"""Whole runs ended from outside at random moments, again and again, and resumed; nothing may be left or lost."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time
from pathlib import Path

from tests.chaos.outcome import Outcome
from tests.chaos.population import config_of, differences, generations_lost
from tests.marl_pbt.command import Command, train

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""By which the supervisor ends; the first twice as often."""
LONGEST_S = 2.5
"""Until the blow falls; about a second of it the command takes to start."""


def run_with_resumes(folder: Path, number: int, seed: int, ready_points: int) -> Outcome:
    """End a deterministic run so often, resume it each time, let it come to its end, and compare that.

    Args:
        folder: Where the runs lie.
        number: How often.
        seed: Of moments and signals.
        ready_points: Of each member; more than it comes to before the last blow, so that there is something to lose.
    """
    rng, patience_s = random.Random(seed), 60.0 + 10.0 * number
    config = config_of(folder, ready_points, workers=None, update_seconds=0.002)
    run, blows, said = folder / "disturbed", 0, ""
    start = [str(config), "--runs-dir", str(folder), "--name", "disturbed"]
    for _ in range(number):
        with train(*(["--resume", str(run)] if (run / "config.yaml").is_file() else start)) as command:
            blows += _end(command, rng.choice(SIGNALS), rng.uniform(0.2, LONGEST_S))
            command.assert_nothing_is_left()
        if not (run / "config.yaml").is_file():
            _clear_half_a_start(run)
    with train("--resume", str(run)) as command:
        code, out, err = command.finish(patience_s)
        command.assert_nothing_is_left()
        said = out + err
    with train(str(config), "--runs-dir", str(folder), "--name", "undisturbed") as command:
        assert command.finish(patience_s)[0] == 0
    lost, differing = generations_lost(run, ready_points), differences(run, folder / "undisturbed")
    return Outcome(seed, blows, code, lost, differing, said=said)


def _end(command: Command, number: signal.Signals, after_s: float) -> bool:
    """Send the signal when it is time, unless the run has ended by itself before."""
    deadline = time.monotonic() + after_s
    while command.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if command.process.poll() is not None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(command.process.pid, number)
    command.process.wait(timeout=15.0)
    return True


def _clear_half_a_start(run: Path) -> None:
    """A run killed before it had a config left an empty folder at most; a user would delete it, and so do we."""
    left = [path for path in run.rglob("*") if path.is_file() and path.suffix == ".safetensors"] if run.exists() else []
    assert left == []
    shutil.rmtree(run, ignore_errors=True)
