"""The compiled update: an epoch of PPO over a rollout, Adam's steps included."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from agents.ppo.fast.adam import adam_step, norm_of
from agents.ppo.fast.compiling import compiled, entry, inlined
from agents.ppo.fast.loss import ENTROPY, KL, LOSS, SQUARED_ERROR, SURROGATE, Weights, policy_gradient, value_gradient
from agents.ppo.fast.minibatch import (
    clear_grounds,
    gather_features,
    gather_lists,
    gather_targets,
    lay_grounds,
    mark_grounds,
    part_of,
    spread_grounds,
)
from agents.ppo.fast.network import (
    TILE,
    backwards_to_features,
    backwards_to_lists,
    forwards_from_features,
    forwards_from_lists,
    matrix,
    turn,
    turn_weights,
)

FINISHED, STOPPED, NOT_FINITE = 0, 1, 2
"""How an epoch ended: all minibatches done, beyond the KL limit, or at a loss or gradient that is no number."""


class Rules(NamedTuple):
    """The numbers of an update."""

    batch_size: int
    normalize: bool
    clip_range: float
    ent_coef: float
    vf_coef: float
    kl_limit: float  # infinity: none


class Learned(NamedTuple):
    """What an update changes, and room for the gradient; flat float32, views of them by name."""

    parameters: Any  # (P,)
    gradient: Any  # (P,)
    moments: Any  # adam.Moments
    actor: Any  # network.Tower, of the parameters
    critic: Any
    actor_gradient: Any  # network.Tower, of the gradient
    critic_gradient: Any


class Room(NamedTuple):
    """Scratch memory, of no meaning between two minibatches."""

    inputs: Any  # network.Inputs
    actor: Any  # network.Activity
    critic: Any
    actor_ground: Any  # (backgrounds, width 1) float32: sums of the first layer
    critic_ground: Any
    actor_ground_gradient: Any  # the same shapes
    critic_ground_gradient: Any
    seen: Any  # (backgrounds,) uint8
    targets: Any  # loss.Targets with room for a minibatch
    logits: Any  # flat float32, room for TILE rows of all actions, actions first
    probs: Any  # the same
    lines: Any  # (3, TILE) float32


@inlined
def weights_of(rules: Any, n: int) -> Any:
    """How the parts of a minibatch's loss count."""
    clip_range, ent_coef = np.float32(rules.clip_range), np.float32(rules.ent_coef)
    return Weights(np.float32(1 / n), clip_range, ent_coef, np.float32(rules.vf_coef))


@compiled
def tile_gradient(n: int, room: Any, targets: Any, weights: Any, sums: Any) -> None:
    """The loss' gradient with respect to the outputs of both towers, in place of the outputs."""
    actions = len(room.logits) // TILE
    outputs = matrix(room.actor.outputs, n, len(room.actor.last_turned))
    logits, probs = matrix(room.logits, actions, n), matrix(room.probs, actions, n)
    turn(outputs[:, :actions], logits)
    policy_gradient(n, logits, probs, targets, weights, room.lines, sums)
    turn(logits, outputs[:, :actions])
    outputs[:, actions:] = 0
    value_gradient(room.critic.outputs[:n], targets, weights, sums)


@compiled
def gradient_from_lists(learned: Any, observations: Any, rows: Any, room: Any, weights: Any, sums: Any) -> None:
    """The minibatch's gradient, and the sums of its diagnostics."""
    mark_grounds(observations, rows, room.seen)
    lay_grounds(observations, room.seen, learned.actor, room.actor_ground)
    lay_grounds(observations, room.seen, learned.critic, room.critic_ground)
    clear_grounds(room.seen, room.actor_ground_gradient)
    clear_grounds(room.seen, room.critic_ground_gradient)
    inputs = room.inputs
    for first in range(0, len(rows), TILE):
        tile = rows[first : first + TILE]
        n = len(tile)
        gather_lists(observations, tile, inputs)
        forwards_from_lists(n, inputs, room.actor_ground, learned.actor, room.actor)
        forwards_from_lists(n, inputs, room.critic_ground, learned.critic, room.critic)
        tile_gradient(n, room, part_of(room.targets, first, first + n), weights, sums)
        actor, critic = learned.actor_gradient, learned.critic_gradient
        backwards_to_lists(n, inputs, room.actor_ground_gradient, learned.actor, actor, room.actor)
        backwards_to_lists(n, inputs, room.critic_ground_gradient, learned.critic, critic, room.critic)
    spread_grounds(observations, room.seen, learned.actor_gradient, room.actor_ground_gradient)
    spread_grounds(observations, room.seen, learned.critic_gradient, room.critic_ground_gradient)


@compiled
def gradient_from_features(learned: Any, observations: Any, rows: Any, room: Any, weights: Any, sums: Any) -> None:
    """The minibatch's gradient, and the sums of its diagnostics."""
    inputs = room.inputs
    for first in range(0, len(rows), TILE):
        tile = rows[first : first + TILE]
        n = len(tile)
        gather_features(observations, tile, inputs)
        forwards_from_features(n, inputs, learned.actor, room.actor)
        forwards_from_features(n, inputs, learned.critic, room.critic)
        tile_gradient(n, room, part_of(room.targets, first, first + n), weights, sums)
        backwards_to_features(n, inputs, learned.actor, learned.actor_gradient, room.actor)
        backwards_to_features(n, inputs, learned.critic, learned.critic_gradient, room.critic)


@entry
def train_epoch(
    learned: Any,
    observations: Any,
    columns: Any,
    order: Any,
    rules: Any,
    adam: Any,
    room: Any,
    report: Any,
) -> Any:
    """Go once through the rows of a rollout.

    Args:
        learned: `Learned`; changed.
        observations: `observations.Observations`.
        columns: `minibatch.Columns`.
        order: `(rows,)` int64: which row comes when.
        rules: `Rules`.
        adam: `adam.AdamSettings`.
        room: `Room`.
        report: `(minibatches, 6)` float64. Means over each minibatch: surrogate, squared error, entropy, clipped, KL;
            the loss.

    Returns:
        How it ended, how many minibatches are in the report, how many steps Adam has made in all.
    """
    done, steps = 0, adam.steps
    for begin in range(0, len(order), rules.batch_size):
        rows = order[begin : begin + rules.batch_size]
        sums, weights = report[done], weights_of(rules, len(rows))
        sums[:] = 0
        learned.gradient[:] = 0
        turn_weights(learned.actor, room.actor)
        turn_weights(learned.critic, room.critic)
        gather_targets(columns, rows, room.targets, rules.normalize)
        if observations.features.size:
            gradient_from_features(learned, observations, rows, room, weights, sums)
        else:
            gradient_from_lists(learned, observations, rows, room, weights, sums)
        sums /= len(rows)
        sums[LOSS] = rules.vf_coef * sums[SQUARED_ERROR] - sums[SURROGATE] - rules.ent_coef * sums[ENTROPY]
        done += 1
        if sums[KL] > rules.kl_limit:  # first, as PPO does: an exploding ratio then stops the update, no more
            return STOPPED, done, steps
        norm = norm_of(learned.gradient)
        if not (np.isfinite(sums[LOSS]) and np.isfinite(norm)):
            return NOT_FINITE, done, steps
        steps += 1
        adam_step(learned.parameters, learned.gradient, learned.moments, adam, norm, steps)
    return FINISHED, done, steps
