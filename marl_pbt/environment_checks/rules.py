"""The rules that every moment of a play must keep, pure functions of it."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from marl_pbt.environment_checks.play import FIELDS, AgentId, Moment


@dataclass(frozen=True)
class Past:
    """What is known of an episode's agent ids.

    Attributes:
        gone: Those that have ended or left `agents`.
    """

    gone: frozenset[AgentId] = frozenset()

    def after(self, moment: Moment) -> Past:
        """With the moment in it; a reset forgets everything."""
        if moment.step == 0:
            return Past()
        left = {agent for agent in moment.before if moment.has_ended(agent) or agent not in moment.after}
        return Past(self.gone | left)


def agents_are_known(moment: Moment, past: Past) -> Iterator[str]:
    """A reset gives observations and infos of exactly `agents`, which are different ids out of `possible_agents`."""
    del past
    where = moment.where()
    for agent in _sorted(set(moment.after)):
        if moment.after.count(agent) > 1:
            yield f"{moment.where(agent)}: is in agents {moment.after.count(agent)} times; must be once"
        if moment.possible is not None and agent not in moment.possible:
            yield f"{moment.where(agent)}: is in agents; must be in possible_agents, too"
    if moment.step > 0:
        return
    if not moment.after:
        yield f"{where}: agents is empty after reset"
    for field, held in moment.dicts.items():
        for agent in _sorted(set(moment.after) - set(held)):
            yield f"{moment.where(agent)}: reset gives no {field}; must give one for each of agents"
        for agent in _sorted(set(held) - set(moment.after)):
            yield f"{moment.where(agent)}: reset gives {_a(field)}; must not, it is not in agents"


def dicts_have_the_same_keys(moment: Moment, past: Past) -> Iterator[str]:
    """All five dictionaries of a step hold those that acted and the newborn."""
    del past
    if moment.step == 0:
        return
    expected = {*moment.before, *moment.after}.union(*moment.dicts.values())
    for agent in _sorted(expected):
        lacks = [field for field in FIELDS if agent not in moment.dicts[field]]
        if lacks and (len(lacks) < len(FIELDS) or agent in moment.before or agent in moment.after):
            why = "it acted" if agent in moment.before else "it is new"
            yield f"{moment.where(agent)}: has no {', no '.join(lacks)}; must be in all five dictionaries, {why}"


def ids_live_once(moment: Moment, past: Past) -> Iterator[str]:
    """Who ends appears once more and leaves; who is new starts clean; no id returns before the next reset."""
    if moment.step == 0:
        return
    seen = {agent for held in moment.dicts.values() for agent in held}
    for agent in moment.before:
        if moment.has_ended(agent) and agent in moment.after and agent not in past.gone:
            yield f"{moment.where(agent)}: has ended and is still in agents; must leave with its end flag"
        if not moment.has_ended(agent) and agent not in moment.after and agent in seen:
            yield f"{moment.where(agent)}: left agents without an end flag; must be terminated or truncated"
    for agent in _sorted((seen | set(moment.after)) - set(moment.before)):
        where = moment.where(agent)
        if agent in past.gone and agent in moment.after:
            yield f"{where}: is in agents again; an id that has ended must not return before reset"
        elif agent in past.gone:
            yield f"{where}: is in the dictionaries again; must be there once only, on the step of its end"
        elif not moment.after:
            yield f"{where}: is new on the step that ends the episode; must not be announced"
        else:
            yield from (f"{where}: {fault}" for fault in _newborn_faults(moment, agent))


def values_have_their_types(moment: Moment, past: Past) -> Iterator[str]:
    """Observations lie in their spaces; rewards are finite numbers, flags bools, infos dictionaries."""
    del past
    for agent, observation in moment.dicts["observation"].items():
        for fault in observation_faults(observation, moment.spaces[agent]):
            yield f"{moment.where(agent)}: observation{fault}"
    for agent, reward in moment.dicts.get("reward", {}).items():
        if isinstance(reward, bool) or not isinstance(reward, numbers.Real) or not math.isfinite(reward):
            yield f"{moment.where(agent)}: reward is {_kind(reward)} {reward!r}; must be a finite number"
    for field in ("termination", "truncation"):
        for agent, flag in moment.dicts.get(field, {}).items():
            if not isinstance(flag, bool | np.bool_):
                yield f"{moment.where(agent)}: {field} is {_kind(flag)} {flag!r}; must be a bool"
    for agent, info in moment.dicts["info"].items():
        if not isinstance(info, Mapping):
            yield f"{moment.where(agent)}: info is {_kind(info)}; must be a dictionary"


Rule = Callable[[Moment, Past], Iterator[str]]


def observation_faults(value: Any, space: spaces.Space[Any]) -> Iterator[str]:
    """Why a value is not in its space, worded to follow the value's name: `[3] has dtype …`."""
    if isinstance(space, spaces.Dict):
        if not isinstance(value, Mapping) or set(value) != set(space.spaces):
            yield f" is {_kind(value)}; must be a dictionary of {', '.join(map(str, space.spaces))}"
            return
        for key, part in space.spaces.items():
            yield from (f"[{key!r}]{fault}" for fault in observation_faults(value[key], part))
    elif isinstance(space, spaces.Tuple):
        if not isinstance(value, tuple) or len(value) != len(space.spaces):
            yield f" is {_kind(value)}; must be a tuple of {len(space.spaces)}"
            return
        for place, part in enumerate(space.spaces):
            yield from (f"[{place}]{fault}" for fault in observation_faults(value[place], part))
    elif isinstance(space, spaces.Box | spaces.MultiDiscrete | spaces.MultiBinary):
        yield from _array_faults(value, space)
    elif not space.contains(value):
        yield f" is {_kind(value)} {value!r}; must be in {space}"


def _array_faults(value: Any, space: spaces.Space[Any]) -> Iterator[str]:
    if not isinstance(value, np.ndarray):
        yield f" is {_kind(value)}; must be an array"
        return
    if value.dtype != space.dtype:
        yield f" has dtype {value.dtype}; must be {space.dtype}"
    if value.shape != space.shape:
        yield f" has shape {value.shape}; must be {space.shape}"
    elif np.issubdtype(value.dtype, np.inexact) and not np.isfinite(value).all():
        yield f" holds {value[~np.isfinite(value)].flat[0]}; must be finite"
    elif isinstance(space, spaces.Box):
        outside = (value < space.low) | (value > space.high)
        if outside.any():
            low, high = space.low[outside].flat[0], space.high[outside].flat[0]
            yield f" holds {value[outside].flat[0]}; must be in [{low}, {high}]"
    elif value.dtype == space.dtype and not space.contains(value):
        yield f" must be in {space}"


def _newborn_faults(moment: Moment, agent: AgentId) -> Iterator[str]:
    reward = moment.dicts["reward"].get(agent, 0)
    if agent not in moment.after:
        yield "is in the dictionaries; must not, it neither acted nor is in agents"
    if isinstance(reward, numbers.Real) and reward != 0:
        yield f"is new and has reward {reward}; must be 0"
    if moment.has_ended(agent):
        yield "is new and has an end flag; must not"


def _sorted(agents: Iterable[AgentId]) -> list[AgentId]:
    return sorted(agents, key=str)


def _kind(value: Any) -> str:
    return _a(type(value).__name__)


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
