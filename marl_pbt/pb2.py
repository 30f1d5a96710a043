"""PB2: an explore that learns from all members which hyperparameters bring improvement (Parker-Holder et al. 2020).

Parker-Holder, Nguyen, Roberts: "Provably Efficient Online Hyperparameter Optimization with Population-Based Bandits",
arXiv 2002.02518. Instead of moving at random, a member takes the hyperparameters that a time-varying Gaussian process,
fitted to what every member has gained per interval, is most optimistic about.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from marl_pbt.explore import Experience, Perturb, Values
from marl_pbt.hyperparameters import Hyperparameter, Integer, Move, Real
from marl_pbt.protocols import HyperparameterValue

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from marl_pbt.pb2_process import Bandit

MIN_GAINS = 2
"""With fewer there is nothing to compare, and values are perturbed."""
MAX_GAINS = 256
"""Only the newest this many count: the process forgets, and the time it takes grows with their cube."""
CANDIDATES = 1024
"""Points at which the acquisition is looked up in each round, per proposal."""
ROUNDS = 3
"""The first all over the space, each later one nearer to the best of the one before."""


@dataclass(frozen=True)
class PB2:
    """Numbers by the bandit; what has no order or only places in a list by perturbing.

    Attributes:
        otherwise: Moves `choice`, `ordered` and `bool`, and everything while there are too few gains.
        maximize: True when a larger score is better.
    """

    learns: ClassVar[bool] = True
    otherwise: Perturb
    maximize: bool = True

    def propose(
        self, values: Values, declared: Sequence[Hyperparameter], rng: np.random.Generator, experience: Experience
    ) -> dict[str, Move]:
        """The point of the highest upper confidence bound for the coming interval."""
        moves = {each.name: self.otherwise.move(values[each.name], each, rng) for each in declared}
        axes = [axis for axis in map(Axis.of, declared) if axis is not None]
        gains = [gain for gain in experience.gains if _lies_on(axes, gain.hyperparameters)]
        if not axes or len(gains) < MIN_GAINS:
            return moves
        gains = sorted(gains, key=lambda gain: gain.generation)[-MAX_GAINS:]
        from marl_pbt.pb2_process import Bandit  # scikit-learn, which only this explore needs

        now = experience.generation + 1
        points = _points(axes, [(gain.generation, gain.hyperparameters) for gain in gains])
        running = [(now, each) for each in experience.running if _lies_on(axes, each)]
        sign = 1.0 if self.maximize else -1.0
        bandit = Bandit(points, np.array([sign * gain.per_interval for gain in gains]), _points(axes, running))
        best = _highest(bandit, axes, now, rng)
        return moves | {axis.name: Move(axis.value(place), "pb2") for axis, place in zip(axes, best, strict=True)}


@dataclass(frozen=True)
class Axis:
    """One hyperparameter as a coordinate from 0 to 1, even in its logarithm where its prior is.

    Attributes:
        name: Of the hyperparameter.
        distribution: Its declaration.
        low: Where 0 is, in logarithms where it is logarithmic.
        high: Where 1 is, likewise.
    """

    name: str
    distribution: Real | Integer
    low: float
    high: float

    @classmethod
    def of(cls, hyperparameter: Hyperparameter) -> Axis | None:
        """From the lower to the upper bound; None for what is no range, or has no width."""
        distribution = hyperparameter.distribution
        if not isinstance(distribution, Real | Integer) or distribution.low == distribution.high:
            return None
        low, high = float(distribution.low), float(distribution.high)
        ends = (math.log(low), math.log(high)) if distribution.log else (low, high)
        return cls(hyperparameter.name, distribution, *ends)

    def place(self, value: HyperparameterValue) -> float:
        """Where a value lies."""
        number = float(value)
        return ((math.log(number) if self.distribution.log else number) - self.low) / (self.high - self.low)

    def value(self, place: float) -> HyperparameterValue:
        """What lies there, rounded where it is an integer, and within the bounds."""
        number = self.low + float(place) * (self.high - self.low)
        return self.distribution.clamp(math.exp(number) if self.distribution.log else number)

    def settled(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """The places that values can take: an integer's are judged where they are, not in between.

        (Garrido-Merchan and Hernandez-Lobato 2020, arXiv 1805.03463, say why.)
        """
        if isinstance(self.distribution, Real):
            return np.clip(places, 0.0, 1.0)
        return np.array([self.place(self.value(place)) for place in np.clip(places, 0.0, 1.0)])


def _lies_on(axes: Sequence[Axis], values: Values) -> bool:
    """False for what was declared otherwise before a resume."""
    return all(axis.name in values and axis.distribution.contains(values[axis.name]) for axis in axes)


def _points(axes: Sequence[Axis], observed: Sequence[tuple[int, Values]]) -> NDArray[np.float64]:
    """`(rows, 1 + axes)`: the generation, then the places."""
    rows = [[float(at), *(axis.place(values[axis.name]) for axis in axes)] for at, values in observed]
    return np.array(rows, dtype=np.float64).reshape(len(rows), 1 + len(axes))


def _highest(bandit: Bandit, axes: Sequence[Axis], generation: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The places of the highest bound that a random search, nearer and nearer to the best so far, comes upon."""
    best, best_bound = np.full(len(axes), 0.5), -math.inf
    for turn in range(ROUNDS):
        near = best + rng.normal(0.0, 0.2**turn, (CANDIDATES, len(axes)))
        drawn = rng.random((CANDIDATES, len(axes))) if turn == 0 else near
        places = np.column_stack([axis.settled(drawn[:, column]) for column, axis in enumerate(axes)])
        bounds = bandit.upper_bound(np.column_stack([np.full(CANDIDATES, float(generation)), places]))
        if bounds.max() > best_bound:
            best, best_bound = places[int(bounds.argmax())], float(bounds.max())
    return best
