"""Scripted policies, by which learned ones are measured: they see what a learned policy sees, and remember nothing.

Observations are `(rows, w, w, 4)`, uint8 or float32, as `Rules.observation_dtype` says. Each row draws the same amount
of random numbers and is decided by them and by what it sees alone. Energies are compared in the fixed point that uint8
shows, so that both dtypes lead to the same actions.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from envs.predator_prey_grass import layout
from envs.predator_prey_grass.rules import Species

BASELINES = ("greedy", "stay")
WALL = 0
MOORE = np.stack(np.divmod(np.arange(layout.ACTIONS), 3), axis=1) - 1
"""`(9, 2)`: by action, the cells that it leads along x and y."""
ALARM = 2
"""A predator within so many cells makes a prey run. With 2, both species last in `base`; with 3, predators starve."""
PATIENCE = 0.8
"""What a grass is worth when it is one cell farther away, as a share."""
BRIGHTEST = 256.0
"""More than any energy in fixed point."""
NEVER = -np.inf

Floats: TypeAlias = NDArray[np.float64]
Whole: TypeAlias = NDArray[np.int64]


def make_baseline(name: str, species: Species) -> Stay | Hunter | Forager:
    """A scripted policy for a species.

    Args:
        name: One of `BASELINES`. `greedy` hunts or forages as the species' role asks for, `stay` never moves.
        species: Who is to be played.

    Raises:
        ValueError: There is no such one.
    """
    if name not in BASELINES:
        raise ValueError(f"baseline: must be one of {', '.join(BASELINES)}, got {name!r}")
    surroundings = Surroundings(species.window, MOORE)
    if name == "stay":
        return Stay(surroundings)
    return Hunter(surroundings) if species.role == "predator" else Forager(surroundings)


class Surroundings:
    """What the cells of a window are to somebody in its middle.

    Args:
        window: Side of the observation, odd.
        moves: `(actions, 2)`: by action, the cells that it leads along x and y; one of them stays.

    Attributes:
        stay: The action that stays.
        distances: `(cells, actions)`: from each cell after each action, in cells.
        squares: `(cells, actions)`: the same, Euclidean and squared.
        is_centre: `(cells,)`: True where one stands.
        towards: `(cells, actions)`: how well each action leads to each cell; the larger the better.
        wandering: `(actions,)`: the same while there is nowhere to go.
    """

    def __init__(self, window: int, moves: Whole) -> None:
        reach = window // 2
        cells = np.stack(np.divmod(np.arange(window**2), window), axis=1) - reach
        gaps = np.abs(cells[:, None] - moves)
        self.stay = int((~moves.any(axis=1)).argmax())
        self.distances: Whole = gaps.max(axis=-1) if moves.all(axis=1).any() else gaps.sum(axis=-1)
        self.squares: Whole = (gaps**2).sum(axis=-1)
        self.is_centre = ~cells.any(axis=1)
        # Of the moves that lead as near, the one along the straight line: it leaves more ways open.
        self.towards: Floats = -(self.distances * (self.squares.max() + 1.0) + self.squares)
        self.wandering: Floats = np.where(moves.any(axis=1), 0.0, -1.0)
        self._onto = np.flatnonzero(moves.any(axis=1) & (np.abs(moves).max(axis=1) <= reach))
        self._targets = (moves[self._onto] + reach) @ np.array([window, 1])

    def possible(self, wishes: Floats, seen: NDArray[Any], own: int) -> Floats:
        """`(rows, actions)`: the wishes, less those that lead into a wall or onto one's own kind."""
        around = seen[:, self._targets]
        is_blocked = (around[..., WALL] > 0) | (around[..., own] > 0)
        wishes[:, self._onto] = np.where(is_blocked, NEVER, wishes[:, self._onto])
        return wishes


class Stay:
    """Never moves."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._stay = surroundings.stay

    def act(self, observations: NDArray[Any], rng: np.random.Generator, greedy: bool = False) -> Whole:
        """`(rows,)` int64; greedy makes no difference."""
        del rng, greedy
        return np.full(len(observations), self._stay, np.int64)


class Hunter:
    """Walks to the nearest prey in sight, of several the one with the most energy; at random while it sees none."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._nearness = -BRIGHTEST * surroundings.distances[:, surroundings.stay]

    def act(self, observations: NDArray[Any], rng: np.random.Generator, greedy: bool = False) -> Whole:
        """`(rows,)` int64; greedy makes no difference."""
        del greedy
        draws, seen = rng.random((len(observations), 2)), fixed_point(observations)
        prey = seen[..., layout.PREY]
        targets = _best(np.where(prey > 0, prey + self._nearness, NEVER), draws[:, 0])
        hunts = prey.any(axis=1, keepdims=True)
        wishes = np.where(hunts, self._surroundings.towards[targets], self._surroundings.wandering)
        return _best(self._surroundings.possible(wishes, seen, layout.PREDATOR), draws[:, 1])


class Forager:
    """Runs from predators that are near; else walks to the best grass in sight, at random while it sees none."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        distances = surroundings.distances[:, surroundings.stay]
        self._worth = PATIENCE**distances
        self._near = np.flatnonzero(distances <= ALARM)
        self._danger = _danger(surroundings, self._near)

    def act(self, observations: NDArray[Any], rng: np.random.Generator, greedy: bool = False) -> Whole:
        """`(rows,)` int64; greedy makes no difference."""
        del greedy
        draws, seen = rng.random((len(observations), 2)), fixed_point(observations)
        predators = seen[:, self._near, layout.PREDATOR] > 0
        is_free = (seen[..., layout.PREY] == 0) | self._surroundings.is_centre
        grass = np.where(is_free, seen[..., layout.GRASS] * self._worth, 0.0)
        forages, flees = grass.any(axis=1, keepdims=True), predators.any(axis=1, keepdims=True)
        towards = self._surroundings.towards[_best(grass, draws[:, 0])]
        wishes = np.where(forages, towards, self._surroundings.wandering)
        wishes = np.where(flees, -(predators @ self._danger), wishes)
        return _best(self._surroundings.possible(wishes, seen, layout.PREY), draws[:, 1])


def fixed_point(observations: NDArray[Any]) -> NDArray[np.uint8]:
    """`(rows, cells, 4)`: what uint8 observations show, whatever the dtype."""
    flat = observations.reshape(len(observations), observations.shape[1] * observations.shape[2], layout.CHANNELS)
    if flat.dtype == np.uint8:
        return flat
    scales = np.array([255.0, 10.0, 10.0, 100.0], flat.dtype)
    scaled: NDArray[Any] = flat * scales
    scaled += flat.dtype.type(0.5)
    np.minimum(scaled, flat.dtype.type(255.0), out=scaled)
    return scaled.astype(np.uint8)


def _danger(surroundings: Surroundings, near: Whole) -> Floats:
    """`(near cells, actions)`: what a predator in each cell adds to the danger of each action.

    One that comes a cell nearer counts for more than all cells full of others; among equals the Euclidean distance
    decides. Powers of two, so that sums are exact, in whatever order they are added up.
    """
    distances, squares = surroundings.distances[near], surroundings.squares[near]
    doublings = len(near).bit_length()
    finest = float(2 ** int(squares.max() * len(near)).bit_length())
    nearer: Floats = np.ldexp(finest, doublings * (distances.max() - distances))
    return nearer - squares


def _best(scores: Floats, draws: Floats) -> Whole:
    """`(rows,)`: the place of the highest score; of several, the draw in [0, 1) decides."""
    is_best = scores == scores.max(axis=1, keepdims=True)
    rank = (draws * np.count_nonzero(is_best, axis=1)).astype(np.int64)
    places: Whole = (is_best.cumsum(axis=1, dtype=np.int16) > rank[:, None]).argmax(axis=1)
    return places
