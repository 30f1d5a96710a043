"""Parameters and Adam's moments, from torch into the kernels' arrays and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from agents.ppo.fast.layout import Layout, make_layout

if TYPE_CHECKING:
    from stable_baselines3.common.policies import ActorCriticPolicy

    from agents.ppo.fast.adam import Moments
    from agents.ppo.fast.update import Learned


def layout_of(policy: ActorCriticPolicy) -> Layout:
    """The layout for a policy that `capability.why_not_policy` has nothing against."""
    shapes = {name: parameter.shape for name, parameter in policy.named_parameters()}
    actor, critic = (
        [shapes[f"mlp_extractor.{net}.{place}.weight"][0] for place in (0, 2)] for net in ("policy_net", "value_net")
    )
    return make_layout(policy.features_dim, shapes["action_net.weight"][0], actor, critic)


def load_parameters(policy: ActorCriticPolicy, layout: Layout, flat: NDArray[np.float32]) -> None:
    """Copy the policy's parameters into a flat vector; what pads them must be zero."""
    for name, parameter in policy.named_parameters():
        layout.write(flat, name, parameter.detach().numpy())


def load_moments(policy: ActorCriticPolicy, layout: Layout, moments: Moments) -> int:
    """Copy Adam's moments; how many steps it has made."""
    steps = 0
    for name, parameter in policy.named_parameters():
        if state := policy.optimizer.state.get(parameter):
            layout.write(moments.first, name, state["exp_avg"].numpy())
            layout.write(moments.second, name, state["exp_avg_sq"].numpy())
            steps = int(state["step"])
    return steps


@torch.no_grad()
def store(policy: ActorCriticPolicy, layout: Layout, learned: Learned, steps: int) -> None:
    """Copy parameters and moments back, in place: whoever holds the tensors sees the new values."""
    if steps == 0:
        return
    for name, parameter in policy.named_parameters():
        parameter.copy_(torch.from_numpy(layout.read(learned.parameters, name, parameter.shape)))
        state = policy.optimizer.state[parameter]
        if not state:  # as torch begins it
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"].fill_(steps)
        state["exp_avg"].copy_(torch.from_numpy(layout.read(learned.moments.first, name, parameter.shape)))
        state["exp_avg_sq"].copy_(torch.from_numpy(layout.read(learned.moments.second, name, parameter.shape)))
