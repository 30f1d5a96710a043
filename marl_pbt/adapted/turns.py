"""What one step of one world brings: plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from marl_pbt.adapted.living import Seen


@dataclass(frozen=True)
class AdaptedEpisode:
    """One finished episode of one world.

    Attributes:
        world: Index of the world.
        length: Env steps from reset to end.
        counted: False for one that began with random steps.
        returns: Per species: the sum of its individuals' rewards.
        metrics: `<species>/individuals`: how many lived in it.
    """

    world: int
    length: int
    counted: bool
    returns: Mapping[str, float]
    metrics: Mapping[str, float]


class Change(NamedTuple):
    """What became of those who acted, where anybody ended, was born or changed places.

    Attributes:
        ended: Per species and row: `LIVES_ON`, `TERMINATED` or `TRUNCATED`.
        places: Per species and row: its place among the world's rows now; −1 where it has ended.
        last: Per species: the last observations of the truncated ones, copies.
        episode: What ended, if the episode did.
    """

    ended: list[list[int]]
    places: list[list[int]]
    last: Seen
    episode: AdaptedEpisode | None


class Turn(NamedTuple):
    """What one step of one world brought.

    Attributes:
        rewards: Per species, of those that acted.
        seen: Of those that live now.
        change: None where they are the same ones.
    """

    rewards: list[list[float]]
    seen: Seen
    change: Change | None
