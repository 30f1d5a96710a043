"""A lineage as JSON: the tree of a species, the ancestry of a policy."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from marl_pbt.ancestry import LineageEvent, Place, Segment, along, names_along, scheduled_values
from marl_pbt.lineage_tree import LineageTree
from marl_pbt.lines_of_descent import Descent
from marl_pbt.run_directory import member_name


def tree_json(descent: Descent, best: LineageEvent | None) -> dict[str, Any]:
    """All segments of a species, founders first; a parent is a segment's `id`.

    Args:
        descent: Of the species.
        best: The ready event of its best policy.
    """
    tree = LineageTree.of(descent.events.values(), descent.policy)
    ancestors = set() if best is None else set(tree.line(tree.place_of(best.member, best.generation)))
    return {
        "founders": [{"agent_steps": steps, "distinct": number} for steps, number in descent.founders()],
        "best": None if best is None else _policy_json(best),
        "segments": [
            segment_json(segment)
            | {
                "id": _id(place),
                "parent": _id(tree.parents[place]),
                "lives": place in tree.living,
                "survives": place in tree.surviving,
                "is_ancestor_of_best": place in ancestors,
            }
            for place, segment in tree.segments.items()
        ],
    }


def ancestry_json(descent: Descent, ready: LineageEvent) -> dict[str, Any]:
    """The line of a policy, its scores and its schedule, by agent steps since its founder began.

    Args:
        descent: Of its species.
        ready: The ready event of the policy.
    """
    segments = descent.ancestry(ready)
    return _policy_json(ready) | {
        "founder": member_name(segments[0].member),
        "ancestry": [segment_json(segment) for segment in segments],
        "scores": [
            {"agent_steps": steps} | _policy_json(event) for steps, event in along(segments) if event.kind == "ready"
        ],
        "schedule": {
            name: [asdict(each) | {"member": member_name(each.member)} for each in scheduled_values(segments, name)]
            for name in names_along(segments)
        },
    }


def segment_json(segment: Segment) -> dict[str, Any]:
    """One segment; its `agent_steps` are by the member's own clock."""
    copy = segment.copy
    explored = next((event for event in segment.events if event.kind == "explore"), None)
    steps = [event.clocks.agent_steps for event in segment.events]
    source = None if copy is None else copy.parent
    return {
        "member": member_name(segment.member),
        "generation": [segment.first, segment.last],
        "agent_steps": [steps[0], steps[-1]] if steps else None,
        "score": None if segment.score is None else segment.score.to_json(),
        "hyperparameters": dict(segment.events[-1].hyperparameters) if segment.events else {},
        "copied": None
        if copy is None
        else {
            "member": None if source is None else member_name(source.member),
            "generation": None if source is None else source.generation,
            "checksum": copy.checksum,
            "why": dict(copy.why),
            "changes": {} if explored is None else {name: asdict(each) for name, each in explored.changes.items()},
        },
        "events": [event.event_id for event in segment.events],
    }


def _policy_json(ready: LineageEvent) -> dict[str, Any]:
    score = None if ready.score is None else ready.score.to_json()
    return {"member": member_name(ready.member), "generation": ready.generation, "score": score}


def _id(place: Place | None) -> str | None:
    return None if place is None else f"{member_name(place[0])}@{place[1]}"
