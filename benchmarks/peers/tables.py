"""The comparisons as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.peers.samples import Sample, pick, ratios
from benchmarks.peers.systems import NOT_MEASURED, Comparison
from benchmarks.spread import spread


def make_table(name: str, comparison: Comparison, samples: Sequence[Sample]) -> str:
    """One comparison: medians with the least and the most, and ratios to the first row taken round by round."""
    is_rate = comparison.unit == "agent steps/s"
    columns = ["system", "cores", comparison.unit, *(["per s of processor time"] if is_rate else [])]
    columns += [f"{comparison.systems[0].name} is faster by", "version", "what differs"]
    lines = [f"### {comparison.title}", "", _row(columns), _row(["---"] * len(columns))]
    ours = pick(samples, name, comparison.systems[0].name)
    for system in comparison.systems:
        own = pick(samples, name, system.name)
        if own:
            measured = [_measured(own), *([_per_cpu(own)] if is_rate else [])]
            faster = ratios(ours, own, is_rate)
            versions = next((sample.version for sample in own if sample.version), "–")
            ratio = f"{_spread(faster)} ×" if faster else "–"
            lines.append(_row([system.name, str(system.cores), *measured, ratio, versions, system.differs or "–"]))
    return "\n".join(lines)


def make_notes() -> str:
    """What is not in the tables, and why."""
    return "\n".join(f"Not measured: {name} {reason}." for name, reason in NOT_MEASURED.items())


def _measured(samples: Sequence[Sample]) -> str:
    values = [sample.value for sample in samples if sample.value is not None]
    failed = [sample.reason for sample in samples if sample.value is None]
    parts = [_spread(values)] if values else []
    if failed:
        parts.append(f"not measured in {len(failed)} of {len(samples)} rounds: {failed[-1]}")
    return "; ".join(parts).replace("|", "\\|")


def _per_cpu(samples: Sequence[Sample]) -> str:
    values = [sample.per_cpu_s for sample in samples if sample.per_cpu_s is not None]
    return _spread(values) if values else "–"


def _spread(values: Sequence[float]) -> str:
    """Three digits that count."""
    largest = max(values)
    return spread(values, ",.0f" if largest >= 100 else ".1f" if largest >= 10 else ".2f")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
