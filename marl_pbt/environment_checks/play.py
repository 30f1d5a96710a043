"""A play: an environment stepped with seeded random actions, told moment by moment."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import itertools
import os
import traceback
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Factory: TypeAlias = Callable[..., Any]
"""Makes a PettingZoo parallel environment; may take `render_mode`."""

AgentId: TypeAlias = Hashable

FIELDS = ("observation", "reward", "termination", "truncation", "info")
"""What each of the five dictionaries of a step holds, in PettingZoo's order."""

_EPISODE_STRIDE = 1000


class PlayError(Exception):
    """The environment raised, or returned something of another form; says where."""


@dataclass(frozen=True)
class Moment:
    """What one reset or one step gave.

    Attributes:
        seed: Of the episode's reset.
        step: Env steps since the reset, which is 0.
        before: `agents` when it was called; empty for a reset.
        actions: What each of them did.
        dicts: Field → agent id → value; a reset has observations and infos only.
        after: `agents` afterwards.
        spaces: The observation spaces of those who are in the observations.
        possible: `possible_agents`; None where there is none.
    """

    seed: int
    step: int
    before: tuple[AgentId, ...]
    actions: Mapping[AgentId, Any]
    dicts: Mapping[str, Mapping[AgentId, Any]]
    after: tuple[AgentId, ...]
    spaces: Mapping[AgentId, Any]
    possible: frozenset[AgentId] | None

    @property
    def is_over(self) -> bool:
        """Nobody is left, or only agents that have ended."""
        return all(self.has_ended(agent) for agent in self.after)

    def has_ended(self, agent: AgentId) -> bool:
        """An end flag of the agent is set."""
        flags = [self.dicts.get(field, {}).get(agent) for field in ("termination", "truncation")]
        return any(isinstance(flag, bool | int | float | np.generic) and bool(flag) for flag in flags)

    def where(self, agent: AgentId = None) -> str:
        """`seed 0, step 12, prey_3`."""
        return _where(self.seed, self.step, agent)


@dataclass(frozen=True)
class Frame:
    """The content of a moment, small, and comparable with that of another process.

    Attributes:
        seed: As in `Moment`.
        step: As in `Moment`.
        agents: As `Moment.after`.
        held: Per agent id, field → content.
    """

    seed: int
    step: int
    agents: tuple[AgentId, ...]
    held: Mapping[AgentId, Mapping[str, Any]]


def play(
    environment: Any, seed: int, steps: int, action_seed: int | None = None, is_reversed: bool = False
) -> Iterator[Moment]:
    """Step an environment with random actions of its own action spaces; an episode that ends is followed by another.

    Args:
        environment: A parallel environment, whatever was done with it before.
        seed: Of the first reset; the next ones get 1000, 2000 … more.
        steps: Env steps in all; at least 1.
        action_seed: Of the actions, `seed` if None.
        is_reversed: Hand over the same actions in a dictionary of the opposite order.

    Raises:
        PlayError: The environment raised, or returned something of another form.
    """
    sampler = _Sampler(environment, seed if action_seed is None else action_seed)
    for episode in itertools.count():
        moment = _reset(environment, seed + _EPISODE_STRIDE * episode)
        yield moment
        if moment.is_over:
            return
        while not moment.is_over:
            actions = sampler.draw(moment)
            moment = _step(environment, moment, dict(reversed(actions.items())) if is_reversed else actions)
            yield moment
            steps -= 1
            if steps <= 0:
                return


def frame_of(moment: Moment) -> Frame:
    """The moment's content."""
    held: dict[AgentId, dict[str, Any]] = {}
    for field, values in moment.dicts.items():
        for agent, value in values.items():
            held.setdefault(agent, {})[field] = content(value)
    return Frame(moment.seed, moment.step, moment.after, held)


def content(value: Any) -> Any:
    """What a value holds, as something that equals itself: arrays as a digest of dtype, shape and bytes."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value == value else "nan"
    if isinstance(value, np.ndarray) and value.dtype != object:
        head = f"{value.dtype.str}{value.shape}".encode()
        return hashlib.blake2b(head + value.tobytes(), digest_size=16).digest()
    if isinstance(value, Mapping):
        return tuple(sorted(((repr(key), content(each)) for key, each in value.items()), key=lambda pair: pair[0]))
    if isinstance(value, list | tuple | np.ndarray):
        return tuple(content(each) for each in value)
    if isinstance(value, set | frozenset):
        return tuple(sorted(repr(each) for each in value))
    told = repr(value)
    return type(value).__name__ if " at 0x" in told else told


def first_differences(tape: Iterable[Frame], again: Iterable[Frame]) -> Iterator[str]:
    """All that differs in the first moment in which a play leaves the tape of another; the rest is its consequence."""
    for expected, found in itertools.zip_longest(tape, again):
        if expected is None or found is None:
            ends = found or expected
            yield f"{_where(ends.seed, ends.step)}: one of the two plays ends before this"
            return
        differences = list(_differences(expected, found))
        if differences:
            yield from differences
            return


def told_briefly(fault: BaseException) -> str:
    """An exception in one line, with the place that it comes from."""
    frames = traceback.extract_tb(fault.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""  # noqa: PTH119
    return " ".join(f"{type(fault).__name__}: {fault}".split())[:300] + where


def _where(seed: int, step: int, agent: AgentId = None) -> str:
    return f"seed {seed}, step {step}" if agent is None else f"seed {seed}, step {step}, {agent}"


def _differences(expected: Frame, found: Frame) -> Iterator[str]:
    where = _where(found.seed, found.step)
    if (expected.seed, expected.step) != (found.seed, found.step):
        yield f"{where}: the other play is at seed {expected.seed}, step {expected.step}"
    elif set(expected.agents) != set(found.agents):
        yield f"{where}: agents are not the same, e.g. {next(iter(set(expected.agents) ^ set(found.agents)))}"
    elif expected.agents != found.agents:
        yield f"{where}: agents are in another order"
    for agent in sorted({*expected.held, *found.held}, key=str):
        ours, theirs = expected.held.get(agent, {}), found.held.get(agent, {})
        for field in FIELDS:
            one, other = ours.get(field), theirs.get(field)
            if one != other:
                values = f" ({one}, then {other})" if isinstance(one, int | float) else ""
                yield f"{_where(found.seed, found.step, agent)}: {field} is not the same{values}"


class _Sampler:
    """Draws actions from copies of the environment's action spaces, so that its own generators are left alone."""

    def __init__(self, environment: Any, seed: int) -> None:
        self._environment = environment
        self._seed = seed
        self._copies: dict[int, tuple[Any, Any]] = {}  # the first keeps the id from being given again
        self._of_agent: dict[AgentId, Any] = {}

    def draw(self, moment: Moment) -> dict[AgentId, Any]:
        """One action for each of the living, legal ones only where a mask says which."""
        with _told_at(moment.where(), "action_space"):
            return {agent: self._draw_one(agent, moment) for agent in moment.after}

    def _draw_one(self, agent: AgentId, moment: Moment) -> Any:
        if agent not in self._of_agent:
            space = self._environment.action_space(agent)
            if id(space) not in self._copies:
                self._copies[id(space)] = (space, copy.deepcopy(space))
                self._copies[id(space)][1].seed(self._seed + len(self._copies))
            self._of_agent[agent] = self._copies[id(space)][1]
        for field in ("info", "observation"):
            held = moment.dicts[field].get(agent)
            if isinstance(held, Mapping) and "action_mask" in held:
                return self._of_agent[agent].sample(np.asarray(held["action_mask"], np.int8))
        return self._of_agent[agent].sample()


def _reset(environment: Any, seed: int) -> Moment:
    with _told_at(_where(seed, 0), "reset"):
        dicts = _dicts(environment.reset(seed=seed), ("observation", "info"))
        possible = getattr(environment, "possible_agents", None)
        return Moment(
            seed=seed,
            step=0,
            before=(),
            actions={},
            dicts=dicts,
            after=tuple(environment.agents),
            spaces={agent: environment.observation_space(agent) for agent in dicts["observation"]},
            possible=None if possible is None else frozenset(possible),
        )


def _step(environment: Any, last: Moment, actions: Mapping[AgentId, Any]) -> Moment:
    with _told_at(_where(last.seed, last.step + 1), "step"):
        dicts = _dicts(environment.step(dict(actions)), FIELDS)
        return Moment(
            seed=last.seed,
            step=last.step + 1,
            before=last.after,
            actions=actions,
            dicts=dicts,
            after=tuple(environment.agents),
            spaces={agent: environment.observation_space(agent) for agent in dicts["observation"]},
            possible=last.possible,
        )


def _dicts(returned: Any, fields: tuple[str, ...]) -> dict[str, dict[AgentId, Any]]:
    """What was returned, by field."""
    kinds = (
        [type(each).__name__ for each in returned] if isinstance(returned, tuple | list) else type(returned).__name__
    )
    if not isinstance(returned, tuple | list) or len(returned) != len(fields):
        raise PlayError(f"must return {len(fields)} dictionaries ({', '.join(fields)}), got {kinds}")
    if not all(isinstance(each, Mapping) for each in returned):
        raise PlayError(f"must return dictionaries ({', '.join(fields)}), got {kinds}")
    return {field: dict(each) for field, each in zip(fields, returned, strict=True)}


@contextlib.contextmanager
def _told_at(where: str, what: str) -> Iterator[None]:
    try:
        yield
    except PlayError as fault:
        raise PlayError(f"{where}: {what} {fault}") from None
    except Exception as fault:
        raise PlayError(f"{where}: {what} raised {told_briefly(fault)}") from fault
