"""`python -m marl_pbt.export POLICY FILE …`: a saved policy for other tools."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from marl_pbt.arguments import told

_EPILOG = """\
a FILE's suffix says the format: .safetensors (ours, with a card: spaces, architecture, schedule, ancestry), and
what the learner offers; for PPO .zip (opens with Stable-Baselines3's PPO.load) and .onnx. Without a FILE the card is
shown. A run's folder holds a config, and a config is a program: of a stranger's run name the files alone.

examples:
  python -m marl_pbt.export runs/a '{species}.zip' '{species}.onnx'
  python -m marl_pbt.export predator=runs/a:member_03@12 hunter.safetensors
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 done, 2 the user's mistake, 130 interrupted.
    """
    arguments = _parser().parse_args(argv)
    with told() as outcome:
        from marl_pbt.exports import card_text, deliver, pack
        from marl_pbt.imports import ensure_rooms_on_path

        ensure_rooms_on_path()
        parcels, notices = pack(arguments.policy, arguments.runs_dir, arguments.config, arguments.evaluation)
        written = deliver(parcels, arguments.files)
        sys.stderr.writelines(f"note: {notice}\n" for notice in notices)
        sys.stdout.writelines(f"{line}\n" for line in written or map(card_text, parcels))
    return outcome.code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m marl_pbt.export",
        description="Write a saved policy into a file of its own, or for other tools.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("policy", metavar="POLICY", help="[SPECIES=]RUN, RUN:MEMBER, RUN:MEMBER@GENERATION or a file")
    add("files", nargs="*", metavar="FILE", help="what to write; {species} stands for the species")
    add("--evaluation", type=Path, metavar="JSON", help="an evaluation.json whose rating goes into the card")
    add("--config", type=Path, metavar="CONFIG", help="that names environment and learner of a file")
    add("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="where runs lie")
    return parser


if __name__ == "__main__":
    sys.exit(main())
