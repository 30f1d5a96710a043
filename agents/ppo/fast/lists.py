"""Rows of observations as lists of what is not zero, and the backgrounds that many rows share.

Observations of grids are mostly zeros, and one channel of them is often a picture of few kinds: the walls around a
position. Where a channel of an observation `(height, width, channels)` holds nothing but zeros and one other value, in
few patterns, a row names its pattern, its *background*, instead of listing it. Both are exact: a row that does not fit
is listed in full.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.ppo.fast.compiling import compiled, entry, inlined
from agents.ppo.fast.observations import Observations, features_dtype

MOST_INPUTS = 1 << 16
MOST_GROUNDS = 256
_SLOTS = 1024  # of the hash table, a power of two; sparsely filled, so that a search is short
_SAMPLE = 256  # rows that are looked at for a background
_BLOCK = 512  # rows for which there is room at a time, as if nothing in them were zero
_GROWTH = 1.5


class Lists(NamedTuple):
    """Storage; what is used of it is told apart."""

    offsets: Any  # (room for rows + 1,) int64
    indices: Any  # (room for entries,) uint16
    values: Any  # (room for entries,) float32
    backgrounds: Any  # (room for rows,) int64


class Grounds(NamedTuple):
    """The backgrounds found so far; number 0 is the empty one."""

    count: Any  # (1,) int64
    offsets: Any  # (MOST_GROUNDS + 1,) int64
    indices: Any  # (MOST_GROUNDS * inputs,) uint16
    slots: Any  # (_SLOTS,) int64: number of a background, 0 for none; by hash
    hashes: Any  # (MOST_GROUNDS,) uint64
    keys: Any  # (inputs,) uint64: a background's hash is the sum of its inputs' keys; 0: never part of one
    cells: Any  # (inputs + 1,) uint16: scratch
    found: Any  # (inputs + 1,) uint16: scratch


@inlined
def find_ground(length: int, digest: Any, grounds: Any) -> Any:
    """The number of the background whose inputs are `grounds.cells[:length]`; −1: not seen before."""
    if length == 0:
        return 0
    slot = np.int64(digest & np.uint64(_SLOTS - 1))
    while grounds.slots[slot]:
        number = grounds.slots[slot]
        begin, end = grounds.offsets[number], grounds.offsets[number + 1]
        if grounds.hashes[number] == digest and end - begin == length:
            difference, known, cells = np.uint16(0), grounds.indices[begin:end], grounds.cells
            for i in range(length):  # without a branch, this is a handful of vector instructions
                difference |= known[i] ^ cells[i]
            if difference == 0:
                return number
        slot = (slot + 1) & (_SLOTS - 1)
    return -1


@compiled
def add_ground(length: int, digest: Any, grounds: Any) -> Any:
    """Number the background whose inputs are `grounds.cells[:length]`; −1: there is no room for more.

    A function of its own: as a part of the loop over the rows it would make that slower.
    """
    number, slot = grounds.count[0], np.int64(digest & np.uint64(_SLOTS - 1))
    if number == len(grounds.hashes):
        return -1
    while grounds.slots[slot]:
        slot = (slot + 1) & (_SLOTS - 1)
    begin = grounds.offsets[number]
    for i in range(length):
        grounds.indices[begin + i] = grounds.cells[i]
    grounds.offsets[number + 1] = begin + length
    grounds.hashes[number] = digest
    grounds.slots[slot] = number
    grounds.count[0] = number + 1
    return np.int64(number)


@inlined
def find_entries(observation: Any, found: Any) -> int:
    """Write which inputs are not zero to `found`; how many. No branch hangs on the data: it would be guessed wrong."""
    count = 0
    for i in range(len(observation)):
        found[count] = i
        count += observation[i] != 0
    return count


@inlined
def part_entries(observation: Any, level: Any, count: int, grounds: Any, indices: Any) -> Any:
    """Part the inputs found: those of a background go to `grounds.cells`, the others to `indices`.

    Returns:
        How many are the background's; how many are not; the background's hash; whether all of its values are `level`.
    """
    length, rest, digest, strangers = np.int64(0), np.int64(0), np.uint64(0), np.int64(0)
    found, keys, cells = grounds.found, grounds.keys, grounds.cells
    for j in range(count):
        index = found[j]
        key = keys[index]
        belongs = np.int64(key != 0)
        strangers += belongs & np.int64(observation[index] != level)
        digest += key
        cells[length] = index
        indices[rest] = index
        length += belongs
        rest += 1 - belongs
    return length, rest, digest, strangers == 0


@entry
def list_rows(observations: Any, scale: Any, level: Any, grounds: Any, lists: Any, row: int) -> None:
    """List observations `(rows, inputs)` from row number `row` on.

    Args:
        observations: As above, of any dtype.
        scale: `(256,)` float32: what a byte means; empty where numbers mean themselves.
        level: What a background is made of.
        grounds: Of type `Grounds`; grows.
        lists: Of type `Lists`, with room for every input of every row.
        row: As above.
    """
    at, found = lists.offsets[row], grounds.found
    for i in range(len(observations)):
        observation, indices, values = observations[i], lists.indices[at:], lists.values[at:]
        count = find_entries(observation, found)
        length, rest, digest, fits = part_entries(observation, level, count, grounds, indices)
        number = find_ground(length, digest, grounds) if fits else -1
        if fits and number < 0:
            number = add_ground(length, digest, grounds)
        if number < 0:  # listed in full
            indices[:count] = found[:count]
            number, rest = 0, count
        if len(scale):
            for j in range(rest):
                values[j] = scale[np.uint8(observation[indices[j]])]
        else:
            for j in range(rest):
                values[j] = observation[indices[j]]
        at += rest
        lists.backgrounds[row + i] = number
        lists.offsets[row + i + 1] = at


class SparseRows:
    """Rows of observations of one shape, added block by block.

    Args:
        shape: Of an observation.
        dtype: The same.
        is_image: Whether bytes mean their 255th part.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any, is_image: bool) -> None:
        self._dtype = features_dtype(dtype)
        self._inputs = math.prod(shape)
        self._channels = shape[2] if len(shape) == 3 else self._inputs
        self._scale = np.arange(256, dtype=np.float32) / np.float32(255) if is_image else np.empty(0, np.float32)
        self._lists = Lists(
            np.zeros(1, np.int64), np.empty(0, np.uint16), np.empty(0, np.float32), np.empty(0, np.int64)
        )
        self._keys = np.random.default_rng(0).integers(1, 1 << 63, self._inputs, np.uint64)
        self.clear()

    def clear(self) -> None:
        """Forget all rows and backgrounds; the storage stays."""
        self._rows = 0
        self._level = 0.0
        self._grounds = Grounds(
            count=np.ones(1, np.int64),
            offsets=np.zeros(MOST_GROUNDS + 1, np.int64),
            indices=np.zeros(MOST_GROUNDS * self._inputs, np.uint16),
            slots=np.zeros(_SLOTS, np.int64),
            hashes=np.zeros(MOST_GROUNDS, np.uint64),
            keys=np.zeros(self._inputs, np.uint64),
            cells=np.zeros(self._inputs + 1, np.uint16),
            found=np.zeros(self._inputs + 1, np.uint16),
        )

    def __len__(self) -> int:
        return self._rows

    def add(self, observations: NDArray[Any]) -> None:
        """List the rows of a block `(rows, *shape)`; the first that there are decide on the backgrounds."""
        for begin in range(0, len(observations), _BLOCK):
            self._add_block(observations[begin : begin + _BLOCK])

    def _add_block(self, observations: NDArray[Any]) -> None:
        rows = len(observations)
        flat = observations.reshape(rows, self._inputs)
        if flat.dtype == np.float16:  # which the compiler does not know
            flat = flat.astype(np.float32)
        if self._rows == 0:
            self._choose_background(flat)
        self._reserve(rows)
        list_rows(flat, self._scale, flat.dtype.type(self._level), self._grounds, self._lists, self._rows)
        self._rows += rows

    def view(self, begin: int = 0) -> Observations:
        """The rows from `begin` on; valid until the next `add`."""
        lists, grounds, count = self._lists, self._grounds, int(self._grounds.count[0])
        used = grounds.offsets[count]
        level = self._scale[int(self._level)] if len(self._scale) else self._level
        return Observations(
            offsets=lists.offsets[begin : self._rows + 1],
            indices=lists.indices,
            values=lists.values,
            backgrounds=lists.backgrounds[begin : self._rows],
            ground_offsets=grounds.offsets[: count + 1],
            ground_indices=grounds.indices[:used],
            ground_values=np.full(used, level, np.float32),
            features=np.empty((0, self._inputs), self._dtype),
            divisor=np.float32(255 if len(self._scale) else 1),
        )

    def _choose_background(self, flat: NDArray[Any]) -> None:
        """Take the channel with the most entries among those of one value in few patterns, if there is one."""
        if self._channels == self._inputs:
            return
        most, flat = 0, flat[:_SAMPLE]
        for channel in range(self._channels):
            cells, keys = flat[:, channel :: self._channels], self._keys[channel :: self._channels]
            level, count = cells.max(), int(np.count_nonzero(cells))
            if count > most and np.all((cells == 0) | (cells == level)):
                patterns = len(np.unique((cells != 0) @ keys))  # sums wrap around, as hashes may
                if patterns <= min(MOST_GROUNDS, len(flat)) // 2:
                    most, self._level = count, float(level)
                    self._grounds.keys[:] = 0
                    self._grounds.keys[channel :: self._channels] = keys

    def _reserve(self, rows: int) -> None:
        """Make room for so many rows that are not zero anywhere."""
        used = int(self._lists.offsets[self._rows])
        wanted = (self._rows + rows + 1, *[used + rows * self._inputs] * 2, self._rows + rows)
        kept = (self._rows + 1, used, used, self._rows)
        if any(len(array) < length for array, length in zip(self._lists, wanted, strict=True)):
            larger = Lists(*(np.empty(int(_GROWTH * n), a.dtype) for a, n in zip(self._lists, wanted, strict=True)))
            for new, old, length in zip(larger, self._lists, kept, strict=True):
                new[:length] = old[:length]
            self._lists = larger
