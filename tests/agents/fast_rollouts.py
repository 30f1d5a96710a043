"""Rollouts to learn from, models that learn from them, and PPO's update written out in torch in any precision."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass, replace

import numpy as np
import torch
from gymnasium import spaces

from agents.ppo import kind
from agents.ppo.build import build_ppo
from agents.ppo.fast.session import UpdateSession
from agents.ppo.settings import HYPERPARAMETERS, SpeciesSettings
from envs.predator_prey_grass import parallel_env
from marl_pbt.protocols import Interface

MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Rollout:
    """What a model learns from: `(rows, *shape)` observations and `(rows,)` columns."""

    space: spaces.Box
    n_actions: int
    observations: np.ndarray
    actions: np.ndarray
    advantages: np.ndarray
    returns: np.ndarray

    def first(self, rows):
        columns = ("observations", "actions", "advantages", "returns")
        return replace(self, **{name: getattr(self, name)[:rows].copy() for name in columns})


@functools.cache
def played(species):
    """A rollout of predator–prey–grass, shuffled."""
    worlds = parallel_env().batched(32)
    interface = Interface(worlds.species, worlds.observation_spaces, worlds.action_spaces)
    settings = {"n_steps": 40, "n_epochs": 1, "batch_size": 1 << 20, "update_path": "sb3", "net_arch": [32]}
    learner = kind.build(settings, interface, worlds, 0)
    learner.update()
    buffer = learner._species[species].buffer
    order = np.random.default_rng(0).permutation(buffer.size())
    columns = (buffer.column("observations"), buffer.column("actions"), buffer.advantages, buffer.returns)
    space, n_actions = interface.observation_spaces[species], int(interface.action_spaces[species].n)
    return Rollout(space, n_actions, *(column[order] for column in columns))


def invented(space, observations, n_actions=9, seed=0):
    """Random actions, advantages and returns beside given observations."""
    rng, rows = np.random.default_rng(seed), len(observations)
    advantages, returns = rng.normal(size=(2, rows)).astype(np.float32)
    return Rollout(space, n_actions, observations, rng.integers(0, n_actions, rows), advantages, returns)


def floats(rows, inputs=24, density=1.0, seed=0, dtype=np.float32):
    """A rollout of flat observations with a share of them not zero."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, inputs)) * (rng.random((rows, inputs)) < density)
    space = spaces.Box(-np.inf, np.inf, (inputs,), np.float64 if dtype == np.float64 else np.float32)
    return invented(space, numbers.astype(dtype), seed=seed)


def patterned(rng, rows, shape, patterns, level):
    """Observations whose first channel holds nothing but zeros and one value, in so many patterns."""
    observations = rng.integers(1, 5, (rows, *shape)) * (rng.random((rows, *shape)) < 0.1)
    pictures = rng.random((patterns, *shape[:2])) < 0.5
    observations[..., 0] = pictures[np.arange(rows) % patterns] * level
    return observations.astype(np.uint8)


class Orders:
    """Stands where a generator does: draws the orders it was given, one after the other."""

    def __init__(self, orders):
        self._orders = iter(orders)

    def permutation(self, rows):
        order = next(self._orders)
        assert sorted(order) == list(range(rows))
        return order


def make_model(rollout, path="auto", seed=0, rng=None, net_arch=(64, 64), target_kl=None, normalize=True, **values):
    """A model that has the rollout in its buffer, far enough from its first weights to prefer some actions.

    Some rows' ratios are exactly 1, some within the clip range, some clipped on either side.
    """
    pi, vf = net_arch if isinstance(net_arch[0], tuple) else (net_arch, net_arch)
    hyperparameters = {name: spec.default for name, spec in HYPERPARAMETERS.items()} | values
    settings = SpeciesSettings(
        hyperparameters, {"pi": pi, "vf": vf}, normalize_advantage=normalize, target_kl=target_kl, update_path=path
    )
    weights = int(np.random.SeedSequence(seed).generate_state(1)[0])
    box = rollout.space, spaces.Discrete(rollout.n_actions)
    model = build_ppo(settings, box, "cpu", rng or np.random.default_rng(seed), weights)
    make_lively(model.policy, seed)
    fill(model, rollout, shifts(len(rollout.actions), seed))
    return model


@torch.no_grad()
def make_lively(policy, seed):
    """Biases other than zero, and an actor that is not indifferent."""
    generator = torch.Generator().manual_seed(seed)
    policy.action_net.weight.mul_(60)
    for name, parameter in policy.named_parameters():
        if name.endswith("bias"):
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def shifts(rows, seed):
    """Logarithms of ratios: a third is 0, a third around 0, a third beyond a clip range of 0.2 on either side."""
    rng = np.random.default_rng(seed)
    kinds = [np.zeros(rows), rng.uniform(-0.15, 0.15, rows), rng.choice([-1, 1], rows) * rng.uniform(0.25, 0.7, rows)]
    return np.choose(rng.integers(0, 3, rows), kinds).astype(np.float32)


def fill(model, rollout, log_ratios):
    """Write the rollout into the model's buffer, as if a policy had acted whose ratio to the model's is this."""
    buffer, rows = model.rollout_buffer, len(rollout.actions)
    with torch.no_grad():
        observed, chosen = torch.from_numpy(rollout.observations), torch.from_numpy(rollout.actions)
        values, log_probs, _ = model.policy.evaluate_actions(observed, chosen)
    buffer.reset()
    buffer.open_block(rows)[...] = rollout.observations
    buffer.act(rollout.actions, log_probs.numpy() - log_ratios, values.flatten().numpy())
    buffer.values, buffer.advantages, buffer.returns = values.flatten().numpy(), rollout.advantages, rollout.returns


def gradient_of(model, path):
    """The compiled gradient of the last minibatch of an epoch; the model stays as it is."""
    session = UpdateSession(model, path)
    session.train_epoch()
    read, flat = session._layout.read, session._learned.gradient
    return {name: read(flat, name, p.shape).copy() for name, p in model.policy.named_parameters()}


def state_of(model):
    """Parameters and moments by name, as copies."""
    state = {}
    for name, parameter in model.policy.named_parameters():
        state[name] = parameter.detach().numpy().copy()
        for moment in MOMENTS:
            moments = model.policy.optimizer.state.get(parameter)
            state[f"{name}/{moment}"] = moments[moment].numpy().copy() if moments else np.zeros_like(state[name])
    return state


def steps_of(model):
    """How many steps the optimiser says it has made, parameter by parameter."""
    return {float(state["step"]) for state in model.policy.optimizer.state.values()}


def assert_equal_states(ours, theirs, within=1e-6):
    """Parameters within an absolute bound; moments within ten times that, relative to a tensor's greatest."""
    ours, theirs = state_of(ours), state_of(theirs)
    for name, array in theirs.items():
        scale = 10 * np.abs(array).max() if name.endswith(MOMENTS) else 1
        assert np.isfinite(ours[name]).all(), name
        assert np.abs(ours[name] - array).max() <= within * scale, name


class Reference:
    """PPO's update of a model, written out in torch.

    Args:
        model: What it begins as; stays as it is.
        rollout: What the model's buffer holds.
        dtype: To compute in; observations are what torch makes of them in float32.
    """

    def __init__(self, model, rollout, dtype):
        self.policy = copy.deepcopy(model.policy).to(dtype)
        self.optimizer = torch.optim.Adam(self.policy.parameters())
        self.optimizer.load_state_dict(model.policy.optimizer.state_dict())
        self._model = model
        columns = (rollout.actions, model.rollout_buffer.column("log_probs"), rollout.advantages, rollout.returns)
        self._actions, *others = (torch.from_numpy(column.copy()) for column in columns)
        self._log_probs, self._advantages, self._returns = (column.to(dtype) for column in others)
        self._features = model.policy.extract_features(torch.from_numpy(rollout.observations)).to(dtype)

    def gradient(self, rows):
        """Of the loss on these rows, by name."""
        model, policy, rows = self._model, self.policy, torch.from_numpy(rows)
        actor, critic = policy.mlp_extractor(self._features[rows])
        log_probs = torch.log_softmax(policy.action_net(actor), dim=1)
        ratio = (log_probs.gather(1, self._actions[rows, None]).squeeze(1) - self._log_probs[rows]).exp()
        advantages, clip_range = self._advantages[rows], model.clip_range(1)
        if model.normalize_advantage and len(rows) > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        surrogate = torch.min(advantages * ratio, advantages * ratio.clamp(1 - clip_range, 1 + clip_range)).mean()
        error = (policy.value_net(critic).squeeze(1) - self._returns[rows]).square().mean()
        entropy = -(log_probs * log_probs.exp()).sum(1).mean()
        self.optimizer.zero_grad()
        (model.vf_coef * error - surrogate - model.ent_coef * entropy).backward()
        return {name: parameter.grad.numpy() for name, parameter in policy.named_parameters()}

    def update(self, orders):
        """Learn from the rows in these orders, one an epoch."""
        for order in orders:
            for begin in range(0, len(order), self._model.batch_size):
                self.gradient(order[begin : begin + self._model.batch_size])
                torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self._model.max_grad_norm)
                self.optimizer.step()
