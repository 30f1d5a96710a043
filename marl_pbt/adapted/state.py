"""The state of adapted worlds as named arrays: what every episode began with and what was done in it since."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pbt.adapted.actions import ActionKind
from marl_pbt.adapted.copies import Copy, Root
from marl_pbt.adapted.living import Seen
from marl_pbt.adapted.outcome import RowBlock
from marl_pbt.adapted.phases import LONGEST_PHASE
from marl_pbt.protocols import Tensors

logger = logging.getLogger(__name__)

ROOT_WORDS = 4
NEVER_BEGUN = -1


@dataclass(frozen=True)
class Layout:
    """What a state of certain worlds looks like.

    Attributes:
        species: Names.
        kinds: Their actions.
        num_worlds: How many.
    """

    species: tuple[str, ...]
    kinds: tuple[ActionKind, ...]
    num_worlds: int

    def check(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Make sure that it is a state of these worlds.

        Raises:
            ValueError: A name, shape, dtype or value does not fit.
        """
        fixed = self.fixed()
        names = {*fixed, *map(actions_of, self.species)}
        for problem, odd in (("missing", names - {*state}), ("unknown", {*state} - names)):
            if odd:
                raise ValueError(f"state.{min(odd)}: is {problem}")
        for name, (shape, dtype) in fixed.items():
            if state[name].shape != shape or state[name].dtype != dtype:
                got = f"{state[name].dtype} of shape {state[name].shape}"
                raise ValueError(f"state.{name}: must be {np.dtype(dtype)} of shape {shape}, got {got}")
        for name in ("random_steps", "steps", "acted"):
            if (state[name] < 0).any():
                raise ValueError(f"state.{name}: must not be negative, got {state[name].min()}")
        if (state["random_steps"] > LONGEST_PHASE).any():
            raise ValueError(f"state.random_steps: must be at most {LONGEST_PHASE}, got {state['random_steps'].max()}")
        is_begun = state["episode"] != NEVER_BEGUN
        if (state["episode"] < NEVER_BEGUN).any() or is_begun.any() != is_begun.all():
            raise ValueError(
                f"state.episode: must be numbers, or {NEVER_BEGUN} of all, got {state['episode'].tolist()}"
            )
        for species, kind in enumerate(self.kinds):
            name, count = actions_of(self.species[species]), int(state["acted"][species].sum())
            if not kind.is_legal(state[name]) or len(state[name]) != count:
                got = f"{state[name].dtype} of shape {state[name].shape}"
                rule = f"{kind.stored_dtype} of shape {(count, *kind.row_shape)} in the action space"
                raise ValueError(f"state.{name}: must be {rule}, got {got}")

    def fixed(self) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Name → shape and dtype, of all but the actions."""
        worlds = (self.num_worlds,)
        return {
            "root": ((ROOT_WORDS,), np.uint32),
            "episode": (worlds, np.int64),
            "random_steps": (worlds, np.int64),
            "steps": (worlds, np.int64),
            "acted": ((len(self.species), *worlds), np.int64),
            "checksum": (worlds, np.uint32),
        }


def actions_of(species: str) -> str:
    """What a species' actions are called in a state."""
    return f"actions/{species}"


def write_state(layout: Layout, root: Root, copies: Sequence[Copy], blocks: Sequence[RowBlock]) -> Tensors:
    """Where these copies stand; without copies, that they never began.

    Returns:
        `root`: what all seeds follow from. Per world: `episode`, its number; `random_steps` at its beginning and
        `steps` after them; `acted`, per species how many actions those are; `checksum` of who lives, what they see and
        what was earned. `actions/<species>`: world after world, step after step, row after row.
    """
    if not copies:
        worlds = layout.num_worlds
        state = {name: np.zeros(shape, dtype) for name, (shape, dtype) in layout.fixed().items()}
        state["episode"] = np.full(worlds, NEVER_BEGUN, np.int64)
        nothing: list[bytes] = []
        return state | {actions_of(n): k.from_bytes(nothing) for n, k in zip(layout.species, layout.kinds, strict=True)}
    kept = [[copy.played[species] for copy in copies] for species in range(len(layout.kinds))]
    acted = [[len(data) // kind.row_bytes for data in each] for kind, each in zip(layout.kinds, kept, strict=True)]
    state = {
        "root": np.array(root, np.uint32),
        "episode": np.array([copy.number for copy in copies], np.int64),
        "random_steps": np.array([copy.random_steps for copy in copies], np.int64),
        "steps": np.array([copy.length - copy.random_steps for copy in copies], np.int64),
        "acted": np.array(acted, np.int64),
        "checksum": np.array(_checksums(copies, blocks), np.uint32),
    }
    for name, kind, each in zip(layout.species, layout.kinds, kept, strict=True):
        state[actions_of(name)] = kind.from_bytes(each)
    return state


def replay(copy: Copy, layout: Layout, state: Mapping[str, NDArray[Any]]) -> Seen | None:
    """Bring a copy to where its world was.

    Args:
        copy: Whose `world` it is about.
        layout: Of the worlds.
        state: Checked.

    Returns:
        What its agents see; None where it did not get there: the environment is no function of its seed and actions.
    """
    try:
        seen = _played_again(copy, layout, state)
    except Exception:  # whatever a stranger's environment raises: there was no such fault the first time
        logger.debug("world %d: replaying its episode failed", copy.world, exc_info=True)
        return None
    if seen is None or _checksum(copy, [b"".join(map(_bytes, each)) for each in seen]) != state["checksum"][copy.world]:
        return None
    return seen


def root_of(state: Mapping[str, NDArray[Any]]) -> Root:
    """What all seeds follow from."""
    return tuple(int(word) for word in state["root"])


def _played_again(copy: Copy, layout: Layout, state: Mapping[str, NDArray[Any]]) -> Seen | None:
    world = copy.world
    number = int(state["episode"][world])
    seen = copy.begin(root_of(state), number)
    for _ in range(int(state["random_steps"][world])):
        seen = copy.step_randomly()
        if copy.number != number:
            return None
    begins = state["acted"][:, :world].sum(axis=1).tolist()
    ends = state["acted"][:, : world + 1].sum(axis=1).tolist()
    for _ in range(int(state["steps"][world])):
        moves, kept = [], []
        for species, kind in enumerate(layout.kinds):
            begin = begins[species]
            begins[species] += len(copy.groups[species])
            rows = state[actions_of(layout.species[species])][begin : begins[species]]
            moves.append(kind.as_moves(rows.astype(kind.dtype)))
            kept.append(rows.tobytes())
        if any(begin > end for begin, end in zip(begins, ends, strict=True)):
            return None
        seen = copy.step(moves, kept).seen
        if copy.number != number:
            return None
    return seen if begins == ends else None


def _checksums(copies: Sequence[Copy], blocks: Sequence[RowBlock]) -> list[int]:
    found, begins = [], [0] * len(blocks)
    for copy in copies:
        rows = []
        for species, block in enumerate(blocks):
            begin = begins[species]
            begins[species] += len(copy.groups[species])
            rows.append(block.rows[begin : begins[species]].tobytes())
        found.append(_checksum(copy, rows))
    return found


def _checksum(copy: Copy, observations: Sequence[bytes]) -> int:
    """Of who lives, what they see and what was earned."""
    parts = [repr(copy.groups).encode(), *observations, np.array(copy.returns).tobytes()]
    return zlib.crc32(b"\0".join(parts))


def _bytes(observation: NDArray[Any]) -> bytes:
    return observation.tobytes()
