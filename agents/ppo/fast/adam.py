"""Gradient-norm clip and Adam over one flat vector of parameters, as torch does them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from agents.ppo.fast.compiling import compiled


class Moments(NamedTuple):
    """Adam's state in the order of the parameters; float32."""

    first: Any
    second: Any


class AdamSettings(NamedTuple):
    """Adam's numbers; float64, since 1 − β₂ in float32 is wrong in its fifth digit."""

    learning_rate: float
    beta1: float
    beta2: float
    epsilon: float
    max_grad_norm: float
    steps: int  # made so far


@compiled
def norm_of(gradient: Any) -> float:
    """The Euclidean norm."""
    total = 0.0
    for i in range(len(gradient)):
        total += np.float64(gradient[i]) ** 2  # in float32 the square of a large one, still finite, would not be
    return math.sqrt(total)


@compiled
def adam_step(parameters: Any, gradient: Any, moments: Any, settings: Any, norm: float, step: int) -> None:
    """One step (Kingma & Ba 2015, arXiv 1412.6980, algorithm 1), the gradient shortened to `max_grad_norm` before.

    Args:
        parameters: `(P,)` float32, changed.
        gradient: `(P,)` float32.
        moments: Changed.
        settings: Numbers.
        norm: Of the gradient.
        step: How many have been made, this one included.
    """
    shrink = np.float32(min(1.0, settings.max_grad_norm / (norm + 1e-6)))
    keep1, keep2 = np.float32(settings.beta1), np.float32(settings.beta2)
    add1, add2 = np.float32(1 - settings.beta1), np.float32(1 - settings.beta2)
    size = np.float32(settings.learning_rate / (1 - settings.beta1**step))
    correction = np.float32(1 / math.sqrt(1 - settings.beta2**step))
    epsilon, first, second = np.float32(settings.epsilon), moments.first, moments.second
    for i in range(len(parameters)):
        slope = gradient[i] * shrink
        first[i] = keep1 * first[i] + add1 * slope
        second[i] = keep2 * second[i] + add2 * (slope * slope)
        parameters[i] -= size * first[i] / (np.sqrt(second[i]) * correction + epsilon)
