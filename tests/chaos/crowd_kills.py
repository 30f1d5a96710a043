"""Four workers that take no turns, killed at any moment; nobody's ready point may be lost or told twice."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

from benchmarks.recovery import told_recoveries
from tests.chaos.outcome import Outcome
from tests.chaos.population import config_of, generations_lost
from tests.marl_pbt.command import train

WORKERS = 4
SECONDS_BETWEEN = (0.3, 1.5)
"""Two blows never fall so close that a worker could not finish an interval: that would be a fault of the machine's."""


def run_with_a_crowd(folder: Path, number: int, seed: int) -> Outcome:
    """Kill workers of a run, whichever is met, until there were so many blows or the run has ended."""
    rng, blows = random.Random(seed), 0
    ready_points = 2 * number
    config = config_of(folder, ready_points, workers=WORKERS, update_seconds=0.02)
    with train(str(config), "--runs-dir", str(folder), "--name", "disturbed") as command:
        command.wait_until(lambda: len(command.workers) == WORKERS)
        while blows < number and command.process.poll() is None:
            time.sleep(rng.uniform(*SECONDS_BETWEEN))
            workers = command.workers
            if workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rng.choice(workers), signal.SIGKILL)
                    blows += 1
        code, out, err = command.finish(timeout_s=60.0 + 10.0 * number)
        command.assert_nothing_is_left()
    run = folder / "disturbed"
    return Outcome(seed, blows, code, generations_lost(run, ready_points), [], told_recoveries(run), out + err)
