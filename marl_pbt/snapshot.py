"""The one format of a snapshot: safetensors bytes with strict JSON metadata and a SHA-256 over both.

The same bytes lie in the board's slots, in checkpoints and in `best/`. Reading runs no code from the file, believes
none of its numbers, and takes no more room than the file again: everything is counted before it is made.
"""

from __future__ import annotations

import hashlib
import json
import math
import reprlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from marl_pbt.protocols import Tensors

SCHEMA = 1
MAX_BYTES = 256 * 2**20
MAX_HEADER_BYTES = 4 * 2**20
"""A checkpoint's, with all that a member remembers of its scores; a policy has less, see marl_pbt.policy_files."""
MAX_VALUES = 250_000
MAX_DEPTH = 16
MIGRATIONS: Mapping[int, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {}
"""By older schema: what changed in the next one, in words, and what makes metadata of the next one of it."""
_ENTRY = {"dtype", "shape", "data_offsets"}
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
_MOST_AXES = 32  # numpy 1's; numpy 2 takes 64
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 100
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
        SnapshotError: It would be too large or too deep to be read again, or holds an array that no snapshot holds.
        ValueError, TypeError: Its metadata is not strict JSON.
    """
    if not _is_flat_enough(snapshot.metadata):
        raise SnapshotError(f"metadata must be nested at most {MAX_DEPTH} deep")
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
    if _most_values(head) > MAX_VALUES:
        raise SnapshotError(f"metadata must hold at most {MAX_VALUES} values")
    return b"".join([struct.pack("<Q", len(head)), head, *(_bytes(array) for _, array in tensors)])


def decode(data: bytes, verify: bool = True) -> Snapshot:
    """Read a snapshot.

    Args:
        data: What `encode` gave.
        verify: Compare the SHA-256 too; a board's slot has been checked by its CRC already.

    Raises:
        SnapshotError: Too large, truncated, another format, a newer schema, or the hash does not fit; each in its own
            words.
    """
    header, begin = _header(data)
    text, digest = _said(header)
    metadata = _as_current(_strict_json(text))
    tensors = _tensors(header, data, begin)
    if verify and _digest(text, tensors) != digest:
        raise SnapshotError("damaged: its SHA-256 does not fit its content")
    return Snapshot(metadata, tensors)


def header_bytes(data: bytes) -> int:
    """How long the header of a snapshot is."""
    length: int = struct.unpack_from("<Q", data)[0]
    return length


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    """The header, and where the arrays begin."""
    if len(data) > MAX_BYTES:
        raise SnapshotError(f"must have at most {MAX_BYTES} bytes, has {len(data)}")
    # Two letters would not do: a header of 19280 bytes begins with PK too. As a length these four are too much.
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        raise SnapshotError(
            "is a zip (of SB3 or torch), not a snapshot; such a file can contain code and is not opened, "
            "`marl-pbt import` takes the weights out of it"
        )
    if len(data) < 10:
        raise SnapshotError(f"truncated: {len(data)} bytes")
    length = header_bytes(data)
    if not 2 <= length <= MAX_HEADER_BYTES or length > len(data) - 8:
        if _is_pickle(data):
            raise SnapshotError("is a pickle, not a snapshot; such a file can contain code and is not opened")
        raise SnapshotError("not a snapshot, or truncated: its header does not fit into it")
    header = _strict_json(data[8 : 8 + length])
    if not isinstance(header, dict):
        raise SnapshotError("not written by marl_pbt: it has no such metadata")
    return header, 8 + length


def _is_pickle(data: bytes) -> bool:
    """Whether it begins as protocols 2 to 5 do, or begins and ends as 0 and 1 do."""
    return (data[0] == 0x80 and 2 <= data[1] <= 5) or (data[:1] in b"()]}cFGIJKLMNSUVX" and data.endswith(b"."))


def _said(header: dict[str, Any]) -> tuple[str, str]:
    """The metadata's text and its hash."""
    said = header.get("__metadata__")
    if not isinstance(said, dict) or not isinstance(said.get("marl_pbt"), str):
        raise SnapshotError("not written by marl_pbt: it has no such metadata")
    if set(said) != {"marl_pbt", "sha256"} or not isinstance(said["sha256"], str):
        raise SnapshotError("damaged: beside its metadata there must be a SHA-256, and nothing else")
    return said["marl_pbt"], said["sha256"]


def _as_current(metadata: Any) -> dict[str, Any]:
    """The metadata in the schema that this version writes."""
    schema = metadata.get("schema") if isinstance(metadata, dict) else None
    if type(schema) is not int or schema < 1:
        raise SnapshotError(f"schema must be a whole number from 1 to {SCHEMA}, got {schema!r}")
    if schema > SCHEMA:
        raise SnapshotError(
            f"was written by a newer marl_pbt: schema {schema}, this one reads up to {SCHEMA}; update it"
        )
    current: dict[str, Any] = metadata
    for older in range(schema, SCHEMA):
        name, migrate = MIGRATIONS[older]
        try:
            current = migrate(current)
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise SnapshotError(f"damaged: schema {older} cannot be read as {older + 1} ({name}): {fault}") from None
    return current


def _tensors(header: dict[str, Any], data: bytes, begin: int) -> Tensors:
    """The arrays, which must fill the rest of the file one behind the other."""
    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
    places = {name: _place(name, entry) for name, entry in entries.items()}
    end = 0
    for name, (first, last) in sorted(places.items(), key=lambda each: each[1]):
        if first != end:
            raise SnapshotError(f"damaged: tensor {shown(name)} begins at {first}, the one before ends at {end}")
        end = last
    if end != len(data) - begin:
        raise SnapshotError(f"damaged: its tensors have {end} bytes, the file {len(data) - begin}")
    return {name: _array(name, entry, data, begin) for name, entry in entries.items()}


def _place(name: str, entry: Any) -> tuple[int, int]:
    """From where to where an array goes."""
    if not isinstance(entry, dict) or set(entry) != _ENTRY:
        raise SnapshotError(f"damaged: tensor {shown(name)} must have {', '.join(sorted(_ENTRY))}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise SnapshotError(f"tensor {shown(name)} has dtype {shown(dtype)}, which no snapshot of ours has")
    if not _are_counts(shape) or len(shape) > _MOST_AXES or not _are_counts(offsets) or len(offsets) != 2:
        raise SnapshotError(f"damaged: tensor {shown(name)}: no legal shape and data_offsets")
    size = math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize
    if offsets[1] - offsets[0] != size:
        raise SnapshotError(f"damaged: tensor {shown(name)}: {shown(shape)} of {dtype} are {size} bytes")
    return offsets[0], offsets[1]


def shown(value: object) -> str:
    """What a file says, for an error: no longer than a line."""
    return _SHORT.repr(value)


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(count) is int and 0 <= count <= MAX_BYTES for count in value)


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

    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if _most_values(data) > MAX_VALUES:
        raise SnapshotError(f"damaged: its metadata must hold at most {MAX_VALUES} values")
    try:
        decoded = text if isinstance(text, str) else text.decode()  # json would try UTF-16 and UTF-32, too
        found = json.loads(
            decoded, parse_constant=no_constant, parse_float=finite_only, object_pairs_hook=no_duplicates
        )
    except (ValueError, RecursionError) as fault:
        raise SnapshotError(f"damaged: its metadata is not strict JSON ({fault})") from fault
    if not _is_flat_enough(found):
        raise SnapshotError(f"damaged: its metadata must be nested at most {MAX_DEPTH} deep")
    return found


def _most_values(text: bytes) -> int:
    """No text of JSON holds more values than this."""
    return sum(text.count(mark) for mark in (b",", b"[", b"{"))


def _is_flat_enough(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for each in level:
            if isinstance(each, Mapping):
                below += each.values()
            elif isinstance(each, list | tuple):
                below += each
        if not below:
            return True
        level = below
    return False


def _array(name: str, entry: Mapping[str, Any], data: bytes, begin: int) -> np.ndarray[Any, Any]:
    dtype, shape, first = np.dtype(_DTYPES[entry["dtype"]]), entry["shape"], begin + entry["data_offsets"][0]
    try:
        # A copy: arrays of a snapshot can be written to.
        return np.frombuffer(data, dtype, math.prod(shape), first).reshape(shape).copy()
    except ValueError as fault:  # an empty array of a shape that numpy cannot hold
        raise SnapshotError(f"damaged: tensor {shown(name)}: {fault}") from None


def _digest(text: str, tensors: Tensors) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(_bytes(array))
    return digest.hexdigest()


def _bytes(array: np.ndarray[Any, Any]) -> memoryview:
    return np.ascontiguousarray(array).data.cast("B") if array.size else memoryview(b"")
