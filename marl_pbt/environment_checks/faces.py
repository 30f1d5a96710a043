"""The further faces of an environment: its pictures, its end, its turn-based conversion, its batched worlds."""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
import os
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pbt.adapted import read_species
from marl_pbt.environment_checks.play import AgentId, Factory, PlayError, content, play, told_briefly
from marl_pbt.environment_checks.rules import observation_faults
from marl_pbt.protocols import LIVES_ON, TERMINATED, TRUNCATED, Environment, StepResult, UserError, Worlds

_PICTURES = 4
_WORLDS = 3
_BATCHED_STEPS = 30


@contextlib.contextmanager
def opened(make: Factory, **more: Any) -> Iterator[Any]:
    """An environment that is closed afterwards; a fault of its `close` is for the check of `close` to tell.

    Raises:
        PlayError: It cannot be made.
    """
    try:
        environment = make(**more)
    except Exception as fault:
        why = str(fault) if isinstance(fault, UserError) else f"raised {told_briefly(fault)}"
        raise PlayError(f"construction: {why}") from fault
    try:
        yield environment
    finally:
        with contextlib.suppress(Exception):
            environment.close()


def picture_faults(make: Factory, seed: int) -> Iterator[str]:
    """`render` gives `(height, width, 3)` uint8, with nothing in the environment variables to show it on."""
    with _without_a_display(), opened(make, render_mode="rgb_array") as environment:
        for moment in play(environment, seed, _PICTURES):
            picture = environment.render()
            if not isinstance(picture, np.ndarray):
                yield f"{moment.where()}: render gives a {type(picture).__name__}; must be an array"
            elif picture.dtype != np.uint8 or picture.shape[2:] != (3,) or 0 in picture.shape:
                yield (
                    f"{moment.where()}: render gives {picture.dtype} of shape {picture.shape}; "
                    "must be uint8 of shape (height, width, 3)"
                )


def closing_faults(make: Factory, seed: int) -> Iterator[str]:
    """`close` can be called twice, after a play and on an environment that was never reset."""
    for has_played in (True, False):
        environment = make()
        if has_played:
            environment.reset(seed=seed)
        for time in ("first", "second"):
            try:
                environment.close()
            except Exception as fault:
                when = "after a reset" if has_played else "without a reset"
                yield f"the {time} close {when} raised {type(fault).__name__}: {fault}; must be possible at any time"


def turn_faults(make: Factory, seed: int, steps: int) -> Iterator[str]:
    """The rewards of one episode add up, per agent, to the same through `pettingzoo.utils.parallel_to_aec`."""
    from pettingzoo.utils.conversions import parallel_to_aec

    sums: dict[AgentId, float] = defaultdict(float)
    actions: dict[AgentId, deque[Any]] = defaultdict(deque)
    living: tuple[AgentId, ...] = ()
    with opened(make) as environment:
        for moment in itertools.takewhile(lambda each: each.seed == seed, play(environment, seed, steps)):
            living = moment.after
            for agent, reward in moment.dicts.get("reward", {}).items():
                sums[agent] += float(reward)
            for agent, action in moment.actions.items():
                actions[agent].append(action)
    with opened(lambda: parallel_to_aec(make())) as turns:
        turned = _sums_by_turns(turns, seed, actions, set(living))
    for agent in sorted({*sums, *turned}, key=str):
        if not math.isclose(sums[agent], turned[agent], rel_tol=1e-6, abs_tol=1e-9):
            yield (
                f"seed {seed}, {agent}: rewards add up to {turned[agent]:g} by turns; "
                f"must be {sums[agent]:g} as in the parallel face"
            )
        if actions[agent]:
            yield f"seed {seed}, {agent}: has {len(actions[agent])} turns less than it has steps in the parallel face"


def batched_faults(make: Factory, seed: int) -> Iterator[str]:
    """`batched(n)` gives worlds as `marl_pbt.protocols.Worlds` wants them, that go on bit for bit from their state."""
    with opened(make) as environment:
        worlds: Worlds = environment.batched(_WORLDS)
        yield from _interface_faults(worlds, environment)
        worlds.reset(seed)
        spaces = _seeded_spaces(worlds, seed)
        for step in range(_BATCHED_STEPS):
            yield from (f"batched, seed {seed}, step {step}: {fault}" for fault in _row_faults(worlds))
            rows, result = worlds.rows(), worlds.step(_actions(worlds, spaces))
            faults = _result_faults(worlds, rows, result)
            yield from (f"batched, seed {seed}, step {step + 1}: {fault}" for fault in faults)
        state = {name: np.array(array) for name, array in worlds.get_state().items()}
        went_on = list(_tape(worlds, seed))
    with opened(make) as environment:
        fresh = environment.batched(_WORLDS)
        fresh.set_state(state)
        for step, (one, other) in enumerate(zip(went_on, _tape(fresh, seed), strict=True), 1):
            if one != other:
                yield f"batched, seed {seed}: differs {step} steps after set_state; must go on bit for bit"
                return


def instead_of_batched(make: Factory) -> str:
    """What becomes of an environment that offers no `batched`: the adapter takes it, or says why not."""
    try:
        with opened(make) as environment:
            species = read_species(environment).names
    except (PlayError, UserError) as fault:
        return f"offers none, and the adapter cannot step copies of it: {str(fault).splitlines()[0]}"
    return f"offers none; the adapter will step copies of it, species by default: {', '.join(species)}"


def _sums_by_turns(
    turns: Any, seed: int, actions: dict[AgentId, deque[Any]], living: set[AgentId]
) -> dict[AgentId, float]:
    """Play the same actions by turns, until they are used up and the last rewards have been seen."""
    turns.reset(seed=seed)
    turned: dict[AgentId, float] = defaultdict(float)
    for _ in range(sum(map(len, actions.values())) + 2 * len(actions) + len(living)):
        if not turns.agents:
            break
        agent = turns.agent_selection
        _, reward, has_terminated, is_truncated, _ = turns.last()
        turned[agent] += float(reward)
        if has_terminated or is_truncated:
            turns.step(None)
        elif actions[agent]:
            turns.step(actions[agent].popleft())
        else:
            living.discard(agent)
            if not living:
                break
            # Passes the turn on: the round is not completed, so the parallel environment never sees this action.
            turns.step(copy.deepcopy(turns.action_space(agent)).sample())
    return turned


def _interface_faults(worlds: Worlds, environment: Any) -> Iterator[str]:
    species = set(worlds.species)
    if worlds.num_worlds != _WORLDS:
        yield f"batched: num_worlds is {worlds.num_worlds}; must be the {_WORLDS} asked for"
    if len(worlds.max_rows) != len(worlds.species):
        yield f"batched: max_rows has {len(worlds.max_rows)} entries; must have one for each of {worlds.species}"
    for name, offered in (("observation", worlds.observation_spaces), ("action", worlds.action_spaces)):
        if set(offered) != species:
            yield f"batched: {name}_spaces are of {sorted(offered)}; must be of {sorted(species)}"
    if not isinstance(environment, Environment):
        lacks = [name for name in ("species", "species_of") if not hasattr(environment, name)]
        yield f"batched: the environment lacks {', '.join(lacks)}; must be an Environment of marl_pbt.protocols"
        return
    if tuple(environment.species) != tuple(worlds.species):
        yield f"batched: species are {worlds.species}; must be the environment's, {environment.species}"
    firsts: dict[str, str] = {}
    for agent in getattr(environment, "possible_agents", ()):
        firsts.setdefault(environment.species_of(agent), agent)
    for name, agent in firsts.items():
        for kind, offered in (("observation", worlds.observation_spaces), ("action", worlds.action_spaces)):
            if name in offered and offered[name] != getattr(environment, f"{kind}_space")(agent):
                yield f"batched: the {kind} space of {name} must be that of {agent}"


def _row_faults(worlds: Worlds) -> Iterator[str]:
    for index, (name, rows) in enumerate(zip(worlds.species, worlds.rows(), strict=True)):
        space = worlds.observation_spaces[name]
        if rows > worlds.max_rows[index]:
            yield f"{name} has {rows} rows; must be at most max_rows, {worlds.max_rows[index]}"
        out = _room(worlds, index)
        written = worlds.observe(index, out)
        if written != rows:
            yield f"observe writes {written} rows of {name}; must be rows(), {rows}"
        for row, observation in enumerate(out[:rows]):
            yield from (f"{name}, row {row}: observation{fault}" for fault in observation_faults(observation, space))


def _result_faults(worlds: Worlds, acted: Sequence[int], result: StepResult) -> Iterator[str]:
    for index, (name, rows) in enumerate(zip(worlds.species, acted, strict=True)):
        told = (("rewards", np.float32), ("ended", np.uint8), ("next_rows", np.int32))
        for part, dtype in told:
            array: NDArray[Any] = getattr(result, part)[index]
            if array.shape != (rows,) or array.dtype != dtype:
                yield f"{name}: {part} is {array.dtype} of shape {array.shape}; must be {np.dtype(dtype)} of ({rows},)"
        ended, links = result.ended[index], result.next_rows[index]
        if not np.isin(ended, (LIVES_ON, TERMINATED, TRUNCATED)).all():
            yield f"{name}: ended holds {ended.max()}; must be 0, 1 or 2"
        if not np.isfinite(result.rewards[index]).all():
            yield f"{name}: rewards must be finite"
        linked = links[links >= 0]
        if not np.array_equal(links < 0, ended != LIVES_ON) or len(np.unique(linked)) < len(linked):
            yield f"{name}: next_rows must be −1 exactly where ended, and another row for each of the others"
        if linked.max(initial=-1) >= worlds.rows()[index]:
            yield f"{name}: next_rows holds {linked.max()}; must be below the {worlds.rows()[index]} rows that follow"
        last, truncated = result.truncated_observations[index], int((ended == TRUNCATED).sum())
        if len(last) != truncated:
            yield f"{name}: {len(last)} truncated_observations; must be one for each of {truncated} truncated rows"


def _room(worlds: Worlds, index: int) -> NDArray[Any]:
    space = worlds.observation_spaces[worlds.species[index]]
    return np.zeros((worlds.rows()[index], *(space.shape or ())), space.dtype)


def _seeded_spaces(worlds: Worlds, seed: int) -> list[Any]:
    spaces = [copy.deepcopy(worlds.action_spaces[name]) for name in worlds.species]
    for index, space in enumerate(spaces):
        space.seed(seed + index)
    return spaces


def _actions(worlds: Worlds, spaces: list[Any]) -> list[NDArray[np.int64]]:
    return [
        np.array([space.sample() for _ in range(rows)], np.int64).reshape(rows, *space.shape)
        for rows, space in zip(worlds.rows(), spaces, strict=True)
    ]


def _tape(worlds: Worlds, seed: int) -> Iterator[Any]:
    """All that a learner sees, step by step."""
    spaces = _seeded_spaces(worlds, seed)
    for _ in range(_BATCHED_STEPS):
        result = worlds.step(_actions(worlds, spaces))
        outs = [_room(worlds, index) for index in range(len(worlds.species))]
        for index, out in enumerate(outs):
            worlds.observe(index, out)
        episodes = [(each.world, each.length, dict(each.returns)) for each in result.episodes]
        parts = (result.rewards, result.ended, result.next_rows, result.truncated_observations)
        yield content([list(part) for part in parts]), content(outs), content(episodes)


@contextlib.contextmanager
def _without_a_display() -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in ("DISPLAY", "WAYLAND_DISPLAY") if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
