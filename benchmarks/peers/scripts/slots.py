"""Predator–prey–grass with a fixed set of agents, as SuperSuit needs it: a slot for each that can live at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from benchmarks.peers.scripts.environments import species_of


class Slots(ParallelEnv[str, NDArray[np.float32], int]):  # type: ignore[misc]  # PettingZoo ships no types
    """Every slot acts in every step; what an empty one does is nothing, what it sees is zeros, what it earns is 0.

    SuperSuit's own `black_death` knows only those who live at the reset, so it cannot let anyone be born. As with
    it, a slot is done when the episode is, not when its agent dies. A newborn takes an empty slot of its species.
    """

    metadata: dict[str, Any] = {"name": "slots"}  # noqa: RUF012  # PettingZoo's own declaration
    render_mode = None

    def __init__(self, environment: Any) -> None:
        self._env = environment
        self.possible_agents = [
            f"{species.name}_{place}"
            for species in environment.unwrapped.rules.species
            for place in range(species.slots)
        ]
        self.agents: list[str] = []
        self._tenants: dict[str, str] = {}
        self._vacant: dict[str, list[str]] = {}
        self._nothing = {
            slot: np.zeros(self.observation_space(slot).shape, np.float32) for slot in self.possible_agents
        }

    def observation_space(self, agent: str) -> Any:
        """The species' space."""
        return self._env.observation_space(agent)

    def action_space(self, agent: str) -> Any:
        """The species' space."""
        return self._env.action_space(agent)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Start an episode."""
        observations, _ = self._env.reset(seed=seed, options=options)
        self.agents = list(self.possible_agents)
        self._tenants = {}
        self._vacant = {species: [] for species in map(species_of, self.possible_agents)}
        for slot in reversed(self.possible_agents):
            self._vacant[species_of(slot)].append(slot)
        self._admit(observations)
        return self._slotted(observations), {slot: {} for slot in self.possible_agents}

    def step(self, actions: Mapping[str, int]) -> Any:
        """Let every living agent act once."""
        acting = dict(self._tenants)
        results = self._env.step({agent: actions[slot] for agent, slot in acting.items()})
        observations, rewards, *_ = results
        self._admit([agent for agent in self._env.agents if agent not in acting])
        seen = self._slotted(observations)
        earned = dict.fromkeys(self.possible_agents, 0.0)
        for agent, slot in acting.items():
            earned[slot] = rewards[agent]
            if agent not in self._env.agents:
                self._vacant[species_of(slot)].append(slot)
                del self._tenants[agent]
        is_over = not self._env.agents
        done = dict.fromkeys(self.possible_agents, is_over)
        if is_over:
            self.agents = []
        return (
            seen,
            earned,
            done,
            dict.fromkeys(self.possible_agents, False),
            {slot: {} for slot in self.possible_agents},
        )

    def _admit(self, newborn: Any) -> None:
        for agent in newborn:
            self._tenants[agent] = self._vacant[species_of(agent)].pop()

    def _slotted(self, observations: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        return self._nothing | {self._tenants[agent]: window for agent, window in observations.items()}
