"""The two-species game of specs/pbt.md, section 6, as small as it can be: a policy is a number, its skill.

A hunter returns by how much it is more skilled than the runner, a runner the other way round, so a return says as much
of the partner as of oneself. Skill grows by training, the faster the nearer `pace` is to 0.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from gymnasium import spaces

from marl_pbt.protocols import Clocks, FinishedEpisode, HyperparameterSpec, LearnerDescription, TrainingReport

SPECIES = ("hunter", "runner")
NOISE = 0.3
EPISODES_PER_UPDATE = 4
TOO_STRONG = 1e9
PACE = HyperparameterSpec(0.1, "float", low=0.0, high=10.0, low_is_open=True)


@dataclass
class Ended:
    world: int
    returns: dict
    length: int = 1
    counted: bool = True
    metrics: tuple = ()

    def __post_init__(self):
        self.metrics = {}


class ContestWorlds:
    """One hunter and one runner in each world; they say their number once, and it is over."""

    species = SPECIES
    observation_spaces = dict.fromkeys(SPECIES, spaces.Box(0, 1, (1,), np.float32))
    action_spaces = dict.fromkeys(SPECIES, spaces.Box(-np.inf, np.inf, (1,), np.float32))

    def __init__(self, num_worlds):
        self.num_worlds = num_worlds
        self.max_rows = (num_worlds, num_worlds)

    def reset(self, seed, in_phase=False):
        self._rng = np.random.default_rng(seed)

    def rows(self):
        return self.max_rows

    def worlds_of(self, species):
        return np.arange(self.num_worlds)

    def observe(self, species, out):
        out[: self.num_worlds] = 0
        return self.num_worlds

    def step(self, actions):
        gaps = (actions[0] - actions[1])[:, 0] + self._rng.normal(0, NOISE, self.num_worlds)
        episodes = [
            Ended(world, {"hunter": float(gap), "runner": -float(gap)}) for world, gap in enumerate(gaps.tolist())
        ]
        return SimpleNamespace(episodes=episodes)


class Contest:
    """`Environment`."""

    species = SPECIES

    def species_of(self, agent):
        return agent.partition("_")[0]

    def batched(self, num_worlds):
        return ContestWorlds(num_worlds)


class SkilledPolicy:
    def __init__(self, skill):
        self.skill = skill

    def act(self, observations, rng, greedy=False):
        return np.full((len(observations), 1), self.skill, np.float32)


class ContestLearner:
    """`Learner`."""

    species = SPECIES

    def __init__(self, seed):
        self._rng = np.random.default_rng(seed)
        self._skills = dict.fromkeys(SPECIES, 0.0)
        self._values = {name: {"pace": PACE.default} for name in SPECIES}
        self.growth = 1.0

    def set_hyperparameters(self, species, values):
        self._values[species] |= values

    def get_hyperparameters(self, species):
        return dict(self._values[species])

    def skill(self, species):
        return self._skills[species]

    def update(self):
        for name in SPECIES:
            self._skills[name] += self.growth * math.exp(-(math.log(self._values[name]["pace"] / 0.1) ** 2))
        gap = self._skills["hunter"] - self._skills["runner"]
        gaps = gap + self._rng.normal(0, NOISE, EPISODES_PER_UPDATE)
        episodes = tuple(
            FinishedEpisode(1, {"hunter": float(each), "runner": -float(each)}, own=dict.fromkeys(SPECIES, True))
            for each in gaps
        )
        return TrainingReport(Clocks(2, 1, 1, 0.0), episodes, {})

    def snapshot(self, species):
        return {"policy/skill": np.array([self._skills[species]], np.float64)}

    def adopt(self, species, tensors, optimizer_state):
        self._skills[species] = float(tensors["policy/skill"][0])

    def get_state(self):
        state = {f"{name}/policy/skill": self.snapshot(name)["policy/skill"] for name in SPECIES}
        return state | {f"{name}/pace": np.array(self._values[name]["pace"]) for name in SPECIES}

    def set_state(self, state):
        for name in SPECIES:
            self._skills[name] = float(state[f"{name}/policy/skill"][0])
            self._values[name]["pace"] = float(state[f"{name}/pace"])


class ContestKind:
    """`LearnerKind`."""

    def describe(self, settings, interface):
        return LearnerDescription(
            hyperparameters={name: {"pace": PACE} for name in SPECIES},
            snapshot_bytes=dict.fromkeys(SPECIES, 8),
            architecture={name: {"kind": "contest"} for name in SPECIES},
        )

    def build(self, settings, interface, worlds, seed):
        return ContestLearner(seed)

    def load_policy(self, architecture, tensors, spaces=None):
        if architecture["kind"] != "contest" or not abs(tensors["policy/skill"][0]) < TOO_STRONG:
            raise ValueError("policy/skill: too much of a number to play with")
        return SkilledPolicy(float(tensors["policy/skill"][0]))


kind = ContestKind()
make = Contest
