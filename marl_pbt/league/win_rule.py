"""What counts as a win, when the user says so: an episode is won by one of two species, the other loses it."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marl_pbt.league.payoffs import Payoffs
from marl_pbt.protocols import UserError

_COMPARISONS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq, "<": operator.lt, ">": operator.gt}
_FORM = re.compile(r"\s*(\w+)\s*:\s*([\w/]+)\s*(<=|>=|==|<|>)\s*([-+]?[\d._]+(?:[eE][-+]?\d+)?)\s*")


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

    def counts(self, payoffs: Payoffs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Episodes that the first species won and lost in each pairing: `(n_1, n_2)` each.

        Raises:
            UserError: There is no such species or quantity, or there are not two species.
        """
        if len(payoffs.species) != 2:
            raise UserError(f"--win: needs two species, there are {', '.join(payoffs.species)}")
        if self.winner not in payoffs.species:
            raise UserError(f"--win: {self.winner}: no such species; there are {', '.join(payoffs.species)}")
        if self.table not in payoffs.tables:
            raise UserError(f"--win: {self.table}: is not counted here; what is: {', '.join(payoffs.tables)}")
        values = payoffs.tables[self.table]
        counts = ~np.isnan(values)
        holds = _COMPARISONS[self.comparison](values, self.threshold) & counts
        won, lost = holds.sum(axis=-1).astype(float), (counts & ~holds).sum(axis=-1).astype(float)
        return (won, lost) if self.winner == payoffs.species[0] else (lost, won)
