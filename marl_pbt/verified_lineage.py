"""A lineage looked through: order, completeness, and whether whatever was copied had been published."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from marl_pbt.ancestry import JOINED, LIVED, RETRACTING, LineageEvent, standing
from marl_pbt.member_files import policy_of
from marl_pbt.run_directory import member_name
from marl_pbt.snapshot import Snapshot, encode

Told: TypeAlias = tuple[str, str, str]
"""Where, what is wrong, what to do."""
COMPLETE = "resume completes it from the checkpoints, as far as they tell; ancestries that lead through it end there"
COPIED = "resume begins it anew, as a copy of another member's"
SUSPECT = "do not rely on ancestries that lead through it"


@dataclass
class Published:
    """What checkpoints tell of versions that others could copy.

    Attributes:
        is_live: The run goes on: what is missing may come any moment.
        has_shown_first: Members showed a version before they decided, and the checkpoint is of afterwards.
        checksums: By member, species and generation: CRC-32 of what was published.
        newest: Per member its newest ready point on the disk.
    """

    is_live: bool
    has_shown_first: bool
    checksums: dict[tuple[int, str, int], str] = field(default_factory=dict)
    newest: dict[int, int] = field(default_factory=dict)

    def add(self, checkpoint: Snapshot, is_of_ready_point: bool) -> None:
        """Take in a whole checkpoint."""
        said = checkpoint.metadata
        member, generation = said["member"], said["generation"]
        if not is_of_ready_point:
            return
        self.newest[member] = max(self.newest.get(member, 0), generation)
        for species in said["published"]:
            if said["policies"][species]["last_exploit"] != generation and not self.has_shown_first:
                checksum = zlib.crc32(encode(policy_of(checkpoint, species)))
                self.checksums[member, species, generation] = f"{checksum:08x}"


def read_events(path: Path, is_live: bool) -> tuple[list[LineageEvent], list[tuple[str, str]]]:
    """All events in the order in which they were told, and what is wrong with the file: the fault, what to do."""
    if not path.is_file() or path.is_symlink():
        return [], [("is missing", "resume begins it anew with what the checkpoints tell")]
    events, faults = [], []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    if lines[-1] and not is_live:
        faults.append(("its last line is torn", "resume takes it away; its event lies in the member's checkpoint"))
    for number, line in enumerate(lines[:-1], 1):
        try:
            events.append(LineageEvent.from_line(line))
        except ValueError as fault:
            faults.append((f"line {number}: {fault}", "nothing reads the line; delete it"))
    ids = Counter(event.event_id for event in standing(events))
    faults += [(f"{name} is told {count} times", SUSPECT) for name, count in ids.items() if count > 1]
    return events, faults


def findings_of(events: Sequence[LineageEvent], published: Published) -> Iterator[Told]:
    """What is wrong with the events, and between them and the checkpoints."""
    lines: dict[tuple[int, str], list[LineageEvent]] = {}
    for event in standing(events):
        if event.kind in LIVED:
            lines.setdefault((event.member, event.policy), []).append(event)
    for (member, species), line in sorted(lines.items()):
        for life in _lives(line):
            yield from _of_life(f"{species} of {member_name(member)}", life)
        if not published.is_live:
            yield from _beside_checkpoints(f"{species} of {member_name(member)}", line, published.newest.get(member, 0))
    for member in sorted(set(published.newest) - {member for member, _ in lines}):
        if not published.is_live:
            yield member_name(member), "has checkpoints, and nothing is told of it", COMPLETE
    yield from _of_sources(events, published)


def _lives(line: Sequence[LineageEvent]) -> list[list[LineageEvent]]:
    """One policy's events, parted where the member began again as a copy of another's ready point."""
    lives: list[list[LineageEvent]] = [[]]
    for event in line:
        if _is_joined(event) and lives[-1]:
            lives.append([])
        lives[-1].append(event)
    return lives


def _is_joined(event: LineageEvent) -> bool:
    return event.kind == "exploit" and event.why.get("decision") == JOINED


def _of_life(who: str, line: Sequence[LineageEvent]) -> Iterator[Told]:
    """Order and completeness of one policy's events since it began."""
    generations = [event.generation for event in line]
    if generations != sorted(generations):
        yield who, "its generations are not told in their order", SUSPECT
    steps = [event.clocks.agent_steps for event in sorted(line, key=lambda each: each.generation)]
    if steps != sorted(steps):
        yield who, "its clock goes backwards", SUSPECT
    first = min(generations) if line[0].kind != "start" else 0
    ready = {event.generation for event in line if event.kind == "ready"}
    begun = {event.generation for event in line if event.kind in ("start", "exploit")}
    missing = sorted(set(range(first + 1, max(generations) + 1)) - ready)
    if line[0].kind not in ("start", "exploit") or first not in begun:
        yield who, "its start is not told", COMPLETE
    if missing:
        listed = ", ".join(map(str, missing[:5])) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        yield who, f"no ready point is told of generation {listed}", COMPLETE


def _beside_checkpoints(who: str, line: Sequence[LineageEvent], newest: int) -> Iterator[Told]:
    told = max(event.generation for event in line)
    if newest == 0 < told:
        yield who, f"generation {told} is told, there is no whole checkpoint", COPIED
    elif newest < told:
        cure = "resume goes on from there, and takes back what is told of later ones"
        yield who, f"generation {told} is told, its newest whole checkpoint is of {newest}", cure
    elif newest > told:
        yield who, f"its newest checkpoint is of generation {newest}, the lineage ends at {told}", COMPLETE


def _of_sources(events: Sequence[LineageEvent], published: Published) -> Iterator[Told]:
    """Whether what was copied had been published, at any time: also what was taken back later."""
    ready = {(each.member, each.policy, each.generation) for each in events if each.kind == "ready"}
    told = {member: max(e.generation for e in events if e.member == member) for member in {e.member for e in events}}
    relived = {event.member for event in events if event.kind in RETRACTING}
    for event in events:
        for member, generation in _sources(event):
            who = f"{event.policy} of {member_name(event.member)}@{event.generation}"
            source = (member, event.policy, generation)
            name = f"{member_name(member)}@{generation}"
            is_to_come = published.is_live and generation > told.get(member, -1)
            if source not in ready and not is_to_come:
                yield who, f"copied {name}, of which no ready point is told", SUSPECT
            elif event.checksum and event.kind == "exploit" and member not in relived:
                found = published.checksums.get(source, event.checksum)
                if found != event.checksum and not _is_joined(event):
                    fault = f"copied {name} with checksum {event.checksum}, its checkpoint has {found}"
                    yield who, fault, "one of the two was changed afterwards; " + SUSPECT


def _sources(event: LineageEvent) -> Iterator[tuple[int, int]]:
    """Members and generations that an event says something came from."""
    if event.kind == "exploit" and event.parent is not None:
        yield event.parent.member, event.parent.generation
    teacher: Any = event.why.get("hyperparameters_of")
    if event.kind == "explore" and isinstance(teacher, dict) and {"member", "generation"} <= teacher.keys():
        yield teacher["member"], teacher["generation"]
