"""The long forms: `python -m tests.chaos workers --kills 1000`, `… runs --ends 300`, `… crowd --kills 200`, `… hangs`,
`… soak --minutes 60`.

The seed is drawn and printed; a seed that fails is worth a test of its own. One line per round, a summary at the end,
exit code 1 when a round went wrong; its folder is kept then.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.crowd_kills import run_with_a_crowd
from tests.chaos.hangs import run_with_hangs
from tests.chaos.outcome import Outcome
from tests.chaos.soak import run_for_long
from tests.chaos.tree_kills import run_with_resumes
from tests.chaos.worker_kills import run_with_kills

KILLS_PER_RUN = 50


def main() -> int:
    arguments = parse()
    seed = random.SystemRandom().randrange(2**32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    rng, outcomes, began = random.Random(seed), [], time.monotonic()
    left = arguments.number
    while left > 0:
        number = left if arguments.kind == "soak" else min(left, KILLS_PER_RUN)
        folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        outcome = ROUNDS[arguments.kind](folder, number, rng.randrange(2**32))
        outcomes.append(outcome)
        left -= number
        where = "" if outcome.is_sound else f" · kept: {folder}"
        print(f"round seed {outcome.seed}: {outcome.told()}{where}", flush=True)
        if outcome.is_sound:
            shutil.rmtree(folder)
    print(summary(arguments.kind, outcomes, time.monotonic() - began))
    return 0 if all(outcome.is_sound for outcome in outcomes) else 1


ROUNDS: dict[str, Callable[[Path, int, int], Outcome]] = {
    "workers": run_with_kills,
    "runs": lambda folder, number, seed: run_with_resumes(folder, number, seed, ready_points=2 * number),
    "crowd": run_with_a_crowd,
    "hangs": run_with_hangs,
    "soak": run_for_long,
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    workers = kinds.add_parser("workers", help="a deterministic run's worker dies at named points, in every phase")
    runs = kinds.add_parser("runs", help="the whole run is ended by signals 9, 15, 2, 1 and resumed")
    crowd = kinds.add_parser("crowd", help="workers of a run of four are killed at any moment")
    hangs = kinds.add_parser("hangs", help="a worker hangs: asleep, busy, holding Python's lock, stopped by a signal")
    soak = kinds.add_parser("soak", help="a run of an hour whose workers die now and then: nothing it holds may grow")
    for each, default in ((workers, 1000), (runs, 300), (crowd, 1000), (hangs, 80), (soak, 60)):
        each.add_argument("--number", "--kills", "--ends", "--hangs", "--minutes", type=int, default=default)
        each.add_argument("--seed", type=int, default=None)
    return parser.parse_args()


def summary(kind: str, outcomes: list[Outcome], seconds: float) -> str:
    """The table that goes into benchmarks/RESULTS.md."""
    recoveries = [each for outcome in outcomes for each in outcome.recovery_s]
    again = f"{statistics.median(recoveries):.2f} s (most {max(recoveries):.2f} s)" if recoveries else "not asked for"
    rows = {
        "kills, ends or hangs that happened": str(sum(outcome.kills for outcome in outcomes)),
        "rounds, sound": f"{len(outcomes)}, {sum(outcome.is_sound for outcome in outcomes)}",
        "generations lost or told twice, and other faults": str(sum(len(outcome.lost) for outcome in outcomes)),
        "files that differ from an undisturbed run's": str(sum(len(outcome.differing) for outcome in outcomes)),
        "from a death to a fresh worker, median": again,
        "minutes": f"{seconds / 60:.1f}",
    }
    return "\n".join([f"\n| {kind} | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


if __name__ == "__main__":
    sys.exit(main())
