"""The classifier's layers as named arrays and back, checked; torch is not needed for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.widening import Dense

if TYPE_CHECKING:
    from marl_pbt.protocols import Tensors

PIXELS, CLASSES = 64, 10
_LEVEL = "policy/layer_"


def fresh_layers(hidden_layers: int, width: int, rng: np.random.Generator) -> list[Dense]:
    """Layers to begin with: normal weights for ReLU (He et al. 2015), no biases; float32."""
    sizes = [PIXELS, *[width] * hidden_layers, CLASSES]
    return [
        Dense(rng.normal(0.0, np.sqrt(2 / inputs), (units, inputs)).astype(np.float32), np.zeros(units, np.float32))
        for inputs, units in pairwise(sizes)
    ]


def count_parameters(hidden_layers: int, width: int) -> int:
    """Weights and biases."""
    sizes = [PIXELS, *[width] * hidden_layers, CLASSES]
    return sum((inputs + 1) * units for inputs, units in pairwise(sizes))


def as_tensors(layers: Sequence[Dense]) -> Tensors:
    """`policy/layer_0/weight`, `policy/layer_0/bias` and so on, as copies."""
    return {
        f"{_LEVEL}{index}/{name}": array.copy()
        for index, layer in enumerate(layers)
        for name, array in (("weight", layer.weight), ("bias", layer.bias))
    }


def as_layers(tensors: Mapping[str, NDArray[Any]], hidden_layers: int, greatest_width: int) -> list[Dense]:
    """The inverse of `as_tensors`, for any width up to the greatest; the arrays are copies.

    Raises:
        ValueError: A tensor is missing, unknown, not float32, not finite, or of a shape that does not fit the others.
    """
    last = f"{_LEVEL}{hidden_layers}/weight"
    width = tensors[last].shape[-1] if last in tensors and tensors[last].ndim == 2 else 0
    if not 1 <= width <= greatest_width:
        raise ValueError(f"{last}: must be there for a width from 1 to {greatest_width}; {_LEVEL}0/weight too")
    expected = as_tensors(fresh_layers(hidden_layers, width, np.random.default_rng(0)))
    for name, example in expected.items():
        given = tensors.get(name)
        if given is None or given.shape != example.shape or given.dtype != np.float32 or not np.isfinite(given).all():
            raise ValueError(f"{name}: must be finite float32 of shape {example.shape}")
    unknown = {name for name in tensors if name.startswith("policy/")} - expected.keys()
    if unknown:
        raise ValueError(f"{min(unknown)}: unknown")
    indices = range(hidden_layers + 1)
    return [Dense(tensors[f"{_LEVEL}{i}/weight"].copy(), tensors[f"{_LEVEL}{i}/bias"].copy()) for i in indices]


def logits_of(layers: Sequence[Dense], inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the layers say of inputs, `(rows, 64)`, scaled as in `scaled`: `(rows, 10)`."""
    for layer in layers[:-1]:
        inputs = np.maximum(inputs @ layer.weight.T + layer.bias, 0)
    logits = inputs @ layers[-1].weight.T + layers[-1].bias
    return logits.astype(np.float32, copy=False)


def scaled(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Pixels from 0 to 16 as inputs with about mean 0 and variance 1."""
    return (pixels.astype(np.float32) - np.float32(4.9)) / np.float32(6.0)
