"""Episodes as pictures, whatever environment they are played in."""

from typing import ClassVar

import numpy as np
import pytest
from gymnasium.spaces import Box, MultiDiscrete
from pettingzoo import ParallelEnv

from marl_pbt.environments import EnvironmentSource
from marl_pbt.films import shots
from marl_pbt.protocols import UserError

LENGTH = 10


class Lamps(ParallelEnv):
    """Two lamps that take colours; a picture shows the actions of the last step. After ten steps they go out."""

    metadata: ClassVar = {"name": "lamps", "render_modes": ["rgb_array"]}
    closed: ClassVar = []

    def __init__(self, render_mode=None, height=7):
        self.render_mode, self.height = render_mode, height
        self.possible_agents, self.agents = ["lamp_0", "lamp_1"], []

    def observation_space(self, agent):
        return Box(0, 1, (2,), np.float32)

    def action_space(self, agent):
        return MultiDiscrete([256, 4])

    def reset(self, seed=None, options=None):
        self.draws, self.clock, self.agents, self.lit = np.random.default_rng(seed), 0, list(self.possible_agents), 0
        return self.see(), {agent: {} for agent in self.agents}

    def step(self, actions):
        assert all(self.action_space(agent).contains(action) for agent, action in actions.items())
        self.clock += 1
        acted, self.lit = self.agents, actions["lamp_0"][0]
        over = dict.fromkeys(acted, self.clock == LENGTH)
        self.agents = [] if self.clock == LENGTH else acted
        told = {agent: {} for agent in acted}
        return self.see(), dict.fromkeys(acted, 0.0), dict.fromkeys(acted, False), over, told

    def see(self):
        return {agent: self.draws.random(2) for agent in self.possible_agents}  # float64, though its space says float32

    def render(self):
        return np.full((5, self.height, 3), self.lit, np.uint8).swapaxes(0, 1)  # no contiguous array

    def close(self):
        self.closed.append(self.clock)


class Unseen(Lamps):
    def __init__(self):
        super().__init__()


class Wordy(Lamps):
    def render(self):
        return "lamps"


class Grey(Lamps):
    def render(self):
        return np.zeros((7, 5), np.uint8)


class Broken(Lamps):
    def render(self):
        raise NotImplementedError("no pictures here")


class Blown(Lamps):
    def step(self, actions):
        results = super().step(actions)
        if self.clock == 3:
            raise OSError("it is dark")
        return results


class Colours:
    """As an observation says, and a draw."""

    def act(self, observations, rng, greedy=False):
        assert observations.dtype == np.float32
        drawn = rng.integers(4, size=len(observations))
        return np.stack([(observations[:, 0] * 255).astype(np.int64), drawn], axis=1)


def source(name="Lamps", **config):
    return EnvironmentSource(f"test_films:{name}", config)


def played(name="Lamps", seed=0, **options):
    return list(shots(source(name), {"lamp": Colours()}, seed, **options))


def test_an_episode_is_shown_from_its_beginning_to_its_end():
    seen = played()
    assert [shot.step for shot in seen] == list(range(LENGTH + 1))
    assert all((shot.picture.shape, shot.picture.dtype) == ((7, 5, 3), np.uint8) for shot in seen)
    assert len({int(shot.picture[0, 0, 0]) for shot in seen}) > 5


def test_the_same_seed_shows_the_same_episode_and_another_one_another():
    first, again, other = (np.stack([shot.picture for shot in played(seed=seed)]) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_steps_are_left_out_but_the_end_is_not():
    assert [shot.step for shot in played(stride=4)] == [0, 4, 8, 10]
    assert [shot.step for shot in played(stride=4, steps=8)] == [0, 4, 8]
    assert [shot.step for shot in played(steps=0)] == [0]


def test_the_environment_is_closed_also_when_nobody_watches_to_the_end():
    Lamps.closed.clear()
    played()
    watched = shots(source(), {"lamp": Colours()}, 0)
    next(watched), next(watched)
    watched.close()
    assert Lamps.closed == [LENGTH, 1]


def test_a_picture_is_not_overwritten_by_the_next_one():
    seen = played()
    assert len({shot.picture.ctypes.data for shot in seen}) == len(seen)
    assert all(shot.picture.flags.c_contiguous for shot in seen)


def test_births_and_deaths_are_played_by_their_species_policies():
    ours = EnvironmentSource("envs.predator_prey_grass:parallel_env", {"max_steps": 40})
    environment = ours.open()
    policies = {species: environment.baseline("greedy", species) for species in environment.species}
    seen = list(shots(ours, policies, seed=1))
    assert [shot.step for shot in seen] == list(range(41))
    assert len({shot.picture.shape for shot in seen}) == 1


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (
            "Unseen",
            r"must take render_mode='rgb_array' to be filmed, test_films:Unseen raised TypeError: .*render_mode",
        ),
        ("Wordy", r"test_films:Wordy must render \(height, width, 3\) uint8 pictures to be filmed, got str"),
        ("Grey", r"test_films:Grey must render .* to be filmed, got uint8 of shape \(7, 5\)"),
        ("Broken", r"test_films:Broken must render .* raised NotImplementedError: no pictures here"),
    ],
)
def test_an_environment_that_makes_no_pictures_is_refused(name, fault):
    with pytest.raises(UserError, match=f"^environment.make: {fault}"):
        played(name)


def test_an_environment_that_raises_while_it_is_filmed_is_told_and_closed():
    Lamps.closed.clear()
    film = shots(source("Blown"), {"lamp": Colours()}, 0)
    assert [next(film).step for _ in range(3)] == [0, 1, 2]
    with pytest.raises(UserError, match=r"^environment\.make: test_films:Blown raised in step: OSError: it is dark$"):
        next(film)
    assert Lamps.closed == [3]


def test_a_fault_of_the_config_is_told_as_such():
    with pytest.raises(UserError, match=r"^environment\.config\.width: must be in"):
        list(shots(EnvironmentSource("envs.predator_prey_grass:parallel_env", {"width": 0}), {}, 0))
