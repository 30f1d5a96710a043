"""Tables of plain text, column by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

GAP = "  "


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        head: What stands above it.
        cells: One per row.
        is_right: Whether they end under each other instead of beginning so.
    """

    head: str
    cells: Sequence[str]
    is_right: bool = False

    @property
    def width(self) -> int:
        """In characters."""
        return max(map(len, (self.head, *self.cells)))

    def lines(self) -> list[str]:
        """Head and cells, all equally wide."""
        align = str.rjust if self.is_right else str.ljust
        return [align(cell, self.width) for cell in (self.head, *self.cells)]


def table_lines(columns: Sequence[Column]) -> Iterator[str]:
    """The table, its head first."""
    for cells in zip(*(column.lines() for column in columns), strict=True):
        yield GAP.join(cells).rstrip()


def fitting(columns: Sequence[Column], more: Sequence[Column], width: int) -> int:
    """How many more columns have room beside those that there are, in lines of this width."""
    used = sum(len(GAP) + column.width for column in columns) - len(GAP)
    for count, column in enumerate(more):
        used += len(GAP) + column.width
        if used > width:
            return count
    return len(more)
