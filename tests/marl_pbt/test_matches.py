"""Frozen policies play whole episodes."""

from dataclasses import dataclass

import numpy as np
import pytest
from gymnasium import spaces

from marl_pbt.matches import Mean, play
from marl_pbt.seats import RandomPolicy


@dataclass
class Ended:
    world: int
    length: int
    returns: dict
    metrics: dict
    counted: bool = True


class CountdownWorlds:
    """World i ends every i + 1 steps; a cat's reward is its action, a mouse's the negative of it.

    There is one cat in every world; mice come and go with the steps, and at times there are none at all.
    """

    species = ("cat", "mouse")
    observation_spaces = {name: spaces.Box(0, 1, (2,), np.float32) for name in species}  # noqa: RUF012
    action_spaces = {name: spaces.Discrete(5) for name in species}  # noqa: RUF012

    def __init__(self, num_worlds):
        self.num_worlds = num_worlds
        self.max_rows = (num_worlds, 3)
        self.seeds = []

    def reset(self, seed, in_phase=False):
        self.seeds.append((seed, in_phase))
        self._steps = np.zeros(self.num_worlds, int)
        self._returns = np.zeros(self.num_worlds)
        self._ended = 0
        self._clock = 0

    def rows(self):
        return (self.num_worlds, self._clock % 4)

    def observe(self, species, out):
        rows = self.rows()[species]
        out[:rows] = self._clock
        out[rows:] = np.nan
        return rows

    def step(self, actions):
        assert [len(chosen) for chosen in actions] == list(self.rows())
        self._clock += 1
        self._steps += 1
        self._returns += actions[0]
        episodes = []
        for world in np.flatnonzero(self._steps == np.arange(self.num_worlds) + 1):
            total = float(self._returns[world])
            metrics = {"world": float(world)} | ({"rare": 7.0} if world == 1 else {})
            episodes.append(Ended(int(world), int(self._steps[world]), {"cat": total, "mouse": -total}, metrics))
            self._steps[world] = self._returns[world] = 0
        return type("Step", (), {"episodes": episodes})


class TellsTheTime:
    def act(self, observations, rng, greedy=False):
        return observations[:, 0].astype(np.int64)


class AlwaysOne:
    def act(self, observations, rng, greedy=False):
        assert np.isfinite(observations).all(), "only living rows are shown"
        assert observations.dtype == np.float32
        return np.ones(len(observations), np.int64)


def played(worlds=4, seed=0, cat=None):
    random = RandomPolicy(spaces.Discrete(5))
    return play(CountdownWorlds(worlds), {"cat": cat or random, "mouse": random}, seed).result(("cat", "mouse"))


def test_every_world_counts_once_however_short_its_episodes():
    """Worlds of short episodes must not outvote the others."""
    result = played(cat=AlwaysOne())
    assert result.length == Mean(2.5, pytest.approx(np.std([1, 2, 3, 4], ddof=1) / 2), 4)
    assert result.returns["cat"].mean == 2.5
    assert result.returns["mouse"].mean == -2.5
    assert result.metrics == {"world": 1.5, "rare": 7.0}


def test_the_first_episode_of_each_world_counts_and_not_its_later_ones():
    assert played(cat=TellsTheTime()).returns["cat"].mean == np.mean([0, 0 + 1, 0 + 1 + 2, 0 + 1 + 2 + 3])


def test_the_same_seed_gives_the_same_match_another_seed_another():
    assert played(seed=3) == played(seed=3)
    assert played(seed=3) != played(seed=4)


def test_all_worlds_begin_an_episode_with_the_seed_of_the_match():
    worlds = CountdownWorlds(2)
    play(worlds, dict.fromkeys(worlds.species, AlwaysOne()), 11)
    assert worlds.seeds == [(11, True)]


def test_a_uniform_policy_plays_every_action_alike():
    actions = RandomPolicy(spaces.Discrete(4)).act(np.zeros((8000, 2)), np.random.default_rng(0))
    assert actions.dtype == np.int64
    assert abs(np.bincount(actions, minlength=4) - 2000).max() < 200
    assert RandomPolicy(spaces.Discrete(4)).act(np.zeros((0, 2)), np.random.default_rng(0)).shape == (0,)


def test_a_mean_has_the_standard_error_of_statistics():
    assert Mean.of([2.0, 4.0]) == Mean(3.0, 1.0, 2)
    assert Mean.of([5.0]) == Mean(5.0, 0.0, 1)
    assert str(Mean.of([99.6, 100.4])) == "100 ± 0"
    assert np.isnan(Mean.of([1.0, float("nan")]).mean)
