"""A run of an hour whose workers die now and then: what its supervisor holds must not grow."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from itertools import pairwise
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
"""What the supervisor may grow by, but for the lineage, all of which it keeps."""
MIB_PER_EVENT = 2 / 1024


@dataclass(frozen=True)
class Look:
    """At the supervisor and its session, at one moment."""

    at_s: float
    events: int
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
        began = time.monotonic()
        end = began + 60.0 * minutes
        next_kill, looks = time.monotonic() + rng.uniform(*SECONDS_BETWEEN), []
        while time.monotonic() < end and command.process.poll() is None:
            time.sleep(LOOK_EVERY_S)
            workers = command.workers
            if time.monotonic() >= next_kill and workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rng.choice(workers), signal.SIGKILL)
                    kills, next_kill = kills + 1, time.monotonic() + rng.uniform(*SECONDS_BETWEEN)
            elif len(workers) == WORKERS:
                looks.append(look(command, folder / "disturbed", began))
        command.process.terminate()
        code, out, err = command.finish()
        command.assert_nothing_is_left()
    quarters: list[list[Look]] = [[], [], [], []]
    for each in looks:
        quarters[min(int(4 * each.at_s / (60.0 * minutes)), 3)].append(each)
    if all(quarters):
        grown = list(growth(quarters))
        print(f"{len(looks)} looks; the most of each, by quarters:", *map(most, quarters), sep="\n", flush=True)
    else:
        grown = [f"looks by quarters: {list(map(len, quarters))}"]
    return Outcome(seed, kills, 0 if code == 128 + signal.SIGTERM else code or 1, grown, said=out + err)


def look(command: Command, run: Path, began: float) -> Look:
    pid = command.process.pid
    count = [len(list(Path(f"/proc/{pid}/{name}").iterdir())) for name in ("fd", "task")]
    return Look(time.monotonic() - began, count_events(run), private_mib(pid), *count, len(command.session()))


def count_events(run: Path) -> int:
    return (run / "lineage.jsonl").read_bytes().count(b"\n")


def most(looks: list[Look]) -> Look:
    return Look(*map(max, zip(*map(astuple, looks), strict=True)))


def growth(quarters: list[list[Look]]) -> Iterator[str]:
    """What has grown, in words; a worker that comes up just now has a handle and a thread more for a moment."""
    last = quarters[-1]
    before, after = most(quarters[0]), most(last)
    told = [most(each).events for each in quarters]
    if not all(later > earlier for earlier, later in pairwise(told)):
        yield f"events by quarters: {told}"
    if after.mib > before.mib + MIB_MORE + MIB_PER_EVENT * (after.events - before.events):
        yield f"memory of the supervisor: {before.mib:.0f} to {after.mib:.0f} MiB"
    for name in ("handles", "threads", "processes"):
        if min(getattr(each, name) for each in last) > getattr(before, name):
            yield f"{name}: {getattr(before, name)} to {getattr(after, name)}"
