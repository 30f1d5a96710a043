"""What finished runs scored, one line of JSON each: an interrupted benchmark goes on, and arms may be added later."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.learning.arms import Job

SCHEMA = 1
Returns = Mapping[str, float]
"""By the reference policy that was met: `episode_return_mean` of the one that is scored."""


@dataclass(frozen=True)
class Reading:
    """A population at one moment.

    Attributes:
        agent_steps: Of a member, mean over members.
        members: Per species, of each member's policy.
        best: Per species, of the policy that lay in `best/`; a species without one is absent.
        leader: Per species, of the policy of the member whose score was the best then; likewise.
    """

    agent_steps: float
    members: Mapping[str, tuple[Returns, ...]]
    best: Mapping[str, Returns]
    leader: Mapping[str, Returns]


@dataclass(frozen=True)
class Result:
    """A run that was made and scored.

    Attributes:
        job: Which.
        readings: In the order of agent steps; the last is the end of the run.
        provenance: What made it, and what it cost.
    """

    job: Job
    readings: tuple[Reading, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reference:
    """What policies score that did not take part: random ones and the reference policies themselves.

    Attributes:
        scores: Per species, by policy.
    """

    scores: Mapping[str, Mapping[str, Returns]]


class ResultsFile:
    """The file; one process writes to it at a time.

    Args:
        path: Of the file, made at the first `add`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results: dict[Job, Result] = {}
        self.reference: Reference | None = None
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            self._take(line)

    def add(self, row: Result | Reference) -> None:
        """Keep it, on the disk."""
        data: dict[str, Any] = {"schema": SCHEMA, "kind": type(row).__name__.lower()} | asdict(row)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
            is_torn = file.read() not in (b"", b"\n")  # what was killed while it wrote left half a line
            file.write((("\n" if is_torn else "") + json.dumps(data, allow_nan=False) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
        self._keep(row)

    def _take(self, line: str) -> None:
        try:
            data = json.loads(line)
        except ValueError:
            return  # half a line: that run is made again
        if data["schema"] != SCHEMA:
            raise SystemExit(f"{self.path}: schema must be {SCHEMA}, got {data['schema']}; give another --results")
        self._keep(Reference(data["scores"]) if data["kind"] == "reference" else _result(data))

    def _keep(self, row: Result | Reference) -> None:
        if isinstance(row, Reference):
            self.reference = row
        else:
            self.results[row.job] = row


def _result(data: Mapping[str, Any]) -> Result:
    job = Job(**data["job"] | {"changes": tuple(data["job"]["changes"])})
    readings = [
        Reading(**each | {"members": {name: tuple(of) for name, of in each["members"].items()}})
        for each in data["readings"]
    ]
    return Result(job, tuple(readings), data["provenance"])
