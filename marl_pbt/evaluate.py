"""`python -m marl_pbt.evaluate POLICY …`: saved policies play each other, and are rated."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from marl_pbt.arguments import natural, positive, told

_EPILOG = """\
a POLICY is a file, a run (its best), a run's member or generation, a folder, a baseline or the panel:
  runs/a   runs/a:member_03   runs/a:member_03@12   runs/a:member_*   best/predator.safetensors
  random   greedy   stay   panel          with a species in front, of that one alone: prey=greedy

a run's folder holds a config, and a config is a program: of a stranger's run name the policy files alone

examples:
  python -m marl_pbt.evaluate runs/a runs/b random greedy
  python -m marl_pbt.evaluate runs/a:member_* --episodes 20
  python -m marl_pbt.evaluate runs/a runs/b --against panel
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 done, 1 a match failed, 2 the user's mistake, 130 interrupted.
    """
    arguments = _parser().parse_args(argv)
    # Many small products: threads of BLAS would only get in each other's way, and sums would depend on their number.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    with told() as outcome:
        from marl_pbt.league.session import Session

        outcome.code = Session(
            policies=tuple(arguments.policies),
            against=tuple(arguments.against),
            episodes=arguments.episodes,
            seed=arguments.seed,
            greedy=arguments.greedy,
            pairings=arguments.pairings,
            workers=arguments.workers,
            config=arguments.config,
            changes=tuple(arguments.set),
            win=arguments.win,
            runs=arguments.runs_dir,
            out=arguments.out,
            name=time.strftime("%Y%m%d-%H%M%S"),
            has_tensorboard=arguments.tensorboard,
        ).run()
    return outcome.code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m marl_pbt.evaluate",
        description="Let saved policies play each other, every one of a species against every one of the others.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("policies", nargs="+", metavar="POLICY", help="who plays; see below")
    add("--against", nargs="+", default=[], metavar="POLICY", help="whom they are to meet, instead of each other")
    add("--episodes", type=positive, default=10, metavar="N", help="per pairing (10)")
    add("--seed", type=natural, default=0, metavar="S", help="episode number n begins alike in all pairings (0)")
    add("--greedy", action="store_true", help="the likeliest actions instead of sampled ones")
    add("--pairings", type=positive, metavar="N", help="at most so many, drawn evenly (all)")
    add("--workers", type=positive, metavar="W", help="processes (one per core); results are the same")
    add("--config", type=Path, metavar="CONFIG", help="whose environment it is (the first run's, as it is judged)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the environment")
    add("--win", metavar="RULE", help="what counts as a win, for Elo: 'prey: survived > 0.5'")
    add("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="where runs lie")
    add("--out", type=Path, metavar="DIR", help="where results go (runs/evaluations/DATE-TIME)")
    add("--tensorboard", action="store_true", help="write them for TensorBoard too, into DIR/tb")
    return parser


if __name__ == "__main__":
    sys.exit(main())
