"""The board of one machine."""

import multiprocessing

import pytest

from marl_pbt.shared_board import METADATA_BYTES, ROW_BYTES, BoardShape, SharedBoard
from tests.contracts.board import ARRAY_BYTES, MEMBERS, SPECIES, BoardContract

CONTEXT = multiprocessing.get_context("spawn")
SHAPE = BoardShape(MEMBERS, (ARRAY_BYTES,) * SPECIES)


def shared_board(shape=SHAPE):
    return SharedBoard(shape, SharedBoard.allocate(shape, CONTEXT))


class TestSharedBoard(BoardContract):
    make_board = staticmethod(shared_board)


def publish_and_tick(shape, memory):
    board = SharedBoard(shape, memory)
    assert board.row(0, 1) == b"from the parent"
    board.publish_row(1, 1, b"from the child")
    board.publish_snapshot(2, 0, b"its snapshot")
    board.tick(2, 77)


def test_another_process_reads_and_writes_the_same_board():
    board = shared_board()
    board.publish_row(0, 1, b"from the parent")
    child = CONTEXT.Process(target=publish_and_tick, args=(SHAPE, board.memory))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert board.row(1, 1) == b"from the child"
    assert board.snapshot(2, 0) == b"its snapshot"
    assert board.progress(2) == 77


@pytest.mark.parametrize("writes", [2, 3])  # the newest in the first half, or in the second
def test_slots_filled_to_the_last_byte_do_not_touch_their_neighbours(writes):
    shape = BoardShape(3, (1008, 16))
    board = shared_board(shape)
    newest = {}
    for member in range(3):
        board.tick(member, -1 - member)
        for species, size in enumerate(shape.snapshot_bytes):
            for write in range(writes):
                letter = bytes([100 * write + 10 * species + member])
                newest[member, species] = letter * ROW_BYTES, letter * (size + METADATA_BYTES)
                board.publish_row(member, species, newest[member, species][0])
                board.publish_snapshot(member, species, newest[member, species][1])
    for slot, (row, snapshot) in newest.items():
        assert (board.row(*slot), board.snapshot(*slot)) == (row, snapshot)
    assert [board.progress(member) for member in range(3)] == [-1, -2, -3]


def test_a_board_without_members_or_species_is_empty_and_no_error():
    assert shared_board(BoardShape(1, ())).progress(0) == 0


def test_the_memory_is_as_large_as_the_shape_says():
    assert len(bytes(SharedBoard.allocate(SHAPE, CONTEXT))) == SHAPE.total_bytes
