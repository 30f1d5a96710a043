"""Files that somebody with bad intentions would send; each that could run code would leave a marker."""

from __future__ import annotations

import gzip
import io
import json
import marshal
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.fuzz.policies import ARCHITECTURE, CARD, rebuilt, sound_policy
from tests.marl_pbt.saved_runs import with_header, with_text

WORDS = {"marl_pbt": '{"schema": 1}', "sha256": ""}


class Bomb:
    """Unpickled, it leaves a marker."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def attacks(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents."""
    yield from _pickles(marker)
    yield from _code(marker)
    yield from _archives(marker)
    yield from _bombs()
    yield from _cards()


def _pickles(marker: Path) -> Iterator[tuple[str, bytes]]:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield f"pickle {protocol}", pickle.dumps(Bomb(marker), protocol)
    yield "pickle in pickle", pickle.dumps(pickle.dumps(Bomb(marker)))
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    yield "torch before 1.6", magic + pickle.dumps(Bomb(marker), 2)
    array = io.BytesIO()
    np.save(array, np.array([Bomb(marker)]), allow_pickle=True)
    yield "npy with objects", array.getvalue()
    yield "gzipped pickle", gzip.compress(pickle.dumps(Bomb(marker)))
    sound = rebuilt(CARD, sound_policy().tensors, {})
    yield "pickle behind a policy", sound + pickle.dumps(Bomb(marker))
    yield "pickle before a policy", pickle.dumps(Bomb(marker)) + sound


def _code(marker: Path) -> Iterator[tuple[str, bytes]]:
    program = f"import pathlib; pathlib.Path({str(marker)!r}).touch()"
    yield "python", program.encode()
    yield "pyc", b"\xa7\r\r\n" + b"\0" * 12 + marshal.dumps(compile(program, "x", "exec"))
    yield "marshal", marshal.dumps(compile(program, "x", "exec"))
    yield "shell", f"#!/bin/sh\ntouch {marker}\n".encode()
    yield "elf", b"\x7fELF\x02\x01\x01" + b"\0" * 200
    yield "yaml", f"!!python/object/apply:pathlib.Path.touch [{marker}]".encode()
    yield "json with a class", json.dumps({"__reduce__": ["os.system", [f"touch {marker}"]]}).encode()
    for key in ("__class__", "py/object", ":serialized:", "policy_class", "custom_objects"):
        yield f"card with {key}", rebuilt({**CARD, key: f"os.system('touch {marker}')"}, sound_policy().tensors, {})


def _archives(marker: Path) -> Iterator[tuple[str, bytes]]:
    for name, inner in (("sb3", "data"), ("torch", "archive/data.pkl"), ("slip", "../../marker")):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr(inner, pickle.dumps(Bomb(marker)))
        yield f"zip of {name}", data.getvalue()
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        info = tarfile.TarInfo("../../marker")
        tar.addfile(info, io.BytesIO())
    yield "tar", data.getvalue()
    yield "hdf5 with a lambda", b"\x89HDF\r\n\x1a\n" + b"\0" * 100


def _bombs() -> Iterator[tuple[str, bytes]]:
    yield "brackets", with_header("[" * 1_000_000)
    yield "braces", with_header('{"a":' * 500_000)
    yield "brackets within", with_text("[" * 1_000_000)
    yield "a million lists", with_text('{"schema": 1, "a": [' + "[]," * 1_000_000 + "[]]}")
    yield (
        "200 000 empty tensors",
        with_header(
            json.dumps({"__metadata__": WORDS} | {str(n): _entry([0], 0, 0) for n in range(40_000)})[: 4 * 2**20]
        ),
    )
    yield "90 MB of metadata", struct.pack("<Q", 90 * 2**20) + b'{"a":"' + b"x" * (90 * 2**20 - 8) + b'"}'
    yield "a long number", with_text('{"schema": ' + "9" * 1_000_000 + "}")
    yield "not a number", with_text('{"schema": 1, "score": NaN}')
    yield "a key twice", with_text('{"schema": 1, "schema": 1}')
    yield "utf-16", struct.pack("<Q", 4) + "{}".encode("utf-16-le")
    for name, shape, begin, end in (
        ("terabytes", [2**40], 0, 0),
        ("negative", [-1], 0, 4),
        ("overflow", [2**32, 2**32], 0, 0),
        ("no axes left", [0] * 100, 0, 0),
        ("behind the end", [1], 2**40, 2**40 + 4),
        ("backwards", [1], 8, 4),
    ):
        yield f"tensor: {name}", with_header(json.dumps({"__metadata__": WORDS, "policy/w": _entry(shape, begin, end)}))
    overlapping = {"__metadata__": WORDS, "policy/a": _entry([2], 0, 8), "policy/b": _entry([2], 4, 12)}
    yield "tensors that overlap", with_header(json.dumps(overlapping)) + b"\0" * 12


def _cards() -> Iterator[tuple[str, bytes]]:
    policy = sound_policy()
    for name, changes in {
        "species up": {"species": "../../x"},
        "species for a terminal": {"species": "\x1b]0;x\x07"},
        "learner": {"learner": "os:system\n"},
        "environment": {"environment": {"make": "os:system"}},
        "newer": {"schema": 10**6},
        "architecture": {"architecture": {**ARCHITECTURE, "kind": "os.system"}},
        "activation": {"architecture": {**ARCHITECTURE, "activation": "__import__('os').system"}},
        "width": {"architecture": {**ARCHITECTURE, "net_arch": {"pi": [10**9] * 3, "vf": [2]}}},
        "actions": {"architecture": {**ARCHITECTURE, "n_actions": 10**12}},
        "sees": {"architecture": {**ARCHITECTURE, "observation_shape": [10**6, 10**6]}},
    }.items():
        yield f"card: {name}", rebuilt({**CARD, **changes}, policy.tensors, {})
    for value in (np.nan, np.inf, 3e38):
        weights = {name: np.full_like(array, value) for name, array in policy.tensors.items()}
        yield f"weights of {value}", rebuilt(CARD, weights, {})


def _entry(shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
