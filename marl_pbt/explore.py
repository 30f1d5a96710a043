"""Explore: how a copied policy's hyperparameters move away from the donor's (Jaderberg et al. 2017, sec. 4.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marl_pbt.constraints import Constraint, repair
from marl_pbt.hyperparameters import Factor, Hyperparameter
from marl_pbt.protocols import HyperparameterValue

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Change:
    """One hyperparameter's way through an explore."""

    old: HyperparameterValue
    new: HyperparameterValue
    operation: str


@dataclass(frozen=True)
class Perturb:
    """Per hyperparameter: draw afresh with a probability, else multiply by a factor.

    Attributes:
        factor: Draws the factor.
        resample_probability: Share of draws from the prior instead.
        constraints: Kept after all have moved.
    """

    factor: Factor
    resample_probability: float
    constraints: Sequence[Constraint] = ()

    def explore(
        self,
        values: Mapping[str, HyperparameterValue],
        declared: Sequence[Hyperparameter],
        rng: np.random.Generator,
    ) -> dict[str, Change]:
        """Move every declared hyperparameter of one species.

        Args:
            values: The donor's, all of them: constraints may speak of those, too, that are not declared.
            declared: What may change.
            rng: Where all draws come from.

        Returns:
            Per declared name what happened to it.
        """
        changes: dict[str, Change] = {}
        for hyperparameter in declared:
            old = values[hyperparameter.name]
            if rng.random() < self.resample_probability:
                changes[hyperparameter.name] = Change(old, hyperparameter.distribution.sample(rng), "resample")
            else:
                move = hyperparameter.distribution.perturb(old, self.factor, rng)
                changes[hyperparameter.name] = Change(old, move.value, move.operation)
        moved = {**values, **{name: change.new for name, change in changes.items()}}
        repaired, touched = repair(moved, self.constraints)
        for name in changes.keys() & touched:  # what is not declared is never touched
            before = changes[name]
            changes[name] = Change(before.old, repaired[name], f"{before.operation} repaired")
        return changes
