"""The live table: a run's status as something that rich can draw, never larger than the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from marl_pbt.figures import duration, score_text, short_count, value_text
from marl_pbt.run_directory import member_name
from marl_pbt.standings import Source
from marl_pbt.status import Activity, MemberStatus, RunDescription, RunStatus

_STYLES: dict[Activity, str] = {
    "starting": "dim",
    "training": "",
    "stale": "bold yellow",
    "pending": "yellow",
    "ready": "cyan",
    "done": "green",
    "stopped": "dim",
    "failed": "bold red",
    "restarting": "magenta",
}
_VALUE_WIDTH = 8


@dataclass(frozen=True)
class _Column:
    heading: str
    width: int
    justify: Literal["left", "right"] = "right"


@dataclass(frozen=True)
class Screen:
    """The terminal.

    Attributes:
        width: Columns.
        height: Lines.
    """

    width: int
    height: int


def draw(description: RunDescription, status: RunStatus, screen: Screen) -> RenderableType:
    """Header and table, at most `screen.height - 1` lines; no species is ever folded to fewer than three."""
    header = _header(description, status, screen)
    names = _shown_hyperparameters(description, screen)
    table = _empty_table(description, names)
    heading_lines = 1 + max((1 + name.count("_", 0, -1) for name in names), default=1)
    species = description.species
    lines = screen.height - 1 - len(header) - min(heading_lines, 3) - (len(species) - 1)
    for index, each in enumerate(species):
        if index:
            table.add_section()
        for member in _fold(status, each, description.maximize, max(lines // len(species), 3)):
            table.add_row(*(_hidden(member) if isinstance(member, int) else _cells(member, each, names)))
    return Group(*header, table)


def _header(description: RunDescription, status: RunStatus, screen: Screen) -> list[RenderableType]:
    title = Table.grid(padding=(0, 1), expand=False)
    done = f"{100 * status.progress:.0f} %"
    width = max(min(60, screen.width - len(description.name) - len(done) - 3), 5)
    bar = ProgressBar(total=1.0, completed=min(status.progress, 1.0), width=width)
    title.add_row(Text(description.name, style="bold", no_wrap=True, overflow="ellipsis"), bar, done)
    left = "" if status.left_s is None else f" · {duration(status.left_s)} left"
    speed = (
        f"{short_count(status.agent_steps)} agent steps · {short_count(status.agent_steps_per_s)}/s · "
        f"{duration(status.elapsed_s)} elapsed{left} · exploits {status.exploits}"
    )
    return [title, _one_line(speed), _one_line(f"best: {best_text(description, status) or 'no score yet'}")]


def best_text(description: RunDescription, status: RunStatus) -> str:
    """`predator 12.3 ± 0.4 (member_03) · prey …`; empty while nobody has a score."""
    parts = []
    for species in description.species:
        best = status.best(species, description.maximize)
        if best is not None:
            parts.append(f"{species} {score_text(best[1])} ({member_name(best[0].member)})")
    return " · ".join(parts)


def _one_line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")


def _columns(description: RunDescription) -> list[_Column]:
    """Those that are always there; the hyperparameters come before `parent`."""
    return [
        _Column("species", max(7, *(len(name) for name in description.species)), "left"),
        _Column("#", max(2, len(str(description.population - 1)))),
        _Column("gen", 3),
        _Column("steps", 6),
        _Column("score ± error", 15),
        _Column("eps", 4),
        _Column("parent", 7, "left"),
        _Column("state", 10, "left"),
    ]


def _shown_hyperparameters(description: RunDescription, screen: Screen) -> tuple[str, ...]:
    """As many as the width allows."""
    taken = sum(column.width + 1 for column in _columns(description)) - 1
    return description.hyperparameter_names[: max((screen.width - taken) // (_VALUE_WIDTH + 1), 0)]


def _empty_table(description: RunDescription, names: Sequence[str]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False)
    values = [_Column("\n".join(name.split("_", 1)), _VALUE_WIDTH) for name in names]
    columns = _columns(description)
    for column in (*columns[:-2], *values, *columns[-2:]):
        heading = Text(column.heading, no_wrap=True, overflow="crop")
        table.add_column(heading, width=column.width, justify=column.justify, no_wrap=True, vertical="bottom")
    return table


def _cells(member: MemberStatus, species: str, names: Sequence[str]) -> list[Text]:
    policy = member.policies.get(species)
    values = {} if policy is None else policy.hyperparameters
    score = None if policy is None else policy.score
    style = _STYLES[member.activity]
    cells = [
        species,
        f"{member.member:02d}",
        str(member.generation),
        short_count(member.agent_steps),
        score_text(score),
        "" if score is None else str(score.episodes),
        *(value_text(values[name]) if name in values else "" for name in names),
        "" if policy is None else _parent(policy.parent),
        member.activity,
    ]
    return [Text(cell, style=style) for cell in cells]


def _parent(parent: Source | None) -> str:
    return "" if parent is None else f"← {parent.member:02d}@{parent.generation}"


def _hidden(count: int) -> list[Text]:
    """The line for members that there is no room for."""
    return [Text(cell, style="dim") for cell in ("", "…", "", "", f"{count} not shown")]


def _fold(status: RunStatus, species: str, maximize: bool, lines: int) -> Iterator[MemberStatus | int]:
    """All members where there is room; else the best, the number of those left out, and the worst."""
    if len(status.members) <= lines:
        yield from status.members
        return
    ranked = status.ranked(species, maximize)
    shown = lines - 1
    best = -(-shown // 2)
    yield from ranked[:best]
    yield len(ranked) - shown
    yield from ranked[len(ranked) - (shown - best) :]
