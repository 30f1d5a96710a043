"""Mutants of a small policy's file: of its bytes, and of its structure with a hash that fits."""

from __future__ import annotations

import copy
import hashlib
import json
import random
import struct
from collections import Counter
from pathlib import Path

import numpy as np

from agents.ppo.architecture import tensor_shapes
from agents.ppo.loading import load_policy
from marl_pbt.policy_files import PolicyFileError, policies_in
from marl_pbt.snapshot import Snapshot, encode
from tests.fuzz.watching import nothing_runs

PATH = Path("stranger.safetensors")
ARCHITECTURE = {
    "kind": "sb3-mlp",
    "observation_shape": [2],
    "observation_dtype": "float32",
    "is_image": False,
    "n_actions": 2,
    "net_arch": {"pi": [32, 32], "vf": [2]},
    "activation": "relu",
}
CARD = {
    "kind": "policy",
    "species": "fox",
    "member": 1,
    "generation": 4,
    "clocks": {"agent_steps": 4000, "env_steps": 200, "updates": 4, "seconds": 2.0},
    "founder": 1,
    "parent": {"member": 0, "generation": 2},
    "hyperparameters": {"learning_rate": 0.001},
    "score": {"mean": 1.5, "standard_error": 0.1, "episodes": 8},
    "architecture": ARCHITECTURE,
    "learner": "agents.ppo:kind",
    "environment": {"make": "envs.a:b", "config": {"max_steps": 12}, "species": None},
    "spaces": None,
}


def sound_policy() -> Snapshot:
    """The one that all mutants are of; without an optimiser."""
    rng = np.random.default_rng(0)
    shapes = {name: shape for name, shape in tensor_shapes(ARCHITECTURE).items() if name.startswith("policy/")}
    return Snapshot(CARD, {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()})


def outcome(data: bytes) -> str:
    """How the loader takes it, all the way to a policy that can act; anything but these is an error.

    Returns:
        `refused`, `not loaded` (sound in itself, and no policy of this learner), or `loaded`.
    """
    try:
        policies = policies_in(PATH, data)
    except PolicyFileError as fault:
        assert all(line.startswith(f"{PATH}: ") and line.isprintable() and len(line) < 600 for line in fault.faults)
        return "refused"
    for policy in policies.values():
        try:
            load_policy(policy.card.architecture, policy.tensors)
        except ValueError:
            return "not loaded"
    return "loaded"


def byte_mutants(seed: int, count: int) -> Counter[str]:
    """Flip, overwrite, cut, insert, repeat bytes: most in the header, where there is more to break."""
    rng, sound = random.Random(seed), encode(sound_policy())
    header = 8 + int.from_bytes(sound[:8], "little")
    told: Counter[str] = Counter()
    assert outcome(sound) == "loaded"  # imports and compiles what there is to
    own = policies_in(PATH, sound)["fox"].digest
    with nothing_runs():
        for _ in range(count):
            mutant = _mutated(rng, sound, header)
            how = outcome(mutant)
            told[how] += 1
            if how == "loaded":  # a space more or less in the header
                assert policies_in(PATH, mutant)["fox"].digest == own
    return told


def _mutated(rng: random.Random, sound: bytes, header: int) -> bytes:
    mutant = bytearray(sound)
    for _ in range(1 if rng.random() < 0.7 else rng.randint(2, 6)):
        place = rng.randrange(8 if rng.random() < 0.1 else header if rng.random() < 0.8 else len(mutant))
        place = min(place, len(mutant) - 1)
        kind = rng.randrange(6)
        if kind == 0:
            mutant[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            mutant[place] = rng.choice(b'0129-+.eE"{}[],:\\ \n\x00\xff/')
        elif kind == 2:
            mutant[place : place + rng.randint(1, 8)] = rng.randbytes(rng.randint(0, 8))
        elif kind == 3:
            del mutant[place : place + rng.choice((1, 2, 8, 64, 4096))]
        elif kind == 4:
            mutant[place:place] = mutant[place : place + rng.choice((1, 4, 32))]
        else:
            mutant[:8] = struct.pack("<Q", max(0, header - 8 + rng.choice((-64, -1, 1, 8, 10**6, 2**62))))
        if not mutant:
            return b""
    return bytes(mutant)


ODD = (
    None, True, False, 0, -1, 1, 3, 2**31, 2**53, 2**63, 10**30, 0.5, -0.0, 1e308,
    "", "x", "../x", "\x00", "\ud800", "\u202e", "os:system", "__class__", "x" * 5000,
    [], [[]], [None], ["policy"], [1, 2], {}, {"": {}}, {"__class__": "os.system"},
)  # fmt: skip


def odd(rng: random.Random) -> object:
    """Something that should not be there; one's own."""
    return copy.deepcopy(rng.choice(ODD))


def structural_mutants(seed: int, count: int) -> Counter[str]:
    """Change card, header and tensors, and make the hash fit."""
    rng, policy = random.Random(seed), sound_policy()
    told: Counter[str] = Counter()
    assert outcome(rebuilt(dict(policy.metadata), policy.tensors, {})) == "loaded"
    with nothing_runs():
        for _ in range(count):
            told[outcome(_restructured(rng, policy))] += 1
    return told


def _restructured(rng: random.Random, policy: Snapshot) -> bytes:
    card, tensors, header = copy.deepcopy(dict(policy.metadata)), dict(policy.tensors), {}
    for _ in range(rng.randint(1, 3)):
        kind = rng.randrange(5)
        if kind <= 1:
            change(rng, card)
        elif kind == 2:
            _change_tensor(rng, tensors)
        elif kind == 3:
            name = rng.choice(sorted(tensors)) if tensors else "policy/x"
            key = rng.choice(("dtype", "shape", "data_offsets", "more"))
            value = rng.choice((*ODD, [2**40], [-1], [0, 2**62], [0] * 40, [0, 8], [8, 0], "BF16", "F64", "I8"))
            header.setdefault(name, {})[key] = value
        else:
            header[rng.choice(("__metadata__", "policy/x", "", "policy/../x"))] = odd(rng)
    return rebuilt(card, tensors, header)


def change(rng: random.Random, value: dict | list) -> None:
    """Something somewhere in it."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return
    key = rng.choice(keys)
    inner = value[key]
    if isinstance(inner, dict | list) and inner and rng.random() < 0.6:
        change(rng, inner)
    elif rng.random() < 0.2 and isinstance(value, dict):
        del value[key]
    elif rng.random() < 0.2 and isinstance(value, dict):
        value[rng.choice(("more", "__class__", "", "x" * 5000, "\n"))] = odd(rng)
    else:
        value[key] = odd(rng)


def _change_tensor(rng: random.Random, tensors: dict[str, np.ndarray]) -> None:
    name = rng.choice(sorted(tensors)) if tensors else "policy/x"
    array = tensors.pop(name, np.zeros(3, np.float32))
    kind = rng.randrange(6)
    if kind == 0:
        tensors[rng.choice(("policy/more", "optimizer/x", "worlds/x", "policy/" + "y" * 5000, "\x1b"))] = array
    elif kind == 1:
        tensors[name] = array.astype(rng.choice(("f8", "f2", "i4", "u1", "?")))
    elif kind == 2:
        tensors[name] = array.reshape(-1)[: rng.randrange(array.size + 1)]
    elif kind == 3:
        tensors[name] = array.copy()
        if array.size and array.dtype.kind == "f":
            tensors[name].reshape(-1)[rng.randrange(array.size)] = rng.choice((np.nan, np.inf, -np.inf, 3e38, -0.0))
    elif kind == 4:
        tensors[name] = array.reshape((1,) * rng.randrange(40) + array.shape)[..., :] if array.ndim < 3 else array


def rebuilt(card: dict, tensors: dict[str, np.ndarray], changes: dict[str, object]) -> bytes:
    """A file whose hash fits, whatever is in it.

    Args:
        card: Metadata, but for the schema.
        tensors: By name.
        changes: Of the header: whole entries, or some of an entry's keys.
    """
    return with_text(json.dumps({"schema": 1, **card}), tensors, changes)


def with_text(text: str, tensors: dict[str, np.ndarray], changes: dict[str, object]) -> bytes:
    """The same with a card that need not be JSON."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(f"\0{name}\0{tensors[name].dtype.str}\0{tensors[name].shape}\0".encode("utf-8", "surrogatepass"))
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    header: dict[str, object] = {"__metadata__": {"marl_pbt": text, "sha256": digest.hexdigest()}}
    names = {"float32": "F32", "float64": "F64", "float16": "F16", "int32": "I32", "uint8": "U8", "bool": "BOOL"}
    start, data = 0, b""
    for name, array in tensors.items():
        entry = {
            "dtype": names[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [start, start + array.nbytes],
        }
        header[name] = entry
        start += array.nbytes
        data += array.tobytes()
    for name, change in changes.items():
        entry_or_none = header.get(name)
        is_of_entry = isinstance(entry_or_none, dict) and isinstance(change, dict) and name != "__metadata__"
        header[name] = {**entry_or_none, **change} if is_of_entry else change
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + data
