"""What the actions of one species look like as rows: checked, drawn, handed to the environment, kept as bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray


class ActionKind:
    """The actions of a space as rows: `(rows, *row_shape)`, int64 for discrete ones, a Box's own dtype otherwise.

    Args:
        species: Its name, for errors.
        space: `Discrete`, `MultiDiscrete` or `Box`.
    """

    def __init__(self, species: str, space: Any) -> None:
        self._species = species
        self._space = space
        self.row_shape: tuple[int, ...] = tuple(space.shape)
        if isinstance(space, spaces.Box):
            self._low, self._high = space.low, space.high
            self.dtype = self.stored_dtype = np.dtype(space.dtype)
        else:
            count = space.n if isinstance(space, spaces.Discrete) else space.nvec
            self._low = np.asarray(space.start, np.int64)
            self._high = self._low + np.asarray(count, np.int64) - 1
            self.dtype = np.dtype(np.int64)
            ends = np.min_scalar_type(int(self._low.min())), np.min_scalar_type(int(self._high.max()))
            self.stored_dtype = np.result_type(*ends)
        self.row_bytes = self.stored_dtype.itemsize * int(np.prod(self.row_shape))

    def checked(self, given: NDArray[Any], rows: int) -> NDArray[Any]:
        """The actions as a copy of `dtype`.

        Raises:
            ValueError: Shape or dtype do not fit, or an action is not in the space.
        """
        given = np.asarray(given)
        wanted = (rows, *self.row_shape)
        if given.shape != wanted or not np.can_cast(given.dtype, self.dtype, "same_kind"):
            raise ValueError(
                f"actions[{self._species}]: must be {self.dtype} of shape {wanted}, got {given.dtype} of {given.shape}"
            )
        if not ((given >= self._low) & (given <= self._high)).all():
            raise ValueError(f"actions[{self._species}]: must be in {self._space}, got {self._first_outside(given)}")
        return given.astype(self.dtype)

    def as_moves(self, checked: NDArray[Any]) -> list[Any]:
        """What the environment is given, an action per row: an int, or an array in the space's dtype."""
        if isinstance(self._space, spaces.Discrete):
            moves: list[Any] = checked.tolist()
            return moves
        return list(checked.astype(self._space.dtype))

    def as_bytes(self, checked: NDArray[Any]) -> bytes:
        """What is kept for a replay, `row_bytes` per row."""
        return checked.astype(self.stored_dtype).tobytes()

    def from_bytes(self, kept: Sequence[bytes | bytearray]) -> NDArray[Any]:
        """`(rows, *row_shape)` in `stored_dtype`: all that is kept in these, as one copy."""
        return np.frombuffer(b"".join(kept), self.stored_dtype).reshape(-1, *self.row_shape).copy()

    def draw(self, rng: np.random.Generator, rows: int) -> list[Any]:
        """Random moves: uniform within finite bounds, standard normal and clipped where a bound is infinite."""
        shape = (rows, *self.row_shape)
        if self.dtype.kind != "f":
            return self.as_moves(rng.integers(self._low, self._high, shape, endpoint=True))
        is_bounded = np.isfinite(self._low) & np.isfinite(self._high)
        low, high = np.where(is_bounded, self._low, 0.0), np.where(is_bounded, self._high, 1.0)
        uniform = rng.uniform(low, high, shape)
        normal = np.clip(rng.standard_normal(shape), self._low, self._high)
        return self.as_moves(np.where(is_bounded, uniform, normal).astype(self.dtype))

    def is_legal(self, stored: NDArray[Any]) -> bool:
        """Whether these are rows of `stored_dtype`, all in the space."""
        has_form = stored.dtype == self.stored_dtype and stored.shape[1:] == self.row_shape and stored.ndim > 0
        return has_form and bool(((stored >= self._low) & (stored <= self._high)).all())

    def _first_outside(self, given: NDArray[Any]) -> Any:
        is_inside = ((given >= self._low) & (given <= self._high)).reshape(len(given), -1).all(axis=1)
        return given[np.argmin(is_inside)].tolist()


Bounds: TypeAlias = Sequence[tuple[int, int]]
"""Per species the rows of one world: from, up to."""


def deal(
    kinds: Sequence[ActionKind], checked: Sequence[NDArray[Any]], worlds: Sequence[Bounds]
) -> Iterator[tuple[list[list[Any]], list[bytes]]]:
    """Per world its moves and the same as bytes, per species each."""
    moves = [kind.as_moves(each) for kind, each in zip(kinds, checked, strict=True)]
    kept = [kind.as_bytes(each) for kind, each in zip(kinds, checked, strict=True)]
    widths = [kind.row_bytes for kind in kinds]
    for bounds in worlds:
        own = [each[begin:end] for each, (begin, end) in zip(moves, bounds, strict=True)]
        yield own, [data[w * begin : w * end] for data, w, (begin, end) in zip(kept, widths, bounds, strict=True)]
