"""The lineage of one species as a tree: what each member lived between two copies, grown out of what it had copied."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from marl_pbt.ancestry import LIVED, LineageEvent, Place, Segment, oldest


@dataclass(frozen=True)
class LineageTree:
    """All segments of a species.

    Attributes:
        segments: By place, founders first; each event of the species lies in exactly one, restarts and resumes too.
        parents: Per place where the copied version was lived; None for a founder, and where nothing is told of it.
    """

    segments: Mapping[Place, Segment]
    parents: Mapping[Place, Place | None]

    @classmethod
    def of(cls, events: Iterable[LineageEvent], policy: str) -> LineageTree:
        """Of a run's events in any order; of an event told twice the later telling."""
        by_member: dict[int, list[LineageEvent]] = {}
        for event in {event.event_id: event for event in events if event.policy == policy}.values():
            by_member.setdefault(event.member, []).append(event)
        copies = {
            member: sorted({event.generation for event in line if event.kind == "exploit"})
            for member, line in by_member.items()
        }
        found: dict[Place, list[LineageEvent]] = {}
        for member, line in by_member.items():
            for event in sorted(line, key=_moment):
                first = _began(copies[member], event.generation, is_ready=event.kind == "ready")
                found.setdefault((member, first), []).append(event)
        segments = {
            place: Segment(*place, lived[-1].generation, tuple(lived))
            for place, lived in sorted(found.items(), key=lambda item: (item[0][1], item[0][0]))
        }
        return cls(segments, _without_rings({place: _parent(segments[place], copies, segments) for place in segments}))

    def place_of(self, member: int, generation: int) -> Place:
        """Where the policy of a ready point was lived, as it was before an exploit at that very point.

        Raises:
            KeyError: Nothing is told of it.
        """
        firsts = [first for other, first in self.segments if other == member and first < max(generation, 1)]
        if not firsts:
            raise KeyError((member, generation))
        return member, max(firsts)

    @cached_property
    def living(self) -> frozenset[Place]:
        """What the members live now: each one's newest."""
        return frozenset({member: (member, first) for member, first in self.segments}.values())

    @cached_property
    def surviving(self) -> frozenset[Place]:
        """What lives, and all that it grew out of."""
        return frozenset(place for living in self.living for place in self.line(living))

    @cached_property
    def children(self) -> Mapping[Place | None, tuple[Place, ...]]:
        """Per place what grew out of it, in the order of the copied versions; the roots are None's."""
        found: dict[Place | None, list[Place]] = {}
        for place, parent in self.parents.items():
            found.setdefault(parent, []).append(place)
        return {parent: tuple(sorted(places, key=self._copied_at)) for parent, places in found.items()}

    def line(self, place: Place) -> list[Place]:
        """From the founder's to this one."""
        line = list(self._back(place))
        return line[::-1]

    def _back(self, place: Place | None) -> Iterator[Place]:
        while place is not None:
            yield place
            place = self.parents[place]

    def _copied_at(self, place: Place) -> tuple[int, Place]:
        copy = self.segments[place].copy
        return (0 if copy is None or copy.parent is None else copy.parent.generation), place


def _moment(event: LineageEvent) -> tuple[int, int]:
    return event.generation, LIVED.index(event.kind) if event.kind in LIVED else len(LIVED)


def _began(copies: list[int], generation: int, is_ready: bool) -> int:
    """The generation at which an event's segment began; a ready point ends the one before its copy."""
    count = (bisect_left if is_ready else bisect_right)(copies, generation)
    return copies[count - 1] if count else 0


def _parent(segment: Segment, copies: Mapping[int, list[int]], segments: Mapping[Place, Segment]) -> Place | None:
    if segment.copy is None or segment.copy.parent is None:
        return None
    source = segment.copy.parent
    place = source.member, _began(copies.get(source.member, []), source.generation, is_ready=True)
    return place if place in segments else None


def _without_rings(parents: Mapping[Place, Place | None]) -> dict[Place, Place | None]:
    """Opened where `ancestry` opens them: whoever was set back may have copied its own descendant."""
    opened = dict(parents)
    done: set[Place] = set()
    for begin in parents:
        path: dict[Place, None] = {}
        place: Place | None = begin
        while place is not None and place not in done and place not in path:
            path[place] = None
            place = opened[place]
        if place in path:
            walked = list(path)
            opened[oldest(walked[walked.index(place) :])] = None
        done |= path.keys()
    return opened
