"""One copy of an environment: stepped by its agents' names, with the books of its episode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from marl_pbt.adapted.actions import ActionKind
from marl_pbt.adapted.faults import Held, fault_of_observation, has_form
from marl_pbt.adapted.living import Living, Seen
from marl_pbt.adapted.results import (
    UnsoundError,
    check_returned,
    read_agents,
    read_change,
    read_observations,
    read_rewards,
)
from marl_pbt.adapted.species import AgentId, SpeciesTable
from marl_pbt.adapted.turns import AdaptedEpisode, Turn
from marl_pbt.protocols import NotFiniteError

Root: TypeAlias = tuple[int, ...]
"""The words that every seed follows from."""


def episode_seed(root: Root, world: int, number: int) -> int:
    """What an episode is reset with, in [0, 2**31): what every library takes for a seed."""
    return int(np.random.SeedSequence(root, spawn_key=(world, number)).generate_state(1)[0]) >> 1


class Copy:
    """One world. After an error it is of no use until `begin`.

    Args:
        environment: Its own.
        world: Its index.
        table: Who is of which species.
        kinds: The species' actions.

    Attributes:
        world: Its index.
        number: Of the episode.
        length: Env steps since its reset.
        random_steps: How many of them were random ones, at its beginning.
        played: Per species what was done after those, as bytes.
        returns: Per species the sum of rewards since the reset.
    """

    def __init__(self, environment: Any, world: int, table: SpeciesTable, kinds: Sequence[ActionKind]) -> None:
        self.world = world
        self.number = self.length = self.random_steps = 0
        self.played = [bytearray() for _ in kinds]
        self.returns = [0.0] * len(kinds)
        self._environment = environment
        self._table = table
        self._kinds = kinds
        self._root: Root = ()
        self._living = Living((), table)
        self._individuals = [0] * len(kinds)
        self._rng: np.random.Generator | None = None

    @property
    def groups(self) -> list[list[AgentId]]:
        """Per species the living agents, in the order of their rows."""
        return self._living.groups

    def begin(self, root: Root, number: int) -> Seen:
        """Start an episode, as a function of these and the world.

        Raises:
            ValueError: What the environment gives is unsound.
        """
        self._root, self.number, self.length, self.random_steps, self._rng = root, number, 0, 0, None
        try:
            returned = self._environment.reset(seed=episode_seed(root, self.world, number))
        except Exception as fault:
            fault.add_note(self.located("raised by the environment's reset"))
            raise
        try:
            check_returned(returned, 2)
            self._living = read_agents(self._environment.agents, self._table)
            if not self._living.agents:
                raise UnsoundError("agents is empty after reset; somebody must be alive")
            seen = read_observations(returned[0], self._living)
        except (UnsoundError, NotFiniteError) as fault:
            raise self._told(fault) from None
        self._individuals = [len(group) for group in self.groups]
        self.returns = [0.0] * len(self._kinds)
        self.played = [bytearray() for _ in self._kinds]
        return seen

    def step(self, moves: Sequence[Sequence[Any]], kept: Sequence[bytes]) -> Turn:
        """Let everyone act; where the episode ends the next one begins.

        Args:
            moves: Per species, in the order of their rows.
            kept: The same as bytes, for the replay.

        Raises:
            ValueError: What the environment gives is unsound.
        """
        for played, data in zip(self.played, kept, strict=True):
            played += data
        self.length += 1
        try:
            returned = self._environment.step(self._living.named(moves))
        except Exception as fault:
            fault.add_note(self.located("raised by the environment"))
            raise
        try:
            check_returned(returned, 5)
            return self._read(returned)
        except (UnsoundError, NotFiniteError) as fault:
            raise self._told(fault) from None

    def step_randomly(self) -> Seen:
        """Let everyone do something random; an episode that has begun so is not to be counted.

        Raises:
            ValueError: What the environment gives is unsound.
        """
        if self._rng is None:
            self._rng = np.random.default_rng(
                np.random.SeedSequence(self._root, spawn_key=(self.world, self.number, 1))
            )
        rng = self._rng
        drawn = [kind.draw(rng, len(group)) for kind, group in zip(self._kinds, self.groups, strict=True)]
        seen = self.step(drawn, [b""] * len(drawn)).seen
        self.random_steps = self.length
        return seen

    def fault_of(self, seen: Seen) -> ValueError | None:
        """Why one of these observations of the living cannot be a row; a `NotFiniteError` where it is its numbers."""
        for name, group, values in zip(self._table.names, self.groups, seen, strict=True):
            for agent, value in zip(group, values, strict=True):
                space = self._table.observation_spaces[name]
                fault = fault_of_observation(agent, value, space)
                if fault:
                    return (NotFiniteError if has_form(value, space) else ValueError)(self.located(fault))
        return None

    def _told(self, fault: ValueError) -> ValueError:
        """The same fault, with its place."""
        return (NotFiniteError if isinstance(fault, NotFiniteError) else ValueError)(self.located(fault))

    def located(self, fault: object) -> str:
        """With the world and the env step since its reset."""
        return f"world {self.world}, step {self.length}: {fault}"

    def _read(self, returned: Sequence[Held]) -> Turn:
        """Enter a step in the books."""
        rewards, sums, has_ends = read_rewards(returned, self._living)
        self.returns = [total + more for total, more in zip(self.returns, sums, strict=True)]
        agents = self._environment.agents  # once: it may be behind several wrappers
        if not has_ends and agents == self._living.agents:
            return Turn(rewards, read_observations(returned[0], self._living), None)
        acted, self._living = self._living, read_agents(agents, self._table)
        change = read_change(returned, acted, self._living, self._table)
        if not self._living.agents:
            change = change._replace(episode=self._episode())
            return Turn(rewards, self.begin(self._root, self.number + 1), change)
        for species, (group, places) in enumerate(zip(self.groups, change.places, strict=True)):
            self._individuals[species] += len(group) - sum(place >= 0 for place in places)
        return Turn(rewards, read_observations(returned[0], self._living), change)

    def _episode(self) -> AdaptedEpisode:
        names = self._table.names
        return AdaptedEpisode(
            world=self.world,
            length=self.length,
            counted=self.random_steps == 0,
            returns=dict(zip(names, self.returns, strict=True)),
            metrics={f"{name}/individuals": float(n) for name, n in zip(names, self._individuals, strict=True)},
        )
