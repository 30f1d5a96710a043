"""A minibatch's rows, brought together from the rollout."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from agents.ppo.fast.compiling import compiled, compiled_strictly, inlined
from agents.ppo.fast.loss import Targets
from agents.ppo.fast.network import matrix
from agents.ppo.fast.vectors import add_to_rows, prefetch, sum_rows

AHEAD = 5  # rows; long enough for memory to answer


class Columns(NamedTuple):
    """What else is known of all rows of a rollout."""

    actions: Any  # (rows,) int64
    log_probs: Any  # (rows,) float32
    advantages: Any  # (rows,) float32
    returns: Any  # (rows,) float32


@compiled
def gather_targets(columns: Any, order: Any, targets: Any, normalize: bool) -> None:
    """Copy the minibatch's targets, advantages normalised as Stable-Baselines3 does."""
    n, mean, spread = len(order), 0.0, 0.0
    for i in range(n):
        row = order[i]
        targets.actions[i] = columns.actions[row]
        targets.log_probs[i] = columns.log_probs[row]
        targets.returns[i] = columns.returns[row]
        targets.advantages[i] = columns.advantages[row]
        mean += columns.advantages[row]
    if normalize and n > 1:  # the spread of one row is not defined
        mean /= n
        for i in range(n):
            spread += (targets.advantages[i] - mean) ** 2
        scale = np.float32(1 / (math.sqrt(spread / (n - 1)) + 1e-8))
        for i in range(n):
            targets.advantages[i] = np.float32(targets.advantages[i] - mean) * scale


@inlined
def part_of(targets: Any, begin: int, end: int) -> Any:
    """The targets of a tile, as views."""
    return Targets(
        targets.actions[begin:end],
        targets.log_probs[begin:end],
        targets.advantages[begin:end],
        targets.returns[begin:end],
    )


@compiled
def gather_lists(observations: Any, order: Any, inputs: Any) -> None:
    """Bring a tile's lists together, so that both towers and both directions find them in the cache."""
    at = 0
    for i in range(len(order)):
        # Rows lie anywhere in memory: ask for the next ones now.
        if i + 2 * AHEAD < len(order):
            prefetch(observations.offsets, order[i + 2 * AHEAD])
            prefetch(observations.backgrounds, order[i + 2 * AHEAD])
        if i + AHEAD < len(order):
            entry = observations.offsets[order[i + AHEAD]]
            prefetch(observations.indices, entry)
            prefetch(observations.values, entry)
            prefetch(observations.values, entry + 16)
        row = order[i]
        inputs.offsets[i] = at
        inputs.backgrounds[i] = observations.backgrounds[row]
        for j in range(observations.offsets[row], observations.offsets[row + 1]):
            inputs.indices[at] = observations.indices[j]
            inputs.values[at] = observations.values[j]
            at += 1
    inputs.offsets[len(order)] = at


@compiled_strictly
def read_features(source: Any, divisor: Any, target: Any) -> None:
    """One row of features, as torch would see it."""
    for k in range(len(source)):
        target[k] = np.float32(source[k]) / divisor


@compiled
def gather_features(observations: Any, order: Any, inputs: Any) -> None:
    """Bring a tile's features together."""
    target = matrix(inputs.features, len(order), observations.features.shape[1])
    for i in range(len(order)):
        read_features(observations.features[order[i]], observations.divisor, target[i])


@compiled
def mark_grounds(observations: Any, order: Any, seen: Any) -> None:
    """Find the backgrounds that the minibatch lies on."""
    seen[:] = 0
    for i in range(len(order)):
        seen[observations.backgrounds[order[i]]] = 1


@compiled
def lay_grounds(observations: Any, seen: Any, tower: Any, ground: Any) -> None:
    """What the first layer makes of each background that is seen, bias included: `(backgrounds, width 1)`."""
    for g in range(len(seen)):
        if seen[g]:
            line, begin, end = ground[g], observations.ground_offsets[g], observations.ground_offsets[g + 1]
            indices, values = observations.ground_indices, observations.ground_values
            sum_rows(tower.first_bias, tower.first, indices, values, begin, end, line)


@compiled
def clear_grounds(seen: Any, ground: Any) -> None:
    """Make room for the gradients of the backgrounds that are seen."""
    for g in range(len(seen)):
        if seen[g]:
            ground[g] = 0


@compiled
def spread_grounds(observations: Any, seen: Any, gradient: Any, ground: Any) -> None:
    """Hand the backgrounds' gradients on to the weights that made them."""
    for g in range(len(seen)):
        if seen[g]:
            line, begin, end = ground[g], observations.ground_offsets[g], observations.ground_offsets[g + 1]
            add_to_rows(line, gradient.first, observations.ground_indices, observations.ground_values, begin, end)
            for k in range(len(line)):
                gradient.first_bias[k] += line[k]
