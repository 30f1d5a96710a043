"""Random generators whose state is an array, so that it fits into a learner's named arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WORD = 64
_MASK = (1 << _WORD) - 1


def make_generator(seeds: np.random.SeedSequence) -> np.random.Generator:
    """A PCG64 generator of its own."""
    return np.random.Generator(np.random.PCG64(seeds))


def generator_state(rng: np.random.Generator) -> NDArray[np.uint64]:
    """The state of a PCG64 generator as `(6,)` uint64: state, increment (high and low word each), the spare half draw.

    Raises:
        ValueError: The generator is of another kind.
    """
    state = rng.bit_generator.state
    if state["bit_generator"] != "PCG64":
        raise ValueError(f"generator: must be PCG64, got {state['bit_generator']}")
    value, increment = state["state"]["state"], state["state"]["inc"]
    words = [value >> _WORD, value & _MASK, increment >> _WORD, increment & _MASK]
    return np.array([*words, state["has_uint32"], state["uinteger"]], dtype=np.uint64)


def restore_generator(rng: np.random.Generator, state: NDArray[np.uint64]) -> None:
    """Go on from `generator_state`.

    Raises:
        ValueError: The array is not one that `generator_state` gives.
    """
    if state.shape != (6,) or state.dtype != np.uint64:
        raise ValueError(f"generator state: must be (6,) uint64, got {state.shape} {state.dtype}")
    high, low, increment_high, increment_low, has_spare, spare = (int(word) for word in state)
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": high << _WORD | low, "inc": increment_high << _WORD | increment_low},
        "has_uint32": has_spare,
        "uinteger": spare,
    }
