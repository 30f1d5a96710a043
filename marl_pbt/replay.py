"""`python -m marl_pbt.replay RUN`: live through an ancestry's schedule once more, or through the ancestry itself."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from marl_pbt.arguments import natural, told

_EPILOG = """\
Without --exact a fresh learner (one policy per species) is trained with the hyperparameter schedule that the ancestry
lived through, from a seed of its own: is it the schedule that makes the policy good? Its policies go to --out, ready
for `evaluate`. With --exact the ancestry itself is lived once more, from the seeds and the recorded exploits, and every
weight is compared with the checkpoint, bit for bit.

examples:
  python -m marl_pbt.replay runs/a                           the schedules of the run's best
  python -m marl_pbt.replay runs/a:member_03@12 --seed 1
  python -m marl_pbt.replay runs/a:member_03 --exact
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 done, 1 the exact replay came out differently, 2 the user's mistake, 130 interrupted.
    """
    arguments = _parser().parse_args(argv)
    with told() as outcome:
        from marl_pbt.replay_session import ReplaySession

        session = ReplaySession(arguments.policy, arguments.runs_dir)
        outcome.code = session.exact() if arguments.exact else session.fresh(arguments.seed, arguments.out)
    return outcome.code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m marl_pbt.replay",
        description="Train with the schedule that an ancestry lived through, or live through the ancestry once more.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("policy", metavar="POLICY", help="RUN (its best), RUN:MEMBER (its newest), RUN:MEMBER@GENERATION")
    add("--exact", action="store_true", help="live through the ancestry itself, and compare")
    add("--seed", type=natural, default=0, metavar="S", help="of the fresh learner (0)")
    add("--out", type=Path, metavar="DIR", help="where its policies go (RUN/replays/SEED-DATE-TIME)")
    add("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="where runs lie")
    return parser


if __name__ == "__main__":
    sys.exit(main())
