"""Hidden layers of another width that do the same: how weights survive when PBT changes an architecture.

For stacks of dense layers, `y = W·x + b` each, with ReLU or any other function of single numbers between them, as plain
arrays; pure functions, for any learner. Widening is Net2WiderNet (Chen et al. 2016, arXiv 1511.05641): it changes
nothing but rounding. Narrowing loses something, and says how much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Weights: TypeAlias = "NDArray[np.floating[Any]]"
Activation: TypeAlias = "Callable[[NDArray[np.float64]], NDArray[np.float64]]"
"""Works on each number by itself; the shape stays."""

_TINY = 1e-10
_LEAST_SAMPLES = 4096


@dataclass(frozen=True)
class Dense:
    """One dense layer.

    Attributes:
        weight: `(outputs, inputs)`, floating.
        bias: `(outputs,)`, of the same dtype.
    """

    weight: Weights
    bias: Weights

    @property
    def width(self) -> int:
        """Its outputs."""
        return len(self.bias)


def resized(
    layers: Sequence[Dense], widths: Sequence[int], rng: np.random.Generator, activation: Activation | None = None
) -> tuple[list[Dense], float]:
    """Bring every hidden layer to a width of its own.

    Args:
        layers: From the inputs to the outputs.
        widths: Of the hidden layers, all but the last: one each, at least 1.
        rng: Decides which units are copied, and how their parts are shared out.
        activation: Between the layers; None: ReLU.

    Returns:
        The layers, and the largest loss of a layer that was narrowed, see `narrowed`; 0 where none was.

    Raises:
        ValueError: The number of widths is not that of the hidden layers.
    """
    if len(widths) != len(layers) - 1:
        raise ValueError(f"widths: must be {len(layers) - 1}, one per hidden layer, got {len(widths)}")
    new, loss = list(layers), 0.0
    for hidden, width in enumerate(widths):
        before, after = new[hidden : hidden + 2]
        if width > before.width:
            new[hidden : hidden + 2] = widened(before, after, width, rng)
        elif width < before.width:
            *pair, lost = narrowed(before, after, width, activation)
            new[hidden : hidden + 2], loss = pair, max(loss, lost)
    return new, loss


def widened(before: Dense, after: Dense, width: int, rng: np.random.Generator) -> tuple[Dense, Dense]:
    """Give a hidden layer more units, so that what comes out behind it stays the same.

    The new units are copies of old ones, and a unit shares out to its copies what it gave to the next layer. In equal
    parts, as in the paper, copies would learn the same for ever, and the paper adds noise. Here each output has parts
    of its own, drawn uniformly among those that add up to 1: copies part at the first step, and nothing is lost.

    Args:
        before: The layer whose outputs are the units.
        after: The one that reads them.
        width: Units to come to, at least as many as there are.
        rng: Draws the units to copy, all alike, and the parts.

    Returns:
        Both layers.

    Raises:
        ValueError: There are more units than that already.
    """
    if width < before.width:
        raise ValueError(f"width: must be at least {before.width}, got {width}")
    units = np.concatenate([np.arange(before.width), rng.integers(before.width, size=width - before.width)])
    drawn = rng.exponential(size=(after.width, width))
    of_unit = units[:, None] == np.arange(before.width)
    parts = drawn / (drawn @ of_unit)[:, units]
    weight = (after.weight[:, units] * parts).astype(after.weight.dtype)
    return Dense(before.weight[units], before.bias[units]), Dense(weight, after.bias)


def narrowed(
    before: Dense, after: Dense, width: int, activation: Activation | None = None
) -> tuple[Dense, Dense, float]:
    """Take the least important units out of a hidden layer; those that stay do as much of their work as they can.

    What counts is what the units give to the next layer together, for inputs without a preferred direction. With ReLU
    (and a constant 1 as one more such input) how alike two units are is the arc-cosine kernel of order 1 (Cho and Saul
    2009), however large the inputs; with other activations it is measured, on normal inputs of variance 1. Units are
    kept one by one, always the one that with those before it gives most of that (orthogonal least squares; Chen, Cowan
    and Grant 1991): a copy that widening made goes first, at no loss. Those kept take over the outgoing weights of the
    others, as well as they can stand in for them.

    Args:
        before: The layer whose outputs are the units.
        after: The one that reads them.
        width: Units to come to, from 1 to as many as there are.
        activation: Of the units; None: ReLU.

    Returns:
        Both layers, and the loss: the mean square of the change in what `after` gives (before its bias), in shares of
        its mean square, for such inputs; from 0 to 1.

    Raises:
        ValueError: The width is out of range.
    """
    if not 1 <= width <= before.width:
        raise ValueError(f"width: must be from 1 to {before.width}, got {width}")
    alike = _relu_likeness(before) if activation is None else _measured_likeness(before, activation)
    outgoing = after.weight.astype(np.float64)
    kept = _most_important(alike, outgoing, width)
    stand_in = np.linalg.lstsq(alike[np.ix_(kept, kept)], alike[kept], rcond=_TINY)[0]
    weight = outgoing @ stand_in.T
    change = outgoing.copy()
    change[:, kept] -= weight
    whole = _mean_square(outgoing, alike)
    loss = min(max(_mean_square(change, alike) / whole, 0.0), 1.0) if whole > 0 else 0.0
    narrow = Dense(weight.astype(after.weight.dtype), after.bias)
    return Dense(before.weight[kept], before.bias[kept]), narrow, loss


def _relu_likeness(layer: Dense) -> NDArray[np.float64]:
    """`(width, width)`: E[ReLU(u·x)·ReLU(v·x)] for each two units, biases as weights of a constant 1."""
    vectors = np.concatenate([layer.weight, layer.bias[:, None]], axis=1).astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1)
    lengths = np.outer(norms, norms)
    cosines = np.clip(vectors @ vectors.T / np.maximum(lengths, _TINY), -1.0, 1.0)
    angles = np.arccos(cosines)
    return lengths * (np.sin(angles) + (np.pi - angles) * cosines) / (2 * np.pi)


def _measured_likeness(layer: Dense, activation: Activation) -> NDArray[np.float64]:
    """`(width, width)`: the mean of φ(u·x + b)·φ(v·x + c) for each two units, over the same draws for everyone."""
    weight = layer.weight.astype(np.float64)
    # What arrives at the units is normal with the covariance W·Wᵀ: drawn so, the number of inputs does not matter.
    variances, directions = np.linalg.eigh(weight @ weight.T)
    rows = max(_LEAST_SAMPLES, 4 * layer.width)
    draws = np.random.default_rng(0).standard_normal((rows, layer.width)) * np.sqrt(np.maximum(variances, 0.0))
    given = activation(draws @ directions.T + layer.bias)
    alike: NDArray[np.float64] = given.T @ given / rows
    return alike


def _most_important(alike: NDArray[np.float64], outgoing: NDArray[np.float64], width: int) -> NDArray[np.int64]:
    """The units to keep, in their order."""
    unlike, gives = alike.copy(), outgoing @ alike  # what those kept cannot do: of each unit, and of the whole
    least = _TINY * max(float(np.diag(alike).max()), _TINY)
    kept: list[int] = []
    for _ in range(width):
        own = np.diag(unlike)
        gains = np.where(own > least, np.square(gives).sum(axis=0) / np.maximum(own, least), 0.0)
        gains[kept] = -1.0
        best = int(np.argmax(gains))
        kept.append(best)
        if own[best] > least:
            column = unlike[best] / own[best]
            gives -= np.outer(gives[:, best], column)
            unlike -= np.outer(unlike[best].copy(), column)
    return np.sort(np.array(kept))


def _mean_square(outgoing: NDArray[np.float64], alike: NDArray[np.float64]) -> float:
    return float(np.einsum("ou,uv,ov->", outgoing, alike, outgoing, optimize=True))
