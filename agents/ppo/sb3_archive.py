"""What a stranger's Stable-Baselines3 zip holds: its weights, its JSON; nothing in it is run.

A file counts for nothing until it has passed: a regular file of a legal size, a zip with few, plain, bounded entries,
`policy.pth` the same again, and the pickle inside it taken apart without being run: it may name nothing but what
float32 tensors are made of. The weights are handed on in a zip that is written anew here, so that no other reader of
zips gets to see the stranger's.
"""

from __future__ import annotations

import io
import json
import os
import pickletools
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_BYTES = 256 * 2**20
MAX_ENTRIES, MAX_RECORDS = 100, 1000
"""Entries of the file, and of `policy.pth`, which has one for each tensor."""
MAX_PICKLE_BYTES = 2**20
MAX_JSON_BYTES = 8 * 2**20
_KNOWN_RECORD = re.compile(r"data\.pkl|version|byteorder|data/[0-9]{1,6}", re.ASCII)
_DIRECTORY_ENTRY = b"PK\x01\x02"
_LEGAL_NAMES = {"collections OrderedDict", "torch FloatStorage", "torch._utils _rebuild_tensor_v2"}
"""What `torch.save` names in a `state_dict` of float32 tensors. None of them runs anything of the file's choosing."""
_OTHER_IMPORTS = {"EXT1", "EXT2", "EXT4", "INST", "STACK_GLOBAL"}
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, OverflowError, RuntimeError, ValueError)
"""What `zipfile` raises on bytes that are no sound zip."""


class ForeignFileError(Exception):
    """The file is not one that can be taken in; the message says why, in a line."""


@dataclass(frozen=True)
class SB3Archive:
    """What is taken from a file.

    Attributes:
        weights: A zip as `torch.save` writes it.
        attributes: What its `data` says of the model that was saved, as JSON; empty where it has none.
    """

    weights: bytes
    attributes: Mapping[str, Any]


def read_sb3_archive(path: Path) -> SB3Archive:
    """Read what Stable-Baselines3's `save` wrote.

    Raises:
        ForeignFileError: It is no such file, too large, or names what weights do not need.
    """
    entries = _unzipped("the file", _read_whole(path), MAX_ENTRIES, only=("data", "policy.pth"))
    if "policy.pth" not in entries:
        raise ForeignFileError("has no entry policy.pth: cut short, or not saved by Stable-Baselines3")
    records = _known_records(_unzipped("policy.pth", entries.pop("policy.pth"), MAX_RECORDS))
    _check_pickle(records["archive/data.pkl"])
    return SB3Archive(_zipped(records), _attributes(entries.get("data", b"{}")))


def with_own_optimizer(weights: bytes, optimizer: bytes) -> io.BytesIO:
    """A file for `set_parameters`, which wants both; the stranger's optimizer is of no use and never opened."""
    return io.BytesIO(_zipped({"policy.pth": weights, "policy.optimizer.pth": optimizer}))


def _read_whole(path: Path) -> bytes:
    """A regular file's content; a pipe or a device would make us wait, a link may lead anywhere."""
    if path.is_symlink():
        raise ForeignFileError("is a symbolic link; name the file that it leads to")
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as fault:
        raise ForeignFileError(f"cannot be read ({fault.strerror})") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ForeignFileError("is not a regular file")
        if status.st_size > MAX_BYTES:
            raise ForeignFileError(f"must have at most {MAX_BYTES} bytes, has {status.st_size}")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES)
    finally:
        os.close(descriptor)


def _unzipped(what: str, content: bytes, most: int, only: tuple[str, ...] = ()) -> dict[str, bytes]:
    """All entries, or `only` these, of a zip whose directory is checked before anything is unpacked."""
    # Counted in the bytes: `zipfile` makes an object of each entry before one can ask how many there are.
    if content.count(_DIRECTORY_ENTRY) > MAX_ENTRIES + 10 * MAX_RECORDS:
        raise ForeignFileError(f"{what} must have at most {most} entries, has thousands")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_directory(what, archive.infolist(), most)
            names = archive.namelist()
            return {name: archive.read(name) for name in names if not only or name in only}
    except _BROKEN as fault:
        raise ForeignFileError(f"{what} is not a sound zip ({type(fault).__name__})") from None


def _check_directory(what: str, entries: list[zipfile.ZipInfo], most: int) -> None:
    if len(entries) > most:
        raise ForeignFileError(f"{what} must have at most {most} entries, has {len(entries)}")
    if len({entry.filename for entry in entries}) < len(entries):
        raise ForeignFileError(f"{what} has two entries of one name")
    if any(entry.flag_bits & 1 for entry in entries):
        raise ForeignFileError(f"{what} is encrypted")
    # What `zipfile` unpacks of other methods is not bounded by the size that the entry declares.
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
        raise ForeignFileError(f"{what} must be stored or deflated")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MAX_BYTES:
        raise ForeignFileError(f"{what} must unpack to at most {MAX_BYTES} bytes, says {unpacked}")


def _known_records(records: Mapping[str, bytes]) -> dict[str, bytes]:
    """Those that a `state_dict` needs, under a folder of our naming; torch would find others by looser rules."""
    known: dict[str, bytes] = {}
    for name, content in records.items():
        record = name.partition("/")[2]
        if not _KNOWN_RECORD.fullmatch(record):
            continue
        if f"archive/{record}" in known:
            raise ForeignFileError(f"policy.pth has two records {record}")
        known[f"archive/{record}"] = content
    if "archive/data.pkl" not in known:
        raise ForeignFileError("policy.pth has no record data.pkl: not written by torch.save")
    return known


def _zipped(entries: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def _check_pickle(content: bytes) -> None:
    """Make sure that the pickle names nothing but what tensors are made of; `pickletools` reads it, nothing runs.

    torch's `weights_only` stands behind this, and allows more: `bytearray`, for one, of any size.
    """
    if len(content) > MAX_PICKLE_BYTES:
        raise ForeignFileError(f"policy.pth: its pickle must have at most {MAX_PICKLE_BYTES} bytes, has {len(content)}")
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name in _OTHER_IMPORTS or (opcode.name == "GLOBAL" and argument not in _LEGAL_NAMES):
                raise ForeignFileError(f"policy.pth: names {argument or opcode.name!a:.60}, which weights do not need")
    except ValueError:
        raise ForeignFileError("policy.pth: its pickle is broken") from None


def _attributes(data: bytes) -> Mapping[str, Any]:
    """What `data` says as JSON; the pickles in it are base64 to us, and stay so."""
    if len(data) > MAX_JSON_BYTES:
        raise ForeignFileError(f"data must have at most {MAX_JSON_BYTES} bytes, has {len(data)}")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise ForeignFileError("data is not JSON") from None
    if not isinstance(found, dict):
        raise ForeignFileError("data is not a JSON object")
    return found
