"""The toy of the PBT paper: two numbers that climb a hill which they see only through their hyperparameters.

Maximise Q(θ) = 1.2 − θ₀² − θ₁² by gradient ascent on Q̂(θ | h) = 1.2 − h₀·θ₀² − h₁·θ₁² (Jaderberg et al. 2017,
sec. 4.1, fig. 2). With h = (1, 0) or (0, 1) half of the way stays unseen and Q ends at 0.39; with both above 0 it comes
to 1.2. An "episode return" is Q(θ), exactly. The paper's gradient is exact too; here a little noise is added, since two
workers that mirror each other exactly would tie for ever, and nobody is copied who is not better. Imports no torch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.checks import checked_values
from agents.flat_settings import read_settings, with_defaults
from agents.generators import generator_state, make_generator, restore_generator
from agents.tensors import check_names, from_values, under, values_in, within
from marl_pbt.protocols import (
    Clocks,
    FinishedEpisode,
    HyperparameterSpec,
    HyperparameterValue,
    Interface,
    Learner,
    LearnerDescription,
    OptimizerState,
    PlaySpaces,
    Policy,
    Tensors,
    TrainingReport,
    Worlds,
)

if TYPE_CHECKING:
    pass

SPECIES = "policy"
_THETA = "policy/theta"
_HYPERPARAMETERS: Mapping[str, HyperparameterSpec] = {
    "h0": HyperparameterSpec(1.0, "float", low=0.0, high=1.0),
    "h1": HyperparameterSpec(0.0, "float", low=0.0, high=1.0),
}
_SETTINGS: Mapping[str, HyperparameterSpec] = {
    **_HYPERPARAMETERS,
    "steps": HyperparameterSpec(5, "int", low=1),
    "learning_rate": HyperparameterSpec(0.02, "float", low=0.0, high=0.5, low_is_open=True),
    "start": HyperparameterSpec(0.9, "float", low=-10.0, high=10.0),
    "noise": HyperparameterSpec(0.01, "float", low=0.0, high=1.0),
}


class QuadraticLearner:
    """θ, `(2,)` float32, on its way up: `marl_pbt.protocols.Learner`."""

    def __init__(self, settings: Mapping[str, Any], seed: int) -> None:
        self._steps, self._noise = settings["steps"], settings["noise"]
        self._learning_rate = settings["learning_rate"]
        self._values = {name: settings[name] for name in _HYPERPARAMETERS}
        self._theta = np.full(2, settings["start"], np.float32)
        self._rng = make_generator(np.random.SeedSequence(seed))

    @property
    def species(self) -> tuple[str, ...]:
        """There is one."""
        return (SPECIES,)

    def set_hyperparameters(self, species: str, values: Mapping[str, HyperparameterValue]) -> None:
        """Put values in force.

        Raises:
            ValueError: A name is unknown or a value is not legal; nothing has changed.
        """
        self._values |= checked_values(species, values, _HYPERPARAMETERS)

    def get_hyperparameters(self, species: str) -> dict[str, HyperparameterValue]:
        """`h0` and `h1`."""
        del species
        return dict(self._values)

    def update(self) -> TrainingReport:
        """Make some steps along the surrogate's gradient, then read the objective once."""
        began = time.perf_counter()
        h = np.array([self._values["h0"], self._values["h1"]], np.float32)
        for _ in range(self._steps):
            gradient = -2 * h * self._theta + self._rng.normal(0.0, self._noise, 2).astype(np.float32)
            self._theta += np.float32(self._learning_rate) * gradient
        squares = np.square(self._theta.astype(np.float64))
        objective = float(1.2 - squares.sum())
        metrics = {
            f"{SPECIES}/objective": objective,
            f"{SPECIES}/surrogate": float(1.2 - h @ squares),
            f"{SPECIES}/theta_0": float(self._theta[0]),
            f"{SPECIES}/theta_1": float(self._theta[1]),
        }
        episode = FinishedEpisode(self._steps, {SPECIES: objective}, own={SPECIES: True})
        return TrainingReport(Clocks(self._steps, self._steps, 1, time.perf_counter() - began), (episode,), metrics)

    def snapshot(self, species: str) -> Tensors:
        """`policy/theta`; plain gradient ascent keeps no moments."""
        del species
        return {_THETA: self._theta.copy()}

    def adopt(self, species: str, tensors: Mapping[str, NDArray[Any]], optimizer_state: OptimizerState) -> None:
        """Go on from another one's θ.

        Raises:
            ValueError: It is none; nothing has changed.
        """
        del species, optimizer_state
        theta = tensors.get(_THETA)
        if theta is None or theta.shape != (2,) or theta.dtype != np.float32 or not np.isfinite(theta).all():
            raise ValueError(f"{_THETA}: must be two finite numbers in float32")
        self._theta = theta.copy()

    def get_state(self) -> Tensors:
        """Everything: θ, the hyperparameters and the generator."""
        own = under(SPECIES, self.snapshot(SPECIES) | from_values(self._values))
        return own | {"generator": generator_state(self._rng)}

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `get_state`.

        Raises:
            ValueError: The state is not one of this learner's.
        """
        check_names(state, self.get_state())
        own = within(SPECIES, state)
        self.adopt(SPECIES, own, "keep")
        self.set_hyperparameters(SPECIES, values_in(own))
        restore_generator(self._rng, state["generator"])


class QuadraticKind:
    """Describes and builds learners of the toy.

    The settings: `h0`, `h1`, where nobody declares them; `steps` per update; `learning_rate`; `start`, of θ₀ and θ₁;
    `noise`, the standard deviation of each gradient.
    """

    def describe(self, settings: Mapping[str, Any], interface: Interface) -> LearnerDescription:
        """Check the settings and say what they lead to.

        Raises:
            UserError: One line per fault, keys relative to `settings`.
        """
        values = read_settings(settings, _SETTINGS, interface)
        return LearnerDescription(
            hyperparameters={SPECIES: with_defaults(_HYPERPARAMETERS, values)},
            snapshot_bytes={SPECIES: 8},
            architecture={SPECIES: {"kind": "quadratic"}},
        )

    def build(self, settings: Mapping[str, Any], interface: Interface, worlds: Worlds | None, seed: int) -> Learner:
        """Make a learner.

        Raises:
            UserError: The settings are at fault.
        """
        del worlds
        return QuadraticLearner(read_settings(settings, _SETTINGS, interface), seed)

    def load_policy(
        self, architecture: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], spaces: PlaySpaces | None = None
    ) -> Policy:
        """Refuse: a point on a hill sees nothing and does nothing.

        Raises:
            ValueError: Always.
        """
        del architecture, tensors, spaces
        raise ValueError("kind: 'quadratic' has no policy that could play")


kind = QuadraticKind()
