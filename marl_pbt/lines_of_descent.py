"""What the lineage says of one species at this moment: who copied whom, who is best, how the best came to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from marl_pbt.ancestry import LineageEvent, Segment, along, ancestry, distinct_founders
from marl_pbt.standings import Score


@dataclass(frozen=True)
class Copy:
    """One exploit, with what is known of both sides.

    Attributes:
        exploit: The event.
        explore: How the hyperparameters moved then; None where that was not told.
        donor_steps: The donor's own clock at the version that was copied; None where that is not known.
        donor_score: What that version was worth.
        score: What the loser gave up.
    """

    exploit: LineageEvent
    explore: LineageEvent | None
    donor_steps: int | None
    donor_score: Score | None
    score: Score | None


@dataclass(frozen=True)
class Descent:
    """The events of one species, each once, by what they are.

    Attributes:
        policy: The species.
        events: As told, the newest telling of each.
    """

    policy: str
    events: Mapping[str, LineageEvent]

    @classmethod
    def of(cls, events: Iterable[LineageEvent], policy: str) -> Descent:
        """Of a run's events in the order they were told; an event told again replaces the earlier telling."""
        return cls(policy, {event.event_id: event for event in events if event.policy == policy})

    def at(self, kind: str, member: int, generation: int) -> LineageEvent | None:
        """The event of this kind at a member's ready point."""
        return self.events.get(f"{member:02d}/{self.policy}/{generation}/{kind}")

    def copies(self) -> list[Copy]:
        """All exploits in the order they were told."""
        return [self._copy(event) for event in self.events.values() if event.kind == "exploit"]

    def ready_points(self) -> dict[int, list[LineageEvent]]:
        """Per member: its start and its ready points, oldest first."""
        found: dict[int, list[LineageEvent]] = {}
        for event in self.events.values():
            if event.kind in ("start", "ready"):
                found.setdefault(event.member, []).append(event)
        return {member: sorted(line, key=lambda event: event.generation) for member, line in sorted(found.items())}

    def founders(self) -> list[tuple[int, int]]:
        """How many founders' lines still lived: `(agent steps that the member furthest on had by then, number)`.

        Returns:
            One for the beginning and one for each change, oldest first; empty where nothing was told.
        """
        founder_of: dict[int, int] = {}
        for event in self.events.values():
            founder_of.setdefault(event.member, event.founder)
        counts = [(0, distinct_founders(founder_of.values()))] if founder_of else []
        steps = 0
        for event in self.events.values():
            founder_of[event.member] = event.founder
            steps = max(steps, event.clocks.agent_steps)
            number = distinct_founders(founder_of.values())
            if number != counts[-1][1]:
                counts.append((steps, number))
        return counts

    def best(self, maximize: bool) -> LineageEvent | None:
        """The ready event of the best policy that lives now, by each member's newest score since its last exploit."""
        candidates = [event for line in self.ready_points().values() if (event := self._newest_scored(line))]
        if not candidates:
            return None
        return (max if maximize else min)(candidates, key=_mean)

    def ancestry(self, ready: LineageEvent | None) -> list[Segment]:
        """From the founder to the policy of this ready point; empty for None."""
        return [] if ready is None else ancestry(self.events.values(), self.policy, ready.member, ready.generation)

    def _newest_scored(self, line: Sequence[LineageEvent]) -> LineageEvent | None:
        for event in reversed(line):
            if self.at("exploit", event.member, event.generation) is not None:
                return None
            if event.score is not None and event.score.is_finite:
                return event
        return None

    def _copy(self, exploit: LineageEvent) -> Copy:
        parent = exploit.parent
        donor = None if parent is None else self.at("ready", parent.member, parent.generation)
        own = self.at("ready", exploit.member, exploit.generation)
        return Copy(
            exploit,
            self.at("explore", exploit.member, exploit.generation),
            None if donor is None else donor.clocks.agent_steps,
            None if donor is None else donor.score,
            None if own is None else own.score,
        )


def scores_along(segments: Sequence[Segment]) -> list[tuple[int, Score]]:
    """The finite scores of an ancestry as `(agent steps of the line since its founder, score)`, oldest first."""
    return [
        (steps, event.score)
        for steps, event in along(segments)
        if event.kind == "ready" and event.score is not None and event.score.is_finite
    ]


def _mean(event: LineageEvent) -> float:
    assert event.score is not None
    return event.score.mean
