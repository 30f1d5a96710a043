"""The raw samples of a whole comparison, and what is computed from them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Sample:
    """One run of one system.

    Attributes:
        comparison: Name in `COMPARISONS`.
        system: Its row.
        round: Number of the round, from 0.
        value: Agent steps per second of wall time, or milliseconds; None where the run failed.
        per_cpu_s: Agent steps per second of processor time, all processes of the run together.
        reason: Why it failed.
        version: Of what was measured.
        settings: As the script tells them.
        raw: What the script measured.
    """

    comparison: str
    system: str
    round: int
    value: float | None
    per_cpu_s: float | None = None
    reason: str | None = None
    version: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)


def make_sample(comparison: str, system: str, nth: int, result: Mapping[str, Any]) -> Sample:
    """A sample from what a script printed."""
    told = {"version": result["version"], "settings": result["settings"]}
    raw = {key: value for key, value in result.items() if key not in told}
    if "latencies_s" in result:
        return Sample(comparison, system, nth, 1000 * statistics.median(result["latencies_s"]), raw=raw, **told)
    agent_steps = result["agent_steps"]
    per_wall, per_cpu = agent_steps / result["wall_s"], agent_steps / result["cpu_s"]
    return Sample(comparison, system, nth, per_wall, per_cpu, raw=raw, **told)


def pick(samples: Iterable[Sample], comparison: str, system: str) -> list[Sample]:
    """The samples of one row, by round."""
    return [sample for sample in samples if (sample.comparison, sample.system) == (comparison, system)]


def ratios(ours: Sequence[Sample], theirs: Sequence[Sample], is_rate: bool) -> list[float]:
    """How many times as fast ours is, round by round; rounds in which either failed are left out."""
    by_round = {sample.round: sample.value for sample in ours}
    found = []
    for sample in theirs:
        own = by_round.get(sample.round)
        if own is not None and sample.value is not None:
            found.append(own / sample.value if is_rate else sample.value / own)
    return found


def save(samples: Sequence[Sample], about: Mapping[str, Any], path: Path) -> None:
    """Write the samples with what is to be known about the run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"about": about, "samples": [asdict(sample) for sample in samples]}, indent=1))


def load(path: Path) -> list[Sample]:
    """Read what `save` wrote."""
    return [Sample(**sample) for sample in json.loads(path.read_text())["samples"]]
