"""A stranger's file read whole, if it is one that may be read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MAX_BYTES = 256 * 2**20


class ForeignFileError(Exception):
    """The file is not one that can be taken in; the message says why, in a line."""


def read_whole(path: Path) -> bytes:
    """A regular file's content; a pipe or a device would make us wait, a link may lead anywhere.

    Raises:
        ForeignFileError: It is no regular file, has more than `MAX_BYTES`, or cannot be read.
    """
    # Asked before it is opened: not every system has an O_NOFOLLOW that would refuse to open a link.
    if path.is_symlink():
        raise ForeignFileError("is a symbolic link; name the file that it leads to")
    flags = (getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    try:
        descriptor = os.open(path, os.O_RDONLY | sum(flags))
    except OSError as fault:
        raise ForeignFileError(f"cannot be read ({fault.strerror})") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ForeignFileError("is not a regular file")
        if status.st_size > MAX_BYTES:
            raise ForeignFileError(f"must have at most {MAX_BYTES} bytes, has {status.st_size}")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            # Its size, not the limit: so much memory is taken before anything is read.
            return file.read(status.st_size)
    finally:
        os.close(descriptor)
