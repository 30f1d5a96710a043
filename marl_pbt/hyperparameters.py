"""Hyperparameter distributions: each fixes a value's type and bounds, where it starts and how it moves.

A distribution is the declaration; a value is never asked for its type. Perturbation follows the PBT paper (Jaderberg et
al. 2017, sec. 4.1, "perturb"): multiply by a factor. All distributions answer the same four questions, see
`Distribution`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from marl_pbt.protocols import HyperparameterValue

if TYPE_CHECKING:
    import numpy as np

Factor: TypeAlias = "Callable[[np.random.Generator], float]"
"""Draws the factor of one perturbation."""


@dataclass(frozen=True)
class Move:
    """Where a value went and by what operation (`×0.8`, `resample`, `left`, `stay`, `×1.25 clamped` …)."""

    value: HyperparameterValue
    operation: str


class Distribution(Protocol):
    """What a hyperparameter may be and how it moves."""

    def sample(self, rng: np.random.Generator) -> HyperparameterValue:
        """Draw afresh from the prior."""

    def perturb(self, value: HyperparameterValue, factor: Factor, rng: np.random.Generator) -> Move:
        """Move a little from where it is; never leaves the bounds, never changes the type."""

    def clamp(self, value: float) -> HyperparameterValue:
        """The nearest legal value, of the declared type."""

    def contains(self, value: HyperparameterValue) -> bool:
        """True for a legal value of the declared type."""


@dataclass(frozen=True)
class Real:
    """A float between two bounds, inclusive; drawn uniformly, or uniformly in its logarithm."""

    low: float
    high: float
    log: bool = False

    def sample(self, rng: np.random.Generator) -> float:
        """Draw afresh from the prior."""
        if self.log:
            return self.clamp(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))
        return self.clamp(rng.uniform(self.low, self.high))

    def perturb(self, value: HyperparameterValue, factor: Factor, rng: np.random.Generator) -> Move:
        """Multiply; 0, which no factor moves, is drawn afresh instead."""
        if value == 0:
            return Move(self.sample(rng), "resample")
        drawn = factor(rng)
        return _clamped(float(value) * drawn, self, f"×{drawn:.4g}")

    def clamp(self, value: float) -> float:
        """The nearest value within the bounds."""
        return float(min(max(value, self.low), self.high))

    def contains(self, value: HyperparameterValue) -> bool:
        """True for a number within the bounds."""
        return _is_number(value) and self.low <= float(value) <= self.high


@dataclass(frozen=True)
class Integer:
    """An int between two bounds, inclusive; drawn uniformly, or uniformly in its logarithm."""

    low: int
    high: int
    log: bool = False

    def sample(self, rng: np.random.Generator) -> int:
        """Draw afresh from the prior."""
        if self.log:
            # Half a unit on both sides, so that the ends are as likely as their neighbours.
            return self.clamp(math.exp(rng.uniform(math.log(self.low - 0.5), math.log(self.high + 0.5))))
        return int(rng.integers(self.low, self.high + 1))

    def perturb(self, value: HyperparameterValue, factor: Factor, rng: np.random.Generator) -> Move:
        """Multiply and round, at least one unit away: 1 and 2 move too; 0 is drawn afresh."""
        if value == 0:
            return Move(self.sample(rng), "resample")
        drawn = factor(rng)
        target = round(int(value) * drawn)
        if target == value and drawn != 1:
            target += 1 if (drawn > 1) == (int(value) > 0) else -1
        return _clamped(target, self, f"×{drawn:.4g}")

    def clamp(self, value: float) -> int:
        """The nearest integer within the bounds."""
        return int(min(max(round(value), self.low), self.high))

    def contains(self, value: HyperparameterValue) -> bool:
        """True for an int within the bounds."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True)
class Listed:
    """One of several values; what unordered and ordered lists have in common."""

    values: tuple[HyperparameterValue, ...]

    def sample(self, rng: np.random.Generator) -> HyperparameterValue:
        """Draw afresh, all alike."""
        return self.values[int(rng.integers(len(self.values)))]

    def clamp(self, value: float) -> HyperparameterValue:
        """The value itself where it is one of them, else the nearest by number."""
        return _nearest(self.values, value)

    def contains(self, value: HyperparameterValue) -> bool:
        """True for one of the values, of the same type (1 is not True)."""
        return _index(self.values, value) is not None


@dataclass(frozen=True)
class Choice(Listed):
    """One of several values without an order: it is drawn afresh or stays."""

    def perturb(self, value: HyperparameterValue, factor: Factor, rng: np.random.Generator) -> Move:
        """Stay: there is no neighbour to go to."""
        del factor
        place = _index(self.values, value)
        return Move(self.sample(rng), "resample") if place is None else Move(self.values[place], "stay")


@dataclass(frozen=True)
class Ordered(Listed):
    """One of a list of values in order: it moves one place left or right, and stays where there is no such place."""

    def perturb(self, value: HyperparameterValue, factor: Factor, rng: np.random.Generator) -> Move:
        """One place left or right; a value that is not in the list goes anywhere."""
        del factor
        place = _index(self.values, value)
        if place is None:
            return Move(self.sample(rng), "resample")
        step = -1 if rng.integers(2) == 0 else 1
        target = min(max(place + step, 0), len(self.values) - 1)
        if target == place:
            return Move(self.values[place], "stay")
        return Move(self.values[target], "left" if step < 0 else "right")


@dataclass(frozen=True)
class Hyperparameter:
    """A declared hyperparameter of one species.

    Attributes:
        species: Whose.
        name: The learner's name for it.
        distribution: Type, bounds, prior, moves.
        initial: Where a member starts: a value, a distribution of its own, or None for the prior.
    """

    species: str
    name: str
    distribution: Distribution
    initial: HyperparameterValue | Distribution | None = None

    def draw_initial(self, rng: np.random.Generator) -> HyperparameterValue:
        """The first value of a member."""
        if self.initial is None:
            return self.distribution.sample(rng)
        if isinstance(self.initial, bool | int | float | str):
            return self.initial
        return self.initial.sample(rng)


@dataclass(frozen=True)
class DiscreteFactors:
    """A `Factor`: one of these, all alike (the PBT paper's perturb)."""

    factors: tuple[float, ...]

    def __call__(self, rng: np.random.Generator) -> float:
        """Draw one."""
        return float(self.factors[int(rng.integers(len(self.factors)))])


@dataclass(frozen=True)
class ContinuousFactors:
    """A `Factor` from a range, uniform in its logarithm: nothing drifts where low × high is 1.

    (Uniform in [0.8, 1.25] its logarithm would have the mean 0.0165: fivefold in 100 perturbations.)
    """

    low: float
    high: float

    def __call__(self, rng: np.random.Generator) -> float:
        """Draw one."""
        return math.exp(rng.uniform(math.log(self.low), math.log(self.high)))


def _clamped(target: float, distribution: Real | Integer, operation: str) -> Move:
    value = distribution.clamp(target)
    return Move(value, operation if value == target else f"{operation} clamped")


def _index(values: Sequence[HyperparameterValue], value: HyperparameterValue) -> int | None:
    for place, candidate in enumerate(values):
        if candidate == value and isinstance(candidate, bool) == isinstance(value, bool):
            return place
    return None


def _nearest(values: Sequence[HyperparameterValue], value: HyperparameterValue) -> HyperparameterValue:
    place = _index(values, value)
    if place is not None:
        return values[place]
    numbers = [candidate for candidate in values if _is_number(candidate)]
    if not numbers or not _is_number(value):
        return values[0]
    return min(numbers, key=lambda candidate: abs(float(candidate) - float(value)))


def _is_number(value: HyperparameterValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
