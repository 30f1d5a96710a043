"""The two environments as the peers get them: plain PettingZoo, with flat float observations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo.utils import BaseParallelWrapper

Observations = dict[str, NDArray[np.float32]]


def make_environment(name: str) -> Any:
    """One copy of `predator_prey_grass` (its base preset) or of MPE2's `simple_tag` (4 agents, 25 steps)."""
    if name == "simple_tag":
        from mpe2 import simple_tag_v3  # type: ignore[import-not-found]  # only where it is installed

        return simple_tag_v3.parallel_env(continuous_actions=False)
    from envs.predator_prey_grass import parallel_env

    return FlatObservations(parallel_env())


def species_of(agent: str) -> str:
    """The species of an agent id, in both environments."""
    return agent.rpartition("_")[0]


class FlatObservations(BaseParallelWrapper):  # type: ignore[misc]  # PettingZoo ships no types
    """Windows of uint8 become vectors of float32 in 0..1: what a peer's MLP takes without a network for images."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._spaces = {
            species: spaces.Box(0.0, 1.0, (int(np.prod(environment.observation_space(f"{species}_0").shape)),))
            for species in environment.species
        }

    def observation_space(self, agent: str) -> spaces.Box:
        """The species' space: one object for all its agents."""
        return self._spaces[species_of(agent)]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, Any]:
        """Start an episode."""
        observations, infos = self.env.reset(seed=seed, options=options)
        return self._flatten(observations), infos

    def step(self, actions: Mapping[str, int]) -> Any:
        """Let every agent act once."""
        observations, *others = self.env.step(actions)
        return self._flatten(observations), *others

    def _flatten(self, observations: Mapping[str, NDArray[np.uint8]]) -> Observations:
        return {
            agent: (window.reshape(-1) / np.float32(255)).astype(np.float32, copy=False)
            for agent, window in observations.items()
        }
