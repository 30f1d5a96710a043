"""A worker that hangs again and again, at random moments and in four ways; nobody's ready point may be lost."""

from __future__ import annotations

import random
import re
from pathlib import Path

from benchmarks.recovery import told_recoveries
from marl_pbt.lineage_store import read_lineage
from tests.chaos.outcome import Outcome
from tests.marl_pbt.command import train
from tests.marl_pbt.stepping_learner import herd_config

WAYS = ("hang", "spin", "hold", "stop")
"""It sleeps, is busy, is busy in C with Python's lock, or has been stopped by a signal."""
POINTS = {"env": (120, 300), "update": (30, 75)}
"""Where, and at the how many-th time since it began: after at least one ready point of each of its two members."""
MEMBERS, INTERVAL, TIMEOUT_S = 4, 400, 1.0
READY_POINTS_PER_HANG = 5
_HUNG = re.compile(r"WARNING .*worker_0 (?:hung|stopped by a signal) in .+ for \d+ s \(.*; stacks:")


def hangs(number: int, seed: int) -> str:
    """For `MARL_PBT_FAULT`: every way as often as any other."""
    rng = random.Random(seed)
    ways = [WAYS[at % len(WAYS)] for at in range(number)]
    rng.shuffle(ways)
    chosen = []
    for way in ways:
        point = rng.choice(list(POINTS))
        chosen.append(f"{point}@worker_0:{rng.randint(*POINTS[point])}:{way}")
    return ";".join(chosen)


def run_with_hangs(folder: Path, number: int, seed: int) -> Outcome:
    """Let the first of two workers hang; each time it has to be noticed and replaced, and every member to its end."""
    ready_points = READY_POINTS_PER_HANG * number
    config = herd_config(folder, hang_timeout_s=TIMEOUT_S, population=MEMBERS, stop=INTERVAL * ready_points)
    fired = folder / "fired"
    fired.mkdir()
    faults = {"MARL_PBT_FAULT": hangs(number, seed), "MARL_PBT_FAULT_FIRED": str(fired)}
    with train(str(config), "--runs-dir", str(folder), "--name", "disturbed", environment=faults) as command:
        code, out, err = command.finish(timeout_s=60.0 + 30.0 * number)
        command.assert_nothing_is_left()
    run = folder / "disturbed"
    happened = len(list(fired.iterdir()))
    told = [(each.member, each.generation) for each in read_lineage(run / "lineage.jsonl") if each.kind == "ready"]
    wanted = [(member, at) for member in range(MEMBERS) for at in range(1, ready_points + 1)]
    lost = [] if sorted(told) == wanted else [f"{len(told)} ready points told, {len(wanted)} wanted"]
    noticed = len(_HUNG.findall((run / "log.txt").read_text()))
    lost += [] if noticed >= happened == number else [f"{number} hangs wanted, {happened} happened, {noticed} noticed"]
    return Outcome(seed, happened, code, lost, [], told_recoveries(run), out + err)
