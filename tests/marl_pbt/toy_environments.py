"""A small honest environment with births and deaths, and one copy of it for every way of going wrong."""

from __future__ import annotations

import itertools
import os
import sys
import warnings
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


class FourDicts(Herd):
    def step(self, actions):
        return super().step(actions)[:4]


class ForgetsTheNewborn(Herd):
    def step(self, actions):
        *others, infos = super().step(actions)
        return *others, {agent: info for agent, info in infos.items() if agent in actions}


class DropsTheDead(Herd):
    def step(self, actions):
        results = super().step(actions)
        observations = {agent: value for agent, value in results[0].items() if agent in self.agents}
        return observations, *results[1:]


class UndeadReturn(Herd):
    def join(self):
        if self.clock == 18:
            self.ages["cow_0"] = 0
            self.agents.append("cow_0")
            return "cow_0"
        return super().join()


class LeavesSilently(Herd):
    def step(self, actions):
        results = super().step(actions)
        results[2].update(dict.fromkeys(results[2], False))
        return results


class StaysOnTheList(Herd):
    def step(self, actions):
        results = super().step(actions)
        if self.clock == LIFETIME:
            self.agents.insert(0, "cow_2")
        return results


class DeadAppearTwice(Herd):
    def step(self, actions):
        results = super().step(actions)
        if self.clock == LIFETIME + 1:
            results = self.observe([*results[0], "cow_0"]), *results[1:4], self.infos([*results[0], "cow_0"])
            for held, value in zip(results[1:4], (0.0, True, False), strict=True):
                held["cow_0"] = value
        return results


class BornNowhere(Herd):
    def step(self, actions):
        results = super().step(actions)
        if self.clock == 2:
            for held, value in zip(results, (np.zeros(3, np.float32), 0.0, False, False, {}), strict=True):
                held["cow_29"] = value
        return results


class BornDead(Herd):
    def step(self, actions):
        results = super().step(actions)
        results[2].update((agent, True) for agent in results[2] if agent not in actions)
        return results


class RewardedAtBirth(Herd):
    def step(self, actions):
        results = super().step(actions)
        return (
            results[0],
            {agent: reward or float(agent not in actions) for agent, reward in results[1].items()},
            *results[2:],
        )


class BornAtTheEnd(Herd):
    def step(self, actions):
        results = super().step(actions)
        if self.clock == EPISODE:
            agents = [*actions, self.join()]
            self.agents = []
            results = self.observe(agents), *results[1:4], self.infos(agents)
            for held, value in zip(results[1:4], (0.0, False, False), strict=True):
                held[agents[-1]] = value
        return results


class WrongValues(Herd):
    def step(self, actions):
        observations, rewards, terminations, truncations, infos = super().step(actions)
        first = next(iter(observations))
        wrong = {
            1: np.zeros(3),
            2: np.zeros(4, np.float32),
            3: np.full(3, 7, np.float32),
            4: np.full(3, np.nan, np.float32),
            5: [0.0, 0.0, 0.0],
        }
        observations[first] = wrong.get(self.clock, observations[first])
        rewards[first] = {6: float("nan"), 7: "1"}.get(self.clock, rewards[first])
        truncations[first] = {8: int(truncations[first])}.get(self.clock, truncations[first])
        infos[first] = {9: None}.get(self.clock, infos[first])
        return observations, rewards, terminations, truncations, infos


class Unseeded(Herd):
    def observe(self, agents):
        self.draws = np.random.default_rng()
        return super().observe(agents)


class SharedGenerator(Herd):
    """Reproducible on its own, and not beside another."""

    shared = None

    @staticmethod
    def make_generator(seed):
        SharedGenerator.shared = np.random.default_rng(seed)
        return SharedGenerator.shared

    def observe(self, agents):
        self.draws = SharedGenerator.shared
        return super().observe(agents)


class Worn(Herd):
    """Not new after a reset."""

    used = -1

    def reset(self, seed=None, options=None):
        self.used += seed < 1000
        return super().reset(seed + self.used)


class DeafToSeeds(Herd):
    @staticmethod
    def make_generator(seed):
        return np.random.default_rng(0)


class ReusesBuffers(Herd):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.buffers = {agent: np.zeros(3, np.float32) for agent in self.possible_agents}

    def observe(self, agents):
        for agent, seen in super().observe(agents).items():
            self.buffers[agent][:] = seen
        return {agent: self.buffers[agent] for agent in agents}


class FirstComeFirstServed(Herd):
    def step(self, actions):
        results = super().step(actions)
        results[1][next(iter(actions))] += 1.0
        return results


class InsistsOnOrder(Herd):
    def step(self, actions):
        assert list(actions) == self.agents, "one after the other"
        return super().step(actions)


class OrderOfASet(Herd):
    def join(self):
        newborn = super().join()
        self.agents = list({*self.agents})
        return newborn


class DiesElsewhere(Herd):
    """Ends the process unless it is the one that pytest runs in."""

    def reset(self, seed=None, options=None):
        if "pytest" not in sys.modules:
            os._exit(7)
        return super().reset(seed)


class Talks(Herd):
    def reset(self, seed=None, options=None):
        print("moo")
        warnings.warn("the grass is wet", stacklevel=1)
        return super().reset(seed)

    def step(self, actions):
        os.write(2, b"said in C\n")
        return super().step(actions)


class FlatPicture(Herd):
    def render(self):
        return np.zeros((4, 6), np.float32)


class NeedsADisplay(Herd):
    def render(self):
        return np.zeros((4, 6, len(os.environ["DISPLAY"])), np.uint8)


class ClosesOnce(Herd):
    is_closed = False

    def close(self):
        assert not self.is_closed, "closed already"
        self.is_closed = True


class EatsItsActions(Herd):
    def step(self, actions):
        return super().step({agent: actions.pop(agent) for agent in list(actions)})


class NewbornGoFirst(FirstComeFirstServed):
    """By turns the newborn's action comes last, whatever the order of agents."""

    def join(self):
        newborn = super().join()
        self.agents.insert(0, self.agents.pop())
        return newborn


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
