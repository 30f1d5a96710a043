"""What all matches of a league gave, as tables: one axis per species, episodes along the last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marl_pbt.league.jobs import Episodes
from marl_pbt.league.schedule import Pairing

LENGTH = "length"


def return_of(species: str) -> str:
    """The name of the table of a species' returns."""
    return f"return/{species}"


@dataclass(frozen=True)
class Payoffs:
    """All tables.

    Attributes:
        species: One axis each, in this order.
        labels: Per species, of its entrants.
        tables: By name `(n_1, …, n_K, episodes)` float64, NaN where nothing was played or counted: `return/<species>`,
            `length` (env steps), and what the environment counts, by its tags.
        was_played: `(n_1, …, n_K)` bool.
        agent_steps: Played in all.
    """

    species: tuple[str, ...]
    labels: Mapping[str, tuple[str, ...]]
    tables: Mapping[str, NDArray[np.float64]]
    was_played: NDArray[np.bool_]
    agent_steps: int

    @property
    def pairings(self) -> list[Pairing]:
        """Those that were played, in the order of the table."""
        return [tuple(map(int, where)) for where in np.argwhere(self.was_played)]


def payoffs_of(
    species: tuple[str, ...],
    labels: Mapping[str, tuple[str, ...]],
    played: Mapping[Pairing, Sequence[Episodes]],
    episodes: int,
) -> Payoffs:
    """Put the blocks of each pairing into tables.

    Args:
        species: In the league's order.
        labels: Per species.
        played: At least one pairing.
        episodes: Per pairing.
    """
    counts = tuple(len(labels[name]) for name in species)
    tables: dict[str, NDArray[np.float64]] = {}
    was_played = np.zeros(counts, bool)
    for pairing, blocks in played.items():
        was_played[pairing] = True
        for name, values in _columns(blocks).items():
            tables.setdefault(name, np.full((*counts, episodes), np.nan))[pairing] = values
    first = [*map(return_of, species), LENGTH]
    names = [*first, *sorted(set(tables) - set(first))]
    agent_steps = sum(block.agent_steps for blocks in played.values() for block in blocks)
    return Payoffs(species, labels, {name: tables[name] for name in names}, was_played, agent_steps)


def _columns(blocks: Sequence[Episodes]) -> dict[str, tuple[float, ...]]:
    joined = Episodes.joined(blocks)
    returns = {return_of(name): values for name, values in joined.returns.items()}
    return {**joined.metrics, **returns, LENGTH: joined.lengths}
