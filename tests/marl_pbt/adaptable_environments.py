"""Plain PettingZoo parallel environments for the adapter: births, deaths, images, odd actions; and faulty ones."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from pettingzoo import ParallelEnv

NOBODY = ({}, {}, {}, {}, {})


class Meadow(ParallelEnv):
    """Foxes see images and hares vectors; both die and hares are born at random; time is up after `max_steps`.

    An action 1 is rewarded with 1. The episode also ends when a species is extinct.
    """

    metadata: ClassVar = {"name": "meadow", "render_modes": ["rgb_array"]}
    observation_spaces: ClassVar = {"fox": Box(0, 255, (4, 3, 2), np.uint8), "hare": Box(-1.0, 1.0, (5,), np.float32)}
    action_spaces: ClassVar = {"fox": Discrete(3), "hare": Discrete(4)}

    def __init__(self, max_steps=15, mortality=0.03, render_mode=None):
        self.render_mode = render_mode
        self.max_steps, self.mortality = max_steps, mortality
        self.possible_agents = [f"fox_{n}" for n in range(3)] + [f"hare_{n}" for n in range(40)]
        self.agents = []

    def observation_space(self, agent):
        return self.observation_spaces[agent.partition("_")[0]]

    def action_space(self, agent):
        return self.action_spaces[agent.partition("_")[0]]

    def reset(self, seed=None, options=None):
        self.draws, self.clock, self.born = np.random.default_rng(seed), 0, 4
        self.agents = ["hare_0", "fox_0", "hare_1", "fox_1", "hare_2", "fox_2", "hare_3"]
        return self.see(self.agents), {agent: {} for agent in self.agents}

    def step(self, actions):
        if not self.agents:
            return NOBODY
        self.clock += 1
        acted = self.agents
        rewards = {agent: float(actions[agent] == 1) for agent in acted}
        died = {agent: bool(self.draws.random() < self.mortality) for agent in acted}
        living = [agent for agent in acted if not died[agent]]
        if len({agent[0] for agent in living}) < 2:
            died, living = dict.fromkeys(acted, True), []
        over = dict.fromkeys(acted, False) | dict.fromkeys(living, self.clock >= self.max_steps)
        self.agents = [agent for agent in living if not over[agent]]
        newborn = []
        if self.agents and self.draws.random() < 0.4:
            newborn = [f"hare_{self.born}"]
            self.born += 1
            self.agents = [*self.agents, *newborn]
        for each, value in ((rewards, 0.0), (died, False), (over, False)):
            each.update(dict.fromkeys(newborn, value))
        everyone = [*acted, *newborn]
        return self.see(everyone), rewards, died, over, {agent: {} for agent in everyone}

    def see(self, agents):
        return {agent: self.see_one(agent[0] == "f") for agent in agents}

    def see_one(self, is_fox):
        if is_fox:
            return self.draws.integers(0, 256, (4, 3, 2), np.uint8)
        return self.draws.uniform(-1, 1, 5).astype(np.float32)

    def render(self):
        return np.full((8, 8, 3), self.clock, np.uint8)


class PlainPredatorPreyGrass(ParallelEnv):
    """Ours, and all that it shows is what PettingZoo asks for."""

    metadata: ClassVar = {"name": "plain"}

    def __init__(self, **config):
        from envs.predator_prey_grass import parallel_env

        self.inner = parallel_env(**config)
        self.possible_agents = self.inner.possible_agents
        self.observation_space, self.action_space = self.inner.observation_space, self.inner.action_space

    @property
    def agents(self):
        return self.inner.agents

    def reset(self, seed=None, options=None):
        return self.inner.reset(seed=seed)

    def step(self, actions):
        return self.inner.step(actions)


class Script(ParallelEnv):
    """`acts[n]` and `ends[n]` say who is alive before step n + 1 and how they end in it; what one sees is a count."""

    metadata: ClassVar = {"name": "script"}
    lives: ClassVar = [["a_0", "b_0", "a_1"], ["b_0", "a_1"], ["b_0", "a_2", "a_1"]]
    ends: ClassVar = [{"a_0": "died"}, {}, dict.fromkeys(["b_0", "a_2", "a_1"], "over")]

    def __init__(self):
        self.possible_agents = ["a_0", "a_1", "a_2", "b_0"]
        self.agents = []
        self.count = 0

    def observation_space(self, agent):
        return Box(0, np.inf, (1,), np.float32)

    def action_space(self, agent):
        return Discrete(2)

    def reset(self, seed=None, options=None):
        self.clock, self.agents = 0, list(self.lives[0])
        return self.see(self.agents), {agent: {} for agent in self.agents}

    def step(self, actions):
        acted, ends = self.agents, self.ends[self.clock]
        self.clock += 1
        self.agents = list(self.lives[self.clock]) if self.clock < len(self.lives) else []
        everyone = [*acted, *(agent for agent in self.agents if agent not in acted)]
        died, over = ({agent: ends.get(agent) == how for agent in everyone} for how in ("died", "over"))
        rewards = {agent: float(actions.get(agent, 0)) for agent in everyone}
        return self.see(everyone), rewards, died, over, {agent: {} for agent in everyone}

    def see(self, agents):
        self.count += 1
        return {agent: np.array([self.count * 10 + int(agent[-1])], np.float32) for agent in agents}


class ReusesIds(Script):
    lives: ClassVar = [["a_0", "b_0"], ["b_0"], ["b_0", "a_0"]]
    ends: ClassVar = [{"a_0": "died"}, {}, {"b_0": "died", "a_0": "over"}]


class Arms(ParallelEnv):
    """Arms move in a Box and switch MultiDiscrete buttons; it keeps what it was given."""

    metadata: ClassVar = {"name": "arms"}
    possible_agents: ClassVar = ["arm_0", "arm_1", "button_0"]
    low, high = np.array([-1.0, -np.inf], np.float32), np.array([2.0, np.inf], np.float32)

    def __init__(self):
        self.agents = []
        self.given = []

    def observation_space(self, agent):
        return Box(-np.inf, np.inf, (2,), np.float64)

    def action_space(self, agent):
        return Box(self.low, self.high) if agent.startswith("arm") else MultiDiscrete([3, 300])

    def reset(self, seed=None, options=None):
        self.clock, self.agents = 0, list(self.possible_agents)
        self.place = np.zeros(2)
        return dict.fromkeys(self.agents, self.place), {}

    def step(self, actions):
        self.given.append({agent: (action.copy(), action.dtype) for agent, action in actions.items()})
        self.clock += 1
        self.place = self.place + actions["arm_0"] + actions["button_0"]
        actions["arm_0"][:] = 7  # what an environment may do to what it was given
        acted, self.agents = self.agents, self.agents if self.clock < 9 else []
        over = dict.fromkeys(acted, self.clock == 9)
        return dict.fromkeys(acted, self.place), dict.fromkeys(acted, 1), dict.fromkeys(acted, False), over, {}


class Unrepeatable(Meadow):
    """Does not keep to its seed."""

    def reset(self, seed=None, options=None):
        return super().reset(None)


class NamesNobody(Meadow):
    def __init__(self):
        super().__init__()
        self.possible_agents = None


class TwoKindsOfHares(Meadow):
    def observation_space(self, agent):
        return Box(-1, 1, (6,)) if agent == "hare_7" else super().observation_space(agent)


class SeesDictionaries(Meadow):
    def observation_space(self, agent):
        return Dict({"place": Box(0, 1, (2,))})


class NoSpaces(Meadow):
    def action_space(self, agent):
        raise KeyError(agent)


class Faulty(Meadow):
    """Honest but for `spoil`, which is given what step 3 returns."""

    def __init__(self):
        super().__init__(mortality=0.0)

    def step(self, actions):
        results = super().step(actions)
        return self.spoil(*results) if self.clock == 3 else results


class LosesAnObservation(Faulty):
    def spoil(self, observations, *others):
        del observations["hare_1"]
        return observations, *others


class LosesAReward(Faulty):
    def spoil(self, observations, rewards, *others):
        del rewards["hare_1"]
        return observations, rewards, *others


class WrongShape(Faulty):
    def spoil(self, observations, *others):
        observations["hare_1"] = np.zeros(4, np.float32)
        return observations, *others


class WrongDtype(Faulty):
    def spoil(self, observations, *others):
        observations["fox_2"] = observations["fox_2"].astype(np.float64)
        return observations, *others


class SeesNaN(Faulty):
    def spoil(self, observations, *others):
        observations["hare_2"] = np.full(5, np.nan, np.float32)
        return observations, *others


class EarnsNaN(Faulty):
    def spoil(self, observations, rewards, *others):
        rewards["fox_1"] = float("nan")
        return observations, rewards, *others


class EarnsNone(Faulty):
    def spoil(self, observations, rewards, *others):
        rewards["fox_1"] = None
        return observations, rewards, *others


class FourDicts(Faulty):
    def spoil(self, *results):
        return results[:4]


class Leaves(Faulty):
    def spoil(self, *results):
        self.agents = [agent for agent in self.agents if agent != "fox_1"]
        return results


class Stays(Faulty):
    def spoil(self, *results):
        results[2]["fox_1"] = True
        return results


class Stranger(Faulty):
    def spoil(self, *results):
        self.agents = [*self.agents, "wolf_0"]
        return results


class Raises(Faulty):
    def spoil(self, *results):
        raise IndexError("no such hare")
