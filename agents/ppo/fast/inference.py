"""Actions and values from the kernels: what a rollout asks a policy for, several times a millisecond."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.preprocessing import is_image_space

from agents.ppo.fast.acting import act_on, make_net, make_room, value_of
from agents.ppo.fast.layout import aligned
from agents.ppo.fast.lists import SparseRows
from agents.ppo.fast.observations import as_features, is_sparse
from agents.ppo.fast.transfer import layout_of, load_parameters

if TYPE_CHECKING:
    from stable_baselines3.common.policies import ActorCriticPolicy

    from agents.ppo.fast.observations import Observations


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
        self._parameters = aligned(self._layout.size)
        self._is_image = is_image_space(policy.observation_space) and policy.normalize_images
        self._actor, self._critic = (make_net(tower) for tower in self._layout.towers(self._parameters))
        self._room = make_room(policy.features_dim, self._layout.actions)
        self._lists = SparseRows(policy.observation_space.shape or (), policy.observation_space.dtype, self._is_image)
        self._is_sparse: bool | None = None
        self.begin()

    def begin(self) -> None:
        """Take the policy's parameters as they are now; forget all rows."""
        load_parameters(self._policy, self._layout, self._parameters)
        self._lists.clear()
        self._laid = 0
        self._is_sparse = None if self._path == "auto" else self._path == "sparse"

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
