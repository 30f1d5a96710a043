"""Who is alive in one world, by species, in the order of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from numpy.typing import NDArray

from marl_pbt.adapted.species import AgentId, SpeciesTable

Seen: TypeAlias = list[list[NDArray[Any]]]
"""Per species the observations of its living agents in the order of their rows, as the environment gave them."""


class Living:
    """The living agents of a world; they do not change, others take their place.

    Args:
        agents: The environment's `agents`, all of them known.
        table: Who is of which species.

    Attributes:
        agents: As given.
        groups: Per species its agents: their order is that of the rows.
    """

    def __init__(self, agents: Sequence[AgentId], table: SpeciesTable) -> None:
        self.agents = list(agents)
        self.groups: list[list[AgentId]] = [[] for _ in table.names]
        for agent in self.agents:
            self.groups[table.index[agent]].append(agent)
        self._order = [agent for group in self.groups for agent in group]
        self._is_in_order = self._order == self.agents

    def named(self, moves: Sequence[Sequence[Any]]) -> dict[AgentId, Any]:
        """What is given per species and row, by agent, in the order of `agents`."""
        by_species: list[Any] = []
        for each in moves:
            by_species += each
        named = dict(zip(self._order, by_species, strict=True))
        return named if self._is_in_order else {agent: named[agent] for agent in self.agents}

    def see(self, observations: Mapping[AgentId, Any]) -> Seen:
        """Their observations.

        Raises:
            KeyError: One is missing.
        """
        return [[observations[agent] for agent in group] for group in self.groups]

    def places_of(self, others: Living) -> list[list[int]]:
        """Per species and row of the others: the same agent's place among these here; −1 where it is not."""
        found = []
        for here, there in zip(self.groups, others.groups, strict=True):
            places = {agent: place for place, agent in enumerate(here)}
            found.append([places.get(agent, -1) for agent in there])
        return found
