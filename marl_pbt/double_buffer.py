"""A place in shared memory with one writer and any number of readers, without a lock.

Two halves are written in turn, each with a version, a length and a CRC-32 over them and the payload. A reader takes the
newest half whose CRC fits; a writer that dies in the middle leaves the other half whole. The CRC is the guard, whatever
order the processor's stores arrive in; the version only saves work.
"""

from __future__ import annotations

import struct
import zlib

_HEADER = struct.Struct("<QQI4x")  # version, length, CRC-32
READ_TRIES = 8


class DoubleBuffer:
    """The view of one such place.

    Args:
        memory: `size_for(capacity)` bytes, writable; zeros before the first write.
    """

    def __init__(self, memory: memoryview) -> None:
        half = len(memory) // 2
        self._halves = (memory[:half], memory[half : 2 * half])
        self._capacity = half - _HEADER.size
        self._written: int | None = None  # known once this object has written: it is the only writer

    @staticmethod
    def size_for(capacity: int) -> int:
        """Bytes of memory for payloads of up to `capacity` bytes, a multiple of 8."""
        return 2 * (_HEADER.size + -(-capacity // 8) * 8)

    def write(self, payload: bytes) -> None:
        """Replace the payload.

        Raises:
            ValueError: It is larger than the capacity.
        """
        if len(payload) > self._capacity:
            raise ValueError(f"a payload must have at most {self._capacity} bytes, has {len(payload)}")
        version = (self._newest_whole() if self._written is None else self._written) + 1
        half = self._halves[version % 2]
        # The version goes first and comes last: a half without one is not looked at.
        _HEADER.pack_into(half, 0, 0, 0, 0)
        half[_HEADER.size : _HEADER.size + len(payload)] = payload
        _HEADER.pack_into(half, 0, version, len(payload), _crc(version, payload))
        self._written = version

    def read(self) -> bytes | None:
        """The newest whole payload; None before the first write, or when the writer was faster every time."""
        for _ in range(READ_TRIES):
            for version, half in sorted(((self._header(half)[0], half) for half in self._halves), key=_by_version)[
                ::-1
            ]:
                payload = self._whole(half, version)
                if payload is not None:
                    return payload
        return None

    def _newest_whole(self) -> int:
        """The version of the newest whole half: a torn one, left by a writer that died, is written over."""
        whole = [v for half in self._halves if self._whole(half, v := self._header(half)[0]) is not None]
        return max(whole, default=0)

    def _whole(self, half: memoryview, version: int) -> bytes | None:
        found, length, crc = self._header(half)
        if found != version or version == 0 or length > self._capacity:
            return None
        payload = bytes(half[_HEADER.size : _HEADER.size + length])
        return payload if _crc(version, payload) == crc else None

    @staticmethod
    def _header(half: memoryview) -> tuple[int, int, int]:
        version, length, crc = _HEADER.unpack_from(half)
        return version, length, crc


def _crc(version: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(struct.pack("<QQ", version, len(payload))))


def _by_version(entry: tuple[int, memoryview]) -> int:
    return entry[0]
