"""Which agent ids of an environment belong to which species, with the spaces that they share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeAlias

from gymnasium import spaces

from marl_pbt.protocols import UserError

if TYPE_CHECKING:
    import gymnasium

AgentId: TypeAlias = Any
"""PettingZoo's: anything that can be a key, mostly a name."""

Patterns: TypeAlias = Mapping[str, Sequence[str]]
"""Species → shell patterns of its agent ids."""

_KEY = "environment.species"
_NUMBERED = re.compile(r"(.+)_\d+", re.DOTALL)
_OBSERVATIONS = (spaces.Box, spaces.MultiBinary, spaces.MultiDiscrete)
_ACTIONS = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete)


@dataclass(frozen=True)
class SpeciesTable:
    """Who is of which species.

    Attributes:
        names: Of the species.
        index: Agent id → index into `names`, for all of `possible_agents`.
        observation_spaces: Per species, of one agent.
        action_spaces: Per species, of one agent.
    """

    names: tuple[str, ...]
    index: Mapping[AgentId, int]
    observation_spaces: Mapping[str, gymnasium.Space[Any]]
    action_spaces: Mapping[str, gymnasium.Space[Any]]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Per species how many agent ids there are."""
        found = list(self.index.values())
        return tuple(found.count(species) for species in range(len(self.names)))

    def species_of(self, agent: AgentId) -> str:
        """The name of an agent's species."""
        return self.names[self.index[agent]]


def read_species(environment: Any, patterns: Patterns | None = None) -> SpeciesTable:
    """Sort an environment's possible agents into species.

    Args:
        environment: A PettingZoo parallel environment.
        patterns: Per species the shell patterns that its agents fit; None: an id's species is what stands before its
            last `_number`, and an id without a number is a species of its own.

    Raises:
        UserError: There is no `possible_agents`, patterns and agents do not fit each other, or the spaces of a species
            differ or are of a kind that cannot be handed over as rows; one line per fault.
    """
    agents = list(getattr(environment, "possible_agents", None) or ())
    if not agents:
        raise UserError(
            "environment.make: gives an environment without possible_agents; must say there who may ever be born"
        )
    names = _by_prefix(agents) if patterns is None else _by_pattern(agents, patterns)
    order = tuple(dict.fromkeys(names.values()) if patterns is None else patterns)
    observations = _offered(environment, "observation_space", agents)
    actions = _offered(environment, "action_space", agents)
    faults = [
        *_space_faults("observation", observations, names, _OBSERVATIONS),
        *_space_faults("action", actions, names, _ACTIONS),
    ]
    if faults:
        raise UserError(*faults)
    firsts = {names[agent]: agent for agent in reversed(agents)}
    return SpeciesTable(
        order,
        {agent: order.index(name) for agent, name in names.items()},
        {name: observations[firsts[name]] for name in order},
        {name: actions[firsts[name]] for name in order},
    )


def _by_prefix(agents: Sequence[AgentId]) -> dict[AgentId, str]:
    numbered = {agent: _NUMBERED.fullmatch(str(agent)) for agent in agents}
    return {agent: str(agent) if match is None else match[1] for agent, match in numbered.items()}


def _by_pattern(agents: Sequence[AgentId], patterns: Patterns) -> dict[AgentId, str]:
    """Agent id → species.

    Raises:
        UserError: Somebody fits none or several, or a pattern fits nobody.
    """
    fits = {
        agent: [name for name, each in patterns.items() if any(fnmatchcase(str(agent), one) for one in each)]
        for agent in agents
    }
    faults = []
    for name, each in patterns.items():
        idle = [one for one in each if not any(fnmatchcase(str(agent), one) for agent in agents)]
        faults += [f"{_KEY}.{name}: {one!r} fits none of possible_agents, {_shown(agents)}" for one in idle]
    strays = [agent for agent, names in fits.items() if not names]
    if strays:
        faults.append(f"{_KEY}: each of possible_agents must fit a pattern; {_shown(strays)} fits none")
    torn = [agent for agent, names in fits.items() if len(names) > 1]
    if torn:
        faults.append(f"{_KEY}: {_shown(torn)} must be of one species, fits {' and '.join(fits[torn[0]])}")
    if faults:
        raise UserError(*faults)
    return {agent: names[0] for agent, names in fits.items()}


def _offered(environment: Any, method: str, agents: Sequence[AgentId]) -> dict[AgentId, Any]:
    """Agent id → space.

    Raises:
        UserError: The environment knows none for one of them.
    """
    try:
        return {agent: getattr(environment, method)(agent) for agent in agents}
    except Exception as fault:  # whatever a stranger's environment raises, it is told in a line
        raise UserError(
            f"environment.make: {method} of possible_agents raised {type(fault).__name__}: {fault}"
        ) from fault


def _space_faults(
    kind: str,
    offered: Mapping[AgentId, gymnasium.Space[Any]],
    names: Mapping[AgentId, str],
    allowed: tuple[type[Any], ...],
) -> Iterator[str]:
    """The first fault of each species."""
    firsts: dict[str, AgentId] = {}
    told = set()
    for agent, space in offered.items():
        name = names[agent]
        first = firsts.setdefault(name, agent)
        if name in told or (agent != first and (space is offered[first] or space == offered[first])):
            continue
        if agent != first:
            told.add(name)
            yield (
                f"{_KEY}: agents of one species must have equal spaces, the {kind} spaces of {first} and {agent} "
                f"({name}) differ: {offered[first]} and {space}"
            )
        elif not isinstance(space, allowed) or (kind == "observation" and not space.shape):
            told.add(name)
            wanted = ", ".join(each.__name__ for each in allowed)
            yield f"environment.make: the {kind} space of {agent} must be one of {wanted}, got {space}"


def _shown(agents: Sequence[AgentId]) -> str:
    """The first ones by name."""
    more = f" and {len(agents) - 3} more" if len(agents) > 3 else ""
    return ", ".join(map(str, agents[:3])) + more
