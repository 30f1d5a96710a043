"""A policy as the zip that Stable-Baselines3's `PPO.load` opens, where this project is not installed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, cast

import torch
from gymnasium import spaces

from agents.ppo.channels import FIRST_CHANNELS, is_transposed_by_sb3, to_channels_first
from agents.ppo.exporting.probe import Probe, probe_of
from agents.ppo.plain import plain_ppo, put_weights

if TYPE_CHECKING:
    from stable_baselines3 import PPO

    from marl_pbt.protocols import PortablePolicy


def sb3_zip(policy: PortablePolicy) -> bytes:
    """Write a plain `PPO` with a plain `ActorCriticPolicy`, the hyperparameters in force and a fresh Adam.

    Images with their channels last become images with their channels first, in space and weights, since that is what
    Stable-Baselines3 wraps such environments into; its `predict` takes observations of either order. The loaded
    model's attribute `reward_scale` says by what rewards were multiplied: train on with rewards scaled so.

    Raises:
        ValueError: Tensors or spaces do not fit the architecture, an answer is not finite, or what was written does not
            answer as the policy does.
    """
    probe = probe_of(policy)
    tensors = policy.tensors
    if is_transposed_by_sb3(policy.architecture):
        tensors = to_channels_first(policy.architecture, tensors)
    model = plain_ppo(policy.architecture, _sb3_spaces(policy), policy.hyperparameters)
    if "reward_scale" in policy.hyperparameters:
        vars(model)["reward_scale"] = policy.hyperparameters["reward_scale"]
    put_weights(model, policy.architecture, tensors)
    file = io.BytesIO()
    model.save(file)
    again = plain_ppo(policy.architecture, _sb3_spaces(policy))
    # mypy: declared as a path or a dict, documented as "path or file-like" too.
    again.set_parameters(io.BytesIO(file.getvalue()), exact_match=True, device="cpu")  # type: ignore[arg-type]
    _check(again, probe)
    return file.getvalue()


def _sb3_spaces(policy: PortablePolicy) -> tuple[spaces.Box, spaces.Discrete[Any]]:
    """Plain spaces as Stable-Baselines3 sees them: a subclass of an environment's own would not open elsewhere."""
    box = cast("spaces.Box", policy.observation_space)
    low, high = box.low, box.high
    if is_transposed_by_sb3(policy.architecture):
        low, high = low.transpose(FIRST_CHANNELS), high.transpose(FIRST_CHANNELS)
    dtype = cast("Any", box.dtype).type
    return spaces.Box(low, high, low.shape, dtype), spaces.Discrete(policy.architecture["n_actions"])


@torch.inference_mode()
def _check(model: PPO, probe: Probe) -> None:
    model.policy.set_training_mode(False)
    probe.check_actions(model.predict(probe.observations, deterministic=True)[0])
    observations, _ = model.policy.obs_to_tensor(probe.observations)
    probe.check_numbers("values", model.policy.predict_values(observations).squeeze(1).numpy())
