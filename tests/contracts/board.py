"""What every board promises; join with a class that makes one for 3 members and 2 species, 1000 bytes of arrays each.

class TestSharedBoard(BoardContract):
    make_board = staticmethod(shared_board)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest

from marl_pbt.protocols import Board

MEMBERS, SPECIES, ARRAY_BYTES = 3, 2, 1000
SLOTS = [(member, species) for member in range(MEMBERS) for species in range(SPECIES)]


class BoardContract:
    make_board: ClassVar[Callable[[], Board]]

    def test_an_empty_slot_gives_nothing(self):
        board = self.make_board()
        for slot in SLOTS:
            assert board.row(*slot) is None
            assert board.snapshot(*slot) is None

    def test_every_slot_keeps_what_was_published_in_it(self):
        board = self.make_board()
        for member, species in SLOTS:
            board.publish_row(member, species, b"row %d %d" % (member, species))
            board.publish_snapshot(member, species, b"%d%d" % (member, species) * 500)
        for member, species in SLOTS:
            assert board.row(member, species) == b"row %d %d" % (member, species)
            assert board.snapshot(member, species) == b"%d%d" % (member, species) * 500

    def test_what_is_published_last_replaces_the_whole_of_what_was_there(self):
        board = self.make_board()
        for length in (1000, 1, 0, 999, 7):
            board.publish_row(1, 1, b"r" * length)
            board.publish_snapshot(1, 1, b"s" * length)
            assert board.row(1, 1) == b"r" * length
            assert board.snapshot(1, 1) == b"s" * length

    def test_a_row_and_a_snapshot_of_the_same_slot_do_not_touch_each_other(self):
        board = self.make_board()
        board.publish_row(0, 0, b"row")
        assert board.snapshot(0, 0) is None
        board.publish_snapshot(0, 0, b"snapshot")
        assert board.row(0, 0) == b"row"

    def test_a_snapshot_of_the_announced_size_fits_with_its_metadata(self):
        board = self.make_board()
        board.publish_snapshot(2, 1, b"x" * (ARRAY_BYTES + 4096))
        assert board.snapshot(2, 1) == b"x" * (ARRAY_BYTES + 4096)

    def test_what_is_too_large_is_refused_and_the_old_stays(self):
        board = self.make_board()
        for publish, read in ((board.publish_snapshot, board.snapshot), (board.publish_row, board.row)):
            publish(0, 1, b"old")
            with pytest.raises(ValueError, match="at most"):
                publish(0, 1, b"x" * 2**24)
            assert read(0, 1) == b"old"

    def test_what_was_read_does_not_change_when_more_is_published(self):
        board = self.make_board()
        board.publish_snapshot(0, 0, b"first")
        read = board.snapshot(0, 0)
        for _ in range(4):
            board.publish_snapshot(0, 0, b"other")
        assert read == b"first"

    def test_progress_is_zero_at_first_and_then_what_was_ticked(self):
        board = self.make_board()
        assert [board.progress(member) for member in range(MEMBERS)] == [0, 0, 0]
        board.tick(1, 2**40)
        board.tick(2, 7)
        assert [board.progress(member) for member in range(MEMBERS)] == [0, 2**40, 7]
