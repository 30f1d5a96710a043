"""PPO in worlds that are looked after: a number that is none is told with its world, and what is left can go on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agents.ppo import kind
from marl_pbt.guarded_worlds import guarded
from marl_pbt.protocols import NotFiniteError
from tests.agents.toy_worlds import ToyWorlds

SETTINGS = {"n_steps": 16, "batch_size": 32, "net_arch": [32, 32]}


class Poisoned(ToyWorlds):
    """Hands out one number in one place, once."""

    reward = observation = last = None

    def step(self, actions):
        self.acted = [self.worlds_of(species) for species in range(2)]
        result = super().step(actions)
        if self.reward is not None and len(result.rewards[1]) > 2:
            result.rewards[1][2] = self.reward
            self.reward, self.world = None, self.acted[1][2]
            self.has_ended = bool(result.ended[1][2])
        if self.last is not None and len(result.truncated_observations[1]):
            result.truncated_observations[1][0, 3] = self.last
            self.last = None
        return result

    def observe(self, species, out):
        rows = super().observe(species, out)
        if species == 1 and self.observation is not None and rows > 2:
            out[2, 1] = self.observation
            self.observation, self.world = None, self.worlds_of(1)[2]
        return rows


def learner_in(worlds):
    return kind.build(SETTINGS, worlds.interface, guarded(worlds), 7)


def assert_goes_on(learner, state):
    """As if nothing had been."""
    learner.set_state(state)
    learner.update()
    healthy = learner_in(Poisoned())
    healthy.update()
    mine, theirs = learner.get_state(), healthy.get_state()
    assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_no_number_is_told_with_its_world_and_leaves_no_trace(value):
    worlds = Poisoned()
    learner = learner_in(worlds)
    state = learner.get_state()
    worlds.reward = value
    with pytest.raises(NotFiniteError, match=rf"worlds gave a reward of {value} for fish in ") as told:
        learner.update()
    assert worlds.has_ended or str(told.value).endswith(f"fish in world {worlds.world}")
    assert_goes_on(learner, state)


@pytest.mark.parametrize("place", ["observation", "last"])
def test_an_observation_that_is_no_number_is_told_and_leaves_no_trace(place):
    worlds = Poisoned()
    learner = learner_in(worlds)
    state = learner.get_state()
    setattr(worlds, place, math.nan)
    with pytest.raises(NotFiniteError, match=r"worlds gave an? (last )?observation of nan for fish") as told:
        for _ in range(20):
            learner.update()
    assert place == "last" or str(told.value).endswith(f"in world {worlds.world}")
    if place == "observation":
        assert_goes_on(learner, state)


def test_large_numbers_that_a_float32_holds_pass():
    worlds = guarded(Poisoned())
    worlds.reset(0)
    for value in (3e38, -3e38):
        worlds.reward = value  # a stand-in sets it in the worlds themselves
        worlds.step([np.zeros(rows, np.int64) for rows in worlds.rows()])


def test_a_row_that_ended_between_two_worlds_is_told_as_of_one_of_them():
    class Ended(Poisoned):
        def step(self, actions):
            result = super().step(actions)
            result.rewards[1][:] = math.nan
            result.next_rows[1][:] = -1
            return result

    worlds = guarded(Ended())
    worlds.reset(0)
    with pytest.raises(NotFiniteError, match="for fish in one of worlds 0 to 3"):
        worlds.step([np.zeros(rows, np.int64) for rows in worlds.rows()])
