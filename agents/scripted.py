"""A learner that learns nothing, the yardstick that the others are held against.

`agents.scripted:random_kind` plays uniformly at random. It steps its worlds and reports like any other, so it fits
into a population; its policy is the baseline of matches. Imports no torch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from agents.checks import NO_WORLDS, checked_values, interface_faults
from agents.flat_settings import setting_faults
from agents.generators import generator_state, make_generator, restore_generator
from agents.stretch import EpisodeLog, ecology_rates, read_counters
from agents.tensors import check_names, from_values, under, values_in, within
from marl_pbt.protocols import (
    Clocks,
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
    UserError,
    Worlds,
)

if TYPE_CHECKING:
    pass

_KIND = "random"
_WEIGHTS = "policy/logits"
_SETTINGS: Mapping[str, HyperparameterSpec] = {"n_steps": HyperparameterSpec(64, "int", low=1)}
# In force, typed and reported, but without any effect: a population can evolve them all the same.
_HYPERPARAMETERS: Mapping[str, HyperparameterSpec] = {
    "learning_rate": HyperparameterSpec(3e-4, "float", low=0.0, low_is_open=True),
    "ent_coef": HyperparameterSpec(0.0, "float", low=0.0),
}


class RandomPolicy:
    """Every action is as likely as any other, whatever is seen: `marl_pbt.protocols.Policy`."""

    def __init__(self, n_actions: int) -> None:
        self._n_actions = n_actions

    def act(self, observations: NDArray[Any], rng: np.random.Generator, greedy: bool = False) -> NDArray[np.int64]:
        """Draw an action per row; no action is the likeliest, so `greedy` changes nothing."""
        del greedy
        return rng.integers(self._n_actions, size=len(observations))


class RandomLearner:
    """Plays at random and stays as it is: `marl_pbt.protocols.Learner`."""

    def __init__(self, n_steps: int, interface: Interface, worlds: Worlds, seed: int) -> None:
        world_seeds, draw_seeds = np.random.SeedSequence(seed).spawn(2)
        self._n_steps = n_steps
        self._n_actions = {name: _n_actions(interface, name) for name in interface.species}
        self._values = {name: _defaults() for name in interface.species}
        self._worlds = worlds
        self._rng = make_generator(draw_seeds)
        self._log = EpisodeLog(interface.species)
        worlds.reset(int(world_seeds.generate_state(1)[0]))

    @property
    def species(self) -> tuple[str, ...]:
        """Names of the species, in the worlds' order."""
        return tuple(self._n_actions)

    def set_hyperparameters(self, species: str, values: Mapping[str, HyperparameterValue]) -> None:
        """Take note of values that nothing depends on.

        Raises:
            ValueError: A name is unknown or a value is not legal; nothing has changed.
        """
        self._values[species] |= checked_values(species, values, _HYPERPARAMETERS)

    def get_hyperparameters(self, species: str) -> dict[str, HyperparameterValue]:
        """All values in force."""
        return dict(self._values[species])

    def update(self) -> TrainingReport:
        """Play one rollout and report on it."""
        began = time.perf_counter()
        before = read_counters(self._worlds)
        agent_steps = 0
        for _ in range(self._n_steps):
            rows = zip(self._n_actions.values(), self._worlds.rows(), strict=True)
            actions = [self._rng.integers(n_actions, size=living) for n_actions, living in rows]
            agent_steps += sum(map(len, actions))
            self._log.after_step(self._worlds.step(actions).episodes)
        env_steps = self._n_steps * self._worlds.num_worlds
        metrics = ecology_rates(before, read_counters(self._worlds), env_steps)
        seconds = time.perf_counter() - began
        metrics["time/rollout_s"] = seconds
        return TrainingReport(Clocks(agent_steps, env_steps, 1, seconds), self._log.drain(), metrics)

    def snapshot(self, species: str) -> Tensors:
        """One tensor, `policy/logits`: zeros, `(n_actions,)` float32."""
        return {_WEIGHTS: np.zeros(self._n_actions[species], np.float32)}

    def adopt(self, species: str, tensors: Mapping[str, NDArray[Any]], optimizer_state: OptimizerState) -> None:
        """Take over a snapshot, which is like one's own; there is no optimiser.

        Raises:
            ValueError: It is not a random learner's.
        """
        del optimizer_state
        _check_tensors(self._n_actions[species], tensors)
        self._log.mark_adopted(species)

    def get_state(self) -> Tensors:
        """Everything: `<species>/…`, `worlds/…`, `episodes/…` and the generator, which all species share."""
        state = under("worlds", self._worlds.get_state())
        state |= under("episodes", self._log.get_state() | {"generator": generator_state(self._rng)})
        for name in self.species:
            state |= under(name, self.snapshot(name) | from_values(self._values[name]))
        return state

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `get_state`, bit for bit.

        Raises:
            ValueError: The state is not one of this learner's.
        """
        check_names(state, self.get_state())
        for name in self.species:
            own = within(name, state)
            _check_tensors(self._n_actions[name], own)
            self.set_hyperparameters(name, values_in(own))
        self._worlds.set_state(within("worlds", state))
        self._log.set_state(within("episodes", state))
        restore_generator(self._rng, state["episodes/generator"])


class RandomKind:
    """Describes, builds and reloads random learners; the one setting is `n_steps`, env steps per update (64)."""

    def describe(self, settings: Mapping[str, Any], interface: Interface) -> LearnerDescription:
        """Check the settings and say what they lead to.

        Raises:
            UserError: One line per fault, keys relative to `settings`.
        """
        _parse(settings, interface)
        n_actions = {name: _n_actions(interface, name) for name in interface.species}
        return LearnerDescription(
            hyperparameters={name: dict(_HYPERPARAMETERS) for name in interface.species},
            snapshot_bytes={name: 4 * actions for name, actions in n_actions.items()},
            architecture={name: {"kind": _KIND, "n_actions": actions} for name, actions in n_actions.items()},
        )

    def build(self, settings: Mapping[str, Any], interface: Interface, worlds: Worlds | None, seed: int) -> Learner:
        """Make a learner whose worlds and draws follow from the seed alone.

        Raises:
            UserError: The settings are at fault, or there are no worlds.
        """
        n_steps = _parse(settings, interface)
        if worlds is None:
            raise UserError(NO_WORLDS)
        return RandomLearner(n_steps, interface, worlds, seed)

    def load_policy(
        self, architecture: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], spaces: PlaySpaces | None = None
    ) -> Policy:
        """Rebuild a policy.

        Raises:
            ValueError: Names, shapes or dtypes do not fit the architecture, the architecture does not fit the spaces.
        """
        n_actions = architecture.get("n_actions")
        if architecture.get("kind") != _KIND or type(n_actions) is not int or n_actions < 1:
            raise ValueError(f"architecture: must be of kind {_KIND!r} with n_actions ≥ 1, got {dict(architecture)}")
        _check_tensors(n_actions, tensors)
        if spaces is not None and spaces[1] != Discrete(n_actions):
            raise ValueError(f"architecture.n_actions: must fit {spaces[1]}, got {n_actions}")
        return RandomPolicy(n_actions)


random_kind = RandomKind()


def _parse(settings: Mapping[str, Any], interface: Interface) -> int:
    """The checked `n_steps`."""
    faults = interface_faults(interface) + setting_faults(settings, _SETTINGS)
    if faults:
        raise UserError(*faults)
    return int(settings.get("n_steps", _SETTINGS["n_steps"].default))


def _check_tensors(n_actions: int, tensors: Mapping[str, NDArray[Any]]) -> None:
    logits = tensors.get(_WEIGHTS)
    if logits is None or logits.shape != (n_actions,) or logits.dtype != np.float32 or logits.any():
        raise ValueError(f"{_WEIGHTS}: must be {n_actions} zeros in float32")


def _n_actions(interface: Interface, species: str) -> int:
    return int(cast("Discrete", interface.action_spaces[species]).n)


def _defaults() -> dict[str, HyperparameterValue]:
    return {name: spec.default for name, spec in _HYPERPARAMETERS.items()}
