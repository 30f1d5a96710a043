"""What a reset or a step of one environment gave, read for the agents that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pbt.adapted import faults
from marl_pbt.adapted.faults import Held
from marl_pbt.adapted.living import Living, Seen
from marl_pbt.adapted.species import AgentId, SpeciesTable
from marl_pbt.adapted.turns import Change
from marl_pbt.protocols import LARGEST, LIVES_ON, TERMINATED, TRUNCATED, NotFiniteError


class UnsoundError(ValueError):
    """What an environment gave cannot be used: the agent, what it is, what it must be."""


def check_returned(returned: Any, count: int) -> None:
    """Make sure that so many things were returned.

    Raises:
        UnsoundError: There are not.
    """
    if not isinstance(returned, tuple | list) or len(returned) != count:
        raise UnsoundError(faults.fault_of_return(returned, count))


def read_agents(agents: Sequence[AgentId], table: SpeciesTable) -> Living:
    """Who is alive.

    Raises:
        UnsoundError: Somebody is not known, or there twice.
    """
    fault = faults.fault_of_agents(agents, table.index)
    if fault:
        raise UnsoundError(fault)
    return Living(agents, table)


def read_observations(observations: Held, living: Living) -> Seen:
    """What the living see; arrays are not looked into.

    Raises:
        UnsoundError: One is missing.
    """
    try:
        return living.see(observations)
    except (KeyError, TypeError, IndexError):
        missing = next((agent for agent in living.agents if agent not in observations), "observations")
        raise UnsoundError(f"{missing}: has no observation; must have one, it is in agents") from None


def read_rewards(returned: Sequence[Held], acted: Living) -> tuple[list[list[float]], list[float], bool]:
    """Per species what its agents earned, and the sum of it; and whether anybody has ended.

    Raises:
        UnsoundError: Something is missing or of no use.
        NotFiniteError: A reward is no number that a float32 holds.
    """
    _, rewards, terminations, truncations, _ = returned
    try:
        earned = [[float(rewards[agent]) for agent in group] for group in acted.groups]
        flags = [bool(terminations[agent] or truncations[agent]) for agent in acted.agents]
    except (KeyError, TypeError, ValueError, IndexError):
        raise UnsoundError(faults.fault_of_those_who_acted(rewards, terminations, truncations, acted.agents)) from None
    sums = [sum(each) for each in earned]
    if not abs(sum(sums)) <= LARGEST:
        raise NotFiniteError(faults.fault_of_those_who_acted(rewards, terminations, truncations, acted.agents))
    return earned, sums, True in flags


def read_change(returned: Sequence[Held], acted: Living, now: Living, table: SpeciesTable) -> Change:
    """What became of those who acted.

    Raises:
        UnsoundError: Those who live now do not follow from them, or a last observation is of no use.
    """
    observations, rewards, terminations, truncations, _ = returned
    codes = {
        agent: TERMINATED if terminations[agent] else TRUNCATED if truncations[agent] else LIVES_ON
        for agent in acted.agents
    }
    fault = faults.fault_of_change(codes, now.agents, rewards)
    if fault:
        raise UnsoundError(fault)
    ended = [[codes[agent] for agent in group] for group in acted.groups]
    last = []
    for group, name in zip(acted.groups, table.names, strict=True):
        truncated = [agent for agent in group if codes[agent] == TRUNCATED]
        last.append(_last(truncated, observations, table.observation_spaces[name]))
    return Change(ended, now.places_of(acted), last, None)


def _last(agents: Sequence[AgentId], observations: Mapping[AgentId, Any], space: Any) -> list[NDArray[Any]]:
    """Copies: the next episode may write over them."""
    for agent in agents:
        fault = faults.fault_of_observation(agent, observations.get(agent), space)
        if fault:
            raise (NotFiniteError if faults.has_form(observations.get(agent), space) else UnsoundError)(fault)
    return [np.array(observations[agent]) for agent in agents]
