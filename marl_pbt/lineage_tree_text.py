"""The lineage of one species as a tree in the terminal: founders as roots, what lives now as leaves."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from marl_pbt.ancestry import LineageEvent, Place, Segment
from marl_pbt.columns import Column, fitting, table_lines
from marl_pbt.figures import score_text, short_count, source_text, span, value_text
from marl_pbt.lineage_text import schedule_text
from marl_pbt.lineage_tree import LineageTree
from marl_pbt.lines_of_descent import Descent
from marl_pbt.protocols import HyperparameterValue
from marl_pbt.run_directory import member_name

LEGEND = "★ the best and its ancestry   ● lives   ✗ given up for a copy   ↻ restarted or resumed"
FEW = 8
"""Up to so many names or numbers are listed."""
MOST_LINES = 4
"""A longer schedule is left to those who ask for it."""
LONGEST_LEAD = 32
"""Deeper branches are drawn at this depth: of the many lines beside them only the last are seen."""

Group = tuple[Place, ...]
"""What is told in one row: one segment, or a chain of several of which nothing else survives."""


def tree_lines(descent: Descent, best: LineageEvent | None, width: int, shows_all: bool) -> Iterator[str]:
    """What the terminal shows of one species.

    Args:
        descent: Of the species.
        best: The ready event of its best policy, whose ancestry is marked.
        width: Of the terminal, in characters.
        shows_all: Also what died out; otherwise that is only counted.
    """
    tree = LineageTree.of(descent.events.values(), descent.policy)
    yield from _head(descent, tree, best)
    yield ""
    yield from _table(tree, _marked(tree, best), width, shows_all)
    if not shows_all:
        yield from _died_out(tree)
    if best is not None:
        told = schedule_text(descent.ancestry(best), best.hyperparameters)
        lines = textwrap.wrap(f"schedule of the best: {told}", width, subsequent_indent="  ", break_on_hyphens=False)
        yield from lines if len(lines) <= MOST_LINES else ()


def rows(tree: LineageTree, shows_all: bool) -> Iterator[tuple[str, Group]]:
    """The tree from top to bottom: the branches drawn before a row, and what the row is about.

    Args:
        tree: Of a species.
        shows_all: Every segment in a row of its own; otherwise only what survives, and long chains of it in one row.
    """
    kept = {
        parent: tuple(place for place in places if shows_all or place in tree.surviving)
        for parent, places in tree.children.items()
    }
    waiting: list[tuple[str, str, Group]] = [("", "", (root,)) for root in reversed(kept.get(None, ()))]
    while waiting:
        lead, fork, group = waiting.pop()
        yield lead[-LONGEST_LEAD:] + fork, group
        below = lead + {"": "", "├ ": "│ ", "└ ": "  "}[fork]
        children = [_group(tree, kept, place, shows_all) for place in kept.get(group[-1], ())]
        forks = ["├ "] * (len(children) - 1) + ["└ "]
        waiting += [(below, *child) for child in reversed(list(zip(forks, children, strict=False)))]


def _group(tree: LineageTree, kept: Mapping[Place | None, Sequence[Place]], place: Place, shows_all: bool) -> Group:
    """The place with what only passes its line on: neither lives nor forks, nor do those before and behind it."""
    group = [place]
    while not shows_all and _passes_on(tree, kept, group[-1]):
        (child,) = kept[group[-1]]
        if not _passes_on(tree, kept, child):
            break
        group.append(child)
    return tuple(group) if len(group) > 2 else (place,)


def _passes_on(tree: LineageTree, kept: Mapping[Place | None, Sequence[Place]], place: Place) -> bool:
    return place not in tree.living and len(kept.get(place, ())) == 1


def _head(descent: Descent, tree: LineageTree, best: LineageEvent | None) -> Iterator[str]:
    generations = {tree.segments[place].last for place in tree.living}
    at = span(min(generations, default=0), max(generations, default=0))
    yield f"{descent.policy}: {len(tree.living)} members at generation {at}, {len(descent.copies())} copies"
    yield f"distinct founders: {founders_text(descent.founders())}"
    if best is None:
        yield "best: no score yet"
    else:
        founder = member_name(descent.ancestry(best)[0].member)
        score = score_text(best.score)
        yield f"best: {member_name(best.member)}@{best.generation}, score {score}, from founder {founder}"


def founders_text(counts: Sequence[tuple[int, int]]) -> str:
    """`8 → 5 → 3 (3 since 1.92M agent steps)`.

    Args:
        counts: As `Descent.founders` gives them.
    """
    if not counts:
        return "none"
    # Those that died out together are one step.
    numbers = [number for _, number in ({steps: (steps, number) for steps, number in counts}).values()]
    if len(numbers) > FEW:
        numbers = [numbers[round(nth * (len(numbers) - 1) / (FEW - 1))] for nth in range(FEW)]
    steps, last = counts[-1]
    since = f" ({last} since {short_count(steps)} agent steps)" if len(counts) > 1 else ""
    return " → ".join(map(str, numbers)) + since


def _table(tree: LineageTree, marked: frozenset[Place], width: int, shows_all: bool) -> Iterator[str]:
    shown = list(rows(tree, shows_all))
    names = list(dict.fromkeys(name for _, group in shown for name in _values(tree.segments[group[-1]])))
    columns = [
        Column("", [f"{_marks(tree, marked, group)} {lead}{_title(tree, group)}" for lead, group in shown]),
        Column("gen.", [_generations(tree, group) for _, group in shown], is_right=True),
        Column("agent steps", [_steps(tree, group) for _, group in shown], is_right=True),
        Column("score", [_score(tree.segments[group[-1]], len(group)) for _, group in shown], is_right=True),
    ]
    of_names = [
        Column(name, [_value(tree.segments[group[-1]], name, len(group)) for _, group in shown], is_right=True)
        for name in names
    ]
    seen = fitting(columns, of_names, width)
    yield from table_lines([*columns, *of_names[:seen]])
    if names[seen:]:
        yield f"too wide for here: {', '.join(names[seen:])} (--csv and --json have them)"


def _marks(tree: LineageTree, marked: frozenset[Place], group: Group) -> str:
    lives = any(place in tree.living for place in group)
    return ("★" if any(place in marked for place in group) else " ") + ("●" if lives else "✗")


def _title(tree: LineageTree, group: Group) -> str:
    if len(group) > 1:
        return f"⋮ {len(group)} copies, to {member_name(group[-1][0])}"
    segment = tree.segments[group[0]]
    again = "↻" * any(event.kind in ("restart", "resume", "rollback") for event in segment.events)
    copied = "" if segment.copy is None else f" ← {source_text(segment.copy.parent).removeprefix('member_')}"
    return f"{member_name(segment.member)}{copied}{again and f' {again}'}"


def _generations(tree: LineageTree, group: Group) -> str:
    return "" if len(group) > 1 else span(group[0][1], tree.segments[group[0]].last)


def _steps(tree: LineageTree, group: Group) -> str:
    """By the member's own clock; a chain has as many clocks as members."""
    if len(group) > 1:
        return ""
    events = tree.segments[group[0]].events
    return span(*(short_count(event.clocks.agent_steps) for event in (events[0], events[-1])))


def _score(segment: Segment, places: int) -> str:
    return score_text(segment.score) if places == 1 else ""


def _values(segment: Segment) -> Mapping[str, HyperparameterValue]:
    """In force at its end."""
    return segment.events[-1].hyperparameters


def _value(segment: Segment, name: str, places: int) -> str:
    value = _values(segment).get(name)
    return "" if value is None or places > 1 else value_text(value)


def _marked(tree: LineageTree, best: LineageEvent | None) -> frozenset[Place]:
    return frozenset(() if best is None else tree.line(tree.place_of(best.member, best.generation)))


def _died_out(tree: LineageTree) -> Iterator[str]:
    gone = [place for place in tree.segments if place not in tree.surviving]
    founders = [f"{member:02d}" for member, first in gone if first == 0]
    copies = len(gone) - len(founders)
    if gone:
        listed = f"founders {', '.join(founders)}" if len(founders) <= FEW else f"{len(founders)} founders"
        told = [listed if founders else "", f"{copies} copies" if copies else ""]
        yield f"died out: {' and '.join(filter(None, told))} (--all shows them)"
