"""One tower of a policy, compiled: two hidden layers of ReLU, a linear one, forwards and backwards over a tile of rows.

The actor is a tower with an output per action, the critic one with a single output. Scratch memory is flat:
`flat[:n * width].reshape(n, width)` is a contiguous matrix whatever n is; a slice of a wider array would make slower
products.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from agents.ppo.fast.compiling import compiled, inlined
from agents.ppo.fast.vectors import add_product, add_to_rows, sum_rows

TILE = 128
"""Rows that go through all layers before the next ones: what they leave behind fits the second cache."""


class Tower(NamedTuple):
    """Weights, or the gradient's share for each of them; all float32, C-contiguous, padded as `layout` says."""

    first: Any  # (inputs, width 1)
    first_bias: Any  # (width 1,)
    second: Any  # (width 1, width 2)
    second_bias: Any  # (width 2,)
    last: Any  # (width 2, outputs)
    last_bias: Any  # (outputs,)


class Activity(NamedTuple):
    """What a tower leaves behind for one tile; flat float32, room for `TILE` rows; rows of outputs are padded too."""

    hidden1: Any
    hidden2: Any
    outputs: Any
    gradient1: Any
    gradient2: Any
    second_turned: Any  # (width 2, width 1): the weights once more, for the way back
    last_turned: Any  # (outputs, width 2)


class Inputs(NamedTuple):
    """The inputs of one tile: lists of what is not zero, or all of them."""

    offsets: Any  # (TILE + 1,) int64: where each row's list begins
    indices: Any  # (entries,) uint16
    values: Any  # (entries,) float32
    backgrounds: Any  # (TILE,) int64: the row of the grounds that a row begins with
    features: Any  # flat float32, room for TILE rows of all inputs; empty where lists are used


@inlined
def matrix(flat: Any, rows: int, columns: int) -> Any:
    """The beginning of a flat array as a matrix."""
    return flat[: rows * columns].reshape(rows, columns)


@compiled
def rectify(values: Any) -> None:
    """ReLU in place; a NaN stays one."""
    for i in range(len(values)):
        values[i] = np.float32(0) if values[i] <= 0 else values[i]


@compiled
def mask(gradients: Any, hidden: Any) -> None:
    """The way back through a ReLU: nothing where it gave nothing."""
    for i in range(len(gradients)):
        gradients[i] = gradients[i] if hidden[i] > 0 else np.float32(0)


@compiled
def fill_rows(rows: Any, line: Any) -> None:
    """The same line in every row."""
    for row in range(len(rows)):
        target = rows[row]
        for k in range(len(line)):
            target[k] = line[k]


@compiled
def add_column_sums(addends: Any, total: Any) -> None:
    """`total += addends.sum(0)`: the product with a line of ones, which is one number read again and again."""
    add_product(np.ones(1, np.float32), 0, 0, addends, total.reshape(1, -1))


@compiled
def turn(source: Any, target: Any) -> None:
    """`target = source.T`."""
    for row in range(len(source)):
        for column in range(source.shape[1]):
            target[column, row] = source[row, column]


@compiled
def multiply_add(left: Any, right: Any, total: Any) -> None:
    """`total += left @ right`."""
    add_product(left.reshape(-1), left.shape[1], 1, right, total)


@compiled
def multiply_turned_add(left: Any, right: Any, total: Any) -> None:
    """`total += left.T @ right`."""
    add_product(left.reshape(-1), 1, left.shape[1], right, total)


@compiled
def forwards_from_lists(n: int, inputs: Any, ground: Any, tower: Any, activity: Any) -> None:
    """Observations to outputs; each row of the first layer begins as the sum of its background."""
    hidden = matrix(activity.hidden1, n, tower.first.shape[1])
    for row in range(n):
        begin, end = inputs.offsets[row], inputs.offsets[row + 1]
        start = ground[inputs.backgrounds[row]]
        sum_rows(start, tower.first, inputs.indices, inputs.values, begin, end, hidden[row])
    rectify(hidden.reshape(-1))
    forwards_from_hidden(n, tower, activity)


@compiled
def forwards_from_features(n: int, inputs: Any, tower: Any, activity: Any) -> None:
    """Observations to outputs."""
    hidden = matrix(activity.hidden1, n, tower.first.shape[1])
    fill_rows(hidden, tower.first_bias)
    multiply_add(matrix(inputs.features, n, len(tower.first)), tower.first, hidden)
    rectify(hidden.reshape(-1))
    forwards_from_hidden(n, tower, activity)


@compiled
def forwards_from_hidden(n: int, tower: Any, activity: Any) -> None:
    """The first hidden layer to the outputs."""
    hidden1 = matrix(activity.hidden1, n, tower.first.shape[1])
    hidden2 = matrix(activity.hidden2, n, tower.second.shape[1])
    fill_rows(hidden2, tower.second_bias)
    multiply_add(hidden1, tower.second, hidden2)
    rectify(hidden2.reshape(-1))
    if tower.last.shape[1] == 1:
        single_output(hidden2, tower.last.reshape(-1), tower.last_bias[0], activity.outputs)
    else:
        outputs = matrix(activity.outputs, n, tower.last.shape[1])
        fill_rows(outputs, tower.last_bias)
        multiply_add(hidden2, tower.last, outputs)


@compiled
def single_output(hidden: Any, weights: Any, bias: Any, outputs: Any) -> None:
    """A last layer of one unit: padding it would cost more than all of its sums."""
    for row in range(len(hidden)):
        line, total = hidden[row], bias
        for k in range(len(weights)):
            total += line[k] * weights[k]
        outputs[row] = total


@compiled
def single_output_backwards(n: int, weights: Any, hidden: Any, outputs: Any, gradient: Any, gradient2: Any) -> None:
    """The way back through a last layer of one unit."""
    add_product(outputs, 0, 1, hidden, gradient.last.reshape(1, -1))
    total = np.float32(0)
    for row in range(n):
        slope, target = outputs[row], gradient2[row]
        total += slope
        for k in range(len(weights)):
            target[k] = slope * weights[k]
    gradient.last_bias[0] += total


@compiled
def turn_weights(tower: Any, activity: Any) -> None:
    """Prepare the way back; once for all tiles between two changes of the weights."""
    turn(tower.second, activity.second_turned)
    turn(tower.last, activity.last_turned)


@compiled
def backwards_to_hidden(n: int, tower: Any, gradient: Any, activity: Any) -> None:
    """The outputs' gradients, which lie in `activity.outputs`, to the first hidden layer's."""
    hidden1 = matrix(activity.hidden1, n, tower.first.shape[1])
    hidden2 = matrix(activity.hidden2, n, tower.second.shape[1])
    gradient1 = matrix(activity.gradient1, n, tower.first.shape[1])
    gradient2 = matrix(activity.gradient2, n, tower.second.shape[1])
    if tower.last.shape[1] == 1:
        single_output_backwards(n, tower.last.reshape(-1), hidden2, activity.outputs, gradient, gradient2)
    else:
        outputs = matrix(activity.outputs, n, tower.last.shape[1])
        multiply_turned_add(hidden2, outputs, gradient.last)
        add_column_sums(outputs, gradient.last_bias)
        gradient2[:] = 0
        multiply_add(outputs, activity.last_turned, gradient2)
    mask(gradient2.reshape(-1), hidden2.reshape(-1))
    multiply_turned_add(hidden1, gradient2, gradient.second)
    add_column_sums(gradient2, gradient.second_bias)
    gradient1[:] = 0
    multiply_add(gradient2, activity.second_turned, gradient1)
    mask(gradient1.reshape(-1), hidden1.reshape(-1))


@compiled
def backwards_to_lists(n: int, inputs: Any, ground: Any, tower: Any, gradient: Any, activity: Any) -> None:
    """The outputs' gradients to all weights'; `ground` collects what belongs to the backgrounds."""
    backwards_to_hidden(n, tower, gradient, activity)
    gradient1 = matrix(activity.gradient1, n, tower.first.shape[1])
    for row in range(n):
        line, background = gradient1[row], ground[inputs.backgrounds[row]]
        for k in range(len(background)):
            background[k] += line[k]
        begin, end = inputs.offsets[row], inputs.offsets[row + 1]
        add_to_rows(line, gradient.first, inputs.indices, inputs.values, begin, end)


@compiled
def backwards_to_features(n: int, inputs: Any, tower: Any, gradient: Any, activity: Any) -> None:
    """The outputs' gradients to all weights'."""
    backwards_to_hidden(n, tower, gradient, activity)
    gradient1 = matrix(activity.gradient1, n, tower.first.shape[1])
    multiply_turned_add(matrix(inputs.features, n, len(tower.first)), gradient1, gradient.first)
    add_column_sums(gradient1, gradient.first_bias)
