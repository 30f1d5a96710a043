"""The figure: curves of the population's mean score, and the final scores of each arm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from benchmarks.learning.arms import ARMS
from benchmarks.learning.measures import WAYS, Who, curve, level
from benchmarks.learning.statistics import estimate
from benchmarks.learning.tables import WHO, Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

# Okabe and Ito's colours, which everybody can tell apart, and between them shades for the shares that cross-play takes.
_PALETTE = (
    *("#D55E00", "#0072B2", "#882255", "#AA6699", "#44AAAA", "#223388"),
    *("#009E73", "#CC79A7", "#E69F00", "#000000", "#56B4E9", "#999999"),
)
COLOURS = dict(zip(ARMS, _PALETTE, strict=True))
MARKERS: dict[Who, str] = {"best": "o", "leader": "D", "mean": "s"}
GREY = "0.4"
SHIFTS: dict[Who, float] = {"best": 0.24, "leader": 0.0, "mean": -0.24}


def draw(comparisons: Sequence[Comparison], path: Path) -> None:
    """A row per setting, two fields per species.

    Raises:
        ValueError: There is nothing to draw.
    """
    if not comparisons:
        raise ValueError("figure: no run has been scored")
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    species = comparisons[0].species
    rows, columns = len(comparisons), 2 * len(species)
    size = (4.1 * columns, 3.7 * rows + 0.5)
    widths = [1.25, 1.0] * len(species)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=size, layout="constrained", squeeze=False, width_ratios=widths
    )
    for comparison, fields in zip(comparisons, axes, strict=True):
        for nth, name in enumerate(species):
            _draw_curves(fields[2 * nth], comparison, name)
            _draw_finals(fields[2 * nth + 1], comparison, name)
    figure.legend(handles=_legend(comparisons), loc="outside lower center", ncols=5, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _legend(comparisons: Sequence[Comparison]) -> list[Line2D]:
    """Lines of the arms that there are, and the marks of whose scores they are."""
    from matplotlib.lines import Line2D

    arms = [arm for arm in ARMS if any(arm in each.runs for each in comparisons)]
    lines = [Line2D([], [], color=COLOURS[arm], linestyle=_style(arm), label=ARMS[arm].label) for arm in arms]
    marks = [
        Line2D([], [], linestyle="", color=GREY, marker=MARKERS[who], markerfacecolor=_inside(who, GREY), label=said)
        for who, said in WHO.items()
    ]
    return [*lines, *marks]


def _style(arm: str) -> Literal["-", "--"]:
    return "--" if ARMS[arm].is_control else "-"


def _inside(who: Who, colour: str) -> str:
    return "white" if who == "mean" else colour


def _draw_curves(field: Axes, comparison: Comparison, species: str) -> None:
    for arm, runs in comparison.runs.items():
        curves = np.array([curve(run, comparison.reference, species, "mean") for _, run in sorted(runs.items())])
        steps, found = curves[..., 0].mean(axis=0) / 1e6, [estimate(column) for column in curves[..., 1].T]
        middle, low, high = (np.array([getattr(each, end) for each in found]) for end in ("value", "low", "high"))
        field.plot(steps, middle, _style(arm), color=COLOURS[arm], linewidth=1.8)
        field.fill_between(steps, low, high, alpha=0.12, linewidth=0, color=COLOURS[arm])
    for way in WAYS:
        field.axhline(level(comparison.reference, species, way), color="0.8", linewidth=0.8, zorder=0)
    field.set(
        title=f"{comparison.setting}: {species}, mean of all members",
        xlabel="agent steps of a member (millions)",
        ylabel="score against the late panel",
    )
    field.grid(alpha=0.25)


def _draw_finals(field: Axes, comparison: Comparison, species: str) -> None:
    """Below each other: the first arm on top."""
    arms = list(comparison.runs)
    for place, arm in enumerate(reversed(arms)):
        for who, shift in SHIFTS.items():
            scores = list(comparison.finals(arm, species, who).values())
            found = estimate(scores)
            if np.isfinite([found.low, found.high]).all():
                field.plot([found.low, found.high], [place + shift] * 2, color=COLOURS[arm], linewidth=2)
            inside = _inside(who, COLOURS[arm])
            field.plot(
                found.value, place + shift, MARKERS[who], markersize=6, color=COLOURS[arm], markerfacecolor=inside
            )
            field.plot(scores, [place + shift] * len(scores), "|", color=COLOURS[arm], alpha=0.4, markersize=5)
    field.set_yticks(range(len(arms)), [ARMS[arm].label for arm in reversed(arms)])
    field.set(
        title=f"{comparison.setting}: {species} at the end",
        xlabel="score against the late panel",
    )
    field.grid(alpha=0.25, axis="x")
