"""What a board must offer: where members meet."""

from __future__ import annotations

from typing import Protocol


class Board(Protocol):
    """Where members publish what they are and how well they do; every member decides from it alone.

    A slot belongs to one (member, species) and is written by that member only. Reading never blocks writing. A reader
    gets one whole version or nothing. (`BoardRow` in marl_pbt.standings is what a row holds.)
    """

    def publish_row(self, member: int, species: int, row: bytes) -> None:
        """Replace the row whole."""

    def publish_snapshot(self, member: int, species: int, snapshot: bytes) -> None:
        """Replace the snapshot whole.

        Raises:
            ValueError: It is larger than the slot.
        """

    def row(self, member: int, species: int) -> bytes | None:
        """The newest whole row, or None: never published, or not to be had unbroken in a bounded number of tries."""

    def snapshot(self, member: int, species: int) -> bytes | None:
        """The newest whole snapshot, or None as in `row`."""

    def tick(self, member: int, progress: int) -> None:
        """Store the member's progress counter: agent steps so far."""

    def progress(self, member: int) -> int:
        """The member's progress counter; 0 before the first tick."""
