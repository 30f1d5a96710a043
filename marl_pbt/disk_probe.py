"""Whether a disk can be written: tried, not asked, before anything is started."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from marl_pbt.durable import write_durably
from marl_pbt.protocols import UserError

PROBE_BYTES = 256 * 1024
"""About a small policy: on a full disk a few bytes may still find a place."""


def fault_of(folder: Path) -> OSError | None:
    """Write, flush and rename a file in a folder, and delete it.

    Returns:
        What is wrong; None for nothing.
    """
    path = folder / f".probe.{os.getpid()}"
    try:
        write_durably(path, bytes(PROBE_BYTES))
    except OSError as fault:
        return fault
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    return None


def check_can_be_written(folder: Path) -> None:
    """See that a folder, or the nearest one around it that is there, takes files.

    Raises:
        UserError: It does not, with the reason.
    """
    fault = fault_of(_nearest(folder))
    if fault is not None:
        raise UserError(f"{folder}: cannot be written ({fault.strerror or fault})")


def check_has_room(folder: Path, wanted_bytes: int) -> None:
    """See that the disk has room.

    Args:
        folder: On it.
        wanted_bytes: How much.

    Raises:
        UserError: It has less.
    """
    free = shutil.disk_usage(_nearest(folder)).free
    if free < wanted_bytes:
        raise UserError(
            f"{folder}: needs at least {_megabytes(wanted_bytes)} for checkpoints, {_megabytes(free)} are free"
        )


def _nearest(folder: Path) -> Path:
    """The folder, or whatever around it is there."""
    return next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))


def _megabytes(size: int) -> str:
    return f"{max(size / 1e6, 0.1):,.1f} MB"
