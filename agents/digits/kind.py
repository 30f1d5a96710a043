"""Describes, builds and reloads classifiers; torch and scikit-learn are imported to build one, not before."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from agents.checks import is_legal, range_of
from agents.digits.layers import CLASSES, PIXELS, as_layers, count_parameters, logits_of, scaled
from agents.flat_settings import read_settings, with_defaults
from marl_pbt.protocols import (
    HyperparameterSpec,
    HyperparameterValue,
    Interface,
    Learner,
    LearnerDescription,
    PlaySpaces,
    Policy,
    UserError,
    Worlds,
)

if TYPE_CHECKING:
    from agents.widening import Dense

SPECIES = "classifier"
_KIND = "digits"
_HYPERPARAMETERS: Mapping[str, HyperparameterSpec] = {
    "learning_rate": HyperparameterSpec(1e-3, "float", low=0.0, low_is_open=True),
    "weight_decay": HyperparameterSpec(0.01, "float", low=0.0),
    "hidden_units": HyperparameterSpec(32, "int", low=1),
}
_SETTINGS: Mapping[str, HyperparameterSpec] = {
    **_HYPERPARAMETERS,
    "hidden_layers": HyperparameterSpec(2, "int", low=1, high=16),
    "max_hidden_units": HyperparameterSpec(256, "int", low=1, high=4096),
    "steps": HyperparameterSpec(20, "int", low=1),
    "batch_size": HyperparameterSpec(32, "int", low=1),
    "validation_batches": HyperparameterSpec(10, "int", low=1, high=400),
}


class DigitsPolicy:
    """A frozen classifier: it observes the 64 pixels of a digit, and its action is the class."""

    def __init__(self, layers: Sequence[Dense]) -> None:
        self._layers = layers

    def act(self, observations: NDArray[Any], rng: np.random.Generator, greedy: bool = False) -> NDArray[np.int64]:
        """Classify `(rows, 64)` pixels from 0 to 16; not greedy: drawn by what it believes of each class."""
        logits = logits_of(self._layers, scaled(observations))
        # The largest of logits with Gumbel noise is a draw from their softmax.
        noise = np.zeros(logits.shape) if greedy else rng.gumbel(size=logits.shape)
        chosen: NDArray[np.int64] = np.argmax(logits + noise, axis=1)
        return chosen


class DigitsKind:
    """Describes, builds and reloads classifiers.

    The settings: the hyperparameters, where nobody declares them (`hidden_units`: of each hidden layer);
    `hidden_layers`; `max_hidden_units`, the most that PBT may come to; `steps`, minibatches per update; `batch_size`;
    `validation_batches`, into how many scores the 400 validation examples are divided.
    """

    def describe(self, settings: Mapping[str, Any], interface: Interface) -> LearnerDescription:
        """Check the settings and say what they lead to.

        Raises:
            UserError: One line per fault, keys relative to `settings`.
        """
        values = _read(settings, interface)
        widest = count_parameters(int(values["hidden_layers"]), int(values["max_hidden_units"]))
        architecture = {name: values[name] for name in ("hidden_layers", "max_hidden_units")}
        return LearnerDescription(
            hyperparameters={SPECIES: _specs(values)},
            snapshot_bytes={SPECIES: 3 * 4 * widest + 8},  # weights and two moments in float32, the number of steps
            architecture={SPECIES: {"kind": _KIND, **architecture}},
        )

    def build(self, settings: Mapping[str, Any], interface: Interface, worlds: Worlds | None, seed: int) -> Learner:
        """Make a learner.

        Raises:
            UserError: The settings are at fault, or scikit-learn is not there.
        """
        del worlds
        values = _read(settings, interface)
        from agents.digits.learner import DigitsLearner

        return DigitsLearner(values, _specs(values), seed)

    def load_policy(
        self, architecture: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], spaces: PlaySpaces | None = None
    ) -> Policy:
        """Rebuild a classifier; its width follows from the tensors.

        Raises:
            ValueError: Names, shapes or dtypes do not fit the architecture, or it does not fit the spaces.
        """
        if architecture.get("kind") != _KIND:
            raise ValueError(f"kind: must be {_KIND!r}, got {architecture.get('kind')!r}")
        for name in ("hidden_layers", "max_hidden_units"):
            if not is_legal(architecture.get(name), _SETTINGS[name]):
                raise ValueError(f"{name}: must be {range_of(_SETTINGS[name])}, got {architecture.get(name)!r}")
        if spaces is not None and (spaces[0].shape != (PIXELS,) or spaces[1] != Discrete(CLASSES)):
            raise ValueError(f"kind: {_KIND!r} sees {PIXELS} pixels and says one of {CLASSES} classes, got {spaces}")
        return DigitsPolicy(as_layers(tensors, architecture["hidden_layers"], architecture["max_hidden_units"]))


def _read(settings: Mapping[str, Any], interface: Interface) -> dict[str, HyperparameterValue]:
    values = read_settings(settings, _SETTINGS, interface)
    if int(values["hidden_units"]) > int(values["max_hidden_units"]):
        raise UserError(f"hidden_units: must be at most max_hidden_units, got {values['hidden_units']}")
    return values


def _specs(values: Mapping[str, HyperparameterValue]) -> dict[str, HyperparameterSpec]:
    specs = with_defaults(_HYPERPARAMETERS, values)
    widest = float(values["max_hidden_units"])
    return specs | {"hidden_units": dataclasses.replace(specs["hidden_units"], high=widest)}


kind = DigitsKind()
