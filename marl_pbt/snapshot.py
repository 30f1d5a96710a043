"""The one format of a snapshot: safetensors bytes with strict JSON metadata and a SHA-256 over both.

The same bytes lie in the board's slots, in checkpoints and in `best/`. Reading runs no code from the file.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors

from marl_pbt.protocols import Tensors

SCHEMA = 1
MAX_BYTES = 256 * 2**20
MAX_HEADER_BYTES = 4 * 2**20
_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}


class SnapshotError(Exception):
    """These bytes are not a whole snapshot that this version can read; the message says why."""


@dataclass(frozen=True)
class Snapshot:
    """Named arrays with what is said of them.

    Attributes:
        metadata: JSON-able; what it holds depends on its `kind`.
        tensors: By name.
    """

    metadata: Mapping[str, Any]
    tensors: Tensors


def encode(snapshot: Snapshot) -> bytes:
    """The bytes of a snapshot; the same snapshot gives the same bytes.

    Raises:
        SnapshotError: It would be too large to be read again, or holds an array that no snapshot holds.
    """
    text = json.dumps({"schema": SCHEMA, **snapshot.metadata}, allow_nan=False, sort_keys=True)
    header: dict[str, Any] = {"__metadata__": {"marl_pbt": text, "sha256": _digest(text, snapshot.tensors)}}
    # The format wants every tensor aligned: those of large items first. (The safetensors package writes its metadata
    # in the order of a randomly seeded hash, so that no two processes write the same bytes.)
    tensors = sorted(snapshot.tensors.items(), key=lambda entry: (-entry[1].dtype.itemsize, entry[0]))
    start = 0
    for name, array in tensors:
        if array.dtype not in _NAMES:
            raise SnapshotError(f"tensor {name!r} has dtype {array.dtype}, which no snapshot of ours has")
        place = [start, start + array.nbytes]
        header[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": place}
        start += array.nbytes
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    if len(head) > MAX_HEADER_BYTES or 8 + len(head) + start > MAX_BYTES:
        raise SnapshotError(f"must have at most {MAX_BYTES} bytes, {MAX_HEADER_BYTES} of them metadata")
    return b"".join([struct.pack("<Q", len(head)), head, *(_bytes(array) for _, array in tensors)])


def decode(data: bytes, verify: bool = True) -> Snapshot:
    """Read a snapshot.

    Args:
        data: What `encode` gave.
        verify: Compare the SHA-256 too; a board's slot has been checked by its CRC already.

    Raises:
        SnapshotError: Too large, truncated, another format, a newer schema, or the hash does not fit.
    """
    text, digest = _header(data)
    metadata = _strict_json(text)
    if not isinstance(metadata, dict) or metadata.get("schema") != SCHEMA:
        found = metadata.get("schema") if isinstance(metadata, dict) else None
        raise SnapshotError(f"schema must be {SCHEMA}, got {found!r}: written by another version of marl_pbt")
    try:
        entries = safetensors.deserialize(data)  # type: ignore[no-untyped-call]  # ships no types
    except Exception as fault:  # SafetensorError is not a subclass of anything narrower
        raise SnapshotError(f"damaged: {fault}") from fault
    tensors = {name: _array(name, entry) for name, entry in entries}
    if verify and _digest(text, tensors) != digest:
        raise SnapshotError("damaged: its SHA-256 does not fit its content")
    return Snapshot(metadata, tensors)


def _header(data: bytes) -> tuple[str, str]:
    if len(data) > MAX_BYTES:
        raise SnapshotError(f"must have at most {MAX_BYTES} bytes, has {len(data)}")
    # Two letters would not do: a header of 19280 bytes begins with PK too. As a length these four are too much.
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        raise SnapshotError(
            "is a zip (of SB3 or torch), not a snapshot; such a file can contain code and is not opened"
        )
    if len(data) < 10:
        raise SnapshotError(f"truncated: {len(data)} bytes")
    (length,) = struct.unpack_from("<Q", data)
    if not 2 <= length <= MAX_HEADER_BYTES or length > len(data) - 8:
        raise SnapshotError("not a snapshot, or truncated: its header does not fit into it")
    header = _strict_json(data[8 : 8 + length])
    said = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(said, dict) or not isinstance(said.get("marl_pbt"), str):
        raise SnapshotError("not written by marl_pbt: it has no such metadata")
    return said["marl_pbt"], str(said.get("sha256"))


def _strict_json(text: str | bytes) -> Any:
    def no_constant(name: str) -> float:
        raise ValueError(f"{name} is not JSON")

    def finite_only(digits: str) -> float:
        if not math.isfinite(float(digits)):
            raise ValueError(f"{digits} is not finite")
        return float(digits)

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key stands twice")
        return found

    try:
        return json.loads(text, parse_constant=no_constant, parse_float=finite_only, object_pairs_hook=no_duplicates)
    except (ValueError, RecursionError) as fault:
        raise SnapshotError(f"damaged: its metadata is not strict JSON ({fault})") from fault


def _array(name: str, entry: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    dtype = _DTYPES.get(entry["dtype"])
    if dtype is None:
        raise SnapshotError(f"tensor {name!r} has dtype {entry['dtype']}, which no snapshot of ours has")
    try:
        # A copy: arrays of a snapshot can be written to.
        return np.frombuffer(entry["data"], dtype=dtype).reshape(entry["shape"]).copy()
    except ValueError as fault:  # an empty array of a shape that numpy cannot hold
        raise SnapshotError(f"damaged: tensor {name!r}: {fault}") from fault


def _digest(text: str, tensors: Tensors) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(_bytes(array))
    return digest.hexdigest()


def _bytes(array: np.ndarray[Any, Any]) -> memoryview:
    return np.ascontiguousarray(array).data.cast("B") if array.size else memoryview(b"")
