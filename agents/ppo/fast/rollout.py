"""A rollout as the compiled update reads it, from Stable-Baselines3's buffer or ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer

from agents.ppo.buffer import RaggedRolloutBuffer
from agents.ppo.fast.lists import SparseRows
from agents.ppo.fast.minibatch import Columns
from agents.ppo.fast.observations import Observations


@dataclass(frozen=True)
class Rollout:
    """What there is to learn from.

    Attributes:
        observations: `(rows, *shape)` in the space's dtype.
        columns: The rest.
        lists: The same observations as lists, where there are such already.
        draw_order: Gives `(rows,)` int64, from the generator that the buffer's own minibatches come from.
    """

    observations: NDArray[Any]
    columns: Columns
    lists: SparseRows | None
    draw_order: Callable[[], NDArray[np.int64]]


def read_rollout(buffer: RolloutBuffer) -> Rollout:
    """Read a full buffer; it is left as it is, but for what `RolloutBuffer.get` would do to it too."""
    if isinstance(buffer, RaggedRolloutBuffer):
        rows = buffer.size()
        actions, log_probs, observations = (buffer.column(name) for name in ("actions", "log_probs", "observations"))
        columns = Columns(actions, log_probs, buffer.advantages, buffer.returns)
        lists = buffer.lists if buffer.lists is not None and len(buffer.lists) == rows else None
        return Rollout(observations, columns, lists, buffer.draw_order)
    rows = buffer.buffer_size * buffer.n_envs
    if not buffer.generator_ready:
        for name in ("observations", "actions", "values", "log_probs", "advantages", "returns"):
            setattr(buffer, name, buffer.swap_and_flatten(getattr(buffer, name)))
        buffer.generator_ready = True
    flat = (
        np.ascontiguousarray(array.reshape(rows), np.float32)
        for array in (buffer.log_probs, buffer.advantages, buffer.returns)
    )
    return Rollout(
        buffer.observations,
        Columns(buffer.actions.reshape(rows).astype(np.int64), *flat),
        None,
        lambda: np.random.permutation(rows),  # what RolloutBuffer.get draws from
    )


def as_lists(rollout: Rollout, is_image: bool) -> Observations:
    """The observations as lists."""
    lists = rollout.lists
    if lists is None:
        lists = SparseRows(rollout.observations.shape[1:], rollout.observations.dtype, is_image)
        lists.add(np.ascontiguousarray(rollout.observations))
    return lists.view()
