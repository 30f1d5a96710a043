"""A species' PPO as PBT deals with it: built at its widths, set, copied, kept; what training does is elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
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
from agents.ppo.optimizer import forget_moments, read_moments, write_moments
from agents.ppo.policy import activation_of
from agents.ppo.settings import SpeciesSettings
from agents.ppo.widths import resized_policy, widths_in, with_widths
from agents.tensors import from_values, under, values_in, within

if TYPE_CHECKING:
    import gymnasium

    from agents.ppo.buffer import RaggedRolloutBuffer
    from agents.ppo.fast.ppo import FastPPO
    from agents.ppo.policy import DiscretePolicy
    from agents.ppo.widths import NetArch
    from marl_pbt.protocols import HyperparameterValue, OptimizerState, Tensors

_TRAINED = -1
"""In place of the seed that weights follow from."""


class EvolvingPPO:
    """A `FastPPO`, the hyperparameters in force, and what else makes its state.

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
        self.in_force = {key: spec.default for key, spec in self._specs.items()}
        self._weight_seed = int(weight_seeds.generate_state(1)[0])
        self._narrowing_loss = 0.0
        self._build(with_widths(settings.net_arch, settings, {}))

    def _build(self, net_arch: NetArch) -> None:
        """Begin anew with these widths and the hyperparameters in force."""
        values = {name: self.in_force[name] for name in self._settings.hyperparameters}
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
        self.in_force |= widths_in(_weights_of(self.policy), self._settings)
        _put_in_force(self.model, values)

    def set_hyperparameters(self, values: Mapping[str, HyperparameterValue]) -> None:
        """Put values in force before the next optimiser step, all or none.

        Another width of a hidden layer keeps the function (wider) or as much of it as it can (narrower). Before the
        first update there is nothing to keep: the weights are then those of a learner built with that width.

        Raises:
            ValueError: A name is unknown or a value is not legal.
        """
        checked = checked_values(self.name, values, self._specs)
        self.in_force |= checked
        _put_in_force(self.model, {name: checked[name] for name in self._settings.hyperparameters if name in checked})
        net_arch = with_widths(self.architecture["net_arch"], self._settings, checked)
        if net_arch != self.architecture["net_arch"]:
            self._reshape(net_arch)

    def _reshape(self, net_arch: NetArch) -> None:
        weights = _weights_of(self.policy)
        self._build(net_arch)
        if self._weight_seed == _TRAINED:
            activation = activation_of(self._settings.activation)
            weights, lost = resized_policy(weights, net_arch, self.rng, activation)
            self._narrowing_loss = max(self._narrowing_loss, lost)
            _put_weights(self.policy, weights)

    def mark_trained(self) -> None:
        """Note that from here on weights follow from more than their seed."""
        self._weight_seed = _TRAINED

    def tell_narrowing_loss(self) -> float:
        """The largest loss of a layer that was narrowed since this was last told; 0 where none was."""
        lost, self._narrowing_loss = self._narrowing_loss, 0.0
        return lost

    def snapshot(self) -> Tensors:
        """`policy/…` and `optimizer/…`, as copies."""
        return under("policy", _weights_of(self.policy)) | under("optimizer", read_moments(self.policy))

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
        _put_weights(self.policy, weights)
        if optimizer_state == "donor":
            write_moments(self.policy, within("optimizer", tensors))
        elif optimizer_state == "reset":
            forget_moments(self.policy)

    def get_state(self) -> Tensors:
        """`snapshot`, the generator, the hyperparameters in force, but for widths: shapes tell them; what remains."""
        widths = self._settings.layers_by_width()
        values = {name: value for name, value in self.in_force.items() if name not in widths}
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


def _put_in_force(model: FastPPO, values: Mapping[str, HyperparameterValue]) -> None:
    """Hand legal values of `HYPERPARAMETERS` to whoever in the model uses them."""
    for name, value in values.items():
        if name == "learning_rate":
            _set_learning_rate(model, float(value))
        elif name == "clip_range":
            model.clip_range = FloatSchedule(float(value))
        elif name != "reward_scale":
            setattr(model, name, value)
            if name in ("gamma", "gae_lambda"):
                setattr(model.rollout_buffer, name, value)


def _set_learning_rate(model: FastPPO, learning_rate: float) -> None:
    # `PPO.train()` writes the schedule's value into the groups; whoever looks at the groups before sees it too.
    model.learning_rate = learning_rate
    model.lr_schedule = FloatSchedule(learning_rate)
    for group in model.policy.optimizer.param_groups:
        group["lr"] = learning_rate


def _weights_of(policy: DiscretePolicy) -> Tensors:
    return {name: parameter.detach().cpu().numpy().copy() for name, parameter in policy.named_parameters()}


@torch.no_grad()
def _put_weights(policy: DiscretePolicy, weights: Mapping[str, NDArray[Any]]) -> None:
    """In place: the optimiser stays bound to the same parameters."""
    for name, parameter in policy.named_parameters():
        parameter.copy_(torch.tensor(weights[name]))
