"""A policy of ours as Stable-Baselines3's own classes: what leaves for other tools, what comes in from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy

from agents.ppo.architecture import policy_shapes
from agents.ppo.policy import policy_kwargs
from agents.ppo.settings import HYPERPARAMETERS
from marl_pbt.protocols import HyperparameterValue

if TYPE_CHECKING:
    import gymnasium


def plain_ppo(
    architecture: Mapping[str, Any],
    spaces: tuple[gymnasium.Space[Any], gymnasium.Space[Any]],
    hyperparameters: Mapping[str, HyperparameterValue] | None = None,
    policy_class: type[ActorCriticPolicy] = ActorCriticPolicy,
) -> PPO:
    """Make a fresh PPO on the CPU, as Stable-Baselines3's own `load` makes one: first bare, then set up.

    Args:
        architecture: As `agents.ppo.architecture.describe_architecture` gives it.
        spaces: Observation and action space of one agent.
        hyperparameters: Legal ones; those of them that Stable-Baselines3 knows are put in force.
        policy_class: Of its policy.
    """
    given = hyperparameters or {}
    own = {name: given[name] for name in HYPERPARAMETERS if name in given and name != "reward_scale"}
    model = PPO(
        policy_class,
        env=None,  # type: ignore[arg-type]  # declared without None, but what `load` passes
        policy_kwargs=policy_kwargs(architecture["net_arch"], architecture["activation"]),
        device="cpu",
        _init_setup_model=False,
        **own,  # type: ignore[arg-type]  # names and types are those of `HYPERPARAMETERS`
    )
    model.observation_space, model.action_space = spaces
    model.n_envs = 1
    with torch.random.fork_rng(devices=[]):
        model._setup_model()
    return model


def put_weights(model: PPO, architecture: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
    """Copy `policy/…` tensors, which fit the architecture, into the model."""
    names = policy_shapes(architecture)
    model.policy.load_state_dict({name: torch.tensor(tensors[f"policy/{name}"]) for name in names})
    model.policy.set_training_mode(False)
