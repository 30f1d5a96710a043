"""A small honest environment with births and deaths, and one copy of it for every way of going wrong."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv

LIFETIME, EPISODE = 7, 20


class Herd(ParallelEnv):
    """Individuals live for 7 steps; every third step one is born; after 20 steps time is up."""

    metadata: ClassVar = {"name": "herd", "render_modes": ["rgb_array"]}
    make_generator = staticmethod(np.random.default_rng)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.possible_agents = [f"cow_{n}" for n in range(30)]
        self.agents = []
        self._spaces = Box(-5, 5, (3,), np.float32), Discrete(3)

    def observation_space(self, agent):
        return self._spaces[0]

    def action_space(self, agent):
        return self._spaces[1]

    def reset(self, seed=None, options=None):
        self.draws, self.clock = self.make_generator(seed), 0
        self.numbers = itertools.count()
        self.ages = {}
        self.agents = []
        for _ in range(3):
            self.join()
        return self.observe(self.agents), self.infos(self.agents)

    def step(self, actions):
        if not self.agents:
            return {}, {}, {}, {}, {}
        self.clock += 1
        acted = list(self.agents)
        rewards = {agent: float(actions[agent] == 2) for agent in acted}
        for agent in acted:
            self.ages[agent] += 1
        terminations = {agent: self.dies(agent) for agent in acted}
        truncations = {agent: self.clock == EPISODE and not terminations[agent] for agent in acted}
        self.agents = [agent for agent in acted if not (terminations[agent] or truncations[agent])]
        if self.agents and self.clock % 3 == 0:
            newborn = self.join()
            rewards[newborn], terminations[newborn], truncations[newborn] = 0.0, False, False
        everyone = [*acted, *(agent for agent in self.agents if agent not in acted)]
        return self.observe(everyone), rewards, terminations, truncations, self.infos(everyone)

    def join(self):
        newborn = f"cow_{next(self.numbers)}"
        self.ages[newborn] = 0
        self.agents.append(newborn)
        return newborn

    def dies(self, agent):
        return self.ages[agent] >= LIFETIME

    def observe(self, agents):
        weather = self.draws.random()
        return {agent: np.array([weather, self.ages[agent] / 7, self.clock / 20], np.float32) for agent in agents}

    def infos(self, agents):
        return {agent: {"age": self.ages[agent]} for agent in agents}

    def render(self):
        return np.zeros((4, 6, 3), np.uint8)


class NewSpaces(Herd):
    def observation_space(self, agent):
        return Box(-5, 5, (3,), np.float32)


class ShortReset(Herd):
    def reset(self, seed=None, options=None):
        observations, infos = super().reset(seed)
        return observations, {agent: infos[agent] for agent in list(infos)[1:]}


class Unforeseen(Herd):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.possible_agents = self.possible_agents[:5]


class NamesNobody(Herd):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        del self.possible_agents


class Raises(Herd):
    def step(self, actions):
        if self.clock == 4:
            raise IndexError("no such cow")
        return super().step(actions)


class CrookedWorlds:
    """Worlds that do all but one thing right."""

    def __init__(self, worlds, crooked):
        self.worlds = worlds
        self.crooked = crooked

    def __getattr__(self, name):
        return getattr(self.worlds, name)

    def observe(self, species, out):
        return self.worlds.observe(species, out) + (self.crooked == "rows")

    @property
    def observation_spaces(self):
        spaces = self.worlds.observation_spaces
        return dict.fromkeys(spaces, spaces["prey"]) if self.crooked == "spaces" else spaces

    def step(self, actions):
        result = self.worlds.step(actions)
        if self.crooked != "rewards":
            return result
        names = ("ended", "next_rows", "truncated_observations", "episodes")
        rewards = [each.astype(np.float64) for each in result.rewards]
        return SimpleNamespace(rewards=rewards, **{name: getattr(result, name) for name in names})

    def set_state(self, state):
        generator = {name: array for name, array in self.worlds.get_state().items() if name == "generator"}
        self.worlds.set_state({**state, **generator} if self.crooked == "state" else state)


def crooked(what, **more):
    from envs.predator_prey_grass import parallel_env

    environment = parallel_env(max_steps=20, **more)
    environment.batched = lambda num_worlds: CrookedWorlds(type(environment).batched(environment, num_worlds), what)
    return environment


class BatchedWithoutSpecies(Herd):
    def batched(self, num_worlds):
        return crooked("nothing").batched(num_worlds)


def breaks():
    raise RuntimeError("out of grass")


class TwoAtMost(Herd):
    made = 0

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        TwoAtMost.made += 1
        if TwoAtMost.made > 2:
            raise RuntimeError("the port is in use")


def by_turns():
    from pettingzoo.utils.conversions import parallel_to_aec

    return parallel_to_aec(Herd())


def refuses(size=1):
    raise ValueError(f"size: must be positive, got {size}")
