"""Functions of the user's own, named by import string, in the place of our strategies.

What they give is checked. What travels to the workers is the import string, so that a lambda will do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from marl_pbt.explore import Experience, Values, legal_move
from marl_pbt.hyperparameters import Hyperparameter, Move
from marl_pbt.imports import load_object
from marl_pbt.selection import Ranking

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class OwnFunction:
    """A function by import string.

    Attributes:
        key: The config's key that names it, for the errors.
        source: `package.module:name`.
    """

    key: str
    source: str

    def load(self) -> Callable[..., Any]:
        """The function itself.

        Raises:
            UserError: It cannot be imported, or called.
        """
        function: Callable[..., Any] = load_object(self.source, callable, self.key)
        return function

    def gave(self, result: object, rule: str) -> ValueError:
        """The error for a result that breaks a rule."""
        return ValueError(f"{self.key}: {self.source} must give {rule}, gave {result!r}")


@dataclass(frozen=True)
class OwnSelection(OwnFunction):
    """`select(member, ranking, rng) -> members`, see `Selection`."""

    def donors(self, member: int, ranking: Ranking, rng: np.random.Generator) -> Sequence[int]:
        """What it says, best first, without the member itself and those that are worse.

        Raises:
            ValueError: It names somebody who is not ranked.
        """
        named = tuple(self.load()(member, ranking, rng))
        if not set(named) <= set(ranking.order):
            raise self.gave(named, f"members of {ranking.order}")
        return tuple(other for other in ranking.others(member) if other in named and ranking.gap(other, member) >= 0)


@dataclass(frozen=True)
class OwnDonor(OwnFunction):
    """`choose(donors, ranking, rng) -> member`, see `DonorChoice`."""

    def __call__(self, donors: Sequence[int], ranking: Ranking, rng: np.random.Generator) -> int:
        """What it says.

        Raises:
            ValueError: It is none of the donors.
        """
        chosen = self.load()(donors, ranking, rng)
        if chosen not in donors:
            raise self.gave(chosen, f"one of {tuple(donors)}")
        return int(chosen)


@dataclass(frozen=True)
class OwnProposal(OwnFunction):
    """`explore(values, declared, rng, experience) -> values`, see `Proposal`; it may leave out what is to stay."""

    learns: ClassVar[bool] = True

    def propose(
        self, values: Values, declared: Sequence[Hyperparameter], rng: np.random.Generator, experience: Experience
    ) -> dict[str, Move]:
        """What it says, rounded and clamped to what is declared; where it makes no sense, the value stays.

        Raises:
            ValueError: It gives no mapping.
        """
        wanted = self.load()(dict(values), declared, rng, experience)
        if not isinstance(wanted, Mapping):
            raise self.gave(wanted, "a mapping of names to values")
        return {each.name: _move(values[each.name], wanted, each) for each in declared}


@dataclass(frozen=True)
class OwnLastWord(OwnFunction):
    """`after(values) -> values`, see `LastWord`."""

    def __call__(self, values: dict[str, Any]) -> Values:
        """What it says.

        Raises:
            ValueError: It gives no mapping.
        """
        wanted = self.load()(values)
        if not isinstance(wanted, Mapping):
            raise self.gave(wanted, "a mapping of names to values")
        return wanted


def _move(value: Any, wanted: Mapping[str, Any], hyperparameter: Hyperparameter) -> Move:
    if hyperparameter.name not in wanted:
        return Move(value, "stay")
    return legal_move(wanted[hyperparameter.name], hyperparameter, "proposed") or Move(value, "proposed refused")
