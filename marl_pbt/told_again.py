"""What a member tells that is back from its checkpoint, also of ready points whose reports were lost."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from marl_pbt.ancestry import JOINED, LineageEvent
from marl_pbt.reports import MemberUp, ReadyPassed


def began_again(report: MemberUp, kind: str) -> list[LineageEvent]:
    """That a member is back where its checkpoint was written, per species.

    Who begins as a copy of another (marl_pbt.joining) is back before the ready point at which it copied: what it had
    told of that point before is of a life that is over.

    Args:
        report: Of the member.
        kind: `restart` or `resume`.
    """
    joined = any(event.why.get("decision") == JOINED for event in report.events if event.kind == "exploit")
    has_lived_on = any(event.kind == "ready" for event in report.events)
    return [
        LineageEvent(
            kind=kind,
            member=report.member,
            policy=species,
            generation=row.generation - (joined and not has_lived_on),
            clocks=report.clocks,
            time=time.time(),
            founder=row.founder,
            hyperparameters=row.hyperparameters,
        )
        for species, row in report.rows.items()
    ]


def ready_points(report: MemberUp | ReadyPassed, new: Iterable[LineageEvent]) -> Iterator[ReadyPassed]:
    """One report for each ready point that is new.

    Args:
        report: As it came; it may tell of several.
        new: Those of its events that were not known.
    """
    for generation in sorted({event.generation for event in new if event.kind == "ready"}):
        events = tuple(event for event in report.events if event.generation == generation)
        in_force = {event.policy: event.hyperparameters for event in events}
        rows = {
            species: replace(row, hyperparameters=in_force.get(species, row.hyperparameters))
            for species, row in report.rows.items()
        }
        yield ReadyPassed(report.member, events[-1].clocks, rows, events)
