"""Actions and values from the kernels: what a rollout asks a policy for, several times a millisecond."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.preprocessing import is_image_space

from agents.ppo.fast.compiling import compiled, entry
from agents.ppo.fast.layout import aligned
from agents.ppo.fast.lists import MOST_GROUNDS, SparseRows
from agents.ppo.fast.loss import log_softmax
from agents.ppo.fast.memory import make_activity, make_learned
from agents.ppo.fast.minibatch import read_features
from agents.ppo.fast.network import TILE, Inputs, forwards_from_features, forwards_from_lists, matrix, turn
from agents.ppo.fast.rollout import as_features, is_sparse
from agents.ppo.fast.transfer import layout_of, load_parameters
from agents.ppo.fast.vectors import sum_rows

if TYPE_CHECKING:
    from stable_baselines3.common.policies import ActorCriticPolicy

    from agents.ppo.fast.minibatch import Observations


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


class FastInference:
    """A policy's actor and critic in the kernels.

    Args:
        policy: One that `capability.why_not_policy` has nothing against.
        path: `sparse`, `dense`, or `auto`: by what the first observations after `begin` are like.
    """

    def __init__(self, policy: ActorCriticPolicy, path: str) -> None:
        self._policy = policy
        self._path = path
        self._layout = layout_of(policy)
        self._learned = make_learned(self._layout)
        self._is_image = is_image_space(policy.observation_space) and policy.normalize_images
        self._actor, self._critic = (self._net(tower) for tower in (self._learned.actor, self._learned.critic))
        outputs = TILE * self._layout.actions
        self._room = Room(
            aligned(TILE * policy.features_dim), aligned(outputs), aligned(outputs), aligned(2 * TILE).reshape(2, TILE)
        )
        self._lists = SparseRows(policy.observation_space.shape or (), policy.observation_space.dtype, self._is_image)

    def begin(self) -> None:
        """Take the policy's parameters as they are now; forget all rows."""
        load_parameters(self._policy, self._layout, self._learned.parameters)
        self._lists.clear()
        self._laid = 0
        self._is_sparse: bool | None = None if self._path == "auto" else self._path == "sparse"

    @property
    def lists(self) -> SparseRows | None:
        """All observations acted on since `begin`, as lists; None where they are not kept as such."""
        return self._lists if self._is_sparse else None

    def act(
        self, observations: NDArray[Any], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """Draw an action per row.

        Args:
            observations: `(rows, *shape)` in the space's dtype, C-contiguous.
            rng: One float32 per row is drawn.

        Returns:
            `(rows,)` actions, log-probabilities of them, values.
        """
        rows = len(observations)
        actions, log_probs, values = np.empty(rows, np.int64), np.empty(rows, np.float32), np.empty(rows, np.float32)
        thresholds = rng.random(rows, dtype=np.float32)
        if rows:
            seen = self._read(observations)
            act_on(self._actor, self._critic, seen, self._laid, self._room, thresholds, actions, log_probs, values)
            self._laid = len(seen.ground_offsets) - 1
        return actions, log_probs, values

    def values(self, observations: NDArray[Any]) -> NDArray[np.float32]:
        """The critic's word on each row `(rows, *shape)`: `(rows,)`; these rows are not kept."""
        values = np.empty(len(observations), np.float32)
        if len(values):
            value_of(self._critic, as_features(observations, self._is_image), self._room, values)
        return values

    def _read(self, observations: NDArray[Any]) -> Observations:
        if self._is_sparse is None:
            self._is_sparse = is_sparse(observations)
        if not self._is_sparse:
            return as_features(observations, self._is_image)
        begin = len(self._lists)
        self._lists.add(observations)
        return self._lists.view(begin)

    def _net(self, tower: Any) -> Net:
        width = tower.first.shape[1]
        return Net(tower, make_activity(tower, TILE), aligned(MOST_GROUNDS * width).reshape(MOST_GROUNDS, width))
