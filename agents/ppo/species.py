"""One species' PPO: its policy, its optimiser, its rollout, its hyperparameters in force."""

from __future__ import annotations

import math
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
from agents.ppo.settings import HYPERPARAMETERS, SpeciesSettings
from agents.tensors import from_values, under, values_in, within
from marl_pbt.protocols import DivergedError

if TYPE_CHECKING:
    import gymnasium

    from agents.ppo.buffer import RaggedRolloutBuffer
    from agents.ppo.policy import DiscretePolicy
    from marl_pbt.protocols import HyperparameterValue, OptimizerState, StepResult, Tensors, Worlds

# Ours → Stable-Baselines3's.
_METRICS = {
    "approx_kl": "train/approx_kl",
    "clip_fraction": "train/clip_fraction",
    "entropy": "train/entropy_loss",
    "explained_variance": "train/explained_variance",
    "loss": "train/loss",
    "policy_gradient_loss": "train/policy_gradient_loss",
    "value_loss": "train/value_loss",
}


class SpeciesPPO:
    """A `FastPPO` that is fed ragged rows and never sees an environment.

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
        self.architecture = describe_architecture(*spaces, settings)
        self.model = build_ppo(settings, spaces, device, self.rng, weight_seeds)
        self.policy = cast("DiscretePolicy", self.model.policy)
        self.buffer = cast("RaggedRolloutBuffer", self.model.rollout_buffer)
        is_fast = settings.update_path != "sb3" and why_not_policy(self.policy) is None
        self.inference: FastInference | TorchInference = (
            FastInference(self.policy, settings.update_path) if is_fast else TorchInference(self.policy)
        )
        self._in_force: dict[str, HyperparameterValue] = {}
        self.set_hyperparameters(settings.hyperparameters)

    # -------------------------------------------------------------------------------------- hyperparameters

    def set_hyperparameters(self, values: Mapping[str, HyperparameterValue]) -> None:
        """Put values in force before the next optimiser step, all or none.

        Raises:
            ValueError: A name is unknown or a value is not legal.
        """
        for name, value in checked_values(self.name, values, HYPERPARAMETERS).items():
            self._in_force[name] = value
            if name == "learning_rate":
                self._set_learning_rate(float(value))
            elif name == "clip_range":
                self.model.clip_range = FloatSchedule(float(value))
            elif name != "reward_scale":
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

    def open_rollout(self) -> None:
        """Drop what is there, and what an update that failed left behind; act by the parameters as they are now."""
        self.buffer.reset()
        self.inference.begin()

    def act(self, worlds: Worlds, index: int) -> NDArray[np.int64]:
        """Let all living agents of the species choose, and keep what they saw and did."""
        observations = self.buffer.open_block(worlds.rows()[index])
        worlds.observe(index, observations)
        actions, log_probs, values = self.inference.act(observations, self.rng)
        self.buffer.act(actions, log_probs, values)
        return actions

    def record(self, result: StepResult, index: int) -> None:
        """Keep what came of the actions; rewards are scaled here, for the learner alone."""
        self.buffer.reward(
            result.rewards[index] * np.float32(self._in_force["reward_scale"]),
            result.ended[index],
            result.next_rows[index],
            self.inference.values(result.truncated_observations[index]),
        )

    def close_rollout(self, worlds: Worlds, index: int) -> None:
        """Look one step ahead for the agents that live on, and work out advantages and returns."""
        observations = self.buffer.open_block(worlds.rows()[index])
        worlds.observe(index, observations)
        self.buffer.close(self.inference.values(observations))
        self.buffer.lists = self.inference.lists

    def train(self) -> dict[str, float]:
        """Learn from the rollout, then report.

        Returns:
            Diagnostics by tag; none if no agent of the species lived during the rollout.

        Raises:
            DivergedError: The loss, its gradient or a parameter is no longer finite.
        """
        if self.buffer.size() == 0:
            return {}
        try:
            self.model.train()
        except FloatingPointError as fault:
            raise DivergedError(self.name, str(fault)) from None
        except ValueError as error:  # torch refuses to make a distribution of NaN
            self._require_finite({})
            raise error
        logged = self.model.logger.name_to_value
        metrics = {tag: float(logged[sb3_tag]) for tag, sb3_tag in _METRICS.items()}
        self._require_finite(metrics)
        metrics["entropy"] *= -1
        return {f"{self.name}/{tag}": value for tag, value in metrics.items() if math.isfinite(value)}

    def _require_finite(self, metrics: Mapping[str, float]) -> None:
        for name, parameter in self.policy.named_parameters():
            if not torch.isfinite(parameter).all():
                raise DivergedError(self.name, f"parameter {name} is not finite after the update")
        for tag, value in metrics.items():
            # The explained variance of constant returns is NaN by definition.
            if tag != "explained_variance" and not math.isfinite(value):
                raise DivergedError(self.name, f"{tag} is {value} in the update")

    # ----------------------------------------------------------------------------------------------- state

    def snapshot(self) -> Tensors:
        """`policy/…` and `optimizer/…`, as copies."""
        named = self.policy.named_parameters()
        weights = {name: parameter.detach().cpu().numpy().copy() for name, parameter in named}
        return under("policy", weights) | under("optimizer", read_moments(self.policy))

    def adopt(self, tensors: Mapping[str, NDArray[Any]], optimizer_state: OptimizerState) -> None:
        """Take over a snapshot, in place: the optimiser stays bound to the same parameters.

        Raises:
            ValueError: The tensors do not fit the architecture or are not finite; nothing has changed.
        """
        levels = ("policy", "optimizer") if optimizer_state == "donor" else ("policy",)
        check_tensors(self.architecture, tensors, levels)
        with torch.no_grad():
            for name, parameter in self.policy.named_parameters():
                parameter.copy_(torch.tensor(tensors[f"policy/{name}"]))
        if optimizer_state == "donor":
            write_moments(self.policy, within("optimizer", tensors))
        elif optimizer_state == "reset":
            forget_moments(self.policy)

    def get_state(self) -> Tensors:
        """`snapshot`, the generator, the hyperparameters in force."""
        return self.snapshot() | from_values(self._in_force) | {"generator": generator_state(self.rng)}

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `get_state`.

        Raises:
            ValueError: The state does not fit.
        """
        self.adopt(state, "donor")
        self.set_hyperparameters(values_in(state))
        restore_generator(self.rng, state["generator"])
