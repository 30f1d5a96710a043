"""The board of one machine: a RawArray of shared memory, which has no name to leak or to squat on."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from typing import Any

import numpy as np

from marl_pbt.double_buffer import DoubleBuffer

ROW_BYTES = 64 * 1024
"""Capacity of a row: 256 scores and dozens of hyperparameters."""
METADATA_BYTES = 64 * 1024
"""What a snapshot's header may need beside its arrays."""


@dataclass(frozen=True)
class BoardShape:
    """What fixes the layout.

    Attributes:
        members: N.
        snapshot_bytes: Per species: the most that its arrays take.
    """

    members: int
    snapshot_bytes: tuple[int, ...]

    @property
    def slot_bytes(self) -> tuple[int, ...]:
        """Per species: one member's slot, row and snapshot."""
        row = DoubleBuffer.size_for(ROW_BYTES)
        return tuple(row + DoubleBuffer.size_for(size + METADATA_BYTES) for size in self.snapshot_bytes)

    @property
    def total_bytes(self) -> int:
        """The whole board."""
        return self.members * (8 + sum(self.slot_bytes))


class SharedBoard:
    """`Board` in shared memory.

    Args:
        shape: The layout.
        memory: `allocate(shape, context)`, made by the supervisor and handed to workers as they start.
    """

    def __init__(self, shape: BoardShape, memory: Any) -> None:
        self.shape = shape
        self.memory = memory
        view = memoryview(memory).cast("B")
        self._ticks = np.frombuffer(view[: 8 * shape.members], dtype=np.int64)
        self._rows: dict[tuple[int, int], DoubleBuffer] = {}
        self._snapshots: dict[tuple[int, int], DoubleBuffer] = {}
        start = 8 * shape.members
        row_bytes = DoubleBuffer.size_for(ROW_BYTES)
        for member in range(shape.members):
            for species, size in enumerate(shape.slot_bytes):
                self._rows[member, species] = DoubleBuffer(view[start : start + row_bytes])
                self._snapshots[member, species] = DoubleBuffer(view[start + row_bytes : start + size])
                start += size

    @staticmethod
    def allocate(shape: BoardShape, context: SpawnContext) -> Any:
        """Zeroed shared memory for a board, to be handed to processes as they start."""
        return context.RawArray(ctypes.c_int64, -(-shape.total_bytes // 8))

    def publish_row(self, member: int, species: int, row: bytes) -> None:
        """Replace the row whole."""
        self._rows[member, species].write(row)

    def publish_snapshot(self, member: int, species: int, snapshot: bytes) -> None:
        """Replace the snapshot whole; ValueError where it is larger than the slot."""
        self._snapshots[member, species].write(snapshot)

    def row(self, member: int, species: int) -> bytes | None:
        """The newest whole row, or None."""
        return self._rows[member, species].read()

    def snapshot(self, member: int, species: int) -> bytes | None:
        """The newest whole snapshot, or None."""
        return self._snapshots[member, species].read()

    def tick(self, member: int, progress: int) -> None:
        """Store the member's progress counter; one aligned word, so it is never seen half written."""
        self._ticks[member] = progress

    def progress(self, member: int) -> int:
        """The member's progress counter."""
        return int(self._ticks[member])
