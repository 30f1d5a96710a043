"""Lineage: the events of a run, and whose policy descends from whose."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from marl_pbt.explore import Change
from marl_pbt.protocols import Clocks, HyperparameterValue
from marl_pbt.standings import Score, Source

SCHEMA = 1
RETRACTING = ("restart", "resume")
"""Kinds of events from which a member may live some generations again."""
JOINED = "joined"
"""What an exploit's `why` tells as its decision where a member began, or began again, as a copy (marl_pbt.joining)."""
LIVED = ("start", "ready", "exploit", "explore")
"""Kinds of events that a policy lived through, in their order at a ready point."""

Place = tuple[int, int]
"""Where a segment of a lineage begins: the member, and its generation after which it began (0 for a founder)."""


@dataclass(frozen=True, slots=True)
class LineageEvent:
    """One row of the lineage store.

    Attributes:
        kind: `start`, `ready`, `exploit` (weights were copied), `explore` (hyperparameters changed, copied ones without
            their weights included), `rollback` (an interval came to numbers that are none: the member went back to
            where it began), `restart`, `resume`.
        member: Index of the member.
        policy: The species.
        generation: Ready points passed.
        clocks: The member's own clocks.
        time: Seconds since the epoch, for people; order is by generation, never by time.
        founder: The member with whose first weights this policy's ancestry began.
        score: At a ready point, where there is one.
        parent: Whose weights were copied; of an `explore`, last.
        hyperparameters: In force after the event.
        changes: Old and new value with the operation, per name.
        checksum: CRC-32 of the copied snapshot, hexadecimal.
        why: Reason, rank, gap, quorum; of a `rollback` the fault and how often in a row; of a `ready` after an interval
            that was given up, `rolled_back`: the fault.
    """

    kind: str
    member: int
    policy: str
    generation: int
    clocks: Clocks
    time: float
    founder: int = 0
    score: Score | None = None
    parent: Source | None = None
    hyperparameters: Mapping[str, HyperparameterValue] = field(default_factory=dict)
    changes: Mapping[str, Change] = field(default_factory=dict)
    checksum: str = ""
    why: Mapping[str, Any] = field(default_factory=dict)

    @property
    def event_id(self) -> str:
        """The same event has the same id however often it is told; restarts and resumes are told apart by time."""
        tail = f"/{self.time:.3f}" if self.kind in RETRACTING else ""
        if self.kind == "rollback":
            tail = f"/{self.why.get('times')}"
        return f"{self.member:02d}/{self.policy}/{self.generation}/{self.kind}{tail}"

    def to_line(self) -> str:
        """One line of strict JSON, without the line break."""
        data = {"schema": SCHEMA, "id": self.event_id} | asdict(self)
        data["score"] = None if self.score is None else self.score.to_json()
        return json.dumps(data, allow_nan=False, ensure_ascii=False)

    @classmethod
    def from_line(cls, line: str) -> LineageEvent:
        """The inverse of `to_line`.

        Raises:
            ValueError: It is not a whole event of a schema that is known.
        """
        try:
            data = json.loads(line, parse_constant=_refuse)
            if data.pop("schema") != SCHEMA:
                raise ValueError(f"schema must be {SCHEMA}")
            data.pop("id")
            data["clocks"] = Clocks(**data["clocks"])
            data["score"] = None if data["score"] is None else Score.from_json(data["score"])
            data["parent"] = None if data["parent"] is None else Source(**data["parent"])
            data["changes"] = {name: Change(**change) for name, change in data["changes"].items()}
            event = cls(**data)
        except (KeyError, TypeError, AttributeError, RecursionError) as fault:
            raise ValueError(f"not a lineage event: {fault}") from fault
        if not event._is_sound():
            raise ValueError("not a lineage event: a field is of another type")
        return event

    def _is_sound(self) -> bool:
        """Whether what others reckon with are numbers, and what they look up are words."""
        sources = [] if self.parent is None else [self.parent.member, self.parent.generation]
        whole = [self.member, self.generation, self.founder, *sources]
        numbers = [self.time, *asdict(self.clocks).values()]
        return (
            all(isinstance(each, int) and each >= 0 for each in whole)
            and all(isinstance(each, int | float) for each in numbers)
            and all(isinstance(each, str) for each in (self.kind, self.policy, self.checksum))
            and all(isinstance(each, Mapping) for each in (self.hyperparameters, self.changes, self.why))
        )


@dataclass(frozen=True)
class Segment:
    """A stretch of an ancestry that one member lived.

    Attributes:
        member: Who.
        first: The generation at which this stretch began, after the exploit that began it (0 at the founder's).
        last: The generation up to which it was lived here.
        events: The member's `start`, `ready`, `exploit` and `explore` events of this stretch, oldest first.
    """

    member: int
    first: int
    last: int
    events: tuple[LineageEvent, ...]

    @property
    def place(self) -> Place:
        """What tells it from all others of its species."""
        return self.member, self.first

    @property
    def copy(self) -> LineageEvent | None:
        """The exploit that it began with; None at a founder's."""
        return next((event for event in self.events if event.kind == "exploit"), None)

    @property
    def score(self) -> Score | None:
        """At its last ready point, where there is one."""
        return next((event.score for event in reversed(self.events) if event.kind == "ready"), None)


@dataclass(frozen=True)
class ScheduledValue:
    """A value that a hyperparameter took along an ancestry.

    Attributes:
        agent_steps: Of the line since its founder, from which on it held.
        value: What it was from then on.
        operation: `×0.8`, `resample` …; where no explore moved it, the kind of the event: `start`, `exploit`.
        member: Who lived the line then.
        generation: Of that member.
    """

    agent_steps: int
    value: HyperparameterValue
    operation: str
    member: int
    generation: int


def ancestry(events: Iterable[LineageEvent], policy: str, member: int, generation: int) -> list[Segment]:
    """The line of a member's policy back to its founder.

    Args:
        events: Of the run, in any order.
        policy: The species.
        member: Whose policy.
        generation: As of which of its ready points, before an exploit at that very point.

    Returns:
        Segments from the founder to the member; each begins with what was copied from the one before. A member that was
        set back to an older checkpoint may copy what descends from its own taken-back version; such a ring is opened
        where it is oldest.
    """
    own = _by_member(events, policy)
    segments: list[Segment] = []
    places: list[Place] = []
    while True:
        line = own.get(member, [])
        copy = next((e for e in reversed(line) if e.kind == "exploit" and e.generation < generation), None)
        first = copy.generation if copy else 0
        lived = tuple(e for e in line if _belongs(e, first, generation, has_copy=copy is not None))
        if (member, first) in places:
            return segments[places.index(oldest(places[places.index((member, first)) :])) :: -1]
        places.append((member, first))
        segments.append(Segment(member, first, generation, lived))
        if copy is None or copy.parent is None:
            return segments[::-1]
        member, generation = copy.parent.member, copy.parent.generation


def schedule(segments: Sequence[Segment], hyperparameter: str) -> list[tuple[int, HyperparameterValue]]:
    """The values of a hyperparameter along an ancestry.

    Returns:
        `(agent steps of the line since its founder, value)` at each change, oldest first.
    """
    return [(each.agent_steps, each.value) for each in scheduled_values(segments, hyperparameter)]


def scheduled_values(segments: Sequence[Segment], hyperparameter: str) -> list[ScheduledValue]:
    """The same as `schedule`, with how each value came about."""
    found: list[ScheduledValue] = []
    for steps, event in along(segments):
        value = event.hyperparameters.get(hyperparameter)
        if value is not None and (not found or found[-1].value != value):
            change = event.changes.get(hyperparameter)
            operation = event.kind if change is None else change.operation
            found.append(ScheduledValue(steps, value, operation, event.member, event.generation))
    return found


def along(segments: Sequence[Segment]) -> Iterator[tuple[int, LineageEvent]]:
    """The events of an ancestry, oldest first, each with the agent steps of the line since its founder."""
    lived_before = 0
    for segment in segments:
        if not segment.events:
            continue
        start = segment.events[0].clocks.agent_steps
        for event in segment.events:
            yield lived_before + event.clocks.agent_steps - start, event
        lived_before += segment.events[-1].clocks.agent_steps - start


def names_along(segments: Iterable[Segment]) -> list[str]:
    """The hyperparameters that were in force anywhere along it, in the order in which they were told."""
    return list(dict.fromkeys(name for each in segments for event in each.events for name in event.hyperparameters))


def oldest(places: Iterable[Place]) -> Place:
    """The one that began at the earliest generation; of those the one with the lowest member."""
    return min(places, key=lambda place: (place[1], place[0]))


def standing(events: Iterable[LineageEvent]) -> list[LineageEvent]:
    """The events that stand: a `restart` or `resume` takes back what its policy had told of later generations.

    Args:
        events: In the order they were told.
    """
    told: list[LineageEvent] = []
    for event in events:
        if event.kind in RETRACTING:
            told = [each for each in told if not _is_taken_back(each, event)]
        told.append(event)
    return told


def _is_taken_back(event: LineageEvent, by: LineageEvent) -> bool:
    return (event.member, event.policy) == (by.member, by.policy) and event.generation > by.generation


def distinct_founders(founders: Iterable[int]) -> int:
    """How many first policies the population still descends from; 1 means that nothing is left to select from."""
    return len(set(founders))


def _by_member(events: Iterable[LineageEvent], policy: str) -> dict[int, list[LineageEvent]]:
    found: dict[int, list[LineageEvent]] = {}
    for event in events:
        if event.policy == policy and event.kind in LIVED:
            found.setdefault(event.member, []).append(event)
    for line in found.values():
        line.sort(key=lambda event: (event.generation, LIVED.index(event.kind)))
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _belongs(event: LineageEvent, first: int, last: int, has_copy: bool) -> bool:
    """True for events between the exploit that began a stretch and the ready point that ends it."""
    begins = event.generation == first and (event.kind in ("exploit", "explore") if has_copy else True)
    ends = event.generation == last and event.kind == "ready"
    return begins or ends or first < event.generation < last
