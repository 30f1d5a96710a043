"""The compiled forward pass: actions, log-probabilities and values of many rows."""

from __future__ import annotations

from typing import Any, NamedTuple

from agents.ppo.fast.compiling import compiled, entry
from agents.ppo.fast.layout import aligned
from agents.ppo.fast.lists import MOST_GROUNDS
from agents.ppo.fast.loss import log_softmax
from agents.ppo.fast.memory import make_activity
from agents.ppo.fast.minibatch import read_features
from agents.ppo.fast.network import TILE, Inputs, Tower, forwards_from_features, forwards_from_lists, matrix, turn
from agents.ppo.fast.vectors import sum_rows


class Net(NamedTuple):
    """A tower, and its scratch memory."""

    tower: Any  # network.Tower
    activity: Any  # network.Activity
    ground: Any  # (MOST_GROUNDS, width 1) float32: sums of the first layer


class Room(NamedTuple):
    """Scratch memory."""

    features: Any  # flat float32, room for TILE rows of all inputs
    logits: Any  # flat float32, room for TILE rows of all actions, actions first
    probs: Any  # the same
    lines: Any  # (2, TILE) float32


@compiled
def lay_new_grounds(observations: Any, laid: int, net: Any) -> None:
    """What the first layer makes of each background from number `laid` on."""
    indices, values = observations.ground_indices, observations.ground_values
    for g in range(laid, len(observations.ground_offsets) - 1):
        begin, end = observations.ground_offsets[g], observations.ground_offsets[g + 1]
        sum_rows(net.tower.first_bias, net.tower.first, indices, values, begin, end, net.ground[g])


@compiled
def tile_inputs(first: int, n: int, observations: Any, room: Any) -> Any:
    """Rows `first:first + n`."""
    if len(observations.features):
        target = matrix(room.features, n, observations.features.shape[1])
        for i in range(n):
            read_features(observations.features[first + i], observations.divisor, target[i])
    # Without lists these slices are empty.
    offsets, backgrounds = observations.offsets[first:], observations.backgrounds[first:]
    return Inputs(offsets, observations.indices, observations.values, backgrounds, room.features)


@compiled
def tile_forwards(n: int, inputs: Any, observations: Any, net: Any) -> None:
    """A tile's inputs through the tower."""
    if len(observations.features):
        forwards_from_features(n, inputs, net.tower, net.activity)
    else:
        forwards_from_lists(n, inputs, net.ground, net.tower, net.activity)


@compiled
def sample(n: int, net: Any, room: Any, thresholds: Any, actions: Any, log_probs: Any) -> None:
    """Draw an action per row by inverting the cumulative distribution at its threshold in [0, 1)."""
    count = len(room.logits) // TILE
    logits, probs = matrix(room.logits, count, n), matrix(room.probs, count, n)
    turn(matrix(net.activity.outputs, n, net.tower.last.shape[1])[:, :count], logits)
    log_softmax(n, logits, probs, room.lines[0], room.lines[1])
    cumulative = room.lines[0]
    cumulative[:n] = 0
    actions[:] = 0
    for action in range(count - 1):  # rounding may leave the sum below a threshold: what remains is the last action
        prob = probs[action]
        for row in range(n):
            cumulative[row] += prob[row]
            actions[row] += cumulative[row] <= thresholds[row]
    for row in range(n):
        log_probs[row] = logits[actions[row], row]


@entry
def act_on(
    actor: Any,
    critic: Any,
    observations: Any,
    laid: int,
    room: Any,
    thresholds: Any,
    actions: Any,
    log_probs: Any,
    values: Any,
) -> None:
    """Fill `(rows,)` actions int64, log_probs and values float32; thresholds `(rows,)` float32 are in [0, 1)."""
    lay_new_grounds(observations, laid, actor)
    lay_new_grounds(observations, laid, critic)
    for first in range(0, len(actions), TILE):
        end = min(first + TILE, len(actions))
        n = end - first
        inputs = tile_inputs(first, n, observations, room)
        tile_forwards(n, inputs, observations, actor)
        sample(n, actor, room, thresholds[first:end], actions[first:end], log_probs[first:end])
        tile_forwards(n, inputs, observations, critic)
        values[first:end] = critic.activity.outputs[:n]


@entry
def value_of(critic: Any, observations: Any, room: Any, values: Any) -> None:
    """Fill `(rows,)` values float32 from features."""
    for first in range(0, len(values), TILE):
        end = min(first + TILE, len(values))
        inputs = tile_inputs(first, end - first, observations, room)
        tile_forwards(end - first, inputs, observations, critic)
        values[first:end] = critic.activity.outputs[: end - first]


def make_net(tower: Tower) -> Net:
    """Room for a tower's forward pass."""
    width = tower.first.shape[1]
    return Net(tower, make_activity(tower, TILE), aligned(MOST_GROUNDS * width).reshape(MOST_GROUNDS, width))


def make_room(inputs: int, actions: int) -> Room:
    """Scratch memory for observations of so many inputs."""
    outputs = TILE * actions
    return Room(aligned(TILE * inputs), aligned(outputs), aligned(outputs), aligned(2 * TILE).reshape(2, TILE))
