"""Matches: frozen policies play whole episodes against each other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pbt.protocols import Episode, Policy, UserError, Worlds


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
    """One episode in each world, with the same policies in all of them.

    Args:
        worlds: As many as episodes are wanted; whatever they did before is forgotten.
        policies: Per species.
        seed: Of worlds and draws: the same call gives the same result.
        greedy: The likeliest action instead of a sampled one.
    """
    return play_side_by_side(worlds, [policies] * worlds.num_worlds, seed, greedy)


class MatchesStoppedError(Exception):
    """Matches were broken off because somebody wanted it."""


@dataclass(frozen=True)
class Limits:
    """When matches are not played to their end.

    Attributes:
        must_stop: Asked every `LOOK_EVERY` env steps.
        most_steps: Env steps in which every world's episode must end.
    """

    must_stop: Callable[[], bool]
    most_steps: int


LOOK_EVERY = 50


def play_side_by_side(
    worlds: Worlds,
    tables: Sequence[Mapping[str, Policy]],
    seed: int,
    greedy: bool = False,
    limits: Limits | None = None,
) -> Played:
    """One episode in each world, each with policies of its own.

    Args:
        worlds: As in `play`.
        tables: Per world, by species; one and the same policy acts at once in all worlds that it plays in.
        seed: As in `play`.
        greedy: As in `play`.
        limits: None: every episode is played to its end.

    Raises:
        MatchesStoppedError: They had to stop.
        UserError: An episode does not end.
    """
    worlds.reset(seed, in_phase=True)
    rng = np.random.default_rng(seed)
    buffers = [
        np.empty((rows, *(worlds.observation_spaces[name].shape or ())), dtype=worlds.observation_spaces[name].dtype)
        for name, rows in zip(worlds.species, worlds.max_rows, strict=True)
    ]
    seated = [_Seated.of([table[name] for table in tables]) for name in worlds.species]
    finished: dict[int, Episode] = {}
    agent_steps = 0
    for env_step in itertools.count():
        if len(finished) == worlds.num_worlds:
            break
        if limits is not None and env_step % LOOK_EVERY == 0:
            _look(limits, env_step)
        actions = []
        for species, players in enumerate(seated):
            rows = worlds.observe(species, buffers[species])
            actions.append(players.act(buffers[species][:rows], worlds, species, rng, greedy))
            agent_steps += rows
        for episode in worlds.step(actions).episodes:
            finished.setdefault(episode.world, episode)  # the first of each world: short ones must not count twice
    return Played(tuple(finished[world] for world in sorted(finished)), agent_steps)


def _look(limits: Limits, env_step: int) -> None:
    if limits.must_stop():
        raise MatchesStoppedError
    if env_step >= limits.most_steps:
        raise UserError(
            f"an episode does not end within {limits.most_steps} env steps; matches need an environment with a limit"
        )


@dataclass(frozen=True)
class _Seated:
    """Who plays a species in which world."""

    policies: Sequence[Policy]
    by_world: NDArray[np.int64]  # places in `policies`
    ends: NDArray[np.int64]  # of stretches of neighbouring worlds with the same policy: the world behind the last

    @classmethod
    def of(cls, policies: Sequence[Policy]) -> _Seated:
        """From one per world, the same ones more than once."""
        different = list({id(policy): policy for policy in policies}.values())
        places = {id(policy): place for place, policy in enumerate(different)}
        by_world = np.array([places[id(policy)] for policy in policies])
        return cls(different, by_world, np.append(np.flatnonzero(np.diff(by_world)) + 1, len(by_world)))

    def act(
        self, observations: NDArray[Any], worlds: Worlds, species: int, rng: np.random.Generator, greedy: bool
    ) -> NDArray[Any]:
        """Every row's action by the policy of its world."""
        if len(self.policies) == 1:
            return self.policies[0].act(observations, rng, greedy)
        homes = worlds.worlds_of(species)
        if (homes[1:] >= homes[:-1]).all():
            return self._act_by_stretches(observations, np.searchsorted(homes, self.ends), rng, greedy)
        whose = self.by_world[homes]
        rows = [np.flatnonzero(whose == place) for place in range(len(self.policies))]
        parts = [policy.act(observations[own], rng, greedy) for policy, own in zip(self.policies, rows, strict=True)]
        order = np.argsort(np.concatenate(rows), kind="stable")
        actions: NDArray[Any] = np.concatenate(parts)[order]
        return actions

    def _act_by_stretches(
        self, observations: NDArray[Any], ends: NDArray[np.int64], rng: np.random.Generator, greedy: bool
    ) -> NDArray[Any]:
        """Where rows lie world after world, nothing is copied, and one call does for neighbouring worlds."""
        parts, begin = [], 0
        for place, end in zip(self.by_world[self.ends - 1], ends.tolist(), strict=True):
            if end > begin:
                parts.append(self.policies[place].act(observations[begin:end], rng, greedy))
            begin = end
        actions: NDArray[Any] = np.concatenate(parts or [self.policies[0].act(observations, rng, greedy)])
        return actions
