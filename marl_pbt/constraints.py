"""Constraints between the hyperparameters of one species: checked and repaired after explore."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from marl_pbt.protocols import HyperparameterValue

_NAME, _NUMBER = r"[A-Za-z_]\w*(?:\.\w+)*", r"\d+(?:\.\d+)?"
_FORM = re.compile(rf"^\s*(?P<left>{_NAME})\s*(?P<relation><=|divides)\s*(?P<right>{_NAME}|{_NUMBER})\s*$")


@dataclass(frozen=True)
class Constraint:
    """`left <= right` or `left divides right`; the right side is a hyperparameter or a number, the left gives way."""

    left: str
    relation: str
    right: str

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Read `batch_size <= 4096` or `batch_size divides rollout`.

        Raises:
            ValueError: It is neither.
        """
        match = _FORM.match(text)
        if match is None:
            raise ValueError(f"must be 'name <= name or number' or 'name divides name or number', got {text!r}")
        return cls(match["left"], match["relation"], match["right"])

    @property
    def names(self) -> tuple[str, ...]:
        """The hyperparameters it speaks of."""
        return (self.left,) if self.right[0].isdigit() else (self.left, self.right)

    def holds(self, values: Mapping[str, HyperparameterValue]) -> bool:
        """True where the values fit."""
        return self._repaired(values) == values[self.left]

    def _repaired(self, values: Mapping[str, HyperparameterValue]) -> HyperparameterValue:
        left = values[self.left]
        right = float(self.right) if self.right[0].isdigit() else float(values[self.right])
        if self.relation == "<=":
            if float(left) <= right:
                return left
            return int(right) if isinstance(left, int) else right
        return _largest_divisor_up_to(int(left), int(right))

    def repaired(self, values: Mapping[str, HyperparameterValue]) -> dict[str, HyperparameterValue]:
        """The values with the left side moved to the nearest smaller one that fits."""
        return {**values, self.left: self._repaired(values)}


def repair(
    values: Mapping[str, HyperparameterValue], constraints: Sequence[Constraint]
) -> tuple[dict[str, HyperparameterValue], tuple[str, ...]]:
    """Apply the constraints in their order, until all of them hold.

    Returns:
        The values, and the names that were moved.
    """
    repaired = dict(values)
    before: dict[str, HyperparameterValue] = {}
    while repaired != before:  # each repair lowers a value: it ends
        before = repaired
        for constraint in constraints:
            if all(name in repaired for name in constraint.names):
                repaired = constraint.repaired(repaired)
    return repaired, tuple(name for name in values if repaired[name] != values[name])


def _largest_divisor_up_to(left: int, right: int) -> int:
    """At least 1, which divides everything."""
    return next((candidate for candidate in range(min(left, right), 1, -1) if right % candidate == 0), 1)
