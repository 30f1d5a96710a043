"""One species' PPO: its policy, its optimiser, its rollout, its hyperparameters in force."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.utils import FloatSchedule

from agents.checks import checked_values
from agents.generators import generator_state, make_generator, restore_generator
from agents.ppo.architecture import check_tensors, describe_architecture
from agents.ppo.build import build_ppo
from agents.ppo.fast.capability import why_not_policy
from agents.ppo.fast.inference import FastInference
from agents.ppo.inference import TorchInference
from agents.ppo.offered import change_worlds, weights_in
from agents.ppo.optimizer import forget_moments, read_moments, write_moments
from agents.ppo.policy import activation_of
from agents.ppo.settings import SpeciesSettings
from agents.ppo.updating import learn
from agents.ppo.widths import resized_policy, widths_in, with_widths
from agents.tensors import from_values, under, values_in, within

if TYPE_CHECKING:
    import gymnasium

    from agents.ppo.buffer import RaggedRolloutBuffer
    from agents.ppo.guests import Rows
    from agents.ppo.policy import DiscretePolicy
    from agents.ppo.widths import NetArch
    from marl_pbt.protocols import HyperparameterValue, OptimizerState, Tensors, Worlds

_TRAINED = -1
"""In place of the seed that weights follow from."""


class SpeciesPPO:
    """A `FastPPO` that is fed ragged rows and never sees an environment.

    With another width of a hidden layer, `model`, `policy`, `buffer` and `inference` are other objects, of the new
    shape: what was learned is carried over, Adam begins without moments. (There is one count of steps for all
    parameters: a layer that began at zero moments among old ones would make its first steps several times too large.)

    Args:
        name: The species.
        settings: What it is built with.
        spaces: Observation and action space of one agent.
        device: As in `PPOSettings`.
        seeds: Weights, actions and the order of minibatches follow from it.
    """

    def __init__(
        self,
        name: str,
        settings: SpeciesSettings,
        spaces: tuple[gymnasium.Space[Any], gymnasium.Space[Any]],
        device: str,
        seeds: np.random.SeedSequence,
    ) -> None:
        weight_seeds, draw_seeds = seeds.spawn(2)
        self.name = name
        self.rng = make_generator(draw_seeds)
        self._settings = settings
        self._spaces = spaces
        self._device = device
        self._specs = settings.hyperparameter_specs()
        self._in_force = {key: spec.default for key, spec in self._specs.items()}
        self._weight_seed = int(weight_seeds.generate_state(1)[0])
        self._narrowing_loss = 0.0
        self._build(with_widths(settings.net_arch, settings, {}))

    def _build(self, net_arch: NetArch) -> None:
        """Begin anew with these widths and the hyperparameters in force."""
        values = {name: self._in_force[name] for name in self._settings.hyperparameters}
        layers = {net: tuple(units) for net, units in net_arch.items()}
        settings = dataclasses.replace(self._settings, hyperparameters=values, net_arch=layers)
        self.architecture = describe_architecture(*self._spaces, settings)
        self.model = build_ppo(settings, self._spaces, self._device, self.rng, max(self._weight_seed, 0))
        self.policy = cast("DiscretePolicy", self.model.policy)
        self.buffer = cast("RaggedRolloutBuffer", self.model.rollout_buffer)
        is_fast = settings.update_path != "sb3" and why_not_policy(self.policy) is None
        self.inference: FastInference | TorchInference = (
            FastInference(self.policy, settings.update_path) if is_fast else TorchInference(self.policy)
        )
        self._in_force |= widths_in(self._weights(), self._settings)
        self._put_in_force(values)

    # -------------------------------------------------------------------------------------- hyperparameters

    def set_hyperparameters(self, values: Mapping[str, HyperparameterValue]) -> None:
        """Put values in force before the next optimiser step, all or none.

        Another width of a hidden layer keeps the function (wider) or as much of it as it can (narrower). Before the
        first update there is nothing to keep: the weights are then those of a learner built with that width.

        Raises:
            ValueError: A name is unknown or a value is not legal.
        """
        checked = checked_values(self.name, values, self._specs)
        self._in_force |= checked
        self._put_in_force(checked)
        net_arch = with_widths(self.architecture["net_arch"], self._settings, checked)
        if net_arch != self.architecture["net_arch"]:
            self._reshape(net_arch)

    def _reshape(self, net_arch: NetArch) -> None:
        weights = self._weights()
        self._build(net_arch)
        if self._weight_seed == _TRAINED:
            activation = activation_of(self._settings.activation)
            weights, lost = resized_policy(weights, net_arch, self.rng, activation)
            self._narrowing_loss = max(self._narrowing_loss, lost)
            self._put(weights)

    def _put_in_force(self, values: Mapping[str, HyperparameterValue]) -> None:
        """Hand legal values to whoever uses them; widths are seen to elsewhere."""
        for name, value in values.items():
            if name == "learning_rate":
                self._set_learning_rate(float(value))
            elif name == "clip_range":
                self.model.clip_range = FloatSchedule(float(value))
            elif name != "reward_scale" and name in self._settings.hyperparameters:
                setattr(self.model, name, value)
                if name in ("gamma", "gae_lambda"):
                    setattr(self.buffer, name, value)

    def get_hyperparameters(self) -> dict[str, HyperparameterValue]:
        """All values in force."""
        return dict(self._in_force)

    def _set_learning_rate(self, learning_rate: float) -> None:
        # `PPO.train()` writes the schedule's value into the groups; whoever looks at the groups before sees it too.
        self.model.learning_rate = learning_rate
        self.model.lr_schedule = FloatSchedule(learning_rate)
        for group in self.policy.optimizer.param_groups:
            group["lr"] = learning_rate

    # ----------------------------------------------------------------------------------------- one rollout

    def open_rollout(self, worlds: Worlds) -> None:
        """Drop what is there, and what an update that failed left behind; go by all values as they are now."""
        change_worlds(worlds, self.name, self._in_force)
        self._reward_weights = weights_in(self._in_force)
        self.buffer.reset()
        self.inference.begin()

    def act(self, rows: int, observe: Callable[[NDArray[Any]], object]) -> NDArray[np.int64]:
        """Let the living agents of the species choose, and keep what they saw and did.

        Args:
            rows: How many.
            observe: Writes their observations into `(rows, *shape)`.
        """
        observations = self.buffer.open_block(rows)
        observe(observations)
        actions, log_probs, values = self.inference.act(observations, self.rng)
        self.buffer.act(actions, log_probs, values)
        return actions

    def record(self, brought: Rows, tell_terms: Callable[[], NDArray[np.float32]]) -> None:
        """Keep what came of the actions; rewards are shaped and scaled here, for the learner alone.

        Args:
            brought: By row.
            tell_terms: Gives the rows' shaping terms; called only if one has a weight.
        """
        rewards = brought.rewards
        if self._reward_weights is not None:
            rewards = rewards + tell_terms() @ self._reward_weights
        self.buffer.reward(
            rewards * np.float32(self._in_force["reward_scale"]),
            brought.ended,
            brought.next_rows,
            self.inference.values(brought.truncated_observations),
        )

    def close_rollout(self, rows: int, observe: Callable[[NDArray[Any]], object]) -> None:
        """Look one step ahead for the agents that live on, and work out advantages and returns."""
        observations = self.buffer.open_block(rows)
        observe(observations)
        self.buffer.close(self.inference.values(observations))
        self.buffer.lists = self.inference.lists

    def train(self) -> dict[str, float]:
        """Learn from the rollout, then report.

        Returns:
            Diagnostics by tag; none if no agent of the species lived during the rollout. `narrowing_loss` is there once
            after a layer was narrowed, see `agents.widening.narrowed`.

        Raises:
            DivergedError: The loss, its gradient or a parameter is no longer finite.
        """
        if self.buffer.size() == 0:
            return {}
        self._weight_seed = _TRAINED
        metrics = learn(self.name, self.model)
        if self._narrowing_loss:
            metrics[f"{self.name}/narrowing_loss"] = self._narrowing_loss
            self._narrowing_loss = 0.0
        return metrics

    # ----------------------------------------------------------------------------------------------- state

    def snapshot(self) -> Tensors:
        """`policy/…` and `optimizer/…`, as copies."""
        return under("policy", self._weights()) | under("optimizer", read_moments(self.policy))

    def _weights(self) -> Tensors:
        named = self.policy.named_parameters()
        return {name: parameter.detach().cpu().numpy().copy() for name, parameter in named}

    @torch.no_grad()
    def _put(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """In place: the optimiser stays bound to the same parameters."""
        for name, parameter in self.policy.named_parameters():
            parameter.copy_(torch.tensor(weights[name]))

    def adopt(self, tensors: Mapping[str, NDArray[Any]], optimizer_state: OptimizerState) -> None:
        """Take over a snapshot and its widths, which are in force from then on.

        To stay at one's own widths, set them back afterwards. Where widths differ, there are no moments of one's own to
        `keep`.

        Raises:
            ValueError: The tensors do not fit the architecture at any legal width or are not finite; nothing has
                changed.
        """
        levels = ("policy", "optimizer") if optimizer_state == "donor" else ("policy",)
        weights = within("policy", tensors)
        widths = checked_values(self.name, widths_in(weights, self._settings), self._specs)
        net_arch = with_widths(self.architecture["net_arch"], self._settings, widths)
        check_tensors({**self.architecture, "net_arch": net_arch}, tensors, levels)
        self._weight_seed, self._narrowing_loss = _TRAINED, 0.0
        if net_arch != self.architecture["net_arch"]:
            self._build(net_arch)
        self._put(weights)
        if optimizer_state == "donor":
            write_moments(self.policy, within("optimizer", tensors))
        elif optimizer_state == "reset":
            forget_moments(self.policy)

    def get_state(self) -> Tensors:
        """`snapshot`, the generator, the hyperparameters in force, but for widths: shapes tell them; what remains."""
        widths = self._settings.layers_by_width()
        values = {name: value for name, value in self._in_force.items() if name not in widths}
        return {
            **self.snapshot(),
            **from_values(values),
            "generator": generator_state(self.rng),
            "weight_seed": np.array(self._weight_seed, np.int64),
            "narrowing_loss": np.array(self._narrowing_loss),
        }

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `get_state`.

        Raises:
            ValueError: The state does not fit.
        """
        self.adopt(state, "donor")
        self.set_hyperparameters(values_in(state))
        restore_generator(self.rng, state["generator"])
        self._weight_seed, self._narrowing_loss = int(state["weight_seed"]), float(state["narrowing_loss"])
