"""What the compiled update can take over from Stable-Baselines3, and the reason where it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor, MlpExtractor
from torch import nn

from agents.ppo.buffer import RaggedRolloutBuffer
from agents.ppo.fast.lists import MOST_INPUTS
from agents.ppo.policy import DiscretePolicy
from agents.ppo.settings import GREATEST_WIDTH, LEAST_WIDTH

if TYPE_CHECKING:
    from stable_baselines3 import PPO

_POLICIES = (ActorCriticPolicy, DiscretePolicy)  # no subclass of the user's, which may compute something else
_TENSORS = 12  # weights and biases of three layers, twice
_BUFFERS = (RolloutBuffer, RaggedRolloutBuffer)


def why_not(model: PPO) -> str | None:
    """The first reason why the compiled update must leave this model to Stable-Baselines3's; None: it can do it."""
    return next(_reasons(model), None)


def why_not_policy(policy: ActorCriticPolicy) -> str | None:
    """The same of a policy alone: whether compiled inference can stand in for it."""
    return next(_policy_reasons(policy), None)


def _reasons(model: PPO) -> Iterator[str]:
    yield from _policy_reasons(model.policy)
    if type(model.rollout_buffer) not in _BUFFERS:
        yield f"rollout buffer is a {type(model.rollout_buffer).__name__}"
    if model.use_sde:
        yield "use_sde is set"
    if model.clip_range_vf is not None:
        yield "clip_range_vf is set"
    yield from _optimizer_reasons(model.policy)


def _policy_reasons(policy: ActorCriticPolicy) -> Iterator[str]:
    if type(policy) not in _POLICIES:
        yield f"policy is a {type(policy).__name__}"
        return
    if policy.device.type != "cpu":
        yield f"device is {policy.device.type}"
    if not isinstance(policy.observation_space, spaces.Box):
        yield f"observation space is a {type(policy.observation_space).__name__}"
        return
    if not isinstance(policy.action_space, spaces.Discrete) or policy.action_space.n < 2:
        yield f"action space is {policy.action_space}"
        return
    if type(policy.features_extractor) is not FlattenExtractor:
        yield f"features extractor is a {type(policy.features_extractor).__name__}"
        return
    if policy.features_dim > MOST_INPUTS:
        yield f"observation has more than {MOST_INPUTS} numbers"
    if type(policy.mlp_extractor) is not MlpExtractor:
        yield f"mlp_extractor is a {type(policy.mlp_extractor).__name__}"
        return
    for net in ("policy_net", "value_net"):
        yield from _tower_reasons(net, list(getattr(policy.mlp_extractor, net)))
    if type(policy.action_net) is not nn.Linear or type(policy.value_net) is not nn.Linear:
        yield "action_net or value_net is not one linear layer"
    if len(list(policy.parameters())) != _TENSORS:
        yield f"policy has {len(list(policy.parameters()))} parameters, not {_TENSORS}"
    if any(parameter.dtype != torch.float32 for parameter in policy.parameters()):
        yield "a parameter is not float32"


def _tower_reasons(net: str, modules: list[nn.Module]) -> Iterator[str]:
    if [type(module) for module in modules] != [nn.Linear, nn.ReLU] * 2:
        yield f"{net} is not two hidden layers with ReLU"
        return
    for layer in modules[::2]:
        assert isinstance(layer, nn.Linear)
        if not LEAST_WIDTH <= layer.out_features <= GREATEST_WIDTH:
            yield f"{net} has a layer of {layer.out_features} units, not {LEAST_WIDTH} to {GREATEST_WIDTH}"


def _optimizer_reasons(policy: ActorCriticPolicy) -> Iterator[str]:
    optimizer = policy.optimizer
    if type(optimizer) is not torch.optim.Adam:
        yield f"optimizer is a {type(optimizer).__name__}"
        return
    if len(optimizer.param_groups) != 1:
        yield "optimizer has several parameter groups"
        return
    group = optimizer.param_groups[0]
    for option in ("weight_decay", "amsgrad", "maximize", "capturable", "differentiable"):
        if group[option]:
            yield f"optimizer's {option} is set"
    if not group["eps"] > 0:
        yield "optimizer's eps is 0"
    if {id(parameter) for parameter in group["params"]} != {id(parameter) for parameter in policy.parameters()}:
        yield "optimizer does not hold exactly the policy's parameters"
    elif not all(parameter.requires_grad for parameter in policy.parameters()):
        yield "a parameter is frozen"
    elif len({float(optimizer.state[p]["step"]) if p in optimizer.state else 0.0 for p in policy.parameters()}) > 1:
        yield "optimizer has made more steps with some parameters than with others"
