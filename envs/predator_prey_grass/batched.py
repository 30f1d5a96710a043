"""The batched face: B worlds stepped together, living agents only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from envs.predator_prey_grass import kernel, layout
from envs.predator_prey_grass.arrays import Memory
from envs.predator_prey_grass.episodes import Episode, make_counters, make_episode
from envs.predator_prey_grass.parameters import parameters_of
from envs.predator_prey_grass.rules import Rules
from envs.predator_prey_grass.shaping import tell_terms, terms_of

Rows = tuple[NDArray[Any], ...]


@dataclass(frozen=True)
class Outcome:
    """What one step of all worlds brought, per species; arrays are valid until the next step.

    Attributes:
        rewards: `(rows,)` float32.
        ended: `(rows,)` uint8: 0 lives on, 1 terminated, 2 truncated.
        next_rows: `(rows,)` int32: the same individual's row after the step, −1 where it has ended.
        truncated_observations: `(truncated rows, w, w, 4)`, in the order of their rows, from before the reset.
        episodes: The episodes that ended in this step, in the order of their worlds.
    """

    rewards: Rows
    ended: Rows
    next_rows: Rows
    truncated_observations: Rows
    episodes: tuple[Episode, ...]


def make_spaces(rules: Rules) -> tuple[dict[str, gymnasium.Space[Any]], dict[str, gymnasium.Space[Any]]]:
    """Observation and action spaces per species, of one agent."""
    high, dtype = (255, np.uint8) if rules.observation_dtype == "uint8" else (np.inf, np.float32)
    observations: dict[str, gymnasium.Space[Any]] = {
        each.name: gymnasium.spaces.Box(0, high, (each.window, each.window, 4), dtype) for each in rules.species
    }
    return observations, {each.name: gymnasium.spaces.Discrete(layout.ACTIONS) for each in rules.species}


class Worlds:
    """Independent worlds under the same rules; one whose episode ends starts the next within the step.

    Rows of a species are ordered world after world, in each by age. Actions are `3 (dx + 1) + (dy + 1)`, 4 stays.
    Observations are `(w, w, 4)`: first index x, second y, centred on oneself; channels wall, predators, prey, grass.
    """

    def __init__(self, rules: Rules, num_worlds: int) -> None:
        if num_worlds < 1:
            raise ValueError(f"num_worlds: must be at least 1, got {num_worlds}")
        self.rules = rules
        self.num_worlds = num_worlds
        self.species = tuple(each.name for each in rules.species)
        self.observation_spaces, self.action_spaces = make_spaces(rules)
        self.max_rows = tuple(each.slots * num_worlds for each in rules.species)
        self.shaping_terms = terms_of(rules)
        self.parameters = parameters_of(rules)
        self._memory = Memory(rules, num_worlds)
        self._dtype = np.dtype(rules.observation_dtype)
        self._shapes = [(each.window, each.window, layout.CHANNELS) for each in rules.species]
        self._rows: tuple[int, ...] = (0,) * len(self.species)
        self._acted = self._rows

    def reset(self, seed: int, in_phase: bool = False) -> None:
        """Start every world anew; out of phase, world b has `floor(b * max_steps / num_worlds)` steps on its clock.

        So the worlds' time-outs, and with them the statistics, are spread evenly. An episode that began with steps on
        its clock is not `counted`.

        Args:
            seed: Of all randomness from here on.
            in_phase: Every world begins a whole episode now.
        """
        seeds = np.random.SeedSequence(seed).generate_state(self.num_worlds, np.uint64)
        phases = np.zeros(self.num_worlds, np.int64) if in_phase else np.arange(self.num_worlds)
        clocks = phases * self.rules.max_steps // self.num_worlds
        kernel.reset_worlds(*self._memory.all, seeds, clocks)
        self._begin()

    def rows(self) -> tuple[int, ...]:
        """Per species: the living agents now, over all worlds."""
        return self._rows

    def ids(self, species: int) -> NDArray[np.int32]:
        """`(rows,)` int32: number of each row's agent id, unique within its world and episode; a copy."""
        ids = self._memory.state.traits[:, species, layout.ID]
        return np.concatenate([ids[b, :n] for b, n in enumerate(self._memory.state.population[:, species])])

    def worlds_of(self, species: int) -> NDArray[np.int64]:
        """`(rows,)` int64: the world that each row belongs to; a copy."""
        return np.repeat(np.arange(self.num_worlds), self._memory.state.population[:, species])

    def observe(self, species: int, out: NDArray[Any]) -> int:
        """Write the observations of a species' living agents; how many there are.

        Args:
            species: Index into `species`.
            out: `(at least rows, w, w, 4)` in the space's dtype, C-contiguous.

        Raises:
            ValueError: `out` has another shape, dtype or layout.
        """
        rows, shape = self._rows[species], self._shapes[species]
        if out.shape[1:] != shape or len(out) < rows or out.dtype != self._dtype or not out.flags.c_contiguous:
            raise ValueError(
                f"out: must be {self._dtype}, C-contiguous, of shape (>= {rows}, {', '.join(map(str, shape))}), "
                f"got {out.dtype} of shape {out.shape}"
            )
        kernel.observe_rows(*self._memory.all, species, out.reshape(-1).view(np.uint32))
        return rows

    def step(self, actions: Sequence[NDArray[np.int64]]) -> Outcome:
        """Let every living agent act once; per species `(rows,)` whole numbers in 0..8.

        Raises:
            ValueError: The shape does not fit or an action is out of range; nothing has happened then.
            RuntimeError: There are no worlds yet.
        """
        rows = self._take(actions)
        finished = self._memory.step(resets=True)
        self._acted, self._rows = rows, tuple(self._memory.scratch.rows.tolist())
        scratch = self._memory.scratch
        return Outcome(
            rewards=tuple(scratch.rewards[s, :n] for s, n in enumerate(rows)),
            ended=tuple(scratch.ended[s, :n] for s, n in enumerate(rows)),
            next_rows=tuple(scratch.next_rows[s, :n] for s, n in enumerate(rows)),
            truncated_observations=tuple(self._truncated(s) for s in range(len(rows))),
            episodes=tuple(self._episode(nth) for nth in range(finished)),
        )

    def counters(self) -> dict[str, float]:
        """Cumulative since `reset`, over all worlds, by tag: for rates that do not wait for an episode's end.

        `env_steps` and per species `births`, `births_blocked`, `deaths_eaten`, `deaths_starved` and `population` (its
        sum over env steps).
        """
        counts = self._memory.state.totals + self._memory.state.counts.sum(axis=0)
        return make_counters(self.rules, counts, int(self._memory.state.total_steps[0]))

    def shaping(self, species: int) -> NDArray[np.float32]:
        """`(rows, terms)` float32: what the rows that acted earned in the last step, by `shaping_terms`; fresh memory.

        No part of their rewards. No rows after `reset` and `set_state`, when nobody has acted yet.

        Args:
            species: Index into `species`.
        """
        fortunes = self._memory.scratch.fortunes[species, : self._acted[species]].view(np.float32)
        return tell_terms(self.rules.species[species].role, fortunes)

    def set_parameters(self, species: str, values: Mapping[str, Any]) -> None:
        """Change some of `parameters` for all worlds, at once; `initial_count` shows from each world's next reset on.

        Raises:
            ValueError: There is no such species or parameter, or a value is not legal; nothing has changed then.
        """
        self._memory.set_parameters(species, values)

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Everything that `set_state` needs to go on bit for bit, generators and statistics included; copies."""
        return self._memory.get_state()

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where `get_state` was called, also on a fresh object with the same rules.

        Raises:
            ValueError: A name, shape, dtype or value does not fit.
        """
        self._memory.set_state(state)
        self._begin()

    def __getstate__(self) -> dict[str, Any]:
        return {"rules": self.rules, "num_worlds": self.num_worlds, "state": self.get_state()}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        self.__init__(saved["rules"], saved["num_worlds"])  # type: ignore[misc]  # unpickling starts from nothing
        self.set_state(saved["state"])

    def _begin(self) -> None:
        """Nobody has acted yet."""
        self._rows = tuple(self._memory.scratch.rows.tolist())
        self._acted = (0,) * len(self.species)

    def _take(self, actions: Sequence[NDArray[np.int64]]) -> tuple[int, ...]:
        if not any(self._rows):
            raise RuntimeError("step: there is nobody to act, reset(seed) comes first")
        if len(actions) != len(self.species):
            raise ValueError(f"actions: must be one array per species ({len(self.species)}), got {len(actions)}")
        for s, (given, rows) in enumerate(zip(actions, self._rows, strict=True)):
            if given.shape != (rows,):
                raise ValueError(f"actions[{self.species[s]}]: must be of shape ({rows},), got {given.shape}")
            self._memory.actions[s, :rows] = given
        return self._rows

    def _truncated(self, species: int) -> NDArray[Any]:
        rows = int(self._memory.scratch.truncated_rows[species])
        shape = (rows, *self._shapes[species])
        observations: NDArray[Any] = self._memory.scratch.truncated[species].view(self._dtype)
        return observations[: math.prod(shape)].reshape(shape)

    def _episode(self, nth: int) -> Episode:
        scratch = self._memory.scratch
        return make_episode(
            self.rules, scratch.finished[nth], scratch.finished_counts[nth], scratch.finished_ledger[nth]
        )
