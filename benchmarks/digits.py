"""PBT against random search on the digits classifier, at equal budget: `python -m benchmarks.digits` (four minutes).

Both train as many members for as many updates, from the same draws (configs/digits.yaml), by the same command; only
that in one of them members copy each other. Judged by the 400 test examples, which decide nothing in training: of the
policy in `best/`, which is what one would take home, and of the members' own at the end.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marl_pbt.snapshot import Snapshot

CONTROLS = {"pbt": "PBT", "random_search": "random search"}
SPECIES = "classifier"


@dataclass(frozen=True)
class Result:
    """Test accuracy after one run.

    Attributes:
        best: Of the policy in `best/`.
        members: Of each member's policy at the end.
    """

    best: float
    members: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the config, for both")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    print("| seed | " + " | ".join(f"{name}: best | median member" for name in CONTROLS.values()) + " |")
    print("|---" * (1 + 2 * len(CONTROLS)) + "|", flush=True)
    results: dict[str, list[Result]] = {control: [] for control in CONTROLS}
    for seed in range(arguments.seeds):
        for control, found in results.items():
            with tempfile.TemporaryDirectory() as folder:
                found.append(train(Path(folder), control, [f"seed={seed}", *arguments.set]))
        print_row(str(seed), {control: found[-1:] for control, found in results.items()})
    print_row("mean", results)
    gaps = [pbt.best - other.best for pbt, other in zip(results["pbt"], results["random_search"], strict=True)]
    wins, losses = sum(gap > 0 for gap in gaps), sum(gap < 0 for gap in gaps)
    gap = f"{statistics.mean(gaps):+.4f} on average"
    print(f"\nPBT's best is better in {wins} and worse in {losses} of {len(gaps)} seeds, by {gap}")


def train(runs: Path, control: str, changes: list[str]) -> Result:
    """Run the command as a user does, and read what it leaves."""
    settings = [text for change in (f"pbt.control={control}", *changes) for text in ("--set", change)]
    command = ["-m", "marl_pbt.train", "configs/digits.yaml", "--runs-dir", str(runs), "--name", "run", *settings]
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    return read_result(runs / "run")


def read_result(run: Path) -> Result:
    from marl_pbt.checkpoints import MemberCheckpoints, Retention
    from marl_pbt.member_files import policy_of
    from marl_pbt.snapshot import decode

    newest = [MemberCheckpoints(folder, Retention()).newest() for folder in sorted((run / "members").iterdir())]
    members = [policy_of(checkpoint, SPECIES) for checkpoint in newest if checkpoint is not None]
    best = decode((run / "best" / f"{SPECIES}.safetensors").read_bytes())
    return Result(test_accuracy(best), [test_accuracy(member) for member in members])


def test_accuracy(policy: Snapshot) -> float:
    """Of a saved policy, as anybody may use it: 64 pixels in, a class out."""
    import numpy as np

    from agents.digits import kind
    from agents.digits.examples import load_split

    tensors = {name: array for name, array in policy.tensors.items() if name.startswith("policy/")}
    loaded, test = kind.load_policy(policy.metadata["architecture"], tensors), load_split().test
    said = loaded.act(test.pixels, np.random.default_rng(0), greedy=True)
    return float(np.mean(said == test.labels))


def print_row(name: str, results: Mapping[str, Sequence[Result]]) -> None:
    cells = [
        f"{statistics.mean(each.best for each in found):.4f} | "
        f"{statistics.mean(statistics.median(each.members) for each in found):.4f}"
        for found in results.values()
    ]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
