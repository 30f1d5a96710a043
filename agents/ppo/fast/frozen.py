"""Frozen policies in the kernels: actions alone, without torch.

What a row of observations leads to is a function of that row, its threshold and the weights, bit by bit: not of the
rows beside it, nor of how many they are. So, unlike a rollout's inference, nothing here is chosen by looking at a
batch; and all sums are strict: they may not be reordered, or a row in a whole block could come out otherwise than one
in the rest that is done line by line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from agents.ppo.fast import loss, network
from agents.ppo.fast.compiling import compiled, compiled_strictly, entry, inlined
from agents.ppo.fast.emitting import WIDTH_MULTIPLE
from agents.ppo.fast.layout import aligned
from agents.ppo.fast.lists import find_entries
from agents.ppo.fast.network import TILE, fill_rows, matrix, turn
from agents.ppo.fast.observations import features_dtype
from agents.ppo.fast.vectors import add_product, sum_rows

_LAYERS = ("mlp_extractor.policy_net.0", "mlp_extractor.policy_net.2", "action_net")
_NO_THRESHOLDS = np.empty(0, np.float32)


class Actor(NamedTuple):
    """Layers: weights `(inputs, units)` and, as one more row, biases; float32, padded with units that give 0."""

    first: Any  # (inputs + 1, width 1)
    second: Any  # (width 1 + 1, width 2)
    last: Any  # (width 2 + 1, outputs)


class Room(NamedTuple):
    """Scratch memory for a tile of n rows; float32."""

    hidden1: Any  # (n, width 1)
    hidden2: Any  # (n, width 2)
    outputs: Any  # (n, outputs)
    logits: Any  # (actions, n)
    lines: Any  # (2, TILE)
    values: Any  # flat: what is not zero in the observations
    found: Any  # flat uint16: where it is


# The same functions as in an update, but strict.
exponential, rectify = (
    compiled_strictly(cast(Any, function).py_func) for function in (loss.exponential, network.rectify)
)


@inlined
def take(flat: Any, rows: int, columns: int) -> Any:
    """The beginning of a flat array as a matrix; what is left."""
    return matrix(flat, rows, columns), flat[rows * columns :]


@compiled
def view_actor(weights: Any, inputs: int, sizes: Any) -> Any:
    """A policy's layers, which lie one after the other."""
    first, rest = take(weights, inputs + 1, sizes[0])
    second, rest = take(rest, sizes[0] + 1, sizes[1])
    return Actor(first, second, matrix(rest, sizes[1] + 1, sizes[2]))


@compiled
def view_room(room: Any, n: int, inputs: int, sizes: Any) -> Any:
    """Scratch memory for a tile of so many rows, from a flat piece of memory."""
    lines, rest = take(room, 2, TILE)
    hidden1, rest = take(rest, n, sizes[0])
    hidden2, rest = take(rest, n, sizes[1])
    outputs, rest = take(rest, n, sizes[2])
    logits, rest = take(rest, sizes[3], n)
    return Room(hidden1, hidden2, outputs, logits, lines, rest[: n * inputs], rest[n * inputs :].view(np.uint16))


@compiled_strictly
def sum_listed(observations: Any, divisor: Any, layer: Any, room: Any) -> None:
    """A tile's observations to the sums of the first layer, by lists of what is not zero."""
    found, values, offsets, at = room.found, room.values, np.empty(TILE + 1, np.int64), 0
    # Each loop over all rows: a row's list that is read while it is being written makes the processor wait.
    for row in range(len(observations)):
        offsets[row] = at
        at += find_entries(observations[row], found[at:])
    offsets[len(observations)] = at
    for row in range(len(observations)):
        observation = observations[row]
        for j in range(offsets[row], offsets[row + 1]):
            values[j] = np.float32(observation[found[j]]) / divisor
    for row in range(len(observations)):
        sum_rows(layer[-1], layer, found, values, offsets[row], offsets[row + 1], room.hidden1[row])


@compiled_strictly
def sum_all(inputs: Any, layer: Any, sums: Any) -> None:
    """Inputs `(n, inputs)` to the sums of a layer."""
    fill_rows(sums, layer[-1])
    add_product(inputs.reshape(-1), inputs.shape[1], 1, layer[:-1], sums)


@compiled_strictly
def prefer(logits: Any, top: Any, actions: Any) -> None:
    """The action of the greatest logit, of equal ones the first; `top` is left with the greatest logits."""
    for row in range(len(actions)):
        top[row], actions[row] = logits[0, row], 0
    for action in range(1, len(logits)):
        line = logits[action]
        for row in range(len(actions)):
            is_greater = line[row] > top[row]
            top[row] = line[row] if is_greater else top[row]
            actions[row] = action if is_greater else actions[row]


@compiled_strictly
def sample(logits: Any, lines: Any, thresholds: Any, actions: Any) -> None:
    """Draw an action per row by inverting the cumulative distribution at its threshold in [0, 1)."""
    top, total, n = lines[0], lines[1], len(actions)
    prefer(logits, top, actions)
    for row in range(n):
        total[row], actions[row] = 0, 0
    for action in range(len(logits)):
        line = logits[action]
        for row in range(n):
            total[row] += exponential(line[row] - top[row])
            line[row] = total[row]
    for row in range(n):
        total[row] *= thresholds[row]
    for action in range(len(logits) - 1):  # rounding may lift a threshold to the total: that is the last action
        line = logits[action]
        for row in range(n):
            actions[row] += line[row] <= total[row]


@compiled
def choose(actor: Any, room: Any, thresholds: Any, actions: Any) -> None:
    """The sums of the first layer to a tile's actions."""
    rectify(room.hidden1.reshape(-1))
    sum_all(room.hidden1, actor.second, room.hidden2)
    rectify(room.hidden2.reshape(-1))
    sum_all(room.hidden2, actor.last, room.outputs)
    turn(room.outputs[:, : len(room.logits)], room.logits)
    if len(thresholds):
        sample(room.logits, room.lines, thresholds, actions)
    else:
        prefer(room.logits, room.lines[0], actions)


@entry
def act_from_lists(observations: Any, weights: Any, sizes: Any, room: Any, thresholds: Any, actions: Any) -> None:
    """Fill `(rows,)` actions int64.

    Args:
        observations: `(rows, inputs)` uint8 or float32.
        weights: Flat: the layers of an `Actor`.
        sizes: `(5,)` int64: widths of the layers, actions, what observations are divided by.
        room: Flat float32, for `view_room`.
        thresholds: `(rows,)` float32 in [0, 1); empty: the likeliest actions are taken.
        actions: As above.
    """
    inputs, divisor = observations.shape[1], np.float32(sizes[4])
    actor = view_actor(weights, inputs, sizes)
    for first in range(0, len(actions), TILE):
        end = min(first + TILE, len(actions))
        tile = view_room(room, end - first, inputs, sizes)
        sum_listed(observations[first:end], divisor, actor.first, tile)
        choose(actor, tile, thresholds[first:end], actions[first:end])


@entry
def act_from_features(observations: Any, weights: Any, sizes: Any, room: Any, thresholds: Any, actions: Any) -> None:
    """The same by products with all inputs; observations are float32 and not divided."""
    actor = view_actor(weights, observations.shape[1], sizes)
    for first in range(0, len(actions), TILE):
        end = min(first + TILE, len(actions))
        tile = view_room(room, end - first, 0, sizes)
        sum_all(observations[first:end], actor.first, tile.hidden1)
        choose(actor, tile, thresholds[first:end], actions[first:end])


class FastPolicy:
    """A policy that only acts: `marl_pbt.protocols.Policy`, row by row a pure function of observation and draw.

    Not for several threads at once: they would share its scratch memory.

    Args:
        architecture: One that `agents.ppo.loading` finds fit for the kernels.
        tensors: With the `policy/…` tensors of a snapshot, which have been checked; they are copied.

    Raises:
        ValueError: What it makes of an observation of ones is not finite, though its weights are.
    """

    def __init__(self, architecture: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        dtype, shape = np.dtype(architecture["observation_dtype"]), architecture["observation_shape"]
        self._inputs = math.prod(shape)
        self._dtype = np.dtype(features_dtype(dtype))
        # Grids and whole numbers are mostly zeros. Where none is, lists take up to twice as long as products.
        is_listed = dtype.kind != "f" or len(shape) == 3
        self._act = act_from_lists if is_listed else act_from_features
        layers = _layers_of(tensors, self._inputs)
        _check_forward_pass(layers)
        widths, actions = [layer.shape[1] for layer in layers], architecture["n_actions"]
        self._weights = aligned(sum(layer.size for layer in layers))
        np.concatenate([layer.ravel() for layer in layers], out=self._weights)
        self._sizes = np.array([*widths, actions, 255 if architecture["is_image"] else 1], np.int64)
        self._room = aligned(TILE * (2 + sum(widths) + actions) + (TILE // 2 * 3 * self._inputs if is_listed else 0))

    def act(self, observations: NDArray[Any], rng: np.random.Generator, greedy: bool = False) -> NDArray[np.int64]:
        """Choose an action per row: `(rows, *shape)` in the space's dtype → `(rows,)` int64.

        One float32 per row is drawn from `rng`; greedily nothing is, and of equally likely actions the first is taken.
        """
        rows = len(observations)
        # Kernels are compiled for arrays that could be written to, though they never do: others are copied.
        fits = observations.flags.carray
        flat = observations.astype(self._dtype, order="C", casting="same_kind", copy=not fits)
        thresholds = _NO_THRESHOLDS if greedy else rng.random(rows, dtype=np.float32)
        actions = np.empty(rows, np.int64)
        self._act(flat.reshape(rows, self._inputs), self._weights, self._sizes, self._room, thresholds, actions)
        return actions


def _check_forward_pass(layers: list[NDArray[np.float32]]) -> None:
    activity = np.ones(len(layers[0]) - 1, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in layers:
            activity = np.maximum(activity, 0) @ layer[:-1] + layer[-1]
    if not np.isfinite(activity).all():
        raise ValueError("policy: weights are so large that what it makes of an observation is not finite")


def _layers_of(tensors: Mapping[str, NDArray[Any]], inputs: int) -> list[NDArray[np.float32]]:
    """An `Actor`'s layers from torch's weights, which are `(units, inputs)`."""
    layers: list[NDArray[np.float32]] = []
    for name in _LAYERS:
        weight, bias = tensors[f"policy/{name}.weight"], tensors[f"policy/{name}.bias"]
        layer = np.zeros((inputs + 1, -(-len(bias) // WIDTH_MULTIPLE) * WIDTH_MULTIPLE), np.float32)
        layer[: weight.shape[1], : len(bias)] = weight.T
        layer[inputs, : len(bias)] = bias
        layers.append(layer)
        inputs = layer.shape[1]
    return layers
