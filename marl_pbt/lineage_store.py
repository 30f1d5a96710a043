"""The run's lineage on disk: `lineage.jsonl`, appended to by the supervisor alone."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from marl_pbt.ancestry import RETRACTING, LineageEvent, standing
from marl_pbt.durable import append, flush, open_to_append, write_durably

logger = logging.getLogger(__name__)


class LineageStore:
    """Append-only; an event that is told twice is stored once.

    A member that goes on from an older checkpoint than its last (the newer one was damaged or deleted) lives some
    generations again: its `restart` or `resume` event takes back what it had told of later ones, see `standing`.

    Args:
        path: The file; what a crash left of a last line is taken away.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if path.is_file():
            _cut_torn_line(path)
        self.events = [_slim(event) for event in read_lineage(path)]
        self._newest_matches: dict[tuple[int, str], int] = {}
        self._forget_old_matches(0)
        self._unwritten = bytearray()
        self._known = {event.event_id for event in self.events}
        self._file = open_to_append(path)
        self._is_flushed = True

    def append(self, events: Sequence[LineageEvent]) -> list[LineageEvent]:
        """Store what is new.

        Returns:
            The events that were not there yet.
        """
        new = []
        for event in events:
            if event.event_id in self._known:
                continue
            new.append(event)
            self._known.add(event.event_id)
            self.events.append(_slim(event))
            # What UTF-8 cannot say (half a surrogate, from a file's name) stands in JSON's own notation.
            self._unwritten += (event.to_line() + "\n").encode("utf-8", errors="backslashreplace")
            self._forget_old_matches(len(self.events) - 1)
            if event.kind in RETRACTING:
                self.events = standing(self.events)
                self._known = {each.event_id for each in self.events}
                self._newest_matches.clear()
                self._forget_old_matches(0)
        self._write()
        return new

    def _forget_old_matches(self, begin: int) -> None:
        """Matches are the bulk of an event: all of them are on the disk, in memory only each policy's newest."""
        for place in range(begin, len(self.events)):
            event = self.events[place]
            if "matches" not in event.why:
                continue
            before = self._newest_matches.get((event.member, event.policy))
            if before is not None:
                old = self.events[before]
                why = {key: value for key, value in old.why.items() if key != "matches"}
                self.events[before] = replace(old, why=why)
            self._newest_matches[event.member, event.policy] = place

    def _write(self) -> None:
        """Write what waits; what the disk does not take now is tried again."""
        if not self._unwritten:
            return
        self._is_flushed = False
        try:
            append(self._file, self._unwritten)
        except OSError as fault:
            logger.warning("%s: cannot be written (%s); kept in memory and tried again", self._path, fault.strerror)

    def flush(self) -> None:
        """See that everything is on the disk; what is not after a loss of power, members tell again."""
        self._write()
        if self._is_flushed:
            return
        try:
            flush(self._file)
            self._is_flushed = not self._unwritten
        except OSError as fault:
            logger.warning("%s: cannot be written (%s); tried again", self._path, fault.strerror)

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._file.close()


def read_lineage(path: Path) -> list[LineageEvent]:
    """All whole events that stand; lines that cannot be read are passed over with one warning."""
    if not path.is_file():
        return []
    events, broken = [], 0
    # Not splitlines: it also breaks at characters that may stand within a JSON string.
    for line in filter(None, path.read_text(encoding="utf-8", errors="replace").split("\n")):
        try:
            events.append(LineageEvent.from_line(line))
        except ValueError:
            broken += 1
    if broken:
        logger.warning("%s: %d lines are not whole events; left out", path, broken)
    return standing(events)


def _cut_torn_line(path: Path) -> None:
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        write_durably(path, whole)


def _slim(event: LineageEvent) -> LineageEvent:
    """The same, its words shared with those of all other events: a long run has hundreds of thousands of them."""
    return replace(
        event,
        kind=sys.intern(event.kind),
        policy=sys.intern(event.policy),
        hyperparameters=_shared(event.hyperparameters),
        changes={
            sys.intern(name): replace(change, operation=sys.intern(change.operation))
            for name, change in event.changes.items()
        },
        why=_shared(event.why),
    )


def _shared(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {sys.intern(str(key)): _shared(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_shared, value))
    return sys.intern(value) if type(value) is str else value
