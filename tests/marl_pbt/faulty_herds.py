"""Herds that each break one rule of a PettingZoo parallel environment."""

from __future__ import annotations

import os
import sys
import warnings

import numpy as np
from toy_environments import EPISODE, LIFETIME, Herd


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
