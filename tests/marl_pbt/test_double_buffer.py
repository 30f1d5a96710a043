"""One writer, many readers, no lock."""

import mmap
import multiprocessing
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import marl_pbt
from marl_pbt.double_buffer import DoubleBuffer

CONTEXT = multiprocessing.get_context("spawn")
CAPACITY = 4096


def place(capacity=CAPACITY):
    memory = memoryview(bytearray(DoubleBuffer.size_for(capacity)))
    return memory, DoubleBuffer(memory)


def version(number, words=40):
    """A payload that is one version throughout, of a length that changes with it."""
    return struct.pack("<Q", number) * (words + number % 5)


def number_of(payload):
    number = struct.unpack_from("<Q", payload)[0]
    assert payload == version(number), "two versions in one copy"
    return number


def hammer(memory, started):
    buffer = DoubleBuffer(memoryview(memory).cast("B"))
    number = 0
    while True:
        number += 1
        buffer.write(version(number))
        if number == 2:
            started.send(None)


# ------------------------------------------------------------------------------------ one at a time


def test_nothing_is_read_before_the_first_write():
    _, buffer = place()
    assert buffer.read() is None


@pytest.mark.parametrize("capacity", [0, 1, 7, 8, 9, 4095])
def test_a_payload_of_every_length_up_to_the_capacity_comes_back(capacity):
    memory, buffer = place(capacity)
    for length in {0, 1, capacity // 2, capacity - 1, capacity} & set(range(capacity + 1)):
        buffer.write(b"x" * length)
        assert DoubleBuffer(memory).read() == b"x" * length


def test_too_large_a_payload_is_refused_and_the_old_stays():
    _, buffer = place(16)
    buffer.write(b"old")
    with pytest.raises(ValueError, match="at most 16 bytes, has 17"):
        buffer.write(b"x" * 17)
    assert buffer.read() == b"old"


def test_a_fresh_writer_goes_on_where_the_last_one_ended():
    """D04: a member that moved to another worker."""
    memory, buffer = place()
    for number in range(1, 6):
        buffer.write(version(number))
        buffer = DoubleBuffer(memory)
        assert number_of(buffer.read()) == number


# ------------------------------------------------------------------------------------ torn


def torn_states(before, after, half):
    """The memory at every instant of a write: header away, payload byte by byte, header byte by byte."""
    header = 24
    start = half * (len(before) // 2)
    state = bytearray(before)
    for at in [*range(start, start + header)]:
        state[at] = 0
        yield bytes(state)
    for at in [*range(start + header, start + len(before) // 2), *range(start, start + header)]:
        if state[at] != after[at]:
            state[at] = after[at]
            yield bytes(state)


@pytest.mark.parametrize("writes", [1, 2, 3, 4])
def test_a_writer_that_dies_at_any_byte_leaves_the_version_before(writes):
    """D04: and the next writer is not held up by what it left."""
    memory, buffer = place(400)
    for number in range(1, writes + 1):
        buffer.write(version(number))
    before = bytes(memory)
    buffer.write(version(writes + 1))
    after = bytes(memory)
    for state in torn_states(before, after, half=(writes + 1) % 2):
        torn = memoryview(bytearray(state))
        assert number_of(DoubleBuffer(torn).read()) == (writes + 1 if state == after else writes)
        DoubleBuffer(torn).write(version(99))
        assert number_of(DoubleBuffer(torn).read()) == 99
        DoubleBuffer(torn).write(version(100))
        assert number_of(DoubleBuffer(torn).read()) == 100


def test_a_reader_never_takes_a_half_with_a_flipped_bit():
    """D03: the CRC is the guard, over version, length and payload alike."""
    memory, buffer = place(48)
    buffer.write(b"one version")
    half = len(memory) // 2
    for at in [*range(half, half + 20), *range(half + 24, half + 24 + len(b"one version"))]:  # 4 bytes say nothing
        for bit in range(8):
            memory[at] ^= 1 << bit
            assert DoubleBuffer(memory).read() is None
            memory[at] ^= 1 << bit
    assert DoubleBuffer(memory).read() == b"one version"


def test_garbage_is_neither_read_nor_in_the_way():
    memory = memoryview(bytearray(b"\xff" * DoubleBuffer.size_for(64)))
    assert DoubleBuffer(memory).read() is None
    DoubleBuffer(memory).write(b"sound")
    assert DoubleBuffer(memory).read() == b"sound"


# ------------------------------------------------------------------------------------ at once


def read_versions(buffer, copies, found):
    """Counts whole copies, and beside them those that were not to be had; versions never go back."""
    last = got = skipped = 0
    while got < copies:
        payload = buffer.read()
        if payload is None:
            skipped += 1
            continue
        number = number_of(payload)
        assert number >= last, "an older version after a newer one"
        last = number
        got += 1
    found.append((got, skipped, last))


def test_of_100_000_copies_of_a_slot_that_a_writer_hammers_every_one_is_one_version():
    """D03."""
    memory = CONTEXT.RawArray("q", DoubleBuffer.size_for(CAPACITY) // 8)
    ours, theirs = CONTEXT.Pipe(duplex=False)
    writer = CONTEXT.Process(target=hammer, args=(memory, theirs), daemon=True)
    writer.start()
    try:
        assert ours.poll(30)
        buffer, found = DoubleBuffer(memoryview(memory).cast("B")), []
        readers = [threading.Thread(target=read_versions, args=(buffer, 50_000, found)) for _ in range(2)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    finally:
        writer.kill()
        writer.join()
    assert sum(got for got, _, _ in found) == 100_000
    assert sum(skipped for _, skipped, _ in found) < 10_000
    assert max(last for _, _, last in found) > 1000


WRITER = """
import mmap, struct, sys
sys.path.insert(0, sys.argv[1])
from marl_pbt.double_buffer import DoubleBuffer
with open(sys.argv[2], "r+b") as file:
    buffer = DoubleBuffer(memoryview(mmap.mmap(file.fileno(), 0)))
number = int(sys.argv[3])
while True:
    number += 1
    buffer.write(struct.pack("<Q", number) * (40 + number % 5))
"""


def test_a_writer_killed_in_the_middle_locks_nobody_out(tmp_path):
    """D04: 15 writers one after the other, each killed with SIGKILL while it writes as fast as it can."""
    path, root = tmp_path / "slot", Path(marl_pbt.__file__).parents[1]
    path.write_bytes(bytes(DoubleBuffer.size_for(CAPACITY)))
    with path.open("r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    buffer, last = DoubleBuffer(memoryview(memory)), 0
    for _ in range(15):
        writer = subprocess.Popen([sys.executable, "-I", "-S", "-c", WRITER, str(root), str(path), str(last)])
        try:
            before = last
            while last < before + 200:
                payload = buffer.read()
                if payload is not None:
                    number = number_of(payload)
                    assert number >= last
                    last = number
        finally:
            writer.kill()
            writer.wait()
        last = number_of(buffer.read())
