"""Files of strangers, read whole: a regular file of a legal size, or a clear refusal."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from marl_pbt.protocols import UserError

# Where a system knows them: no link, no waiting for a pipe, no translation of line ends.
_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))


def read_whole(path: Path, most_bytes: int) -> bytes:
    """A regular file's content; a pipe or a device would make us wait, a link may lead anywhere.

    Raises:
        UserError: It is something else, too large, or cannot be read.
    """
    if path.is_symlink():  # not every system can refuse it while opening
        raise UserError(f"{path}: is a symbolic link; name the file that it leads to")
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as fault:
        raise UserError(f"{path}: cannot be read ({fault.strerror})") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{path}: is not a regular file")
        if status.st_size > most_bytes:
            raise UserError(f"{path}: must have at most {most_bytes} bytes, has {status.st_size}")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(status.st_size)
    finally:
        os.close(descriptor)
