"""The lineage in words: the ancestry of the best policy, a table of the latest exploits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from marl_pbt.ancestry import LineageEvent, Segment, schedule
from marl_pbt.explore import Change
from marl_pbt.figures import score_text, short_count, value_text
from marl_pbt.lines_of_descent import Copy, Descent
from marl_pbt.protocols import HyperparameterValue
from marl_pbt.run_directory import member_name
from marl_pbt.standings import Score


def changes_text(changes: Mapping[str, Change]) -> str:
    """`learning_rate 1e-3 → 8e-4 (×0.8), …`."""
    return ", ".join(
        f"{name} {value_text(change.old)} → {value_text(change.new)} ({change.operation})"
        for name, change in changes.items()
    )


def schedule_text(segments: Sequence[Segment], names: Iterable[str]) -> str:
    """`learning_rate 4.28e-3, 7.93e-4 from 540k; gae_lambda 0.876 …`: each value with the line's agent steps from then.

    Args:
        segments: An ancestry, founder first.
        names: The hyperparameters to tell of.
    """
    told = []
    for name in names:
        first, *later = schedule(segments, name) or [(0, "unknown")]
        changes = [f", {value_text(value)} from {short_count(steps)}" for steps, value in later]
        told.append(f"{name} {value_text(first[1])}{''.join(changes)}")
    return "; ".join(told) or "nothing declared"


def lineage_markdown(events: Iterable[LineageEvent], policy: str, maximize: bool, latest: int = 20) -> str:
    """The ancestry of the best policy of now, and a table of the latest exploits, newest first.

    Args:
        events: Of the run, in the order they were told.
        policy: The species.
        maximize: True when a larger score is better.
        latest: How many exploits.
    """
    descent = Descent.of(events, policy)
    copies = descent.copies()
    best = descent.best(maximize)
    parts = []
    if best is not None:
        where = f"{member_name(best.member)} at ready point {best.generation}"
        parts += [
            f"### Ancestry of the best: {where}, score {_score(best.score)}",
            _ancestry_table(descent.ancestry(best)),
        ]
    parts.append(f"### {len(copies)} exploits")
    if copies:
        parts.append(_exploits_table(copies[::-1][:latest]))
    return "\n\n".join(parts)


def _exploits_table(copies: list[Copy]) -> str:
    rows = [
        "| member | at agent steps | copied | its score | copied score | changes |",
        "|---|---:|---|---:|---:|---|",
    ]
    for copy in copies:
        parent = copy.exploit.parent
        cells = (
            f"{copy.exploit.member:02d}",
            short_count(copy.exploit.clocks.agent_steps),
            "" if parent is None else f"{parent.member:02d}@{parent.generation}",
            _score(copy.score),
            _score(copy.donor_score),
            changes_text(copy.explore.changes) if copy.explore is not None else "",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _ancestry_table(segments: list[Segment]) -> str:
    rows = ["| member | ready points | agent steps | last score | hyperparameters |", "|---|---|---|---:|---|"]
    for segment in segments:
        if not segment.events:
            continue
        scores = [event.score for event in segment.events if event.kind == "ready"]
        clocks = [segment.events[0].clocks.agent_steps, segment.events[-1].clocks.agent_steps]
        cells = (
            f"{segment.member:02d}",
            f"{segment.first} – {segment.last}",
            " – ".join(map(short_count, clocks)),
            _score(scores[-1] if scores else None),
            _values(_lived_with(segment)),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _lived_with(segment: Segment) -> Mapping[str, HyperparameterValue]:
    """What was in force after the exploit and explore that began the stretch."""
    begun = [event for event in segment.events if event.kind in ("start", "exploit", "explore")]
    return (begun or list(segment.events))[-1].hyperparameters


def _values(values: Mapping[str, HyperparameterValue]) -> str:
    return ", ".join(f"{name} {value_text(value)}" for name, value in values.items())


def _score(score: Score | None) -> str:
    return "–" if score is None else score_text(score)
