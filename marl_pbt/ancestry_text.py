"""The ancestry of one policy for the terminal: who lived its line, what each copied, its schedule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from marl_pbt.ancestry import LineageEvent, ScheduledValue, Segment, names_along, scheduled_values
from marl_pbt.columns import Column, fitting, table_lines
from marl_pbt.figures import number_text, score_text, short_count, source_text, span, value_text
from marl_pbt.lines_of_descent import Descent
from marl_pbt.run_directory import member_name

FIRST = ("start", "ready")
"""What is told of a value that was there from the beginning: nothing has made it."""


def ancestry_lines(descent: Descent, ready: LineageEvent, width: int) -> Iterator[str]:
    """What the terminal shows of one policy.

    Args:
        descent: Of its species.
        ready: The ready event of the policy.
        width: Of the terminal, in characters.
    """
    segments = descent.ancestry(ready)
    copies = len(segments) - 1
    who = f"{descent.policy} of {member_name(ready.member)}@{ready.generation}: score {score_text(ready.score)}"
    yield f"{who}, founder {member_name(segments[0].member)}, {copies} {'copy' if copies == 1 else 'copies'}"
    yield ""
    yield from _lived_lines(segments)
    yield ""
    yield from _schedule_lines(segments, width)
    later = descent.at("exploit", ready.member, ready.generation)
    if later is not None:
        yield f"at this ready point it was given up for {source_text(later.parent)}"


def _lived_lines(segments: Sequence[Segment]) -> Iterator[str]:
    """One row per segment."""
    copies = [segment.copy for segment in segments]
    columns = [
        Column("agent steps", _spans(segments), is_right=True),
        Column("lived by", [member_name(segment.member) for segment in segments]),
        Column("generation", [span(segment.first, segment.last) for segment in segments], is_right=True),
        Column("score at the end", [score_text(segment.score) for segment in segments], is_right=True),
        Column("copied", ["" if copy is None else source_text(copy.parent) for copy in copies]),
        Column("checksum", ["" if copy is None else copy.checksum for copy in copies]),
        Column("better by", [_gap_text(copy) for copy in copies]),
    ]
    yield from table_lines([column for column in columns if any(column.cells)])


def _spans(segments: Sequence[Segment]) -> list[str]:
    """Of the line since its founder."""
    found: list[str] = []
    lived = 0
    for segment in segments:
        clocks = [event.clocks.agent_steps for event in segment.events] or [0]
        found.append(span(short_count(lived), short_count(lived + clocks[-1] - clocks[0])))
        lived += clocks[-1] - clocks[0]
    return found


def _gap_text(copy: LineageEvent | None) -> str:
    """By how much the donor was better, and by how much it had to be."""
    gap, required = (None, None) if copy is None else (copy.why.get("gap"), copy.why.get("required_gap"))
    if not isinstance(gap, int | float) or not isinstance(required, int | float):
        return ""
    return f"{number_text(gap)} > {number_text(required)}"


def _schedule_lines(segments: Sequence[Segment], width: int) -> Iterator[str]:
    """A column per hyperparameter, in as many tables as are needed; a row wherever one of them changes."""
    values = {name: scheduled_values(segments, name) for name in names_along(segments)}
    steps = sorted({each.agent_steps for schedule in values.values() for each in schedule})
    first = Column("from agent steps", [short_count(at) for at in steps], is_right=True)
    columns = [Column(name, _cells(steps, schedule)) for name, schedule in values.items()]
    if not columns:
        yield "no hyperparameter was declared"
    while columns:
        count = max(fitting([first], columns, width), 1)
        yield from table_lines([first, *columns[:count]])
        columns = columns[count:]


def _cells(steps: Sequence[int], schedule: Sequence[ScheduledValue]) -> list[str]:
    told = {each.agent_steps: each for each in schedule}  # of two at the same moment the later one is in force
    return [_value_text(told[at]) if at in told else "" for at in steps]


def _value_text(value: ScheduledValue) -> str:
    operation = "" if value.operation in FIRST else f" ({value.operation})"
    return f"{value_text(value.value)}{operation}"
