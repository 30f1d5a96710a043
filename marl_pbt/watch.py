"""`python -m marl_pbt.watch [RUN]`: see policies play, in a window or as a film."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from marl_pbt.arguments import natural, positive, told

if TYPE_CHECKING:
    from marl_pbt.films import Picture
    from marl_pbt.league.assembly import Entrant, League
    from marl_pbt.protocols import Policy

FILM_STEPS = 300
_EPILOG = """\
in the window: space pauses, → one step, + and − change the speed, r starts the next episode, q ends

a run's folder holds a config, and a config is a program: of a stranger's run name the policy files alone

examples:
  python -m marl_pbt.watch                            the best of the newest run
  python -m marl_pbt.watch runs/a --gif play.gif
  python -m marl_pbt.watch runs/a --policies prey=greedy
  python -m marl_pbt.watch --policies predator=runs/a:member_03@12 prey=runs/b
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 done, 2 the user's mistake, 130 interrupted.
    """
    arguments = _parser().parse_args(argv)
    with told() as outcome:
        _watch(arguments)
    return outcome.code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m marl_pbt.watch",
        description="See the best of a run play, or any policies.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("run", nargs="?", metavar="RUN", help="whose best play (the newest run)")
    add("--policies", nargs="+", default=[], metavar="POLICY", help="who plays instead; names as for evaluate")
    add("--gif", type=Path, metavar="FILE", help="write an animated GIF; no display is needed")
    add("--mp4", type=Path, metavar="FILE", help="write an MP4; no display is needed")
    add("--steps", type=positive, metavar="N", help=f"env steps at most (films: {FILM_STEPS}; window: the episode's)")
    add("--every", type=positive, default=1, metavar="N", help="show every N-th env step (1)")
    add("--fps", type=positive, default=10, metavar="N", help="pictures per second (10)")
    add("--seed", type=natural, default=0, metavar="S", help="of the episode (0)")
    add("--greedy", action="store_true", help="the likeliest actions instead of sampled ones")
    add("--config", type=Path, metavar="CONFIG", help="whose environment it is (the run's, as it is judged)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the environment")
    add("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="where runs lie")
    return parser


def _watch(arguments: argparse.Namespace) -> None:
    from marl_pbt.films import shots, write_mp4
    from marl_pbt.imports import ensure_rooms_on_path
    from marl_pbt.league.assembly import Request, assemble
    from marl_pbt.protocols import UserError

    ensure_rooms_on_path()
    for path in filter(None, (arguments.gif, arguments.mp4)):
        if not path.parent.is_dir():
            raise UserError(f"{path}: {path.parent} is no folder")
        if path.is_dir():
            raise UserError(f"{path}: is a folder; name a file")
    addresses = [*arguments.policies, *_runs(arguments)]
    league = assemble(Request(addresses, (), arguments.runs_dir, arguments.config, arguments.set))
    players = {species: of[0] for species, of in league.entrants.items()}
    who = " × ".join(f"{species} {each.label}" for species, each in players.items())
    for notice in [*league.notices, *_left_out(league, arguments.run)]:
        sys.stderr.write(f"note: {notice}\n")
    policies = _policies(league, players)
    if arguments.gif is None and arguments.mp4 is None:
        from marl_pbt.viewer import watch

        watch(
            lambda seed: shots(league.environment, policies, seed, arguments.steps, arguments.every, arguments.greedy),
            who,
            arguments.seed,
            arguments.fps,
        )
        return
    steps = arguments.steps or FILM_STEPS
    films = {arguments.gif: _write_gif, arguments.mp4: write_mp4}
    for path, write in films.items():
        if path is not None:
            played = shots(league.environment, policies, arguments.seed, steps, arguments.every, arguments.greedy)
            write(path, (shot.picture for shot in played), arguments.fps)
            sys.stdout.write(f"{path}: {who}\n")


def _runs(arguments: argparse.Namespace) -> list[str]:
    """The run whose best play where no policy was named: it comes last, and fills the seats that are left."""
    if arguments.run is not None:
        return [arguments.run]
    if arguments.policies:
        return []
    from marl_pbt.protocols import UserError
    from marl_pbt.run_directory import RunDirectory

    runs = [RunDirectory(path) for path in arguments.runs_dir.glob("*")]
    runs = [run for run in runs if run.config.is_file() and any(run.best.glob("*.safetensors"))]
    if not runs:
        raise UserError(f"{arguments.runs_dir}: no run with a best policy here; name a RUN or --policies")
    return [str(max(runs, key=lambda run: run.config.stat().st_mtime).root)]


def _left_out(league: League, run: str | None) -> Iterator[str]:
    """Who was named and does not play: each species has one seat, and a run's best give way without a word."""
    for species, of in league.entrants.items():
        others = [each.label for each in of[1:] if each.address != run]
        if others:
            yield f"{species}: {of[0].label} plays; {', '.join(others)} would need a seat of their own"


def _policies(league: League, players: dict[str, Entrant]) -> dict[str, Policy]:
    from marl_pbt.seats import taken

    worlds = league.environment.open_worlds(1)
    return taken({species: each.seat for species, each in players.items()}, league.environment, worlds)


def _write_gif(path: Path, pictures: Iterable[Picture], fps: float) -> None:
    from marl_pbt.durable import write_durably
    from marl_pbt.films import gif_bytes

    write_durably(path, gif_bytes(pictures, round(1000 / fps)))


if __name__ == "__main__":
    sys.exit(main())
