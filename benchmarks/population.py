"""The population at work: `python -m benchmarks.population`.

Runs the train command as a user does, on predator–prey–grass, and prints: agent steps/s with one and with two workers
(in turn, as ratios), with population 4 and 64, the share of the workers' time that is not spent in the learner, the
start-up, the memory.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.spread import spread
from marl_pbt.ancestry import LineageEvent
from marl_pbt.lineage_store import read_lineage

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Measured:
    """One run.

    Attributes:
        agent_steps_per_s: From the first member's start to the last ready point.
        outside_share: Of the workers' time in which they had members to train: what was not spent in `Learner.update`.
        start_s: From the command to the first member's start.
        worker_mib: Peak private memory of the largest worker: what one more of them costs.
        supervisor_mib: The same of the supervisor.
    """

    agent_steps_per_s: float
    outside_share: float
    start_s: float
    worker_mib: float
    supervisor_mib: float


def train(workers: int, control: str, progress: int, population: int = 4) -> Measured:
    """A run without judgement and films."""
    with tempfile.TemporaryDirectory() as runs:
        settings = {
            "workers": workers,
            "pbt.control": control,
            "pbt.population": population,
            "pbt.interval": 100_000,
            "pbt.burn_in": 100_000,
            "pbt.min_episodes": 4,
            "stop.progress": progress,
            "judge": "null",
            "films.every_minutes": "null",
        }
        overrides = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        command = [sys.executable, "-m", "marl_pbt.train", "configs/ppg.yaml", "--runs-dir", runs, "--name", "a"]
        began = time.time()
        process = subprocess.Popen([*command, *overrides], cwd=REPOSITORY, stdout=subprocess.DEVNULL)
        peaks = watch_memory(process)
        if process.returncode:
            raise SystemExit(f"the run ended with exit code {process.returncode}")
        return read_run(read_lineage(Path(runs) / "a" / "lineage.jsonl"), began, workers, peaks)


def read_run(events: Sequence[LineageEvent], began: float, workers: int, peaks: Sequence[float]) -> Measured:
    """What the lineage says of a run's speed; every member of a worker begins when the worker does."""
    started = min(event.time for event in events if event.kind == "start")
    last = {event.member: event for event in events if event.kind == "ready"}
    total_steps = sum(event.clocks.agent_steps for event in last.values())
    wall = max(event.time for event in last.values()) - started
    outside = []
    for worker in range(workers):
        ends = [event for member, event in last.items() if member % workers == worker]
        begins = min(event.time for event in events if event.kind == "start" and event.member % workers == worker)
        window = max(event.time for event in ends) - begins
        outside.append(1 - sum(event.clocks.seconds for event in ends) / window)
    return Measured(total_steps / wall, statistics.mean(outside), started - began, max(peaks[1:]), peaks[0])


def watch_memory(process: subprocess.Popen[bytes]) -> list[float]:
    """Peak private MiB of the process and of each of its children, read until it ends."""
    peaks: dict[int, float] = {process.pid: 0.0}
    while process.poll() is None:
        for pid in (process.pid, *children(process.pid)):
            peaks[pid] = max(peaks.get(pid, 0.0), private_mib(pid))
        time.sleep(0.5)
    return list(peaks.values())


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def private_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("Private"))


def answer_s(arguments: Sequence[str]) -> float:
    """How long a command takes that does not train."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "marl_pbt.train", *arguments], cwd=REPOSITORY, capture_output=True, check=False
    )
    return time.perf_counter() - began


def print_scaling(pairs: int) -> None:
    """Population 64 beside 4 on two workers, as many agent steps in all."""
    few, many = [], []
    for _ in range(pairs):
        few.append(train(2, "pbt", 16 * 200_000, population=4))
        many.append(train(2, "pbt", 200_000, population=64))
    ratios = [b.agent_steps_per_s / a.agent_steps_per_s for a, b in zip(few, many, strict=True)]
    print(f"| population 64 against 4 | {spread(ratios, '.2f')} × |")
    print(f"| private memory of a worker at 64 | {spread([run.worker_mib for run in many], '.0f')} MiB |")
    print(f"| private memory of the supervisor at 64 | {spread([run.supervisor_mib for run in many], '.0f')} MiB |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="pairs of runs")
    parser.add_argument("--progress", type=int, default=1_000_000, help="agent steps per member and run")
    parser.add_argument("--scaling-pairs", type=int, default=2, help="pairs of runs with population 4 and 64")
    arguments = parser.parse_args()
    train(1, "pbt", 100_000, population=1)  # compiles the kernel where it has not been
    ones, twos, controls = [], [], []
    for _ in range(arguments.repeats):
        ones.append(train(1, "pbt", arguments.progress // 2))
        twos.append(train(2, "pbt", arguments.progress))
        controls.append(train(2, "nothing", arguments.progress))
    ratios = [two.agent_steps_per_s / one.agent_steps_per_s for one, two in zip(ones, twos, strict=True)]
    pbt_ratios = [two.agent_steps_per_s / none.agent_steps_per_s for two, none in zip(twos, controls, strict=True)]
    print("| what | median (least to most) |\n|---|---|")
    print(f"| agent steps/s, one worker | {spread([run.agent_steps_per_s for run in ones], ',.0f')} |")
    print(f"| agent steps/s, two workers | {spread([run.agent_steps_per_s for run in twos], ',.0f')} |")
    print(f"| two workers against one | {spread(ratios, '.2f')} × |")
    print(f"| control pbt against nothing, two workers | {spread(pbt_ratios, '.2f')} × |")
    print(f"| workers' time outside Learner.update | {spread([run.outside_share for run in twos], '.1%')} |")
    print(f"| command to the first member's start | {spread([run.start_s for run in twos], '.1f')} s |")
    print(f"| peak private memory of a worker | {spread([run.worker_mib for run in twos], '.0f')} MiB |")
    print(f"| peak private memory of the supervisor | {spread([run.supervisor_mib for run in twos], '.0f')} MiB |")
    print_scaling(arguments.scaling_pairs)
    print(f"| --help | {spread([answer_s(['--help']) for _ in range(5)], '.2f')} s |")
    wrong = ["configs/ppg.yaml", "--set", "pbt.intervall=1"]
    print(f"| an error in the config | {spread([answer_s(wrong) for _ in range(5)], '.2f')} s |")


if __name__ == "__main__":
    main()
