"""Writing files so that a reader sees the old one or the new one, whole, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

TEMPORARY_SUFFIX = ".writing"
"""No pattern that looks for finished files matches it."""


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file: write aside in the same folder, flush to the disk, rename, flush the folder.

    Raises:
        OSError: It could not be written; the old file is untouched.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder; its rename is in the journal
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
