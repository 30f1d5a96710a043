"""Adam's moments as named arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from agents.ppo.architecture import MOMENTS

if TYPE_CHECKING:
    from stable_baselines3.common.policies import ActorCriticPolicy

    from marl_pbt.protocols import Tensors


def read_moments(policy: ActorCriticPolicy) -> Tensors:
    """Copy the moments: `<parameter>/exp_avg|exp_avg_sq|step`, float32; zeros where no step was made yet."""
    moments: Tensors = {}
    for name, parameter in policy.named_parameters():
        state = policy.optimizer.state.get(parameter, {})
        for moment in MOMENTS:
            moments[f"{name}/{moment}"] = (
                state[moment].cpu().numpy().copy() if state else np.zeros(tuple(parameter.shape), np.float32)
            )
        moments[f"{name}/step"] = np.array(float(state["step"]) if state else 0.0, np.float32)
    return moments


def write_moments(policy: ActorCriticPolicy, moments: Mapping[str, NDArray[Any]]) -> None:
    """Put `read_moments` in force; a parameter whose step is 0 starts like a fresh one."""
    forget_moments(policy)
    for name, parameter in policy.named_parameters():
        if moments[f"{name}/step"] > 0:
            policy.optimizer.state[parameter] = {
                key: torch.tensor(moments[f"{name}/{key}"], device=parameter.device) for key in (*MOMENTS, "step")
            }


def forget_moments(policy: ActorCriticPolicy) -> None:
    """Leave no moment behind; the parameter groups stay."""
    policy.optimizer.state.clear()
