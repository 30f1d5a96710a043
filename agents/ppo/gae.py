"""Generalized Advantage Estimation over ragged rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def advantages(
    deltas: NDArray[np.float32], successors: NDArray[np.int64], blocks: Sequence[int], decay: float
) -> NDArray[np.float32]:
    """Sum each individual's temporal-difference errors backwards (Schulman et al. 2016, arXiv 1506.02438, eq. 16).

    One reverse pass over the env steps; within one env step all rows at once.

    Args:
        deltas: `(rows,)` r + γ V(next) − V of each row, env step after env step.
        successors: `(rows,)` the same individual's row in the next env step; −1 where the rollout has none.
        blocks: Where each env step's rows begin, in rising order, and last the number of rows.
        decay: γ λ.

    Returns:
        `(rows,)` float32.
    """
    # The last place stays 0: a successor of −1 reads it.
    result = np.zeros(len(deltas) + 1, dtype=np.float32)
    for begin, end in zip(reversed(blocks[:-1]), reversed(blocks[1:]), strict=True):
        result[begin:end] = deltas[begin:end] + np.float32(decay) * result[successors[begin:end]]
    return result[:-1]


def temporal_differences(
    rewards: NDArray[np.float32],
    values: NDArray[np.float32],
    successors: NDArray[np.int64],
    bootstraps: NDArray[np.float32],
    gamma: float,
) -> NDArray[np.float32]:
    """Work out r + γ V(next) − V per row.

    Args:
        rewards: `(rows,)` as the learner sees them.
        values: `(rows,)` V of each row.
        successors: As in `advantages`.
        bootstraps: `(rows,)` V(next) of the rows without a successor: 0 after a death, V of the last observation after
            a time-out, V of the next observation at the rollout's end.
        gamma: Discount per env step.
    """
    deltas: NDArray[np.float32] = np.where(successors >= 0, values[successors], bootstraps)
    deltas *= np.float32(gamma)
    deltas += rewards
    deltas -= values
    return deltas
