"""What an environment does wrong in a step or a reset, said in one line that names world and agent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from marl_pbt.adapted.species import AgentId
from marl_pbt.protocols import LARGEST

Held: TypeAlias = Mapping[AgentId, Any]
"""One of the dictionaries of a step."""


def fault_of_return(returned: Any, count: int) -> str:
    """What was returned instead of so many dictionaries."""
    is_several = isinstance(returned, tuple | list)
    kinds = ", ".join(type(each).__name__ for each in returned) if is_several else type(returned).__name__
    return f"must return {count} dictionaries, got {kinds}"


def fault_of_those_who_acted(rewards: Any, terminations: Any, truncations: Any, agents: Sequence[AgentId]) -> str:
    """Why the results of a step cannot be read: who acted lacks an entry, or what it has is of no use."""
    flags = {"termination": terminations, "truncation": truncations}
    for agent in agents:
        for name, held in ({"reward": rewards} | flags).items():
            if not isinstance(held, Mapping):
                return f"{name}s are in a {type(held).__name__}; must be in a dictionary by agent"
            if agent not in held:
                return f"{agent}: has no {name}; must have one, it acted"
        if not _is_number(rewards[agent]):
            return f"{agent}: reward is {rewards[agent]!r}; must be a finite number"
        for name, held in flags.items():
            if not isinstance(held[agent], int | np.bool_):
                return f"{agent}: {name} is {held[agent]!r}; must be a bool"
    return "the rewards of the living do not add up to a finite number"


def fault_of_observation(agent: AgentId, value: Any, space: Any) -> str | None:
    """Why an agent's observation cannot be a row; None where it can."""
    if not isinstance(value, np.ndarray):
        return f"{agent}: observation is {'missing' if value is None else type(value).__name__}; must be an array"
    if not has_form(value, space):
        return (
            f"{agent}: observation is {value.dtype} of shape {value.shape}; "
            f"its space says {space.dtype} of {space.shape}"
        )
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        return f"{agent}: observation holds {value[~np.isfinite(value)].flat[0]}; must be finite"
    return None


def has_form(value: Any, space: Any) -> bool:
    """Whether an observation is an array of its space's shape and dtype: all that may be wrong are its numbers."""
    return isinstance(value, np.ndarray) and value.shape == space.shape and value.dtype == space.dtype


def fault_of_agents(agents: Sequence[AgentId], known: Mapping[AgentId, int]) -> str | None:
    """Why `agents` cannot be who lives now; None where they can."""
    for agent in agents:
        if agent not in known:
            return f"{agent}: is in agents; must be in possible_agents, too"
    if len(set(agents)) < len(agents):
        twice = next(agent for agent in agents if list(agents).count(agent) > 1)
        return f"{twice}: is in agents more than once; must be there once"
    return None


def fault_of_change(flags: Mapping[AgentId, int], agents: Sequence[AgentId], rewards: Held) -> str | None:
    """Why those who live now cannot follow from those who acted; None where they can.

    Args:
        flags: Of those who acted: not 0 where they have ended.
        agents: Who lives now.
        rewards: Of the step.
    """
    living = set(agents)
    for agent, flag in flags.items():
        if flag and agent in living:
            return f"{agent}: has ended and is still in agents; must leave with its end flag"
        if not flag and agent not in living:
            return f"{agent}: left agents without an end flag; must be terminated or truncated"
    for agent in agents:
        reward = rewards.get(agent, 0.0)
        if agent not in flags and not (_is_number(reward) and math.isclose(float(reward), 0.0)):
            return f"{agent}: is new and has reward {rewards[agent]!r}; must be 0, it has not acted"
    return None


def _is_number(value: Any) -> bool:
    try:
        return abs(float(value)) <= LARGEST
    except (TypeError, ValueError):
        return False
