"""One update of a species' policy from its rollout, and what there is to report of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from marl_pbt.protocols import DivergedError

if TYPE_CHECKING:
    from agents.ppo.fast.ppo import FastPPO

# Ours → Stable-Baselines3's.
_METRICS = {
    "approx_kl": "train/approx_kl",
    "clip_fraction": "train/clip_fraction",
    "entropy": "train/entropy_loss",
    "explained_variance": "train/explained_variance",
    "loss": "train/loss",
    "policy_gradient_loss": "train/policy_gradient_loss",
    "value_loss": "train/value_loss",
}


def learn(species: str, model: FastPPO) -> dict[str, float]:
    """Train on what is in the model's buffer, at least one row.

    Returns:
        Diagnostics by tag (`<species>/loss`).

    Raises:
        DivergedError: The loss, its gradient or a parameter is no longer finite.
    """
    try:
        model.train()
    except FloatingPointError as fault:
        raise DivergedError(species, str(fault)) from None
    except ValueError as error:  # torch refuses to make a distribution of NaN
        _require_finite(species, model, {})
        raise error
    logged = model.logger.name_to_value
    metrics = {tag: float(logged[sb3_tag]) for tag, sb3_tag in _METRICS.items()}
    _require_finite(species, model, metrics)
    metrics["entropy"] *= -1
    return {f"{species}/{tag}": value for tag, value in metrics.items() if math.isfinite(value)}


def _require_finite(species: str, model: FastPPO, metrics: Mapping[str, float]) -> None:
    for name, parameter in model.policy.named_parameters():
        if not torch.isfinite(parameter).all():
            raise DivergedError(species, f"parameter {name} is not finite after the update")
    for tag, value in metrics.items():
        # The explained variance of constant returns is NaN by definition.
        if tag != "explained_variance" and not math.isfinite(value):
            raise DivergedError(species, f"{tag} is {value} in the update")
