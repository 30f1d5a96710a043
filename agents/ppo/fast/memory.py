"""The arrays that an update works with, made for a policy and a rollout."""

from __future__ import annotations

import numpy as np

from agents.ppo.fast.adam import Moments
from agents.ppo.fast.layout import Layout, aligned
from agents.ppo.fast.loss import Targets
from agents.ppo.fast.network import TILE, Activity, Inputs, Tower
from agents.ppo.fast.observations import Observations
from agents.ppo.fast.update import Learned, Room


def make_learned(layout: Layout) -> Learned:
    """Room for parameters, gradient and moments, all zero."""
    parameters, gradient = aligned(layout.size), aligned(layout.size)
    moments = Moments(aligned(layout.size), aligned(layout.size))
    return Learned(parameters, gradient, moments, *layout.towers(parameters), *layout.towers(gradient))


def make_activity(tower: Tower, rows: int) -> Activity:
    """Room for what a tower leaves behind for so many rows."""
    width1, width2 = tower.second.shape
    outputs = tower.last.shape[1]
    turned = [aligned(array.size).reshape(array.shape[::-1]) for array in (tower.second, tower.last)]
    return Activity(*(aligned(rows * width) for width in (width1, width2, outputs, width1, width2)), *turned)


def make_inputs(observations: Observations, rows: int) -> Inputs:
    """Room for the inputs of so many rows."""
    longest = int(np.diff(observations.offsets).max(initial=0))
    return Inputs(
        offsets=np.zeros(rows + 1, np.int64),
        indices=np.zeros(rows * longest, np.uint16),
        values=np.zeros(rows * longest, np.float32),
        backgrounds=np.zeros(rows, np.int64),
        features=aligned(rows * observations.features.shape[1] if observations.features.size else 0),
    )


def make_room(learned: Learned, observations: Observations, batch_size: int, actions: int) -> Room:
    """Scratch memory for minibatches of so many rows."""
    grounds = len(observations.ground_offsets) - 1
    widths = learned.actor.first.shape[1], learned.critic.first.shape[1]
    sums_and_gradients = [aligned(grounds * width).reshape(grounds, width) for width in widths * 2]
    actor_sums, critic_sums, actor_gradients, critic_gradients = sums_and_gradients
    return Room(
        make_inputs(observations, TILE),
        make_activity(learned.actor, TILE),
        make_activity(learned.critic, TILE),
        actor_sums,
        critic_sums,
        actor_gradients,
        critic_gradients,
        np.zeros(grounds, np.uint8),
        Targets(np.zeros(batch_size, np.int64), *(np.zeros(batch_size, np.float32) for _ in range(3))),
        aligned(TILE * actions),
        aligned(TILE * actions),
        aligned(3 * TILE).reshape(3, TILE),
    )
