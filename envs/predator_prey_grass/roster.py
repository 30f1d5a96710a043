"""Who lives in a world, by name."""

from __future__ import annotations

from itertools import compress
from typing import Any

from numpy.typing import NDArray

from envs.predator_prey_grass.layout import BORN, ID, PARENT, State
from envs.predator_prey_grass.rules import Rules

Info = dict[str, Any]


class Roster:
    """Names, parents and times of birth of the living, per species in the order of their slots.

    Attributes:
        possible: All names there can be: `<species>_<number>`.
        names: Per species, of the living.
    """

    def __init__(self, rules: Rules) -> None:
        self._pool = [tuple(f"{each.name}_{number}" for number in range(each.ids)) for each in rules.species]
        self.possible = [name for pool in self._pool for name in pool]
        self.clear()

    def clear(self) -> None:
        """Nobody lives."""
        self.names: list[list[str]] = [[] for _ in self._pool]
        self._parents: list[list[str | None]] = [[] for _ in self._pool]
        self._born: list[list[int]] = [[] for _ in self._pool]

    def call(self, state: State) -> None:
        """Everyone who lives in the first world of a state."""
        self.clear()
        for s, alive in enumerate(state.population[0].tolist()):
            self.welcome(s, state.traits[0, s, :, :alive])

    def welcome(self, species: int, traits: NDArray[Any]) -> list[str]:
        """Add individuals, `(5, n)` traits; their names."""
        pool = self._pool[species]
        names = [pool[number] for number in traits[ID].tolist()]
        self.names[species] += names
        self._parents[species] += [pool[number] if number >= 0 else None for number in traits[PARENT].tolist()]
        self._born[species] += traits[BORN].tolist()
        return names

    def bury(self, species: int, fates: list[int]) -> None:
        """Strike off those whose fate is not 0."""
        lives = [not fate for fate in fates]
        self.names[species] = list(compress(self.names[species], lives))
        self._parents[species] = list(compress(self._parents[species], lives))
        self._born[species] = list(compress(self._born[species], lives))

    def infos(self, species: int, now: int) -> list[Info]:
        """What is told of each of the living."""
        return [
            {"parent": parent, "age": now - born, "cause": None}
            for parent, born in zip(self._parents[species], self._born[species], strict=True)
        ]
