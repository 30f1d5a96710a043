"""Who meets whom."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from marl_pbt.league.assembly import Entrant
from marl_pbt.protocols import UserError

Pairing: TypeAlias = tuple[int, ...]
"""Per species, in the league's order, which of its entrants plays."""

MOST_PAIRINGS = 100_000


def pairings(entrants: Mapping[str, Sequence[Entrant]], most: int | None, rng: np.random.Generator) -> list[Pairing]:
    """Everybody against everybody; with a background, each focal policy with all of the background.

    Args:
        entrants: Per species.
        most: With more pairings than this, so many of them, in which everybody plays about equally often.
        rng: What they are drawn with.

    Raises:
        UserError: There are more than anybody can have meant.
    """
    counts = [len(of) for of in entrants.values()]
    too_many = f"{' × '.join(map(str, counts))} policies make more than {MOST_PAIRINGS} pairings; name fewer"
    if math.prod(counts) > 50 * MOST_PAIRINGS:
        raise UserError(too_many)
    table = np.indices(counts).reshape(len(counts), -1).T
    focal = np.stack(
        [np.array([each.is_focal for each in of])[table[:, k]] for k, of in enumerate(entrants.values())], axis=1
    )
    if not focal.all():
        table = table[focal.sum(axis=1) == 1]
    if min(len(table), most or len(table)) > MOST_PAIRINGS:
        raise UserError(too_many)
    if most is not None and most < len(table):
        table = table[_balanced(table, counts, most, rng)]
    return [tuple(map(int, row)) for row in table]


def _balanced(
    table: np.ndarray[tuple[int, ...], np.dtype[np.int64]], counts: Sequence[int], most: int, rng: np.random.Generator
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Rows of the table, in its order: again and again one of those whose players have played least."""
    played = [np.zeros(count) for count in counts]
    is_open = np.ones(len(table), bool)
    ties = rng.random(len(table))
    for _ in range(most):
        # Shares of a species' games, so that each species counts alike.
        load = np.sum([played[k][table[:, k]] * counts[k] for k in range(len(counts))], axis=0)
        least = np.flatnonzero(is_open & (load == load[is_open].min()))
        row = int(least[ties[least].argmin()])
        is_open[row] = False
        for k, player in enumerate(table[row]):
            played[k][player] += 1
    return np.flatnonzero(~is_open)
