"""The parts of Stable-Baselines3 that `agents.ppo` leans on; after an upgrade this says which of them moved."""

import inspect
import random

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from stable_baselines3.common.utils import FloatSchedule

from agents.ppo.buffer import RaggedRolloutBuffer
from tests.agents.test_ppo_hyperparameters import build
from tests.agents.toy_worlds import ToyWorlds


@pytest.fixture
def model():
    learner = build()
    learner.update()
    return learner._species["bird"].model


def test_a_schedule_of_a_constant_is_that_constant():
    assert FloatSchedule(0.125)(0.3) == 0.125, "FloatSchedule no longer wraps a constant (learning rate, clip range)"


def test_train_takes_the_learning_rate_from_the_schedule(model):
    model.lr_schedule = FloatSchedule(0.5)
    model._update_learning_rate(model.policy.optimizer)
    rates = [group["lr"] for group in model.policy.optimizer.param_groups]
    assert rates == [0.5], "_update_learning_rate no longer writes lr_schedule into the parameter groups"


def test_train_asks_the_buffer_for_minibatches_once_an_epoch(model, monkeypatch):
    asked = []
    get = model.rollout_buffer.get
    monkeypatch.setattr(model.rollout_buffer, "get", lambda batch_size: (asked.append(batch_size), get(batch_size))[1])
    model.train()
    assert asked == [64] * 3, "PPO.train() no longer calls rollout_buffer.get(batch_size) n_epochs times"


@pytest.mark.parametrize("name", ["values", "returns"])
def test_train_reads_the_explained_variance_from_the_buffer(model, name):
    delattr(model.rollout_buffer, name)
    with pytest.raises(AttributeError, match=name):
        model.train()


def test_minibatches_are_named_tuples_in_this_order():
    fields = ("observations", "actions", "old_values", "old_log_prob", "advantages", "returns")
    assert RolloutBufferSamples._fields == fields, "RolloutBufferSamples changed: see RaggedRolloutBuffer._get_samples"


def test_the_buffer_is_made_through_the_public_hook(model):
    assert type(model.rollout_buffer) is RaggedRolloutBuffer, "rollout_buffer_class is no longer used by PPO"
    assert {"reset", "get", "_get_samples"} <= RolloutBuffer.__dict__.keys(), "RolloutBuffer's methods were renamed"


def test_train_reads_these_attributes_afresh(model):
    source = inspect.getsource(PPO.train)
    for name in ("ent_coef", "vf_coef", "n_epochs", "batch_size", "max_grad_norm", "clip_range", "target_kl"):
        assert f"self.{name}" in source, f"PPO.train() no longer reads self.{name}: set_hyperparameters writes it"


def test_train_logs_these_names(model):
    logged = model.logger.name_to_value
    for name in ("approx_kl", "clip_fraction", "entropy_loss", "explained_variance", "loss", "value_loss"):
        assert f"train/{name}" in logged, f"PPO.train() no longer logs train/{name}"


def test_policies_are_made_of_these_modules(model):
    policy = model.policy
    observations = torch.zeros((2, 3, 3, 2), dtype=torch.uint8)
    features = policy.extract_features(observations)
    assert features.shape == (2, 18), "extract_features no longer flattens images"
    actor, critic = policy.mlp_extractor(features)
    assert torch.equal(actor, policy.mlp_extractor.forward_actor(features)), "forward_actor is another network"
    assert torch.equal(critic, policy.mlp_extractor.forward_critic(features)), "forward_critic is another network"
    logits = policy.get_distribution(observations).distribution.logits
    expected = torch.log_softmax(policy.action_net(actor), dim=1)
    assert torch.allclose(logits, expected, atol=1e-6), "the policy's distribution is no longer that of action_net"
    assert torch.equal(policy.predict_values(observations), policy.value_net(critic)), "value_net is not the critic"


def test_images_are_scaled_to_one(model):
    whites = torch.full((1, 3, 3, 2), 255, dtype=torch.uint8)
    assert torch.equal(model.policy.extract_features(whites), torch.ones(1, 18)), "uint8 images are no longer scaled"


def test_adam_is_fused_with_sb3s_own_eps(model):
    (group,) = model.policy.optimizer.param_groups
    assert (group["fused"], group["eps"]) == (True, 1e-5), "optimizer_kwargs no longer reach Adam"
    state = model.policy.optimizer.state[next(model.policy.parameters())]
    assert set(state) == {"step", "exp_avg", "exp_avg_sq"}, "Adam keeps other moments: see agents.ppo.optimizer"
    assert state["step"].dtype == torch.float32, "fused Adam counts its steps in another dtype"


def test_building_and_training_touch_no_global_generator_and_say_nothing(capsys, recwarn):
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    build().update()
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert before == after, "Stable-Baselines3 draws from or reseeds a global generator"
    assert capsys.readouterr() == ("", "")
    assert not recwarn.list


def test_each_species_has_a_logger_of_its_own_that_writes_nothing():
    learner = build()
    loggers = [learner._species[name].model.logger for name in ToyWorlds.species]
    assert loggers[0] is not loggers[1]
    assert all(logger.dir is None and logger.output_formats == [] for logger in loggers)
