"""A learner without torch or an environment, for tests of the population: `tests.marl_pbt.toy_learner:kind`.

Each species has a vector `theta` that Adam pulls towards 1 with noisy gradients; an episode returns about
`100 × (1 − mean((theta − 1)²))`. A small learning rate is slow, a large one restless, and so PBT has something to find.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pbt.protocols import (
    Clocks,
    DivergedError,
    FinishedEpisode,
    HyperparameterSpec,
    HyperparameterValue,
    Interface,
    LearnerDescription,
    OptimizerState,
    Tensors,
    TrainingReport,
    UserError,
)

SPECIES = ("fox", "hare")
"""Who plays where the interface names nobody."""
HYPERPARAMETERS = {
    "learning_rate": HyperparameterSpec(0.02, "float", low=0.0, high=1.0, low_is_open=True),
    "ent_coef": HyperparameterSpec(0.01, "float", low=0.0, high=1.0),
    "n_epochs": HyperparameterSpec(2, "int", low=1, high=100),
}
MOMENTS = ("optimizer/first", "optimizer/second", "optimizer/steps")


@dataclass(frozen=True)
class ToySettings:
    """What the config may say of it.

    Attributes:
        parameters: Length of `theta`; 262144 makes a policy of 1 MB.
        n_steps: Env steps per update.
        episode_length: Env steps.
        noise: Standard deviation of an episode's return.
        update_seconds: How long an update takes at least.
        fail_at: The update, counted over the learner's life, that raises; 0 for never.
        kill_at: The update in which the process kills itself.
        hang_at: The update that never ends.
        nan_at: The update that leaves the first species' parameters not finite; its episodes still were.
        diverge_at: The update that leaves the first species' parameters not finite and raises FloatingPointError.
        stop_short_at: The update that raises DivergedError before any parameter is touched.
        only_once: A path: raise, kill and hang happen to whoever comes first, and never again once it is there.
    """

    parameters: int = 8
    n_steps: int = 20
    episode_length: int = 7
    noise: float = 1.0
    update_seconds: float = 0.0
    fail_at: int = 0
    kill_at: int = 0
    hang_at: int = 0
    nan_at: int = 0
    diverge_at: int = 0
    stop_short_at: int = 0
    only_once: str = ""

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> ToySettings:
        types = {each.name: {"int": int, "float": (int, float), "str": str}[each.type] for each in fields(cls)}
        faults = []
        for key, value in settings.items():
            near = difflib.get_close_matches(key, types, 1)
            if key not in types:
                faults.append(f"{key}: unknown key" + (f"; did you mean {near[0]!r}?" if near else ""))
            elif not isinstance(value, types[key]) or isinstance(value, bool):
                faults.append(f"{key}: wrong type, got {value!r}")
        if faults:
            raise UserError(*faults)
        return cls(**settings)


class ToyKind:
    """`LearnerKind`."""

    def describe(self, settings: Mapping[str, Any], interface: Interface) -> LearnerDescription:
        read = ToySettings.read(settings)
        species = interface.species or SPECIES
        return LearnerDescription(
            hyperparameters={name: dict(HYPERPARAMETERS) for name in species},
            snapshot_bytes=dict.fromkeys(species, 12 * read.parameters + 8),
            architecture={
                name: {"kind": "toy", "parameters": read.parameters, "actions": _actions(interface, name)}
                for name in species
            },
        )

    def build(self, settings: Mapping[str, Any], interface: Interface, worlds: object, seed: int) -> ToyLearner:
        return ToyLearner(ToySettings.read(settings), interface.species or SPECIES, seed)

    def load_policy(
        self, architecture: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], spaces: object = None
    ) -> ToyPolicy:
        if architecture["kind"] != "toy":
            raise ValueError(f"kind: must be 'toy', got {architecture['kind']!r}")
        _check(tensors, {"policy/theta": np.zeros(architecture["parameters"], np.float32)})
        return ToyPolicy(architecture["actions"])


class ToyPolicy:
    """Knows how many actions there are, and nothing else."""

    def __init__(self, actions: int) -> None:
        self._actions = actions

    def act(self, observations: NDArray[Any], rng: np.random.Generator, greedy: bool = False) -> NDArray[np.int64]:
        return rng.integers(1 if greedy else self._actions, size=len(observations))


class ToyLearner:
    """`Learner`."""

    def __init__(self, settings: ToySettings, species: tuple[str, ...], seed: int) -> None:
        self.settings = settings
        self.species = species
        self._rng = np.random.default_rng(seed)
        self._values = {name: {key: spec.default for key, spec in HYPERPARAMETERS.items()} for name in species}
        self._tensors = {name: self._fresh() for name in species}
        self._updates = 0
        self._into_episode = 0
        self._own = dict.fromkeys(species, True)
        self._is_cured = False  # by weights of another's: what made it diverge were its own

    def set_hyperparameters(self, species: str, values: Mapping[str, HyperparameterValue]) -> None:
        self._values[species] |= {name: _legal(name, value) for name, value in values.items()}

    def get_hyperparameters(self, species: str) -> dict[str, HyperparameterValue]:
        return dict(self._values[species])

    def update(self) -> TrainingReport:
        self._updates += 1
        self._misbehave()
        time.sleep(self.settings.update_seconds)
        episodes = self._play()
        if self._updates == self.settings.nan_at and not self._is_cured:
            self._tensors[self.species[0]]["policy/theta"][:] = np.nan
        for name in self.species:
            self._learn(name)
        steps = self.settings.n_steps
        # Nominal time: with the wall's, no two runs of the same seed would be alike.
        clocks = Clocks(steps * len(self.species), steps, 1, self.settings.update_seconds + 0.001 * steps)
        metrics = {f"{name}/skill": self.skill(name) for name in self.species}
        return TrainingReport(clocks, episodes, metrics)

    def skill(self, species: str) -> float:
        """The mean return that the species' parameters are worth."""
        theta = self._tensors[species]["policy/theta"].astype(np.float64)
        return float(100 * (1 - np.mean((theta - 1) ** 2)))

    def snapshot(self, species: str) -> Tensors:
        return {name: array.copy() for name, array in self._tensors[species].items()}

    def adopt(self, species: str, tensors: Mapping[str, NDArray[Any]], optimizer_state: OptimizerState) -> None:
        own = self._tensors[species]
        _check(tensors, own)
        fresh = {name: np.zeros_like(own[name]) for name in MOMENTS}
        moments = {"reset": fresh, "donor": tensors, "keep": own}[optimizer_state]
        taken = {"policy/theta": tensors["policy/theta"]} | {name: moments[name] for name in MOMENTS}
        self._tensors[species] = {name: array.copy() for name, array in taken.items()}
        self._own[species] = not self._into_episode
        self._is_cured = True

    def get_state(self) -> Tensors:
        state = {f"{name}/{key}": array for name in self.species for key, array in self.snapshot(name).items()}
        rest = [self._rng.bit_generator.state, self._values, self._updates, self._into_episode, self._own]
        rest.append(self._is_cured)
        return state | {"toy/rest": np.frombuffer(json.dumps(rest).encode(), np.uint8)}

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        odd = sorted(state.keys() ^ self.get_state().keys())
        if odd:
            raise ValueError(f"{odd[0]}: missing, or not the toy's")
        for name, own in self.get_state().items():
            if name != "toy/rest" and state[name].shape != own.shape:
                raise ValueError(f"{name}: must be of shape {own.shape}, got {state[name].shape}")
        for name in self.species:
            self._tensors[name] = {key: state[f"{name}/{key}"].copy() for key in self._tensors[name]}
        rest = json.loads(state["toy/rest"].tobytes())
        self._rng.bit_generator.state, self._values, self._updates, self._into_episode, self._own = rest[:5]
        self._is_cured = rest[5]

    def _fresh(self) -> Tensors:
        size = self.settings.parameters
        return {
            "policy/theta": self._rng.normal(0.0, 0.1, size).astype(np.float32),
            "optimizer/first": np.zeros(size, np.float32),
            "optimizer/second": np.zeros(size, np.float32),
            "optimizer/steps": np.zeros((), np.int64),
        }

    def _play(self) -> tuple[FinishedEpisode, ...]:
        length = self.settings.episode_length
        ended, self._into_episode = divmod(self._into_episode + self.settings.n_steps, length)
        episodes = []
        for _ in range(ended):
            returns = {name: self.skill(name) + self._rng.normal(0.0, self.settings.noise) for name in self.species}
            episodes.append(FinishedEpisode(length, returns, {"toy/length": float(length)}, own=dict(self._own)))
            self._own = dict.fromkeys(self.species, True)
        return tuple(episodes)

    def _learn(self, species: str) -> None:
        """Adam (Kingma and Ba 2015) on ½(theta − 1)², with the entropy coefficient as the gradient's noise."""
        values, tensors = self._values[species], self._tensors[species]
        theta, first, second = (tensors[name] for name in ("policy/theta", *MOMENTS[:2]))
        for _ in range(int(values["n_epochs"])):
            noise = self._rng.normal(0.0, 1.0, len(theta)).astype(np.float32)
            gradient = theta - 1 + noise * np.float32(values["ent_coef"])
            tensors["optimizer/steps"] += 1
            steps = int(tensors["optimizer/steps"])
            first += np.float32(0.1) * (gradient - first)
            second += np.float32(0.001) * (gradient**2 - second)
            scale = math.sqrt(1 - 0.999**steps) / (1 - 0.9**steps)
            theta -= np.float32(float(values["learning_rate"]) * scale) * first / (np.sqrt(second) + np.float32(1e-8))

    def _misbehave(self) -> None:
        settings, update = self.settings, self._updates
        if update == settings.diverge_at and not self._is_cured and _is_due(settings.only_once):
            self._tensors[self.species[0]]["policy/theta"][:] = np.nan
            raise FloatingPointError(f"{self.species[0]}: the toy diverges at update {update}, as it was told to")
        if update == settings.stop_short_at and not self._is_cured and _is_due(settings.only_once):
            raise DivergedError(self.species[0], f"the toy stops short at update {update}, as it was told to")
        if update in (settings.fail_at, settings.kill_at, settings.hang_at) and _is_due(settings.only_once):
            if update == settings.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if update == settings.fail_at:
                raise RuntimeError(f"the toy fails at update {update}, as it was told to")
            while True:
                time.sleep(1)


def _is_due(only_once: str) -> bool:
    if not only_once:
        return True
    try:
        Path(only_once).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _actions(interface: Interface, species: str) -> int:
    space: Any = interface.action_spaces.get(species)
    return 2 if space is None else int(space.n)


def _check(tensors: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]]) -> None:
    for name, own in expected.items():
        given = tensors.get(name)
        if given is None or given.shape != own.shape or given.dtype != own.dtype or not np.isfinite(given).all():
            raise ValueError(f"{name}: must be finite {own.dtype} of shape {own.shape}")


def _legal(name: str, value: HyperparameterValue) -> HyperparameterValue:
    spec = HYPERPARAMETERS.get(name)
    if spec is None:
        raise ValueError(f"{name}: no such hyperparameter")
    if isinstance(value, bool | str) or not math.isfinite(value):
        raise ValueError(f"{name}: must be a finite number, got {value!r}")
    if not spec.low <= value <= spec.high or (spec.low_is_open and value == spec.low):
        raise ValueError(f"{name}: must be in [{spec.low}, {spec.high}], got {value!r}")
    return int(value) if spec.kind == "int" else float(value)


kind = ToyKind()
