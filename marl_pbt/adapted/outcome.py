"""The turns of all worlds put together as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from marl_pbt.adapted.living import Seen
from marl_pbt.adapted.turns import AdaptedEpisode, Turn

Floats: TypeAlias = tuple[NDArray[np.float32], ...]
Codes: TypeAlias = tuple[NDArray[np.uint8], ...]
Links: TypeAlias = tuple[NDArray[np.int32], ...]


@dataclass(frozen=True)
class Outcome:
    """What one step of all worlds brought, per species: `marl_pbt.protocols.StepResult`."""

    rewards: Floats
    ended: Codes
    next_rows: Links
    truncated_observations: tuple[NDArray[Any], ...]
    episodes: tuple[AdaptedEpisode, ...]


class RowBlock:
    """The observations of one species' living agents over all worlds; the storage grows and is kept.

    Args:
        space: Of one agent.
    """

    def __init__(self, space: Any) -> None:
        self.shape: tuple[int, ...] = space.shape
        self.dtype: np.dtype[Any] = space.dtype
        self._storage = np.empty((0, *self.shape), self.dtype)
        self._rows = 0

    @property
    def rows(self) -> NDArray[Any]:
        """`(rows, *shape)`: a view."""
        return self._storage[: self._rows]

    def write(self, seen: Sequence[NDArray[Any]]) -> bool:
        """Take these in place of what was there; False where one of them is no finite array of shape and dtype."""
        self._rows = len(seen)
        if self._rows > len(self._storage):
            self._storage = np.empty((self._rows + self._rows // 2, *self.shape), self.dtype)
        if not seen:
            return True
        rows = self.rows
        try:
            if {each.shape for each in seen} != {self.shape}:
                return False
            # Along the first axis, not `np.stack`: that makes a view of every array first.
            np.concatenate(seen, out=rows.reshape(-1, *self.shape[1:]), casting="no")
        except (AttributeError, TypeError, ValueError):
            return False
        return rows.dtype.kind != "f" or bool(np.isfinite(rows).all())


def put_together(
    turns: Sequence[Turn], before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]
) -> tuple[Floats, Codes, Links]:
    """`(rewards, ended, next_rows)`, per species each.

    Args:
        turns: In the order of their worlds.
        before: Per species and world: the rows that acted.
        after: Per species and world: the rows now.
    """
    rewards, ended, links = [], [], []
    has_changes = any(turn.change for turn in turns)
    for species, counts in enumerate(zip(before, after, strict=True)):
        rows = sum(counts[0])
        rewards.append(np.array([reward for turn in turns for reward in turn.rewards[species]], np.float32))
        ended.append(np.zeros(rows, np.uint8))
        links.append(np.arange(rows, dtype=np.int32))
        if has_changes:
            _write_changes(turns, species, counts, (ended[-1], links[-1]))
    return tuple(rewards), tuple(ended), tuple(links)


def truncated_of(turns: Sequence[Turn], species: int, block: RowBlock) -> NDArray[Any]:
    """`(truncated rows, *shape)`: the last observations, in the order of their rows."""
    last = [each for turn in turns if turn.change for each in turn.change.last[species]]
    return np.stack(last) if last else np.empty((0, *block.shape), block.dtype)


def seen_of(seen: Sequence[Seen], species: int) -> list[NDArray[Any]]:
    """One species' observations of all worlds."""
    return [each for world in seen for each in world[species]]


def _write_changes(
    turns: Sequence[Turn],
    species: int,
    counts: tuple[Sequence[int], Sequence[int]],
    out: tuple[NDArray[np.uint8], NDArray[np.int32]],
) -> None:
    """Rows move up and down with the numbers of the worlds before theirs."""
    (acted, living), (ended, links) = counts, out
    shifts = np.cumsum(living) - living - np.cumsum(acted) + acted
    links += np.repeat(shifts, acted).astype(np.int32)
    begin_before = begin_after = 0
    for turn, rows, rows_now in zip(turns, acted, living, strict=True):
        if turn.change is not None:
            places = np.array(turn.change.places[species], np.int32)
            links[begin_before : begin_before + rows] = np.where(places >= 0, places + begin_after, -1)
            ended[begin_before : begin_before + rows] = turn.change.ended[species]
        begin_before += rows
        begin_after += rows_now
