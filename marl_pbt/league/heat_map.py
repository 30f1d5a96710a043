"""A payoff table as a picture: who does how well against whom, the best on top.

Drawn with matplotlib's object interface, which needs no window and keeps no global state.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from marl_pbt.figures import number_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

DPI = 110
LONGEST_LABEL = 30
FEW = 8
"""Up to so many columns a cell has room for its standard error too."""
MOST_LABELS, MOST_FIGURES = 40, 400
"""More rows or columns share the place of so many; more cells have no figures in them: a picture, not a table."""
NOT_PLAYED, OWN = "0.9", "crimson"


@dataclass(frozen=True, eq=False)
class HeatMap:
    """What is drawn.

    Attributes:
        title: Of the picture.
        rows: What the rows are called altogether, and each of them.
        columns: Likewise.
        means: `(rows, columns)`, NaN where nothing was played.
        errors: Standard errors of them, NaN where unknown.
        own: Places of pairs that trained together.
    """

    title: str
    rows: tuple[str, Sequence[str]]
    columns: tuple[str, Sequence[str]]
    means: NDArray[np.float64]
    errors: NDArray[np.float64]
    own: Sequence[tuple[int, int]] = ()


def heat_map_png(table: HeatMap) -> bytes:
    """Draw it, rows and columns sorted by their means: best rows on top, columns that leave most to the rows leftmost.

    Returns:
        PNG.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    by_row, by_column = _order(table.means, axis=1), _order(table.means, axis=0)
    means, errors = table.means[np.ix_(by_row, by_column)], table.errors[np.ix_(by_row, by_column)]
    has_room = len(by_column) <= FEW
    high, wide = (min(count, MOST_LABELS) for count in means.shape)
    size = max((1.05 if has_room else 0.62) * (wide + 1.4) + 3.6, 6.5), 0.42 * high + 3.0
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes, margin = figure.subplots(1, 2, width_ratios=[len(by_column), 1.0], sharey=True)
    scale = Normalize(float(np.nanmin(means)), max(float(np.nanmax(means)), float(np.nanmin(means)) + 1e-9))
    _draw_cells(axes, means, errors if has_room else None, scale)
    _draw_cells(margin, _row_means(means)[:, None], None, scale)
    places = {(r, c): (y, x) for y, r in enumerate(by_row) for x, c in enumerate(by_column)}
    _frame_own(axes, [places[pair] for pair in table.own])
    # Names as they are: to matplotlib a $ would begin a formula.
    plain: dict[str, Any] = {"fontsize": 9, "parse_math": False}
    axes.set_yticks(*_labelled([table.rows[1][r] for r in by_row]), **plain)
    axes.set_xticks(*_labelled([table.columns[1][c] for c in by_column]), **plain)
    margin.set_xticks([0], ["mean"], fontsize=9)
    for each in (axes, margin):
        each.tick_params(axis="both", length=0)
        for label in each.get_xticklabels():
            label.set(rotation=40, ha="right", rotation_mode="anchor")
        each.spines[:].set_visible(False)
    axes.set_ylabel(table.rows[0])
    axes.set_xlabel(f"{table.columns[0]}{' · framed: trained together' if table.own else ''}")
    figure.suptitle(table.title, fontsize=11)
    figure.colorbar(ScalarMappable(scale, "viridis"), ax=margin, fraction=0.6, pad=0.15)
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _order(means: NDArray[np.float64], axis: int) -> list[int]:
    """Places from the largest mean along the axis to the smallest; those without any last."""
    marginal = _row_means(means if axis == 1 else means.T)
    order = np.argsort(-np.nan_to_num(marginal, nan=-np.inf), kind="stable")
    return [int(place) for place in order]


def _row_means(means: NDArray[np.float64]) -> NDArray[np.float64]:
    counts = (~np.isnan(means)).sum(axis=1)
    return np.where(counts > 0, np.nansum(means, axis=1) / np.maximum(counts, 1), np.nan)


def _draw_cells(axes: Axes, means: NDArray[np.float64], errors: NDArray[np.float64] | None, scale: Normalize) -> None:
    axes.set_facecolor(NOT_PLAYED)
    axes.imshow(np.ma.masked_invalid(means), cmap="viridis", norm=scale, aspect="auto")
    for y, x in np.argwhere(np.isfinite(means)).tolist() if means.size <= MOST_FIGURES else ():
        mean, error = float(means[y, x]), np.nan if errors is None else float(errors[y, x])
        text = number_text(mean) + (f" ± {number_text(error)}" if np.isfinite(error) else "")
        ink = "black" if scale(mean) > 0.55 else "white"
        axes.text(x, y, text, ha="center", va="center", fontsize=8, color=ink)


def _frame_own(axes: Axes, places: Iterable[tuple[int, int]]) -> None:
    from matplotlib.patches import Rectangle

    for y, x in places:
        axes.add_patch(Rectangle((x - 0.46, y - 0.44), 0.92, 0.88, fill=False, edgecolor=OWN, linewidth=1.8))


def _labelled(labels: Sequence[str]) -> tuple[range, list[str]]:
    """Places and names of the ticks: all of them, or evenly some."""
    places = range(0, len(labels), -(-len(labels) // MOST_LABELS))
    return places, [_shortened(labels[place]) for place in places]


def _shortened(label: str) -> str:
    """A long name without its middle: beginnings and ends tell names apart."""
    half = LONGEST_LABEL // 2
    return label if len(label) <= LONGEST_LABEL else f"{label[:half]}…{label[1 - half :]}"
