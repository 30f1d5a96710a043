"""The lineage of one species as a picture: a lane per member, coloured by score, with arrows for who copied whom.

Drawn with matplotlib's object interface, which needs no window and keeps no global state.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from marl_pbt.ancestry import LineageEvent, Segment
from marl_pbt.figures import score_text, short_count
from marl_pbt.lines_of_descent import Copy, Descent
from marl_pbt.run_directory import member_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

WIDTH_INCHES = 12.0
DPI = 100
PENDING = "0.82"
ARROW = "0.45"
ANCESTRY = "crimson"
FEW = 4
"""So many framed policies are named."""


def lineage_picture(
    descent: Descent,
    population: int,
    maximize: bool = True,
    suffix: str = ".png",
    framed: Sequence[LineageEvent] = (),
) -> bytes:
    """Draw who copied whom, when, coloured by score; an ancestry is framed. The same lineage gives the same bytes.

    Args:
        descent: Of the species.
        population: N: so many lanes.
        maximize: True when a larger score is better: bright is good.
        suffix: `.png` or `.svg`.
        framed: Ready events of the policies whose ancestries are framed; none: of the best policy of now.

    Returns:
        The file's content.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    best = descent.best(maximize)
    chosen = framed or ([] if best is None else [best])
    ancestors = [segment for ready in chosen for segment in descent.ancestry(ready)]
    lane_inches = min(0.45, max(0.16, 9.0 / population))
    figure = Figure(figsize=(WIDTH_INCHES, 1.6 + lane_inches * population), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    width = min(7.0, 0.4 * lane_inches * 72)
    _draw_ancestry(axes, ancestors, width)
    _draw_lanes(axes, descent, maximize, width)
    _draw_copies(axes, descent.copies(), ancestors, width)
    _label(axes, population, f"{descent.policy}: {len(descent.copies())} exploits{_framed_text(framed, best)}")
    picture = io.BytesIO()
    # Else an SVG's ids are random, and it holds the time at which it was drawn.
    with rc_context({"svg.hashsalt": "marl_pbt"}):
        figure.savefig(picture, format=suffix[1:], metadata={"Date": None} if suffix == ".svg" else None)
    return picture.getvalue()


def _draw_lanes(axes: Axes, descent: Descent, maximize: bool, width: float) -> None:
    """Each stretch between two ready points in the colour of the score at its end; grey where there is none."""
    from matplotlib.collections import LineCollection

    spans, scores = [], []
    for member, line in descent.ready_points().items():
        for before, after in zip([None, *line], line, strict=False):
            begin = 0 if before is None else before.clocks.agent_steps
            spans.append([(begin, member), (after.clocks.agent_steps, member)])
            scores.append(after.score.mean if after.score is not None and after.score.is_finite else None)
    known = [score for score in scores if score is not None]
    pending = [span for span, score in zip(spans, scores, strict=True) if score is None]
    scored = [span for span, score in zip(spans, scores, strict=True) if score is not None]
    axes.add_collection(LineCollection(pending, colors=PENDING, linewidths=width, capstyle="butt", zorder=2))
    lanes = LineCollection(
        scored, cmap="viridis" if maximize else "viridis_r", norm=_norm(known), linewidths=width, zorder=2
    )
    lanes.set_capstyle("butt")
    lanes.set_array(known)
    axes.add_collection(lanes)
    if known:
        bar = axes.figure.colorbar(lanes, ax=axes, pad=0.01, aspect=30)
        bar.set_label("score (grey: pending)")


def _norm(scores: Sequence[float]) -> Normalize:
    from matplotlib.colors import Normalize

    low, high = min(scores, default=0.0), max(scores, default=1.0)
    return Normalize(low, high if high > low else low + 1.0)


def _draw_ancestry(axes: Axes, segments: Sequence[Segment], width: float) -> None:
    """A frame under the stretches that the best policy of now has lived."""
    from matplotlib.collections import LineCollection

    spans = [
        [(lived.events[0].clocks.agent_steps, lived.member), (lived.events[-1].clocks.agent_steps, lived.member)]
        for lived in segments
        if lived.events
    ]
    axes.add_collection(LineCollection(spans, colors=ANCESTRY, linewidths=width + 5, capstyle="butt", zorder=1))


def _draw_copies(axes: Axes, copies: Sequence[Copy], ancestors: Sequence[Segment], width: float) -> None:
    """From the donor's lane at the copied version to the loser's lane; a cross where the loser's own line ended."""
    in_ancestry = {(segment.member, segment.first) for segment in ancestors if segment.copy is not None}
    _draw_arrows(axes, [copy for copy in copies if _place(copy) not in in_ancestry], ARROW, min(0.9, width / 8))
    _draw_arrows(axes, [copy for copy in copies if _place(copy) in in_ancestry], ANCESTRY, 1.8)
    steps = [copy.exploit.clocks.agent_steps for copy in copies]
    lanes = [copy.exploit.member for copy in copies]
    axes.scatter(steps, lanes, marker="x", s=(width + 2) ** 2, color="black", linewidths=1.1, zorder=5)


def _draw_arrows(axes: Axes, copies: Sequence[Copy], colour: str, line_width: float) -> None:
    """Shafts with triangles as heads: hundreds of matplotlib's own arrows would take seconds."""
    from matplotlib.collections import LineCollection

    shafts = [(_donor_point(copy), (copy.exploit.clocks.agent_steps, copy.exploit.member)) for copy in copies]
    axes.add_collection(LineCollection(shafts, colors=colour, linewidths=line_width, zorder=3))
    for marker, direction in (("v", 1), ("^", -1)):  # lane 0 is at the top
        heads = [end for begin, end in shafts if (end[1] - begin[1]) * direction > 0]
        lanes = [lane - 0.3 * direction for _, lane in heads]
        axes.scatter([steps for steps, _ in heads], lanes, marker=marker, s=22, color=colour, zorder=4)


def _place(copy: Copy) -> tuple[int, int]:
    return copy.exploit.member, copy.exploit.generation


def _donor_point(copy: Copy) -> tuple[int, int]:
    own = (copy.exploit.clocks.agent_steps, copy.exploit.member)
    if copy.exploit.parent is None:
        return own
    return (own[0] if copy.donor_steps is None else copy.donor_steps), copy.exploit.parent.member


def _label(axes: Axes, population: int, title: str) -> None:
    from matplotlib.ticker import FuncFormatter

    step = 1 if population <= 40 else 4
    axes.set_yticks(range(0, population, step), [member_name(member) for member in range(0, population, step)])
    axes.tick_params(axis="y", labelsize=9 if population <= 24 else 7)
    axes.set_ylim(population - 0.4, -0.6)
    axes.autoscale(axis="x")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda steps, _: short_count(steps)))
    axes.set_xlabel("agent steps of the member · arrow: donor's version → copy · ×: the own line was given up")
    axes.set_title(title, loc="left", fontsize=11, parse_math=False)
    axes.grid(axis="x", color="0.92")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _framed_text(framed: Sequence[LineageEvent], best: LineageEvent | None) -> str:
    if framed:
        listed = ", ".join(f"{member_name(ready.member)}@{ready.generation}" for ready in framed[:FEW])
        return f"; framed: the ancestry of {listed}{', …' if len(framed) > FEW else ''}"
    if best is None:
        return ", no score yet"
    where = f"{member_name(best.member)} (founder {member_name(best.founder)})"
    return f"; framed: the ancestry of the best, {where}, score {score_text(best.score)}"
