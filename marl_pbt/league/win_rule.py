"""What counts as a win, when the user says so: an episode is won by one of two species, the other loses it."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marl_pbt.league.payoffs import Payoffs
from marl_pbt.protocols import UserError

_COMPARISONS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq, "<": operator.lt, ">": operator.gt}
_FORM = re.compile(r"\s*([^:]*?[^:\s])\s*:\s*([^\s<>=]+)\s*(<=|>=|==|<|>)\s*([-+]?[\d._]+(?:[eE][-+]?\d+)?)\s*")


@dataclass(frozen=True)
class WinRule:
    """`prey: survived > 0.5`.

    Attributes:
        text: As it was typed.
        winner: The species that wins where it holds.
        table: What is looked at: a name in `Payoffs.tables`.
        comparison: `<`, `<=`, `==`, `>=` or `>`.
        threshold: What it is compared with.
    """

    text: str
    winner: str
    table: str
    comparison: str
    threshold: float

    @classmethod
    def parse(cls, text: str) -> WinRule:
        """Read it.

        Raises:
            UserError: It is not of this form.
        """
        form = _FORM.fullmatch(text)
        try:
            if form is not None:
                return cls(text.strip(), form[1], form[2], form[3], float(form[4]))
        except ValueError:
            pass
        raise UserError(f"--win: must read 'SPECIES: QUANTITY > NUMBER', e.g. 'prey: survived > 0.5', got {text!r}")

    def check(self, species: Sequence[str]) -> None:
        """Whether it can be asked of these species.

        Raises:
            UserError: There are not two of them, or none is called like the winner.
        """
        if len(species) != 2:
            raise UserError(f"--win: needs two species, there are {', '.join(species)}")
        if self.winner not in species:
            raise UserError(f"--win: {self.winner}: no such species; there are {', '.join(species)}")

    def counts(self, payoffs: Payoffs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Episodes that the first species won and lost in each pairing: `(n_1, n_2)` each.

        Args:
            payoffs: Of two species, with the quantity that is looked at.
        """
        values = payoffs.tables[self.table]
        counts = ~np.isnan(values)
        holds = _COMPARISONS[self.comparison](values, self.threshold) & counts
        won, lost = holds.sum(axis=-1).astype(float), (counts & ~holds).sum(axis=-1).astype(float)
        return (won, lost) if self.winner == payoffs.species[0] else (lost, won)
