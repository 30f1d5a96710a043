"""How long a league takes: `python -m benchmarks.evaluation`.

Runs the evaluate command as a user does, on the panel's policies, which coexist for whole episodes of 1000 steps, with
slight changes so that there are as many as wanted. Prints the time of a 16 × 16 table with 10 episodes per pair on all
cores, agent steps/s with one process and with all, and the peak memory of a small and a large table.
"""

from __future__ import annotations

import argparse
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.spread import spread
from marl_pbt.imports import bundled_panels
from marl_pbt.policy_files import read_policies
from marl_pbt.snapshot import Snapshot, encode

REPOSITORY = Path(__file__).parents[1]
_PLAYED = re.compile(r"played ([\d.]+)([kMG]) agent steps, ([\d.]+)([kMG])/s")
_UNITS = {"k": 1e3, "M": 1e6, "G": 1e9}


@dataclass(frozen=True)
class Measured:
    """One evaluation.

    Attributes:
        seconds: From the command to its end.
        agent_steps: Played.
        agent_steps_per_s: While matches were played.
        peak_mib: Of the largest process.
    """

    seconds: float
    agent_steps: float
    agent_steps_per_s: float
    peak_mib: float


def make_policies(folder: Path, per_species: int) -> None:
    """The panel's policies again and again, each time with weights a millionth off: others, that play alike."""
    originals = [
        policy
        for panel in bundled_panels()
        for path in sorted(panel.glob("*.safetensors"))
        for policy in read_policies(path).values()
    ]
    for species in sorted({policy.card.species for policy in originals}):
        own = [policy for policy in originals if policy.card.species == species]
        for number in range(per_species):
            policy = own[number % len(own)]
            rng = np.random.default_rng(number)
            tensors = {
                name: (array * (1 + 1e-6 * rng.standard_normal(array.shape))).astype(np.float32)
                for name, array in policy.tensors.items()
            }
            data = encode(Snapshot(policy.card.model_dump(), tensors))
            (folder / f"{species}_{number:02d}.safetensors").write_bytes(data)


def evaluate(policies: Path, episodes: int, workers: int, out: Path) -> Measured:
    """The command on all policies of a folder, nothing of it played before."""
    command = [sys.executable, "-m", "marl_pbt.evaluate", str(policies), "--set", "max_steps=1000"]
    command += ["--episodes", str(episodes), "--workers", str(workers), "--out", str(out)]
    began = time.perf_counter()
    done = subprocess.run(command, check=True, cwd=REPOSITORY, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    said = _PLAYED.search(done.stdout)
    assert said is not None, done.stdout
    # Of the largest descendant so far, so the order of the measurements matters: small tables first.
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return Measured(seconds, float(said[1]) * _UNITS[said[2]], float(said[3]) * _UNITS[said[4]], peak_kib / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="of the small table")
    parser.add_argument("--size", type=int, default=16, help="policies per species of the large table")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in (4, arguments.size):
            (folder / str(size)).mkdir()
            make_policies(folder / str(size), size)
        evaluate(folder / "4", 1, 1, folder / "warm")
        small = [evaluate(folder / "4", 10, 1, folder / f"one_{nth}") for nth in range(arguments.repeats)]
        print(f"4 × 4, one process: {spread([each.agent_steps_per_s / 1e3 for each in small], '.0f')} k agent steps/s")
        print(f"peak memory of a process: {small[-1].peak_mib:.0f} MiB")
        large = evaluate(folder / str(arguments.size), 10, 2, folder / "large")
        print(
            f"{arguments.size} × {arguments.size}, 10 episodes per pair, two processes: {large.seconds:.0f} s, "
            f"{large.agent_steps / 1e6:.0f} M agent steps, {large.agent_steps_per_s / 1e3:.0f} k agent steps/s"
        )
        print(f"peak memory of a process: {large.peak_mib:.0f} MiB")
        ratio = large.agent_steps_per_s / statistics.median(each.agent_steps_per_s for each in small)
        print(f"two processes against one: {ratio:.2f} ×")


if __name__ == "__main__":
    main()
