"""Policies rebuilt from their tensors: in compiled kernels where they can stand in for torch, by torch elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from agents.ppo.architecture import check_spaces, check_tensors
from agents.ppo.fast.frozen import FastPolicy
from agents.ppo.fast.lists import MOST_INPUTS
from agents.ppo.settings import GREATEST_WIDTH, LEAST_WIDTH
from marl_pbt.protocols import PlaySpaces, Policy

if TYPE_CHECKING:
    pass


def load_policy(
    architecture: Mapping[str, Any],
    tensors: Mapping[str, NDArray[Any]],
    spaces: PlaySpaces | None = None,
) -> Policy:
    """Rebuild a policy; torch is imported only where the kernels are not made for its actor.

    Args:
        architecture: As `agents.ppo.architecture.describe_architecture` gives it.
        tensors: A snapshot or its `policy/…` part; they are copied.
        spaces: Observations and actions of one agent where it is to play; None: not known yet.

    Raises:
        ValueError: Names, shapes or dtypes do not fit the architecture, or the architecture not the spaces; a value or
            what the policy makes of an observation is not finite.
    """
    check_tensors(architecture, tensors, levels=("policy",))
    if spaces is not None:
        check_spaces(architecture, *spaces)
    if is_for_kernels(architecture):
        return FastPolicy(architecture, tensors)
    from agents.ppo.policy import freeze

    return freeze(architecture, tensors)


def is_for_kernels(architecture: Mapping[str, Any]) -> bool:
    """Whether the actor is one that the kernels are made for; what the critic is like does not matter."""
    widths = architecture["net_arch"]["pi"]
    has_layers = len(widths) == 2 and architecture["activation"] == "relu"
    has_widths = all(LEAST_WIDTH <= width <= GREATEST_WIDTH for width in widths)
    has_inputs = math.prod(architecture["observation_shape"]) <= MOST_INPUTS
    return has_layers and has_widths and has_inputs and architecture["n_actions"] >= 2
