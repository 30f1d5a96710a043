"""A stranger's zip, of which single entries are unpacked, none of them beyond a given size."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

from agents.ppo.importing.faults import ForeignFileError

MOST_SIGNATURES = 10_000
"""Of directory entries, in the file with all zips that lie in it."""
_DIRECTORY_ENTRY = b"PK\x01\x02"
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, OverflowError, RuntimeError, ValueError)
"""What `zipfile` raises on bytes that are no sound zip."""


class ForeignZip:
    """Its directory has been read and checked; nothing is unpacked before it is asked for.

    Args:
        what: How errors call it.
        content: Its bytes.
        most_entries: That it may have.

    Raises:
        ForeignFileError: It is no sound zip with few, plain entries.
    """

    def __init__(self, what: str, content: bytes, most_entries: int) -> None:
        self._what = what
        # Counted in the bytes: `zipfile` makes an object of each entry before one can ask how many there are.
        if content.count(_DIRECTORY_ENTRY) > MOST_SIGNATURES:
            raise ForeignFileError(f"{what} must have at most {most_entries} entries, has thousands")
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(content))
        except _BROKEN as fault:
            raise self._not_sound(fault) from None
        entries = self._archive.infolist()
        if len(entries) > most_entries:
            raise ForeignFileError(f"{what} must have at most {most_entries} entries, has {len(entries)}")
        if len({entry.filename for entry in entries}) < len(entries):
            raise ForeignFileError(f"{what} has two entries of one name")
        if any(entry.flag_bits & 1 for entry in entries):
            raise ForeignFileError(f"{what} is encrypted")
        # What `zipfile` unpacks of other methods cannot be bounded.
        if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
            raise ForeignFileError(f"{what} must be stored or deflated")
        self.sizes = {entry.filename: entry.file_size for entry in entries}
        """Bytes of each entry once unpacked, by its own word."""

    def read(self, name: str, most_bytes: int) -> bytes:
        """Unpack one entry.

        Args:
            name: One of `sizes`.
            most_bytes: That it may have; no more is unpacked, whatever the entry says of itself.

        Raises:
            ForeignFileError: It has more, or is damaged.
        """
        size = self.sizes[name]
        if size > most_bytes:
            raise ForeignFileError(f"{self._what}: {name} must unpack to at most {most_bytes} bytes, says {size}")
        try:
            with self._archive.open(name) as entry:
                # With a size: `read()` would unpack what there is, and only then cut it down to the entry's word.
                content = entry.read(size)
        except _BROKEN as fault:
            raise self._not_sound(fault) from None
        if len(content) < size:
            raise ForeignFileError(f"{self._what}: {name} is cut short: {len(content)} of {size} bytes")
        return content

    def _not_sound(self, fault: Exception) -> ForeignFileError:
        return ForeignFileError(f"{self._what} is not a sound zip ({type(fault).__name__})")
