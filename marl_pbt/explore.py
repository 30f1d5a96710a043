"""Explore: how hyperparameters move (Jaderberg et al. 2017, sec. 4.1). Pure.

A `Proposal` moves them; `Explorer` lets a user's function have the last word, then keeps types, bounds and constraints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from marl_pbt.constraints import Constraint, repair
from marl_pbt.hyperparameters import Factor, Hyperparameter, Move
from marl_pbt.protocols import HyperparameterValue
from marl_pbt.standings import Gain

if TYPE_CHECKING:
    import numpy as np

Values: TypeAlias = "Mapping[str, HyperparameterValue]"
LastWord: TypeAlias = "Callable[[dict[str, HyperparameterValue]], Values]"
"""Gets all of a learner's values after they have moved, returns those that it wants."""


@dataclass(frozen=True, slots=True)
class Change:
    """One hyperparameter's way through an explore."""

    old: HyperparameterValue
    new: HyperparameterValue
    operation: str


@dataclass(frozen=True)
class Experience:
    """What the population knows of hyperparameters when one member explores.

    Attributes:
        generation: The member's own.
        gains: Of all members, its own included.
        running: What the other members have in force.
    """

    generation: int = 0
    gains: Sequence[Gain] = ()
    running: Sequence[Values] = ()


class Proposal(Protocol):
    """Where hyperparameters go in an explore."""

    @property
    def learns(self) -> bool:
        """False where it never looks at the experience, which takes milliseconds to gather."""

    def propose(
        self, values: Values, declared: Sequence[Hyperparameter], rng: np.random.Generator, experience: Experience
    ) -> dict[str, Move]:
        """Move the declared hyperparameters of one species.

        Args:
            values: In force, all of the learner's: the donor's where they were copied.
            declared: What may change.
            rng: Where all draws come from.
            experience: Of the whole population.

        Returns:
            Per declared name where it goes.
        """


@dataclass(frozen=True)
class Perturb:
    """Per hyperparameter: draw afresh with a probability, else multiply by a factor.

    Attributes:
        factor: Draws the factor.
        resample_probability: Share of draws from the prior instead.
    """

    learns: ClassVar[bool] = False
    factor: Factor
    resample_probability: float

    def propose(
        self, values: Values, declared: Sequence[Hyperparameter], rng: np.random.Generator, experience: Experience
    ) -> dict[str, Move]:
        """Each on its own."""
        del experience
        return {each.name: self.move(values[each.name], each, rng) for each in declared}

    def move(self, value: HyperparameterValue, hyperparameter: Hyperparameter, rng: np.random.Generator) -> Move:
        """One hyperparameter."""
        if rng.random() < self.resample_probability:
            return Move(hyperparameter.distribution.sample(rng), "resample")
        return hyperparameter.distribution.perturb(value, self.factor, rng)


@dataclass(frozen=True)
class Resample:
    """Draw every hyperparameter afresh from its prior, whatever it was."""

    learns: ClassVar[bool] = False

    def propose(
        self, values: Values, declared: Sequence[Hyperparameter], rng: np.random.Generator, experience: Experience
    ) -> dict[str, Move]:
        """Each on its own."""
        del values, experience
        return {each.name: Move(each.distribution.sample(rng), "resample") for each in declared}


@dataclass(frozen=True)
class Explorer:
    """A whole explore.

    Attributes:
        proposal: How values move.
        constraints: Kept after all have moved.
        last_word: Called once per explore, after the proposal; what it returns is only brought within types, bounds and
            constraints.
    """

    proposal: Proposal
    constraints: Sequence[Constraint] = ()
    last_word: LastWord | None = None

    def explore(
        self,
        values: Values,
        declared: Sequence[Hyperparameter],
        rng: np.random.Generator,
        experience: Experience | None = None,
    ) -> dict[str, Change]:
        """Move every declared hyperparameter of one species.

        Args:
            values: In force, all of them: constraints may speak of those, too, that are not declared.
            declared: What may change.
            rng: Where all draws come from.
            experience: Of the whole population; None for proposals that do not learn.

        Returns:
            Per declared name what happened to it.
        """
        moves = self.proposal.propose(values, declared, rng, experience or Experience())
        if self.last_word is not None:
            wanted = self.last_word({**values, **{name: move.value for name, move in moves.items()}})
            moves = {each.name: _after(moves[each.name], wanted.get(each.name), each) for each in declared}
        moved = {**values, **{name: move.value for name, move in moves.items()}}
        repaired, touched = repair(moved, self.constraints)
        changes = {}
        for name, move in moves.items():  # what is not declared is never touched
            operation = f"{move.operation} repaired" if name in touched else move.operation
            changes[name] = Change(values[name], repaired[name], operation)
        return changes


def legal_move(wanted: Any, hyperparameter: Hyperparameter, operation: str) -> Move | None:
    """What somebody else chose, rounded and clamped to what is declared; None where it makes no sense."""
    value, distribution = _plain(wanted), hyperparameter.distribution
    if isinstance(value, int | float) and math.isfinite(value):
        nearest = distribution.clamp(value)
        if isinstance(nearest, bool) == isinstance(value, bool) and not isinstance(nearest, str):
            is_kept = nearest == (round(value) if isinstance(nearest, int) else value)
            return Move(nearest, operation if is_kept else f"{operation} clamped")
    elif isinstance(value, str) and distribution.contains(value):
        return Move(value, operation)
    return None


def _plain(value: Any) -> Any:
    """NumPy's scalars, which a user's function may well return, as Python's."""
    return value.item() if hasattr(value, "item") else value


def _after(move: Move, wanted: Any, hyperparameter: Hyperparameter) -> Move:
    """What the last word makes of one move; where it makes no sense, or says nothing, the move stands."""
    if wanted is None:
        return move
    own = legal_move(wanted, hyperparameter, f"{move.operation} own")
    if own is None:
        return Move(move.value, f"{move.operation} own refused")
    return move if own.value == move.value else own
