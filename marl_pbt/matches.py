"""Matches: frozen policies play whole episodes against each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

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


@dataclass(frozen=True)
class Played:
    """Whole episodes of one match.

    Attributes:
        episodes: The first of each world, in the order of the worlds.
        agent_steps: Living agents acting once, over all species; also those of worlds that had to wait for the last.
    """

    episodes: tuple[Episode, ...]
    agent_steps: int

    def result(self, species: Sequence[str]) -> MatchResult:
        """Means over the episodes."""
        tags = sorted({tag for episode in self.episodes for tag in episode.metrics})
        return MatchResult(
            returns={name: Mean.of([episode.returns[name] for episode in self.episodes]) for name in species},
            length=Mean.of([float(episode.length) for episode in self.episodes]),
            metrics={
                tag: float(np.nanmean([episode.metrics.get(tag, np.nan) for episode in self.episodes])) for tag in tags
            },
        )


def play(worlds: Worlds, policies: Mapping[str, Policy], seed: int, greedy: bool = False) -> Played:
    """One episode in each world.

    Args:
        worlds: As many as episodes are wanted; whatever they did before is forgotten.
        policies: Per species.
        seed: Of worlds and draws: the same call gives the same result.
        greedy: The likeliest action instead of a sampled one.
    """
    worlds.reset(seed, in_phase=True)
    rng = np.random.default_rng(seed)
    buffers = [
        np.empty((rows, *(worlds.observation_spaces[name].shape or ())), dtype=worlds.observation_spaces[name].dtype)
        for name, rows in zip(worlds.species, worlds.max_rows, strict=True)
    ]
    finished: dict[int, Episode] = {}
    agent_steps = 0
    while len(finished) < worlds.num_worlds:
        actions = []
        for species, name in enumerate(worlds.species):
            rows = worlds.observe(species, buffers[species])
            actions.append(policies[name].act(buffers[species][:rows], rng, greedy))
            agent_steps += rows
        for episode in worlds.step(actions).episodes:
            finished.setdefault(episode.world, episode)  # the first of each world: short ones must not count twice
    return Played(tuple(finished[world] for world in sorted(finished)), agent_steps)
