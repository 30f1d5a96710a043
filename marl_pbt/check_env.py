"""`python -m marl_pbt.check_env module:factory`: look for the faults of a PettingZoo parallel environment."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from marl_pbt.arguments import positive, settings, told

if TYPE_CHECKING:
    from marl_pbt.environment_checks import Verdict
    from marl_pbt.environments import EnvironmentSource

_SHOWN = 3


def main(argv: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 all is well, 1 faults were found, 2 the user's mistake, 130 interrupted.
    """
    arguments = _parser().parse_args(argv)
    with told() as outcome:
        outcome.code = _check(arguments)
    return outcome.code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m marl_pbt.check_env",
        description="Check a PettingZoo parallel environment: its dictionaries, ids, values, reproducibility and more.",
        epilog="Example: python -m marl_pbt.check_env envs.predator_prey_grass:parallel_env --config max_steps=200",
    )
    parser.add_argument("make", metavar="MODULE:FACTORY", help="what makes it, e.g. my_package.my_env:parallel_env")
    parser.add_argument(
        "--config", action="append", default=[], metavar="KEY=VALUE", help="a keyword argument of the factory"
    )
    parser.add_argument("--seeds", type=positive, default=3, metavar="N", help="how many seeds to play (3)")
    parser.add_argument("--steps", type=positive, default=400, metavar="N", help="env steps per play (400)")
    return parser


def _check(arguments: argparse.Namespace) -> int:
    """Build, check, print."""
    from marl_pbt.environments import EnvironmentSource
    from marl_pbt.imports import ensure_rooms_on_path

    source = EnvironmentSource(arguments.make, settings(arguments.config, "--config"))
    ensure_rooms_on_path()
    counts: Counter[str] = Counter()
    with _muted():
        _open_once(source)
        from marl_pbt.environment_checks import check_environment

        verdicts = check_environment(source, arguments.seeds, arguments.steps)
    while True:
        with _muted():
            verdict = next(verdicts, None)
        if verdict is None:
            break
        counts[_print(verdict)] += 1
    sys.stdout.write(", ".join(f"{number} {outcome}" for outcome, number in counts.items()) + "\n")
    return 1 if counts["FAIL"] else 0


def _open_once(source: EnvironmentSource) -> None:
    """Build it, to tell the user's mistakes from the environment's.

    Raises:
        UserError: It cannot be built, or is no parallel environment.
    """
    from marl_pbt.environments import obstacle_to_adapting
    from marl_pbt.protocols import UserError

    environment = source.open()
    obstacle = obstacle_to_adapting(environment)
    if obstacle:
        raise UserError(f"{source.make}: must make a PettingZoo parallel environment, got {obstacle}")
    with contextlib.suppress(Exception):
        environment.close()


def _print(verdict: Verdict) -> str:
    """Print a check's line, and some of what it found.

    Returns:
        The outcome's word.
    """
    from marl_pbt.config.faults import printable

    found = verdict.failed or verdict.warned
    if verdict.skipped is not None:
        outcome, more = "skipped", f" ({verdict.skipped})"
    else:
        outcome = "FAIL" if verdict.failed else "warn" if verdict.warned else "ok"
        more = f" ({len(found)} found)" if found else ""
    lines = [f"{outcome:<8} {verdict.check}{more}", *(f"         {printable(line)}" for line in found[:_SHOWN])]
    if len(found) > _SHOWN:
        lines.append(f"         … {len(found) - _SHOWN} more")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    return outcome


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    """What the environment prints or warns of here is told by a check, not in between."""
    with (
        open(os.devnull, "w") as nowhere,  # noqa: PTH123  # a device
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


if __name__ == "__main__":
    sys.exit(main())
