"""Worlds and learners that hand out what is no number, where `marl_pbt.fault_points` wants it; for tests alone.

Points: `observation`, `last_observation`, `reward` in worlds; `return`, `loss`, `parameters`, `moments` in learners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pbt.fault_points import is_armed, reach
from marl_pbt.protocols import Learner, OptimizerState, StepResult, Tensors, TrainingReport, Worlds
from marl_pbt.supervision.stand_in import stand_in

IN_WORLDS = ("observation", "last_observation", "reward")
IN_LEARNERS = ("return", "loss", "parameters", "moments")
_METHODS = ("update", "snapshot", "get_state", "set_state", "adopt")


def spoiled_worlds(worlds: Worlds) -> Worlds:
    """The worlds as they are, but where a fault is armed."""
    if not is_armed(*IN_WORLDS):
        return worlds
    spoiler = _InWorlds(worlds)
    return stand_in(worlds, {"observe": spoiler.observe, "step": spoiler.step})


def spoiled_learner(learner: Learner) -> Learner:
    """The learner as it is, but where a fault is armed."""
    if not is_armed(*IN_LEARNERS):
        return learner
    spoiler = _InLearner(learner)
    return stand_in(learner, {name: getattr(spoiler, name) for name in _METHODS})


class _InWorlds:
    def __init__(self, worlds: Worlds) -> None:
        self._worlds = worlds

    def observe(self, species: int, out: NDArray[Any]) -> int:
        """As in `Worlds`."""
        rows = self._worlds.observe(species, out)
        _spoil("observation", out[:rows])
        return rows

    def step(self, actions: Sequence[NDArray[np.int64]]) -> StepResult:
        """As in `Worlds`."""
        result = self._worlds.step(actions)
        _spoil("reward", next((each for each in result.rewards if len(each)), result.rewards[0]))
        if any(len(each) for each in result.truncated_observations):
            _spoil("last_observation", next(each for each in result.truncated_observations if len(each)))
        return result


class _InLearner:
    """What is spoiled stays so until other tensors are taken in."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self._spoiled: dict[str, float] = {}

    def update(self) -> TrainingReport:
        """As in `Learner`."""
        report, first = self._learner.update(), self._learner.species[0]
        loss, returned = reach("loss"), reach("return")
        if loss is not None:
            report = replace(report, metrics={**report.metrics, f"{first}/loss": loss})
        if returned is not None:
            episodes = (replace(each, returns={**each.returns, first: returned}) for each in report.episodes)
            report = replace(report, episodes=tuple(episodes))
        for level, point in (("policy", "parameters"), ("optimizer", "moments")):
            value = reach(point)
            if value is not None:
                self._spoiled[f"{level}/"] = value
        return report

    def snapshot(self, species: str) -> Tensors:
        """As in `Learner`."""
        return self._as_spoiled(self._learner.snapshot(species), species, "")

    def get_state(self) -> Tensors:
        """As in `Learner`."""
        first = self._learner.species[0]
        return self._as_spoiled(self._learner.get_state(), first, f"{first}/")

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """As in `Learner`."""
        self._learner.set_state(state)
        self._spoiled.clear()

    def adopt(self, species: str, tensors: Mapping[str, NDArray[Any]], optimizer_state: OptimizerState) -> None:
        """As in `Learner`."""
        self._learner.adopt(species, tensors, optimizer_state)
        if species == self._learner.species[0]:
            self._spoiled.clear()

    def _as_spoiled(self, tensors: Tensors, species: str, prefix: str) -> Tensors:
        if species == self._learner.species[0]:
            for level, value in self._spoiled.items():
                names = (name for name in sorted(tensors) if name.startswith(prefix + level))
                with np.errstate(over="ignore"):
                    next(tensors[name] for name in names if tensors[name].dtype.kind == "f").reshape(-1)[0] = value
        return tensors


def _spoil(point: str, numbers: NDArray[Any]) -> None:
    """Write what a fault wants over the first number; whole numbers cannot be spoiled."""
    if numbers.dtype.kind == "f" and numbers.size:
        value = reach(point)
        if value is not None:
            with np.errstate(over="ignore"):
                numbers.reshape(-1)[0] = value
