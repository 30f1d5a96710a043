"""A run of an hour whose workers die now and then: what its supervisor holds must not grow."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.population import private_mib
from tests.chaos.outcome import Outcome
from tests.chaos.population import config_of
from tests.marl_pbt.command import Command, train

WORKERS = 2
UPDATE_S = 0.2
"""A ready point of a member takes two seconds, as in a short interval of predator–prey–grass."""
SECONDS_BETWEEN = (20.0, 60.0)
LOOK_EVERY_S = 5.0
MIB_MORE = 10.0
"""What the supervisor may grow by; its record of the lineage does, a kilobyte per ready point."""


@dataclass(frozen=True)
class Look:
    """At the supervisor and its session, at one moment."""

    mib: float
    handles: int
    threads: int
    processes: int


def run_for_long(folder: Path, minutes: int, seed: int) -> Outcome:
    """Let a run go on, kill a worker now and then, end it by SIGTERM; compare its last quarter with its first."""
    rng, kills = random.Random(seed), 0
    config = config_of(folder, ready_points=10**6, workers=WORKERS, update_seconds=UPDATE_S)
    with train(str(config), "--runs-dir", str(folder), "--name", "disturbed") as command:
        command.wait_until(lambda: len(command.workers) == WORKERS)
        end = time.monotonic() + 60.0 * minutes
        next_kill, looks = time.monotonic() + rng.uniform(*SECONDS_BETWEEN), []
        while time.monotonic() < end and command.process.poll() is None:
            time.sleep(LOOK_EVERY_S)
            if time.monotonic() >= next_kill and command.workers:
                os.kill(rng.choice(command.workers), signal.SIGKILL)
                kills, next_kill = kills + 1, time.monotonic() + rng.uniform(*SECONDS_BETWEEN)
            elif len(command.workers) == WORKERS:
                looks.append(look(command))
        command.process.terminate()
        code, out, err = command.finish()
        command.assert_nothing_is_left()
    first, last = looks[: len(looks) // 4], looks[-(len(looks) // 4) :]
    grown = list(growth(first, last))
    told = f"first quarter at most {most(first)}, last quarter at most {most(last)}"
    print(f"{len(looks)} looks: {told}", flush=True)
    return Outcome(seed, kills, 0 if code == 128 + signal.SIGTERM else code or 1, grown, said=out + err)


def look(command: Command) -> Look:
    pid = command.process.pid
    count = [len(list(Path(f"/proc/{pid}/{name}").iterdir())) for name in ("fd", "task")]
    return Look(private_mib(pid), *count, len(command.session()))


def most(looks: list[Look]) -> Look:
    figures = zip(*((each.mib, each.handles, each.threads, each.processes) for each in looks), strict=True)
    return Look(*map(max, figures))


def growth(first: list[Look], last: list[Look]) -> Iterator[str]:
    """What has grown, in words; a worker that comes up just now has a handle and a thread more for a moment."""
    before, after = most(first), most(last)
    if after.mib > before.mib + MIB_MORE:
        yield f"memory of the supervisor: {before.mib:.0f} to {after.mib:.0f} MiB"
    for name in ("handles", "threads", "processes"):
        if min(getattr(each, name) for each in last) > getattr(before, name):
            yield f"{name}: {getattr(before, name)} to {getattr(after, name)}"
