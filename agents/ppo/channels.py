"""The order of an image's channels: last as our policies flatten it, first as Stable-Baselines3 does.

Stable-Baselines3 puts `VecTransposeImage` around every environment whose images have their channels last
(`BaseAlgorithm._wrap_env`, 2.9.2), so its policies flatten (channels, height, width). The same function of the image
needs the columns of the first layers in the other order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.ppo.architecture import policy_shapes

FIRST_CHANNELS = (2, 0, 1)
"""Axes of (height, width, channels) in the order of Stable-Baselines3's `VecTransposeImage`."""


def is_transposed_by_sb3(architecture: Mapping[str, Any]) -> bool:
    """Whether Stable-Baselines3 would move the channels of these observations to the front.

    It takes the first of the smallest dimensions for the channels, and (height, channels, width) for channels last.
    """
    return bool(architecture["is_image"]) and int(np.argmin(architecture["observation_shape"])) != 0


def channels_first_shape(architecture: Mapping[str, Any]) -> list[int]:
    """The shape of an image once its channels, now last, are first."""
    return [architecture["observation_shape"][axis] for axis in FIRST_CHANNELS]


def to_channels_first(architecture: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """`policy/…` tensors that do on (channels, height, width) what the given ones do on (height, width, channels)."""
    return _reordered(architecture, tensors, _columns(architecture))


def to_channels_last(architecture: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The inverse of `to_channels_first`, bit for bit."""
    return _reordered(architecture, tensors, np.argsort(_columns(architecture)))


def _columns(architecture: Mapping[str, Any]) -> NDArray[np.intp]:
    """Where each number of an image with its channels first stands in one with its channels last."""
    shape = architecture["observation_shape"]
    return np.arange(math.prod(shape), dtype=np.intp).reshape(shape).transpose(FIRST_CHANNELS).ravel()


def _reordered(
    architecture: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], columns: NDArray[np.intp]
) -> dict[str, NDArray[Any]]:
    result = dict(tensors)
    for name in _first_layers(architecture):
        result[f"policy/{name}"] = np.ascontiguousarray(tensors[f"policy/{name}"][:, columns])
    return result


def _first_layers(architecture: Mapping[str, Any]) -> list[str]:
    """The weights that see the observation: without hidden layers they are the heads'."""
    shapes = policy_shapes(architecture)
    bodies = {"mlp_extractor.policy_net.0": "action_net", "mlp_extractor.value_net.0": "value_net"}
    return [f"{body if f'{body}.weight' in shapes else head}.weight" for body, head in bodies.items()]
