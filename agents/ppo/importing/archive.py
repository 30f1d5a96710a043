"""What a zip of Stable-Baselines3's holds: the model's attributes as JSON, the weights as a table, then as arrays.

Of the zip's entries two are unpacked, `data` and `policy.pth`; of the zip that `policy.pth` is, first the pickle, and
the numbers that it names only once somebody has found its table to be the right one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.ppo.importing.faults import ForeignFileError
from agents.ppo.importing.pickles import MAX_PICKLE_BYTES, StoredTensor, tensors_in
from agents.ppo.importing.zips import ForeignZip

MAX_ENTRIES, MAX_RECORDS = 100, 1000
"""Entries of the file, and of `policy.pth`, which has one for each tensor."""
MAX_JSON_BYTES, MAX_JSON_VALUES = 4 * 2**20, 100_000
_PICKLE = "data.pkl"
_ORDERS = {b"little": "<f4", b"big": ">f4"}
"""What the record `byteorder` says → numpy's dtype; torch before 2.1 writes no such record."""


@dataclass(frozen=True)
class SB3Archive:
    """What was found in a file.

    Attributes:
        attributes: What its `data` says of the model that was saved, as JSON; empty where it has none.
        tensors: Of the policy, by name.
    """

    attributes: Mapping[str, Any]
    tensors: Mapping[str, StoredTensor]
    _records: ForeignZip = field(repr=False)
    _folder: str = field(repr=False)
    _max_bytes: int = field(repr=False)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Unpack the numbers, each tensor of its shape as a copy.

        Raises:
            ForeignFileError: The storages are not of the lengths that the table gives, or larger than was allowed.
        """
        storages = {(tensor.key, tensor.storage_length) for tensor in self.tensors.values()}
        total = sum(4 * length for _, length in storages)
        if total > self._max_bytes:
            raise ForeignFileError(f"policy.pth: its storages must have at most {self._max_bytes} bytes, have {total}")
        order = self._byte_order()
        numbers = {storage: np.frombuffer(self._storage(*storage), order) for storage in sorted(storages)}
        return {name: _cut(numbers[each.key, each.storage_length], each) for name, each in self.tensors.items()}

    def _storage(self, key: str, length: int) -> bytes:
        name, size = f"{self._folder}data/{key}", 4 * length
        got = self._records.sizes.get(name, "none")
        if got != size:
            raise ForeignFileError(f"policy.pth: its record data/{key:.20} must have {size} bytes, has {got}")
        return self._records.read(name, size)

    def _byte_order(self) -> str:
        name = f"{self._folder}byteorder"
        said = self._records.read(name, 16) if name in self._records.sizes else b"little"
        if said not in _ORDERS:
            raise ForeignFileError(f"policy.pth: its byteorder must be little or big, is {said!a}")
        return _ORDERS[said]


def read_sb3_archive(content: bytes, max_bytes: int) -> SB3Archive:
    """Read what Stable-Baselines3's `save` wrote, but for the numbers.

    Args:
        content: Of the file.
        max_bytes: That `policy.pth` may have, and the storages in it.

    Raises:
        ForeignFileError: It is no such file, too large, or needs more than weights do.
    """
    archive = ForeignZip("the file", content, MAX_ENTRIES)
    if "policy.pth" not in archive.sizes:
        raise ForeignFileError("has no entry policy.pth: cut short, or not saved by Stable-Baselines3")
    attributes = _attributes(archive.read("data", MAX_JSON_BYTES)) if "data" in archive.sizes else {}
    records = ForeignZip("policy.pth", archive.read("policy.pth", max_bytes), MAX_RECORDS)
    folder = _folder_of(records)
    tensors = tensors_in(records.read(folder + _PICKLE, MAX_PICKLE_BYTES))
    return SB3Archive(attributes, tensors, records, folder, max_bytes)


def _folder_of(records: ForeignZip) -> str:
    """Where in the zip everything lies; torch names it after the file, and `archive` where that has no name."""
    folders = [name.removesuffix(_PICKLE) for name in records.sizes if name.partition("/")[2] == _PICKLE]
    if len(folders) > 1:
        raise ForeignFileError(f"policy.pth has {len(folders)} records {_PICKLE}")
    if not folders:
        raise ForeignFileError(f"policy.pth has no record {_PICKLE}: not written by torch.save")
    return folders[0]


def _cut(numbers: NDArray[np.float32], tensor: StoredTensor) -> NDArray[np.float32]:
    end = tensor.offset + math.prod(tensor.shape)
    return numbers[tensor.offset : end].reshape(tensor.shape).astype(np.float32)


def _attributes(data: bytes) -> Mapping[str, Any]:
    """What `data` says as JSON; the pickles in it are base64 to us, and stay so."""
    # Of a hundred bytes each as Python's objects, three as text.
    if sum(map(data.count, (b"[", b"{", b","))) > MAX_JSON_VALUES:
        raise ForeignFileError(f"data must have at most {MAX_JSON_VALUES} values, has more")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise ForeignFileError("data is not JSON") from None
    if not isinstance(found, dict):
        raise ForeignFileError("data is not a JSON object")
    return found
