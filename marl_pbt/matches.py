"""Matches: frozen policies play whole episodes against each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pbt.protocols import Episode, Policy, Worlds


@dataclass(frozen=True)
class Mean:
    """A mean with its standard error.

    Attributes:
        mean: Over episodes.
        standard_error: Of the mean; 0 for one episode.
        n: Episodes.
    """

    mean: float
    standard_error: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean:
        """Of at least one value."""
        n = len(values)
        mean = math.fsum(values) / n
        spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1)) if n > 1 else 0.0
        return cls(mean, spread / math.sqrt(n), n)

    def __str__(self) -> str:
        return f"{self.mean:.0f} ± {self.standard_error:.0f}"


@dataclass(frozen=True)
class MatchResult:
    """What the episodes of one pairing gave.

    Attributes:
        returns: Per species, `episode_return_mean`.
        length: Env steps per episode.
        metrics: What the environment counts, by tag.
    """

    returns: Mapping[str, Mean]
    length: Mean
    metrics: Mapping[str, float]


class UniformPolicy:
    """Plays every action alike: the baseline.

    Args:
        actions: How many there are.
    """

    def __init__(self, actions: int) -> None:
        self._actions = actions

    def act(self, observations: NDArray[Any], rng: np.random.Generator, greedy: bool = False) -> NDArray[np.int64]:
        """`(rows,)` int64; greedy makes no difference."""
        del greedy
        return rng.integers(self._actions, size=len(observations))


def play(worlds: Worlds, policies: Mapping[str, Policy], seed: int) -> MatchResult:
    """One episode in each world.

    Args:
        worlds: As many as episodes are wanted; whatever they did before is forgotten.
        policies: Per species.
        seed: Of worlds and draws: the same call gives the same result.
    """
    worlds.reset(seed, in_phase=True)
    rng = np.random.default_rng(seed)
    buffers = [
        np.empty((rows, *(worlds.observation_spaces[name].shape or ())), dtype=worlds.observation_spaces[name].dtype)
        for name, rows in zip(worlds.species, worlds.max_rows, strict=True)
    ]
    finished: dict[int, Episode] = {}
    while len(finished) < worlds.num_worlds:
        actions = []
        for species, name in enumerate(worlds.species):
            rows = worlds.observe(species, buffers[species])
            actions.append(policies[name].act(buffers[species][:rows], rng))
        for episode in worlds.step(actions).episodes:
            finished.setdefault(episode.world, episode)  # the first of each world: short ones must not count twice
    episodes = list(finished.values())
    tags = sorted({tag for episode in episodes for tag in episode.metrics})
    return MatchResult(
        returns={name: Mean.of([episode.returns[name] for episode in episodes]) for name in worlds.species},
        length=Mean.of([float(episode.length) for episode in episodes]),
        metrics={tag: float(np.nanmean([episode.metrics.get(tag, np.nan) for episode in episodes])) for tag in tags},
    )
