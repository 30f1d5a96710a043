"""The supervisor's end of a worker's pipe: read without ever waiting, however little of a message has come.

`Connection.recv` waits for the rest of a message that was begun. A worker that is stopped in the middle of one, which
may be a film of a megabyte, would stop the supervisor, and with it the run.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

from marl_pbt.config.faults import printable

MAX_FAULT = 300
_BLOCK = 1 << 18
_HEADER = struct.Struct("!i")
_LONG_HEADER = struct.Struct("!Q")


@dataclass(frozen=True)
class Unreadable:
    """What stands for a message that came whole and could not be unpickled.

    Attributes:
        fault: Why, one line.
    """

    fault: str


class Mailbox:
    """Takes the messages of `multiprocessing` from one end of a duplex pipe.

    Args:
        pipe: This end.
    """

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self._socket: socket.socket | None = None
        if os.name == "posix":  # elsewhere it is no socket
            self._socket = socket.socket(fileno=os.dup(pipe.fileno()))
        self._begun = bytearray()

    def take(self) -> tuple[list[Any], bool]:
        """What has come since, `Unreadable` for what nobody here can read, and whether the other end is closed."""
        if self._socket is None:
            return self._take_waiting()
        is_closed = False
        with contextlib.suppress(BlockingIOError):
            while not is_closed:
                try:
                    block = self._socket.recv(_BLOCK, socket.MSG_DONTWAIT)
                except ConnectionError:
                    block = b""
                self._begun += block
                is_closed = not block
        return list(iter(self._whole, None)), is_closed

    def send(self, message: object) -> None:
        """Say something; one that is gone will be noticed."""
        with contextlib.suppress(OSError):
            self.pipe.send(message)

    def close(self) -> None:
        """Let go of the pipe."""
        if self._socket is not None:
            self._socket.close()
        self.pipe.close()

    def _whole(self) -> Any:
        """The next message, out of what has been begun; None where it is not whole yet. See `Connection._recv`."""
        begin = _HEADER.size
        if len(self._begun) < begin:
            return None
        (size,) = _HEADER.unpack_from(self._begun)
        if size == -1:
            begin += _LONG_HEADER.size
            if len(self._begun) < begin:
                return None
            (size,) = _LONG_HEADER.unpack_from(self._begun, _HEADER.size)
        if len(self._begun) < begin + size:
            return None
        message = bytes(self._begun[begin : begin + size])
        del self._begun[: begin + size]
        return _read(message)

    def _take_waiting(self) -> tuple[list[Any], bool]:
        messages = []
        try:
            while self.pipe.poll():
                messages.append(_read(self.pipe.recv_bytes()))
        except (OSError, EOFError):
            return messages, True
        return messages, False


def _read(message: bytes) -> Any:
    """Whatever a learner of somebody's has put into it: a class that is not here, memory of a process that is gone."""
    try:
        return ForkingPickler.loads(message)
    except Exception as fault:
        return Unreadable(printable(f"{type(fault).__name__}: {fault}")[:MAX_FAULT])
