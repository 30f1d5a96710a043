"""The comparisons as a picture: bars on a logarithmic axis, the median of each row, least to most as a whisker."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peers.samples import Sample, pick
from benchmarks.peers.systems import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS_COLOUR, PEERS_COLOUR, INK = "#2a6f97", "#a9b4bd", "#333333"
_BAR_INCHES = 0.34
_HEAD_INCHES = 0.95


def draw(comparisons: Mapping[str, Comparison], samples: Sequence[Sample], path: Path) -> None:
    """Write a PNG with one panel for each comparison that has samples.

    Raises:
        ValueError: There is nothing to draw.
    """
    from matplotlib.figure import Figure

    panels = {name: _bars(name, comparison, samples) for name, comparison in comparisons.items()}
    panels = {name: bars for name, bars in panels.items() if bars}
    if not panels:
        raise ValueError("figure: no system has a sample")
    heights = [_HEAD_INCHES + _BAR_INCHES * len(bars) for bars in panels.values()]
    figure = Figure(figsize=(9, sum(heights)), layout="constrained")
    axes = figure.subplots(len(panels), squeeze=False, height_ratios=heights)[:, 0]
    for axis, (name, bars) in zip(axes, panels.items(), strict=True):
        _draw_panel(axis, comparisons[name], bars)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, facecolor="white")


def _bars(name: str, comparison: Comparison, samples: Sequence[Sample]) -> dict[str, list[float]]:
    """Values by label, rows without any left out."""
    bars = {}
    for system in comparison.systems:
        values = [sample.value for sample in pick(samples, name, system.name) if sample.value is not None]
        if values:
            bars[system.name + (f" ({system.cores} cores)" if system.cores > 1 else "")] = values
    return bars


def _draw_panel(axis: Axes, comparison: Comparison, bars: Mapping[str, Sequence[float]]) -> None:
    medians = [statistics.median(values) for values in bars.values()]
    below = [median - min(values) for median, values in zip(medians, bars.values(), strict=True)]
    above = [max(values) - median for median, values in zip(medians, bars.values(), strict=True)]
    colours = [OURS_COLOUR if label.startswith("ours") else PEERS_COLOUR for label in bars]
    axis.barh(list(bars), medians, color=colours, height=0.7)
    axis.errorbar(medians, list(bars), xerr=[below, above], fmt="none", ecolor=INK, elinewidth=1, capsize=2)
    for label, median, values in zip(bars, medians, bars.values(), strict=True):
        axis.annotate(
            _told(median),
            (max(values), label),
            (5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    axis.set_xscale("log")
    least = min(min(values) for values in bars.values())
    axis.set_xlim(least / 3, max(max(values) for values in bars.values()) * 3)
    axis.invert_yaxis()
    axis.set_title(comparison.title, loc="left", fontsize=11, color=INK)
    better = "more" if comparison.unit == "agent steps/s" else "less"
    axis.set_xlabel(f"{comparison.unit}, logarithmic; {better} is better", fontsize=9)
    axis.tick_params(labelsize=9)
    axis.spines[["top", "right"]].set_visible(False)


def _told(value: float) -> str:
    """Two or three digits that count."""
    if value >= 10_000:
        return f"{value / 1000:,.0f} k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"
