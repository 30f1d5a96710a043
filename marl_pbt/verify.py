"""`python -m marl_pbt.verify RUN`: is everything there, whole and in its place; what to do where it is not."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from marl_pbt.arguments import show, told

_EPILOG = """\
reads every checkpoint, every policy and the lineage of a run, also while it goes on, and writes nothing. One line per
finding: the file, what is wrong, and what to do.

examples:
  python -m marl_pbt.verify runs/a
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 nothing is wrong, 1 there are findings, 2 the user's mistake, 130 interrupted.
    """
    parser = argparse.ArgumentParser(
        prog="python -m marl_pbt.verify",
        description="Check that a run's files are whole, in their places, and agree with each other.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="a run's folder, or its name under --runs-dir")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="where runs lie")
    arguments = parser.parse_args(argv)
    with told() as outcome:
        from marl_pbt.run_directory import existing_run
        from marl_pbt.verified_run import verified

        report = verified(existing_run(arguments.runs_dir, arguments.run))
        show([*map(str, report.findings), report.summary])
        outcome.code = 1 if report.findings else 0
    return outcome.code


if __name__ == "__main__":
    sys.exit(main())
