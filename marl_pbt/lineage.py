"""`python -m marl_pbt.lineage RUN`: who descends from whom in a run, and the schedules that came of it."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from marl_pbt.arguments import show, told

if TYPE_CHECKING:
    from marl_pbt.told_lineage import ToldLineage

_EPILOG = """\
a run as a tree: founders, who copied whom at which generation and by its own agent steps, what lives now. A policy: its
ancestry back to its founder, each copy, and every hyperparameter along it. Only the run's files are read, also while it
goes on. A policy is that of a ready point, before what was copied at that very point.

examples:
  python -m marl_pbt.lineage runs/a
  python -m marl_pbt.lineage predator=runs/a --all
  python -m marl_pbt.lineage runs/a:member_03@12
  python -m marl_pbt.lineage runs/a --csv schedules.csv --svg 'lineage_{species}.svg'
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        The exit code: 0 done, 2 the user's mistake, 130 interrupted.
    """
    arguments = _parser().parse_args(argv)
    with told() as outcome:
        from marl_pbt.told_lineage import told_lineage

        lineage = told_lineage(arguments.address, arguments.runs_dir)
        written = _write(lineage, arguments.csv, {".png": arguments.png, ".svg": arguments.svg})
        sys.stderr.writelines(f"note: {notice}\n" for notice in lineage.notices)
        if arguments.json:
            show([_json(lineage)])
        else:
            show(map(str, written) if written else _text(lineage, arguments.all))
    return outcome.code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m marl_pbt.lineage",
        description="Show who descends from whom in a run, and the schedules of hyperparameters that came of it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("address", metavar="RUN", help="[SPECIES=]RUN, or policies of it: RUN:MEMBER or RUN:MEMBER@GENERATION")
    add("--all", action="store_true", help="show also the lines that died out")
    add("--csv", metavar="FILE", help="write the schedules of the policies, or of each member's newest")
    add("--png", metavar="FILE", help="draw who copied whom; {species} in the name stands for the species")
    add("--svg", metavar="FILE", help="the same as vectors")
    add("--json", action="store_true", help="print all of it as JSON")
    add("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="where runs lie")
    return parser


def _write(lineage: ToldLineage, csv: str | None, pictures: dict[str, str | None]) -> list[Path]:
    """All are made before the first is written."""
    from marl_pbt.durable import write_durably
    from marl_pbt.targets import SPECIES, targets

    asked = {name: suffix for suffix, name in pictures.items() if name is not None}
    species = list(lineage.descents)
    contents = {
        path: _picture(lineage, each, asked[name]) for path, (each, name) in targets(list(asked), species).items()
    }
    if csv is not None:
        groups = {each: [each] for each in species} if SPECIES in csv else {"": species}
        contents |= {path: _csv(lineage, groups[each]) for path, (each, _) in targets([csv], list(groups)).items()}
    for path, data in contents.items():
        write_durably(path, data)
    return list(contents)


def _picture(lineage: ToldLineage, species: str, suffix: str) -> bytes:
    from marl_pbt.lineage_picture import lineage_picture

    framed = lineage.chosen.get(species, ())
    return lineage_picture(lineage.descents[species], lineage.population, lineage.maximize, suffix, framed)


def _csv(lineage: ToldLineage, species: Iterable[str]) -> bytes:
    from marl_pbt.schedule_csv import schedule_csv

    return schedule_csv((lineage.descents[each], ready) for each in species for ready in lineage.policies(each))


def _json(lineage: ToldLineage) -> str:
    from marl_pbt.lineage_json import ancestry_json, tree_json

    found: dict[str, object] = {}
    for species, descent in lineage.descents.items():
        if lineage.is_of_policies:
            found[species] = {"policies": [ancestry_json(descent, ready) for ready in lineage.chosen[species]]}
        else:
            found[species] = tree_json(descent, lineage.best(species))
    return json.dumps({"run": str(lineage.run.root), "species": found}, indent=2, allow_nan=False)


def _text(lineage: ToldLineage, shows_all: bool) -> Iterator[str]:
    from marl_pbt.ancestry_text import ancestry_lines
    from marl_pbt.lineage_tree_text import LEGEND, tree_lines

    width = shutil.get_terminal_size((100, 24)).columns
    for species, descent in lineage.descents.items():
        for ready in lineage.chosen.get(species, ()):
            yield from ancestry_lines(descent, ready, width)
            yield ""
        if not lineage.is_of_policies:
            yield from tree_lines(descent, lineage.best(species), width, shows_all)
            yield ""
    if not lineage.is_of_policies:
        yield LEGEND
        yield from _hint(lineage)


def _hint(lineage: ToldLineage) -> Iterator[str]:
    """How to see more of the best of one species."""
    for species in lineage.descents:
        best = lineage.best(species)
        if best is not None:
            from marl_pbt.run_directory import member_name

            policy = f"{member_name(best.member)}@{best.generation}"
            yield f"one policy's ancestry: python -m marl_pbt.lineage {species}={lineage.where}:{policy}"
            return


if __name__ == "__main__":
    sys.exit(main())
