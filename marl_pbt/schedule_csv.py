"""Schedules as CSV: one row per value that a hyperparameter took along the ancestry of a policy."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from marl_pbt.ancestry import LineageEvent, names_along, scheduled_values
from marl_pbt.lines_of_descent import Descent
from marl_pbt.run_directory import member_name

HEAD = ("species", "policy", "agent_steps", "hyperparameter", "value", "operation", "member", "generation")


def schedule_csv(policies: Iterable[tuple[Descent, LineageEvent]]) -> bytes:
    """The schedules of these policies; UTF-8, numbers as Python writes them.

    Args:
        policies: Per policy the descent of its species, and its ready event.

    Returns:
        A table whose `agent_steps` count from the beginning of the founder of the line; `member` and `generation` say
        where the line was lived when the value came into force.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for descent, ready in policies:
        writer.writerows(_rows(descent, ready))
    return text.getvalue().encode("utf-8", errors="backslashreplace")


def _rows(descent: Descent, ready: LineageEvent) -> Iterator[tuple[object, ...]]:
    segments = descent.ancestry(ready)
    policy = f"{member_name(ready.member)}@{ready.generation}"
    for name in names_along(segments):
        for each in scheduled_values(segments, name):
            where = (member_name(each.member), each.generation)
            yield (descent.policy, policy, each.agent_steps, name, each.value, each.operation, *where)
