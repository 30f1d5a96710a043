"""Learning curves from equal scores: which of two improves faster from where both were equally good. Pure.

How FIRE PBT judges improvement (Dalibard and Jaderberg 2021, arXiv 2109.13800): two curves are laid over each other not
at the same time but at the same score, and compared from there on, for as long as both go on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marl_pbt.standings import BoardRow

WIDTH = 1.5
"""Standard deviation of the smoothing, in ready points."""
SHIFTS = 10
"""At so many heights a curve that lies above the other is compared with it."""


@dataclass(frozen=True)
class Curve:
    """One figure per ready point, the larger the better.

    Attributes:
        points: As they were measured, shape `(ready points,)`, at least one.
        smooth: The same, smoothed.
    """

    points: NDArray[np.float64]
    smooth: NDArray[np.float64]

    @classmethod
    def through(cls, points: NDArray[np.float64]) -> Curve:
        """The curve through these points."""
        return cls(points, smoothed(points))

    def __len__(self) -> int:
        """How many ready points."""
        return len(self.points)

    def lowered(self, shift: float) -> Curve:
        """The same curve that far below."""
        return Curve(self.points - shift, self.smooth - shift)

    def is_above(self, other: Curve) -> bool:
        """True where even its lowest point is higher than all of the other's."""
        return bool(self.points.min() > other.points.max())


def curve_of(row: BoardRow, maximize: bool) -> Curve | None:
    """The scores since the member last copied, pending ready points between them interpolated; None where none are.

    Scores near the end of what a float holds make a curve that is not finite in places, which leads nowhere.
    """
    measured = [(at, score.mean) for at, score in row.history if at > row.last_exploit and score.is_finite]
    if not measured:
        return None
    generations, means = (np.array(column, np.float64) for column in zip(*measured, strict=True))
    every = np.arange(generations[0], generations[-1] + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        return Curve.through(np.interp(every, generations, means if maximize else -means))


def smoothed(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """At each point the height of a straight line through its surroundings (local linear regression: Cleveland 1979).

    A line and not a mean, which would draw the ends towards the middle, and the ends decide.
    """
    if len(points) < 3:
        return points
    distances = np.subtract.outer(np.arange(len(points)), np.arange(len(points))).astype(np.float64)
    weights = np.exp(-0.5 * (distances / WIDTH) ** 2)
    zeroth, first, second = ((weights * distances**power).sum(axis=1) for power in range(3))
    lines = weights * (second[:, None] - first[:, None] * distances)
    return np.asarray(lines @ points / (zeroth * second - first**2), np.float64)


def overlap(one: Curve, other: Curve) -> tuple[slice, slice] | None:
    """The parts of both from where they are equally good, of equal length; None where they never are.

    That is where the one that begins lower has come up to where the other begins, both smoothed.
    """
    if one.smooth[0] > other.smooth[0]:
        found = overlap(other, one)
        return None if found is None else (found[1], found[0])
    reached = np.flatnonzero(one.smooth >= other.smooth[0])
    if not len(reached):
        return None
    begin = int(reached[0])
    length = min(len(one) - begin, len(other))
    return slice(begin, begin + length), slice(length)


def lead(one: Curve, other: Curve) -> float:
    """By how much one curve gets higher than the other from where they were equally good; negative where it does not.

    Where one lies wholly above the other, it is lowered to several heights at which they overlap, and the best counts,
    0 at least; where it lies wholly below, 0.
    """
    parts = overlap(one, other)
    if parts is not None:
        return _lead(one, other, parts)
    if not one.is_above(other):
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        least, most = one.points.min() - other.points.max(), one.points.min() - other.points.min()
        lowered = [one.lowered(float(shift)) for shift in np.linspace(least, most, SHIFTS, endpoint=False)]
    pairs = [(curve, overlap(curve, other)) for curve in lowered]
    return max([0.0, *(_lead(curve, other, parts) for curve, parts in pairs if parts is not None)])


def chance_of_lead(one: Curve, other: Curve) -> float:
    """How likely it is by chance alone that one is above the other in so many points of their overlap (a sign test).

    Where it lies wholly above, every point counts; 1 where it lies wholly below.
    """
    parts = overlap(one, other)
    if parts is None:
        return 0.5 ** min(len(one), len(other)) if one.is_above(other) else 1.0
    above = one.points[parts[0]] > other.points[parts[1]]
    points, wins = len(above), int(np.sum(above))
    return float(sum(math.comb(points, each) for each in range(wins, points + 1)) / 2**points)


def _lead(one: Curve, other: Curve, parts: tuple[slice, slice]) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return float(one.smooth[parts[0]].max() - other.smooth[parts[1]].max())
