"""Writing files so that a reader sees the old one or the new one, whole, whatever happens meanwhile.

The one place where the files of a run are written, renamed, appended to and flushed: private to their owner, temporary
ones beside their target. `reach` names the points where tests let the disk fail.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path

from marl_pbt.fault_points import reach

TEMPORARY_SUFFIX = ".writing"
"""No pattern that looks for finished files matches it."""
FILE_MODE, FOLDER_MODE = 0o600, 0o700
_LEFT = re.compile(rf".*\.(\d+){re.escape(TEMPORARY_SUFFIX)}")


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file: write aside in the same folder, flush to the disk, rename, flush the folder.

    Raises:
        OSError: It could not be written; the old file is untouched. Where only the last flush failed, the new file has
            its name already.
    """
    aside = temporary_beside(path)
    half = len(data) // 2
    try:
        with open(aside, "wb", opener=private) as file:
            file.write(memoryview(data)[:half])
            reach("write")
            file.write(memoryview(data)[half:])
        publish_file(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise


def publish_file(aside: Path, path: Path) -> None:
    """Give a file that is whole its name, for good.

    Args:
        aside: Its temporary name, in the same folder.
        path: The name; what had it is replaced.

    Raises:
        OSError: As for `write_durably`; the temporary file may still be there.
    """
    with aside.open("rb+") as file:
        reach("fsync")
        os.fsync(file.fileno())
    reach("rename")
    aside.replace(path)
    reach("fsync_folder")
    flush_folder(path.parent)


def temporary_beside(path: Path) -> Path:
    """Where this process writes a file before it gets its name."""
    return path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")


def move_durably(path: Path, target: Path) -> None:
    """Give a file or a folder another name, on the same disk, for good.

    Raises:
        OSError: It could not be moved; or it could, and the folders could not be flushed.
    """
    reach("rename")
    path.replace(target)
    reach("fsync_folder")
    for folder in dict.fromkeys((target.parent, path.parent)):
        flush_folder(folder)


def open_to_append(path: Path) -> io.FileIO:
    """A file for `append`; made if need be, for its owner alone.

    Raises:
        OSError: It cannot be opened.
    """
    return io.FileIO(path, "ab", opener=private)


def append(file: io.FileIO, data: bytearray) -> None:
    """Write to the end of a file; what the disk takes is taken out of `data`, the rest stays for the next time.

    Raises:
        OSError: The disk would not have all of it.
    """
    if data:
        reach("append")
    while data:
        del data[: file.write(data)]


def flush(file: io.FileIO) -> None:
    """See that what was written is on the disk.

    Raises:
        OSError: Nobody knows whether it is.
    """
    reach("fsync")
    os.fsync(file.fileno())


def private(path: str, flags: int) -> int:
    """An opener that makes files for their owner alone, and follows no link that somebody laid there."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), FILE_MODE)


def make_folder(path: Path, parents: bool = False) -> None:
    """Make a folder for its owner alone, unless it is there.

    Args:
        path: Which.
        parents: Make those around it, too, each for its owner alone.

    Raises:
        OSError: It cannot be made.
    """
    if parents and not path.parent.exists():
        make_folder(path.parent, parents=True)
    try:
        path.mkdir(mode=FOLDER_MODE)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    flush_folder(path.parent)  # else a file within may be flushed and nobody find it


def identity(path: Path) -> tuple[int, int] | None:
    """What tells a file or folder from another one of the same name; None where there is none."""
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_dev, told.st_ino


def sweep(folder: Path) -> None:
    """Delete what killed writers left anywhere below; those that still write keep theirs."""
    for path in folder.rglob(f"*{TEMPORARY_SUFFIX}"):
        if is_left_over(path):
            with contextlib.suppress(OSError):
                path.unlink()


def is_left_over(path: Path) -> bool:
    """Whether a killed writer left this file before it got its name."""
    left = _LEFT.fullmatch(path.name)
    return path.name.endswith(TEMPORARY_SUFFIX) and (left is None or not is_alive(int(left[1])))


def is_alive(pid: int) -> bool:
    """Whether there is another process of this number, as far as this one can see."""
    if pid == os.getpid():
        return False  # who sweeps a folder is who writes there: this one is of an earlier process of the same number
    if os.name == "nt":  # os.kill would end it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def flush_folder(folder: Path) -> None:
    """See that the names in a folder are on the disk.

    Raises:
        OSError: Nobody knows whether they are.
    """
    if os.name == "nt":  # Windows cannot open a folder; its rename is in the journal
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
