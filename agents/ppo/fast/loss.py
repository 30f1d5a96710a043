"""PPO's loss for a tile of rows, and its gradient with respect to logits and values.

Clipped surrogate (Schulman et al. 2017, arXiv 1707.06347, eq. 7), squared error of the values, entropy of the actions;
signs, means and diagnostics as Stable-Baselines3's `PPO.train()` has them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from agents.ppo.fast.compiling import compiled, inlined
from agents.ppo.fast.vectors import float_of_bits

# Places in a minibatch's sums.
SURROGATE, SQUARED_ERROR, ENTROPY, CLIPPED, KL, LOSS = range(6)


class Targets(NamedTuple):
    """What a minibatch's rows are to learn from."""

    actions: Any  # (rows,) int64
    log_probs: Any  # (rows,) float32, of the policy that acted
    advantages: Any  # (rows,) float32, normalised
    returns: Any  # (rows,) float32


class Weights(NamedTuple):
    """How the parts of the loss count; float32."""

    share: Any  # 1 / rows of the minibatch
    clip_range: Any
    ent_coef: Any
    vf_coef: Any


@inlined
def exponential(x: Any) -> Any:
    """e^x in float32, within 2 units in the last place where |x| <= 87; beyond, e^±87; NaN for NaN.

    x = k ln 2 + r with |r| <= ln 2 / 2, then Taylor's polynomial of degree 7 in r: its remainder is below 2^-28.
    """
    x = np.float32(-87) if x < np.float32(-87) else (np.float32(87) if x > np.float32(87) else x)
    k = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    # ln 2 in two parts, of which the first has so few digits that its product with k is exact.
    r = (x - k * np.float32(0.693359375)) + k * np.float32(2.12194440e-4)
    p = np.float32(1 / 5040)
    p = p * r + np.float32(1 / 720)
    p = p * r + np.float32(1 / 120)
    p = p * r + np.float32(1 / 24)
    p = p * r + np.float32(1 / 6)
    p = p * r + np.float32(0.5)
    p = p * r + np.float32(1)
    p = p * r + np.float32(1)
    return p * float_of_bits((np.int32(k) + np.int32(127)) << np.int32(23))


@compiled
def log_softmax(n: int, logits: Any, probs: Any, top: Any, total: Any) -> None:
    """Turn logits `(actions, rows)` into log-probabilities in place, and write the probabilities.

    Args:
        n: Rows.
        logits: As above.
        probs: The same shape; what it held does not matter.
        top: `(at least n,)` float32: left with the greatest logit of each row.
        total: The same: left with the sum of exponentials.
    """
    count = len(logits)
    top[:n] = logits[0]
    for action in range(1, count):
        line = logits[action]
        for row in range(n):
            top[row] = top[row] if top[row] >= line[row] else line[row]
    total[:n] = 0
    for action in range(count):
        line, prob = logits[action], probs[action]
        for row in range(n):
            line[row] -= top[row]
            prob[row] = exponential(line[row])
            total[row] += prob[row]
    for row in range(n):
        top[row] = math.log(total[row])
        total[row] = np.float32(1) / total[row]
    for action in range(count):
        line, prob = logits[action], probs[action]
        for row in range(n):
            line[row] -= top[row]
            prob[row] *= total[row]


@compiled
def policy_gradient(n: int, logits: Any, probs: Any, targets: Any, weights: Any, room: Any, sums: Any) -> None:
    """Turn logits `(actions, rows)` into the loss' gradient in place, and add to the minibatch's sums.

    Args:
        n: Rows.
        logits: As above.
        probs: The same shape; room.
        targets: Of these rows.
        weights: Of the loss.
        room: `(3, at least n)` float32.
        sums: `(6,)` float64.
    """
    chosen, entropy, pull = room[0], room[1], room[2]
    log_softmax(n, logits, probs, chosen, entropy)
    chosen[:n] = 0
    entropy[:n] = 0
    for action in range(len(logits)):
        line, prob = logits[action], probs[action]
        for row in range(n):
            chosen[row] = line[row] if targets.actions[row] == action else chosen[row]
            entropy[row] -= prob[row] * line[row]
    surrogate_pull(n, chosen, targets, weights, pull, sums)
    sums[ENTROPY] += entropy[:n].sum()
    scale = weights.ent_coef * weights.share
    for action in range(len(logits)):
        line, prob = logits[action], probs[action]
        for row in range(n):
            hit = np.float32(1) if targets.actions[row] == action else np.float32(0)
            line[row] = pull[row] * (hit - prob[row]) + scale * prob[row] * (line[row] + entropy[row])


@compiled
def surrogate_pull(n: int, chosen: Any, targets: Any, weights: Any, pull: Any, sums: Any) -> None:
    """The surrogate loss' gradient with respect to the log-probability of each row's action."""
    low, high = np.float32(1) - weights.clip_range, np.float32(1) + weights.clip_range
    surrogate, clipped, kl = np.float32(0), np.float32(0), np.float32(0)
    for row in range(n):
        log_ratio, advantage = chosen[row] - targets.log_probs[row], targets.advantages[row]
        ratio = np.float32(np.inf) if log_ratio > np.float32(87) else exponential(log_ratio)
        held = low if ratio < low else (high if ratio > high else ratio)
        free, bound = advantage * ratio, advantage * held
        pull[row] = np.float32(0) if bound < free else -free * weights.share
        surrogate += bound if bound < free else free
        clipped += np.float32(1) if abs(ratio - np.float32(1)) > weights.clip_range else np.float32(0)
        kl += (ratio - np.float32(1)) - log_ratio
    sums[SURROGATE] += surrogate
    sums[CLIPPED] += clipped
    sums[KL] += kl


@compiled
def value_gradient(values: Any, targets: Any, weights: Any, sums: Any) -> None:
    """Turn values `(rows,)` into the loss' gradient in place, and add to the minibatch's sums."""
    scale, squares = np.float32(2) * weights.vf_coef * weights.share, np.float32(0)
    for row in range(len(values)):
        error = values[row] - targets.returns[row]
        squares += error * error
        values[row] = scale * error
    sums[SQUARED_ERROR] += squares
