"""`FastPPO` through Stable-Baselines3's public API, in an ordinary environment: it is a `PPO`."""

import copy

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from torch import nn

from agents.ppo.fast.ppo import FastPPO
from tests.agents.fast_rollouts import assert_equal_states, state_of, steps_of
from tests.agents.test_fast_capability import Noise


def cart_pole(cls, seed=0, **settings):
    relu = {"activation_fn": nn.ReLU}
    settings = {"n_steps": 256, "batch_size": 64, "n_epochs": 2, "policy_kwargs": relu, "device": "cpu"} | settings
    return cls("MlpPolicy", gymnasium.make("CartPole-v1"), seed=seed, **settings)


def trained(total_timesteps, **settings):
    """A `FastPPO` and a `PPO`, one after the other: building a model seeds the global generators that it draws from."""
    return [cart_pole(cls, **settings).learn(total_timesteps) for cls in (FastPPO, PPO)]


def same(first, second):
    ours, theirs = state_of(first), state_of(second)
    return all(np.array_equal(ours[name], array) for name, array in theirs.items())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_first_update_in_an_ordinary_environment_is_ppos(seed):
    """Rollout and minibatches come from the same seeded global generators, also after the update."""
    models, draws = [], []
    for cls in (FastPPO, PPO):
        models.append(cart_pole(cls, seed).learn(256))
        draws.append((np.random.random(), torch.rand(1).item()))
    ours, theirs = models
    assert ours.path_in_use == "dense"
    assert np.array_equal(ours.rollout_buffer.observations, theirs.rollout_buffer.observations)
    assert_equal_states(ours, theirs, within=1e-5)
    assert draws[0] == draws[1]
    assert steps_of(ours) == steps_of(theirs) == {8}
    assert list(ours.logger.name_to_value) == list(theirs.logger.name_to_value)
    assert ours._n_updates == theirs._n_updates == 2


def test_schedules_of_the_learning_rate_and_the_clip_range_are_followed():
    settings = {"learning_rate": lambda left: 1e-3 * left, "clip_range": lambda left: 0.1 + 0.1 * left, "n_epochs": 1}
    ours, theirs = trained(256, n_steps=128, **settings)
    assert ours.path_in_use == "dense"
    for key in ("train/clip_range", "train/learning_rate"):
        assert ours.logger.name_to_value[key] == theirs.logger.name_to_value[key]
    assert_equal_states(ours, theirs, within=1e-5)


def test_several_environments_fill_one_rollout():
    settings = {"n_steps": 64, "batch_size": 64, "n_epochs": 1, "seed": 0, "policy_kwargs": {"activation_fn": nn.ReLU}}
    ours, theirs = (cls("MlpPolicy", make_vec_env("CartPole-v1", 3), **settings).learn(192) for cls in (FastPPO, PPO))
    assert ours.path_in_use == "dense"
    assert_equal_states(ours, theirs, within=1e-5)


@pytest.mark.parametrize("path", ["sparse", "dense"])
@pytest.mark.parametrize("normalize_images", [True, False])
def test_images_are_read_as_the_policy_reads_them(normalize_images, path):
    space, models = spaces.Box(0, 255, (6, 5, 3), np.uint8), []
    kwargs = {"activation_fn": nn.ReLU, "normalize_images": normalize_images}
    for cls in (FastPPO, PPO):
        env = Noise(space, spaces.Discrete(3))
        model = cls("MlpPolicy", env, n_steps=128, batch_size=64, n_epochs=1, seed=0, policy_kwargs=kwargs)
        model.update_path = path
        models.append(model.learn(128))
    assert models[0].path_in_use == path
    assert_equal_states(*models, within=1e-5)


@pytest.mark.parametrize("saved_as, loaded_as", [(FastPPO, FastPPO), (FastPPO, PPO), (PPO, FastPPO)])
def test_what_was_saved_goes_on_as_either(saved_as, loaded_as, tmp_path):
    model = cart_pole(saved_as)
    model.learn(256)
    model.save(tmp_path / "model.zip")
    loaded = loaded_as.load(tmp_path / "model.zip", env=gymnasium.make("CartPole-v1"), device="cpu")
    assert type(loaded) is loaded_as
    assert same(loaded, model)
    assert steps_of(loaded) == {8}
    loaded.learn(256)
    assert not same(loaded, model)
    assert steps_of(loaded) == {16}
    if loaded_as is FastPPO:
        assert loaded.path_in_use == "dense"


def test_parameters_that_were_set_are_trained_on():
    donor, takers = cart_pole(PPO, seed=1).learn(256), []
    for cls in (FastPPO, PPO):
        taker = cart_pole(cls, seed=2)
        taker.set_parameters(copy.deepcopy(donor.get_parameters()))  # torch would share the moments
        assert same(taker, donor)
        takers.append(taker.learn(256))
    assert_equal_states(*takers, within=1e-5)
    assert steps_of(takers[0]) == {16}


def test_a_buffer_filled_again_is_learned_from_again():
    """The flattened arrays of the first update are not those of the second."""
    ours, theirs = trained(256, n_steps=128, n_epochs=1, batch_size=128)
    assert np.array_equal(ours.rollout_buffer.actions, theirs.rollout_buffer.actions)
    assert_equal_states(ours, theirs, within=1e-5)
