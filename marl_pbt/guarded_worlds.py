"""The edge where numbers of an environment come in: rewards and observations that are none are stopped there.

One NaN in a reward makes all parameters of a policy NaN a minibatch later, and then there is nothing to find any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pbt.protocols import LARGEST, NotFiniteError, StepResult, Worlds
from marl_pbt.supervision.stand_in import stand_in


def guarded(worlds: Worlds) -> Worlds:
    """The same worlds; their `step` and `observe` raise `NotFiniteError` in place of handing out what is no number."""
    guard = _Guard(worlds)
    has_floats = any(_is_float(worlds.observation_spaces[name].dtype) for name in worlds.species)
    # Whole numbers are finite: there is nothing to look at.
    return stand_in(worlds, {"step": guard.step} | ({"observe": guard.observe} if has_floats else {}))


class _Guard:
    """Looks at what passes: a sum of squares tells in a microsecond whether it is worth a second look.

    Args:
        worlds: Whose.
    """

    def __init__(self, worlds: Worlds) -> None:
        self._worlds = worlds

    def observe(self, species: int, out: NDArray[Any]) -> int:
        """As in `Worlds`.

        Raises:
            NotFiniteError: An observation holds a number that is none.
        """
        rows = self._worlds.observe(species, out)
        if _is_float(out.dtype):
            self._check_observations(species, out[:rows], self._worlds.worlds_of)
        return rows

    def step(self, actions: Sequence[NDArray[np.int64]]) -> StepResult:
        """As in `Worlds`.

        Raises:
            NotFiniteError: A reward is no number, or a last observation holds one that is none.
        """
        result = self._worlds.step(actions)
        for species, rewards in enumerate(result.rewards):
            if not rewards.dot(rewards) <= LARGEST:
                self._check_rewards(species, result)
        for species, last in enumerate(result.truncated_observations):
            if len(last) and _is_float(last.dtype):
                self._check_observations(species, last, None)
        return result

    def _check_observations(self, species: int, observations: NDArray[Any], worlds_of: Any) -> None:
        numbers = observations.reshape(-1)
        if numbers.dot(numbers) <= LARGEST:
            return
        row = _first_odd(observations)
        if row is not None:
            where = "" if worlds_of is None else f" in world {worlds_of(species)[row]}"
            kind = "a last observation" if worlds_of is None else "an observation"
            raise NotFiniteError(f"worlds gave {kind} of {_odd_in(observations[row])} for {self._name(species)}{where}")

    def _check_rewards(self, species: int, result: StepResult) -> None:
        row = _first_odd(result.rewards[species])
        if row is not None:
            low, high = self._world_of_acted(species, result.next_rows[species], row)
            where = f"world {low}" if low == high else f"one of worlds {low} to {high}"
            value = result.rewards[species][row]
            raise NotFiniteError(f"worlds gave a reward of {value} for {self._name(species)} in {where}")

    def _world_of_acted(self, species: int, next_rows: NDArray[np.int32], row: int) -> tuple[int, int]:
        """The first and the last world that a row may have been of: rows are in the worlds' order, before and after."""
        now = self._worlds.worlds_of(species)
        living = np.flatnonzero(next_rows >= 0)
        before, after = living[living <= row], living[living >= row]
        low = int(now[next_rows[before[-1]]]) if len(before) else 0
        high = int(now[next_rows[after[0]]]) if len(after) else self._worlds.num_worlds - 1
        return low, high

    def _name(self, species: int) -> str:
        return self._worlds.species[species]


def _is_float(dtype: Any) -> bool:
    return bool(np.dtype(dtype).kind == "f")


def _first_odd(rows: NDArray[Any]) -> int | None:
    """The first row with a number that no float32 holds; None where there is none."""
    odd = ~(np.abs(rows.reshape(len(rows), -1)) <= LARGEST).all(axis=1)
    return int(np.argmax(odd)) if odd.any() else None


def _odd_in(observation: NDArray[Any]) -> Any:
    return observation[~(np.abs(observation) <= LARGEST)].flat[0]
