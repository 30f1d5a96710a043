"""A `FastPPO` without an environment."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from stable_baselines3.common.logger import Logger

from agents.ppo.buffer import RaggedRolloutBuffer
from agents.ppo.fast.ppo import FastPPO
from agents.ppo.policy import DiscretePolicy, policy_kwargs
from agents.quick_start import spare_compiler, step_without_compiler

if TYPE_CHECKING:
    import gymnasium

    from agents.ppo.settings import SpeciesSettings


def build_ppo(
    settings: SpeciesSettings,
    spaces: tuple[gymnasium.Space[Any], gymnasium.Space[Any]],
    device: str,
    rng: np.random.Generator,
    weight_seed: int,
) -> FastPPO:
    """Make a PPO for these spaces, as Stable-Baselines3's own `load` makes one: first bare, then set up.

    Args:
        settings: Of the species.
        spaces: Observation and action space of one agent.
        device: As in `PPOSettings`.
        rng: Draws the order of minibatches.
        weight_seed: The weights follow from it; all global generators are afterwards as they were.
    """
    spare_compiler()
    # Any `optimizer_kwargs` make Stable-Baselines3 forget its own eps of 1e-5.
    kwargs = policy_kwargs(settings.net_arch, settings.activation) | {"optimizer_kwargs": {"fused": True, "eps": 1e-5}}
    own = {name: value for name, value in settings.hyperparameters.items() if name != "reward_scale"}
    model = FastPPO(
        DiscretePolicy,
        env=None,  # type: ignore[arg-type]  # declared without None, but what `load` passes
        normalize_advantage=settings.normalize_advantage,
        target_kl=settings.target_kl,
        rollout_buffer_class=RaggedRolloutBuffer,
        rollout_buffer_kwargs={"rng": rng},
        policy_kwargs=kwargs,
        seed=None,  # with a seed it would reseed the global generators of Python, numpy and torch
        device=device,
        _init_setup_model=False,
        **own,  # type: ignore[arg-type]  # checked against `HYPERPARAMETERS`
    )
    model.update_path = settings.update_path
    model.observation_space, model.action_space = spaces
    model.n_envs = 1
    model.set_logger(Logger(folder=None, output_formats=[]))
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), warnings.catch_warnings():
        # That an MLP runs faster on the CPU: who asks for a GPU knows.
        warnings.filterwarnings("ignore", message="You are trying to run PPO on the GPU")
        torch.manual_seed(weight_seed)
        model._setup_model()
    step_without_compiler(model.policy.optimizer)
    return model
