"""`python -m marl_pbt.import MODEL.zip FILE`: weights from a Stable-Baselines3 zip, nothing in which is run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from marl_pbt.arguments import told


def main(argv: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 done, 2 the user's mistake, 130 interrupted.
    """
    arguments = _parser().parse_args(argv)
    with told() as outcome:
        from marl_pbt.exports import take_in
        from marl_pbt.imports import ensure_rooms_on_path

        ensure_rooms_on_path()
        card = take_in(arguments.model, arguments.config, arguments.set, arguments.species, arguments.file)
        sys.stdout.write(f"{arguments.file}: {card.species}, {card.learner}, {card.architecture}\n")
    return outcome.code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m marl_pbt.import",
        description="Read a policy's weights from another tool's file; code in the file is never run.",
        epilog="Example: python -m marl_pbt.import model.zip hunter.safetensors --config configs/ppg.yaml "
        "--species predator --set learner.settings.net_arch=[128,128]",
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="e.g. what Stable-Baselines3's PPO.save wrote")
    add("file", type=Path, metavar="FILE", help="what to write: NAME.safetensors")
    add(
        "--config",
        type=Path,
        required=True,
        metavar="CONFIG",
        help="says the environment and what the policy is made of",
    )
    add("--species", required=True, help="whose policy it becomes")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="change one key of the config")
    return parser


if __name__ == "__main__":
    sys.exit(main())
