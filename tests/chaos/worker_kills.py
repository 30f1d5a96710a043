"""Workers killed at points drawn at random, in every phase; the run has to end as an undisturbed one."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.recovery import told_recoveries
from tests.chaos.outcome import Outcome
from tests.chaos.population import MEMBERS, config_of, differences, generations_lost
from tests.marl_pbt.command import train

POINTS = {
    "start": 1,
    "build": MEMBERS,
    "update": 40,
    "checkpoint": 6,
    "checkpointed": 6,
    "publish": 12,
    "published": 12,
    "write": 16,
    "fsync": 16,
    "rename": 16,
    "fsync_folder": 16,
}
"""Where a worker may die, and at the how many-th time at the latest."""
EARLY = ("start", "build")
BUILDING = {"publish": 2 * MEMBERS, "published": MEMBERS}
"""How often a worker comes there while it builds its members, at the most."""
READY_POINTS_PER_KILL = 0.6
"""Of each of eight members: two intervals and more lie between two deaths, so that there is something to cut in two."""


def kills(number: int, seed: int) -> str:
    """Points at which workers die one after another, for `MARL_PBT_FAULT`.

    Every third worker dies late, with all its members built: whose worker dies again and again before is given up, and
    that is another test's matter.
    """
    rng = random.Random(seed)
    chosen: list[str] = []
    while len(chosen) < number:
        point = rng.choice(list(POINTS))
        is_late = len(chosen) % 3 == 2
        if not (is_late and point in EARLY):
            count = rng.randint(-(-POINTS[point] // 2) if is_late else 1, POINTS[point])
            chosen.append(f"{point}@worker_0:{count + BUILDING.get(point, 0) * is_late}:kill")
    return ";".join(chosen)


def run_with_kills(folder: Path, number: int, seed: int) -> Outcome:
    """Let the workers of a deterministic run die, and compare its end with that of a run in which nobody died."""
    ready_points = max(6, round(number * READY_POINTS_PER_KILL))
    config = config_of(folder, ready_points, workers=None)
    fired = folder / "fired"
    fired.mkdir()
    faults = {"MARL_PBT_FAULT": kills(number, seed), "MARL_PBT_FAULT_FIRED": str(fired)}
    codes, said = [], ""
    for name, more in (("undisturbed", {}), ("disturbed", faults)):
        with train(str(config), "--runs-dir", str(folder), "--name", name, environment=more) as command:
            code, out, err = command.finish(timeout_s=60.0 + 10.0 * number)
            command.assert_nothing_is_left()
        codes.append(code)
        said = out + err
    run = folder / "disturbed"
    return Outcome(
        seed=seed,
        kills=len(list(fired.iterdir())),
        exit_code=max(codes, key=abs),
        lost=generations_lost(run, ready_points),
        differing=differences(run, folder / "undisturbed"),
        recovery_s=told_recoveries(run),
        said=said,
    )
