"""`python -m marl_pbt.train CONFIG`: train a population, or go on with one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from marl_pbt.arguments import told


def main(argv: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 done, 1 the run failed, 2 the user's mistake, 74 the disk, 128 + n stopped by signal n.
    """
    arguments = _parser().parse_args(argv)
    if arguments.config is None and arguments.resume is None:
        _parser().error("give a CONFIG, or --resume RUN (which brings its own)")
    with told("stopped before the training began") as outcome:
        from marl_pbt.launch import Launch

        outcome.code = Launch(
            config=arguments.config,
            overrides=tuple(arguments.set),
            name=arguments.name,
            runs=arguments.runs_dir,
            resume=arguments.resume,
            command=["python", "-m", "marl_pbt.train", *(sys.argv[1:] if argv is None else argv)],
            is_forced=arguments.force,
        ).run()
    return outcome.code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m marl_pbt.train",
        description="Train a population of learners with Population Based Training.",
        epilog="Example: python -m marl_pbt.train configs/ppg.yaml --set pbt.population=16 --name wide",
    )
    parser.add_argument("config", nargs="?", type=Path, metavar="CONFIG", help="a YAML file, e.g. configs/ppg.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one key of the config")
    parser.add_argument("--name", help="the run's name (default: the config's with date and time)")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="where runs lie")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run: its name, or its folder; with CONFIG, by it")
    parser.add_argument("--force", action="store_true", help="with --resume: change keys that had better stay")
    return parser


if __name__ == "__main__":
    sys.exit(main())
