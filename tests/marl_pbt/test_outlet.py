"""Lines to streams that are not read."""

import fcntl
import os
import time

import pytest

from marl_pbt.outlet import MOST_HELD, Outlet, pieces_of, takes


@pytest.fixture
def pipe():
    """Of one page: `(descriptor to read from, stream to write to)`."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    stream = os.fdopen(writing, "w")
    yield reading, stream
    os.close(reading)
    stream.close()


def outlet_of(stream):
    def write(text):
        stream.write(text)
        stream.flush()

    return Outlet(stream, write)


def test_lines_are_held_while_nobody_reads_and_written_in_their_order_once_somebody_does(pipe):
    reading, stream = pipe
    outlet, lines = outlet_of(stream), [f"{number} {'ö' * 300}" for number in range(100)]
    for line in lines:
        outlet.say(*pieces_of(f"{line}\n"))
    assert not takes(stream)
    found = b""
    while found.count(b"\n") < len(lines):
        found += os.read(reading, 65536)
        outlet.close(0.0)
    assert found.decode().splitlines() == lines


def test_a_line_longer_than_the_pipe_is_written_in_pieces(pipe):
    reading, stream = pipe
    outlet, line = outlet_of(stream), "𝄞" * 5000
    outlet.say(*pieces_of(f"{line}\n"))
    found = b""
    while not found.endswith(b"\n"):
        found += os.read(reading, 65536)
        outlet.close(0.0)
    assert found.decode() == f"{line}\n"


def test_of_what_nobody_reads_only_the_newest_is_held_and_the_end_waits_no_longer_than_said(pipe):
    reading, stream = pipe
    outlet = outlet_of(stream)
    for number in range(3 * MOST_HELD):
        outlet.say(f"line {number} of many\n")
    began = time.monotonic()
    outlet.close(0.1)
    assert 0.1 <= time.monotonic() - began < 5.0
    told = os.read(reading, 65536).decode()
    while not takes(stream) or "2999" not in told:
        outlet.close(0.0)
        told += os.read(reading, 65536).decode()
    assert told.startswith("line 0 of many\n")
    assert "line 1500 of many\n" not in told


def test_whoever_writes_to_a_reader_that_is_gone_hears_of_it():
    reading, writing = os.pipe()
    with pytest.raises(BrokenPipeError), os.fdopen(writing, "w") as stream:
        os.close(reading)
        outlet_of(stream).say("nobody\n")
