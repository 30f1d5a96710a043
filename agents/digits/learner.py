"""The learner: trains the classifier, scores it on validation batches, and changes its width on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.checks import checked_values
from agents.digits.examples import load_split
from agents.digits.layers import as_layers, as_tensors, fresh_layers
from agents.digits.network import Network
from agents.generators import generator_state, make_generator, restore_generator
from agents.tensors import check_names, from_values, under, values_in, within
from agents.widening import resized
from marl_pbt.protocols import (
    Clocks,
    DivergedError,
    FinishedEpisode,
    HyperparameterSpec,
    HyperparameterValue,
    OptimizerState,
    Tensors,
    TrainingReport,
)

SPECIES = "classifier"


class DigitsLearner:
    """`marl_pbt.protocols.Learner`.

    Args:
        settings: All of them, checked.
        specs: Of the hyperparameters.
        seed: Of everything.
    """

    def __init__(self, settings: Mapping[str, Any], specs: Mapping[str, HyperparameterSpec], seed: int) -> None:
        self._settings = settings
        self._specs = specs
        self._values = {name: settings[name] for name in specs}
        weight_seeds, order_seeds = np.random.SeedSequence(seed).spawn(2)
        self._rngs = {"weights": make_generator(weight_seeds), "order": make_generator(order_seeds)}
        self._split = load_split()
        self._is_fresh = True
        self._lost = 0.0
        self._network = self._fresh_network()

    @property
    def species(self) -> tuple[str, ...]:
        """There is one."""
        return (SPECIES,)

    def set_hyperparameters(self, species: str, values: Mapping[str, HyperparameterValue]) -> None:
        """Put values in force; another `hidden_units` rebuilds the layers, which begin without moments then.

        Raises:
            ValueError: A name is unknown or a value is not legal; nothing has changed.
        """
        before = self._values["hidden_units"]
        self._values |= checked_values(species, values, self._specs)
        width = self._values["hidden_units"]
        if width != before and self._is_fresh:
            self._network = self._fresh_network()
        elif width != before:
            layers = self._network.layers()
            layers, self._lost = resized(layers, [width] * (len(layers) - 1), self._rngs["weights"])
            self._network = Network(layers)

    def get_hyperparameters(self, species: str) -> dict[str, HyperparameterValue]:
        """All values in force."""
        del species
        return dict(self._values)

    def update(self) -> TrainingReport:
        """Learn from some minibatches, then classify the validation examples, one batch an "episode".

        The clocks count examples as agent steps, minibatches as env steps.

        Raises:
            DivergedError: The loss is not finite.
        """
        began = time.perf_counter()
        self._is_fresh = False
        loss = self._learn()
        episodes = []
        for rows in np.array_split(np.arange(len(self._split.validation)), self._settings["validation_batches"]):
            accuracy = self._network.accuracy(self._split.validation.rows(rows))
            episodes.append(FinishedEpisode(len(rows), {SPECIES: accuracy}, own={SPECIES: True}))
        metrics = {
            f"{SPECIES}/training_loss": loss,
            f"{SPECIES}/test_accuracy": self._network.accuracy(self._split.test),
            f"{SPECIES}/narrowing_loss": self._lost,
        }
        self._lost = 0.0
        steps = self._settings["steps"]
        clocks = Clocks(steps * self._settings["batch_size"], steps, 1, time.perf_counter() - began)
        return TrainingReport(clocks, tuple(episodes), metrics)

    def snapshot(self, species: str) -> Tensors:
        """`policy/layer_0/weight` … and Adam's moments; the width follows from the shapes."""
        del species
        return as_tensors(self._network.layers()) | self._network.moments()

    def adopt(self, species: str, tensors: Mapping[str, NDArray[Any]], optimizer_state: OptimizerState) -> None:
        """Go on from another one's weights, in its width, which is in force from then on.

        To stay at one's own width, set `hidden_units` back afterwards. Where the widths differ, there are no moments of
        one's own to `keep`.

        Raises:
            ValueError: The tensors are not such a classifier's; nothing has changed.
        """
        del species
        layers = self._as_layers(tensors)
        network = Network(layers)
        is_alike = layers[0].width == self._values["hidden_units"]
        if optimizer_state == "donor":
            network.set_moments(tensors)
        elif optimizer_state == "keep" and is_alike:
            network.set_moments(self._network.moments())
        self._network = network
        self._values["hidden_units"] = layers[0].width
        self._is_fresh = False

    def get_state(self) -> Tensors:
        """Everything: the classifier, the hyperparameters, what the last update left to tell, the generators."""
        state = under(SPECIES, self.snapshot(SPECIES) | from_values(self._values))
        state |= {f"generators/{name}": generator_state(rng) for name, rng in self._rngs.items()}
        return state | {"is_fresh": np.array(self._is_fresh), "narrowing_loss": np.array(self._lost)}

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `get_state`, whatever the width.

        Raises:
            ValueError: The state is not one of this learner's.
        """
        check_names(state, self.get_state())
        own = within(SPECIES, state)
        self.adopt(SPECIES, own, "donor")
        self.set_hyperparameters(SPECIES, values_in(own))
        for name, rng in self._rngs.items():
            restore_generator(rng, state[f"generators/{name}"])
        self._is_fresh, self._lost = bool(state["is_fresh"]), float(state["narrowing_loss"])

    def _learn(self) -> float:
        """The mean loss over the minibatches."""
        training, losses = self._split.training, []
        for _ in range(self._settings["steps"]):
            rows = self._rngs["order"].integers(len(training), size=self._settings["batch_size"])
            rates = self._values["learning_rate"], self._values["weight_decay"]
            losses.append(self._network.fit(training.rows(rows), *rates))
        if not math.isfinite(sum(losses)):
            raise DivergedError(SPECIES, "its loss is not finite")
        return sum(losses) / len(losses)

    def _fresh_network(self) -> Network:
        width = self._values["hidden_units"]
        return Network(fresh_layers(self._settings["hidden_layers"], width, self._rngs["weights"]))

    def _as_layers(self, tensors: Mapping[str, NDArray[Any]]) -> list[Any]:
        return as_layers(tensors, self._settings["hidden_layers"], self._settings["max_hidden_units"])
