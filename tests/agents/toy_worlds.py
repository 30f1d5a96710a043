"""Toy worlds that break every habit of a fixed batch: births, deaths, extinctions, time-outs, different spaces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from gymnasium import spaces

from agents.generators import generator_state, make_generator, restore_generator
from marl_pbt.protocols import LIVES_ON, TERMINATED, TRUNCATED, Interface

ROOM = 6


@dataclass
class ToyEpisode:
    world: int
    length: int
    counted: bool
    returns: dict[str, float]
    metrics: dict[str, float]


@dataclass
class ToyStep:
    rewards: list = field(default_factory=list)
    ended: list = field(default_factory=list)
    next_rows: list = field(default_factory=list)
    truncated_observations: list = field(default_factory=list)
    episodes: list = field(default_factory=list)


class ToyWorlds:
    """Each individual sees which action is right this step and is rewarded with 1 for it.

    `bird` sees a uint8 image (3, 3, 2) and has 3 actions, `fish` sees 5 floats and has 4. An individual dies with
    probability `mortality`, one that was rewarded has a child with probability `fertility`.
    """

    species = ("bird", "fish")
    observation_spaces: ClassVar = {
        "bird": spaces.Box(0, 255, (3, 3, 2), np.uint8),
        "fish": spaces.Box(-1.0, 1.0, (5,), np.float32),
    }
    action_spaces: ClassVar = {"bird": spaces.Discrete(3), "fish": spaces.Discrete(4)}

    def __init__(self, num_worlds=4, max_steps=20, mortality=0.04, fertility=0.3, founders=(3, 3)):
        self.num_worlds, self._max_steps = num_worlds, max_steps
        self._mortality, self._fertility, self._founders = mortality, fertility, founders
        self.max_rows = (num_worlds * ROOM, num_worlds * ROOM)
        self._rng = make_generator(np.random.SeedSequence(0))
        self.reset(0)

    @property
    def interface(self):
        return Interface(self.species, self.observation_spaces, self.action_spaces)

    def reset(self, seed, in_phase=False):
        self._rng = make_generator(np.random.SeedSequence(seed))
        self._age = self._rng.integers(0, 1 if in_phase else self._max_steps, self.num_worlds)
        self._played = np.zeros(self.num_worlds, np.int64)
        self._counted = self._age == 0
        self._returns = np.zeros((2, self.num_worlds))
        self._births = np.zeros((2, self.num_worlds), np.int64)
        self._totals = np.zeros(5)
        self._homes = [np.repeat(np.arange(self.num_worlds), founders) for founders in self._founders]
        self._draw_targets()

    def rows(self):
        return tuple(len(homes) for homes in self._homes)

    def worlds_of(self, species):
        return self._homes[species].copy()

    def counters(self):
        tags = ("bird/births", "fish/births", "bird/population", "fish/population", "env_steps")
        return dict(zip(tags, self._totals.tolist(), strict=True))

    def observe(self, species, out):
        rows = len(self._homes[species])
        out[:rows] = self._see(species, self._targets[species])
        return rows

    def step(self, actions):
        result, died, born = ToyStep(), [], []
        self._totals[4] += self.num_worlds
        for s in range(2):
            homes = self._homes[s]
            assert actions[s].shape == homes.shape and actions[s].dtype == np.int64
            right = actions[s] == self._targets[s]
            result.rewards.append(right.astype(np.float32))
            np.add.at(self._returns[s], homes, right)
            died.append(self._rng.random(len(homes)) < self._mortality)
            born.append(self._children(s, right & ~died[s] & (self._rng.random(len(homes)) < self._fertility)))
            self._totals[2 + s] += len(homes)
        self._age += 1
        self._played += 1
        extinct = np.zeros(self.num_worlds, bool)
        for s in range(2):
            extinct |= np.bincount(self._homes[s][~died[s]], minlength=self.num_worlds) == 0
        over = extinct | (self._age >= self._max_steps)
        for s in range(2):
            self._end_or_go_on(s, died[s], born[s], extinct, over, result)
        self._finish_episodes(over, result)
        self._draw_targets()
        return result

    def get_state(self):
        state = {f"homes_{name}": homes.copy() for name, homes in zip(self.species, self._homes, strict=True)}
        state |= {f"targets_{name}": t.copy() for name, t in zip(self.species, self._targets, strict=True)}
        for name in ("age", "played", "counted", "returns", "births", "totals"):
            state[name] = getattr(self, f"_{name}").copy()
        return state | {"generator": generator_state(self._rng)}

    def set_state(self, state):
        self._homes = [state[f"homes_{name}"].copy() for name in self.species]
        self._targets = [state[f"targets_{name}"].copy() for name in self.species]
        for name in ("age", "played", "counted", "returns", "births", "totals"):
            setattr(self, f"_{name}", state[name].copy())
        restore_generator(self._rng, state["generator"])

    def _children(self, s, parents):
        """The homes of the newborns; a world has room for so many only."""
        living = np.bincount(self._homes[s], minlength=self.num_worlds)
        children = []
        for home in self._homes[s][parents]:
            if living[home] < ROOM:
                living[home] += 1
                children.append(home)
        return np.array(children, np.int64)

    def _end_or_go_on(self, s, died, born, extinct, over, result):
        homes = self._homes[s]
        ended = np.where(over[homes], TRUNCATED, LIVES_ON)
        ended = np.where(died | extinct[homes], TERMINATED, ended).astype(np.uint8)
        lives_on = ended == LIVES_ON
        born = born[~over[born]]
        np.add.at(self._births[s], born, 1)
        self._totals[s] += len(born)
        fresh = np.repeat(np.flatnonzero(over), self._founders[s])
        unsorted = np.concatenate([homes[lives_on], born, fresh])
        order = np.argsort(unsorted, kind="stable")
        places = np.argsort(order, kind="stable").astype(np.int32)
        next_rows = np.full(len(homes), -1, np.int32)
        next_rows[lives_on] = places[: lives_on.sum()]
        result.ended.append(ended)
        result.next_rows.append(next_rows)
        result.truncated_observations.append(self._see(s, self._targets[s][ended == TRUNCATED]))
        self._homes[s] = unsorted[order]

    def _finish_episodes(self, over, result):
        for world in np.flatnonzero(over):
            returns = {name: float(self._returns[s, world]) for s, name in enumerate(self.species)}
            births = {f"{name}/births": float(self._births[s, world]) for s, name in enumerate(self.species)}
            result.episodes.append(
                ToyEpisode(int(world), int(self._played[world]), bool(self._counted[world]), returns, births)
            )
        self._age[over] = self._played[over] = 0
        self._returns[:, over] = self._births[:, over] = 0
        self._counted[over] = True

    def _draw_targets(self):
        self._targets = [
            self._rng.integers(self.action_spaces[name].n, size=len(homes))
            for name, homes in zip(self.species, self._homes, strict=True)
        ]

    def _see(self, s, targets):
        space = self.observation_spaces[self.species[s]]
        seen = np.zeros((len(targets), *space.shape), space.dtype)
        if s == 0:
            seen[np.arange(len(targets)), targets, 1, 0] = 255
        else:
            seen[np.arange(len(targets)), targets] = 1.0
        return seen
