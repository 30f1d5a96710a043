"""The rollout buffer that feeds ragged rows of living agents to Stable-Baselines3's own `PPO.train()`."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples

from agents.ppo.gae import advantages, temporal_differences
from marl_pbt.protocols import TRUNCATED

if TYPE_CHECKING:
    from agents.ppo.fast.lists import SparseRows

_GROWTH = 1.5


class RaggedRolloutBuffer(RolloutBuffer):
    """Rows of one species' living agents, env step after env step: no padding, no masks.

    Handed to PPO as `rollout_buffer_class`. An env step is written as `open_block` (where the worlds write their
    observations), `act` and `reward`; `close` computes what the rollout taught. Storage grows and is kept.

    Args:
        *args: As `RolloutBuffer`; sizes do not matter.
        rng: Draws the order of the minibatches; numpy's global generator stays untouched.
        **kwargs: As `RolloutBuffer`.
    """

    def __init__(self, *args: Any, rng: np.random.Generator, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rng = rng
        self._columns: dict[str, NDArray[Any]] = {
            "observations": np.empty((0, *self.obs_shape), self.observation_space.dtype),
            "actions": np.empty(0, np.int64),
            "rewards": np.empty(0, np.float32),
            "values": np.empty(0, np.float32),
            "log_probs": np.empty(0, np.float32),
            "successors": np.empty(0, np.int64),
            "bootstraps": np.empty(0, np.float32),
        }

    def reset(self) -> None:
        """Forget all rows; the storage stays."""
        self._blocks = [0]
        self.lists: SparseRows | None = None
        """All rows' observations as lists too, if whoever acted on them has made such; for the compiled update."""

    def size(self) -> int:
        """The number of rows with an action."""
        return self._blocks[-1]

    def open_block(self, rows: int) -> NDArray[Any]:
        """Make room for the next env step.

        Returns:
            `(rows, *shape)` in the space's dtype: where this env step's observations belong; a view of the storage.
        """
        begin = self._blocks[-1]
        if begin + rows > len(self._columns["actions"]):
            self._grow(begin + rows)
        return self._columns["observations"][begin : begin + rows]

    def act(self, actions: NDArray[np.int64], log_probs: NDArray[np.float32], values: NDArray[np.float32]) -> None:
        """Add what the agents of the open block did: `(rows,)` each."""
        begin, end = self._blocks[-1], self._blocks[-1] + len(actions)
        self._blocks.append(end)
        self._columns["actions"][begin:end] = actions
        self._columns["log_probs"][begin:end] = log_probs
        self._columns["values"][begin:end] = values

    def reward(
        self,
        rewards: NDArray[np.float32],
        ended: NDArray[np.uint8],
        next_rows: NDArray[np.int32],
        truncated_values: NDArray[np.float32],
    ) -> None:
        """Add what came of the newest block's actions.

        Args:
            rewards: `(rows,)`, scaled.
            ended: `(rows,)` codes as in `marl_pbt.protocols.StepResult.ended`.
            next_rows: `(rows,)` the same individual's row in the next block, −1 where it has ended.
            truncated_values: `(truncated rows,)` V of their last observations.
        """
        begin, end = self._blocks[-2:]
        bootstraps = np.zeros(end - begin, np.float32)
        bootstraps[ended == TRUNCATED] = truncated_values
        self._columns["rewards"][begin:end] = rewards
        self._columns["successors"][begin:end] = np.where(next_rows >= 0, next_rows + np.int64(end), -1)
        self._columns["bootstraps"][begin:end] = bootstraps

    def close(self, next_values: NDArray[np.float32]) -> None:
        """End the rollout: advantages and returns by `gamma` and `gae_lambda`.

        Args:
            next_values: `(rows after the last env step,)` V of the observations that follow the rollout.
        """
        begin, end = self._blocks[-2:]
        successors, bootstraps = self._columns["successors"], self._columns["bootstraps"]
        lives_on = begin + np.flatnonzero(successors[begin:end] >= 0)
        bootstraps[lives_on] = next_values[successors[lives_on] - end]
        successors[lives_on] = -1
        rewards, values = self._columns["rewards"][:end], self._columns["values"][:end]
        deltas = temporal_differences(rewards, values, successors[:end], bootstraps[:end], self.gamma)
        # `PPO.train()` reads `values` and `returns` for the explained variance.
        self.values, self.rewards = values, rewards
        self.advantages = advantages(deltas, successors[:end], self._blocks, self.gamma * self.gae_lambda)
        self.returns = self.advantages + values

    def get(self, batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        """Yield every row once, in random order; the last minibatch is what is left over."""
        rows = self._blocks[-1]
        order = self.draw_order()
        for begin in range(0, rows, batch_size or rows or 1):
            yield self._get_samples(order[begin : begin + (batch_size or rows)])

    def draw_order(self) -> NDArray[np.int64]:
        """The order in which an epoch takes the rows: `(rows,)`, drawn anew."""
        return self._rng.permutation(self._blocks[-1])

    def column(self, name: str) -> NDArray[Any]:
        """What is known of all rows under this name, e.g. `actions`: a view."""
        return self._columns[name][: self._blocks[-1]]

    def _get_samples(self, batch_inds: NDArray[np.int64], env: Any = None) -> RolloutBufferSamples:
        del env
        columns = self._columns
        names = ("observations", "actions", "values", "log_probs")
        arrays = [columns[name][batch_inds] for name in names]
        arrays += [self.advantages[batch_inds], self.returns[batch_inds]]
        # Indexing by an array has copied already: no second copy.
        return RolloutBufferSamples(*(torch.from_numpy(array).to(self.device) for array in arrays))

    def _grow(self, rows: int) -> None:
        """Make the storage hold at least this many rows; rows written so far are kept."""
        capacity = int(_GROWTH * rows)
        used = self._blocks[-1]
        for name, column in self._columns.items():
            larger = np.empty((capacity, *column.shape[1:]), column.dtype)
            larger[:used] = column[:used]
            self._columns[name] = larger
