"""Named randomness: the same job draws the same numbers, on whatever worker it runs."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, purpose: str, member: int = 0, generation: int = 0) -> np.random.Generator:
    """A generator that depends on its four names alone.

    Args:
        seed: The run's seed.
        purpose: What it is drawn for, e.g. `explore/predator`.
        member: Index of the member.
        generation: The member's generation.
    """
    return np.random.default_rng(_sequence(seed, purpose, member, generation))


def stream_seed(seed: int, purpose: str, member: int = 0, generation: int = 0) -> int:
    """A seed in [0, 2**32), for what takes an integer instead of a generator; as `stream` otherwise."""
    return int(_sequence(seed, purpose, member, generation).generate_state(1)[0])


def _sequence(seed: int, purpose: str, member: int, generation: int) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), member, generation])
