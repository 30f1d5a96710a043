"""One species in training: what its PPO sees and does in a rollout, and what it learns from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.ppo.evolving import EvolvingPPO
from agents.ppo.offered import change_worlds, weights_in
from agents.ppo.updating import learn

if TYPE_CHECKING:
    import gymnasium

    from agents.ppo.buffer import RaggedRolloutBuffer
    from agents.ppo.fast.inference import FastInference
    from agents.ppo.fast.ppo import FastPPO
    from agents.ppo.guests import Rows
    from agents.ppo.inference import TorchInference
    from agents.ppo.policy import DiscretePolicy
    from agents.ppo.settings import SpeciesSettings
    from marl_pbt.protocols import HyperparameterValue, OptimizerState, Tensors, Worlds


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
        self._ppo = EvolvingPPO(name, settings, spaces, device, seeds)

    @property
    def model(self) -> FastPPO:
        """Another object after a change of width, as are its policy, its buffer and its inference."""
        return self._ppo.model

    @property
    def policy(self) -> DiscretePolicy:
        """The model's."""
        return self._ppo.policy

    @property
    def buffer(self) -> RaggedRolloutBuffer:
        """The model's: the rollout."""
        return self._ppo.buffer

    @property
    def inference(self) -> FastInference | TorchInference:
        """How the policy is asked in a rollout."""
        return self._ppo.inference

    @property
    def architecture(self) -> Mapping[str, Any]:
        """What rebuilds the policy, at the widths that it has now."""
        return self._ppo.architecture

    @property
    def rng(self) -> np.random.Generator:
        """Of its actions and minibatches."""
        return self._ppo.rng

    def open_rollout(self, worlds: Worlds) -> None:
        """Drop what is there, and what an update that failed left behind; go by all values as they are now."""
        change_worlds(worlds, self._ppo.name, self._ppo.in_force)
        self._reward_weights = weights_in(self._ppo.in_force)
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
            rewards * np.float32(self._ppo.in_force["reward_scale"]),
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
        self._ppo.mark_trained()
        metrics = learn(self._ppo.name, self.model)
        if lost := self._ppo.tell_narrowing_loss():
            metrics[f"{self._ppo.name}/narrowing_loss"] = lost
        return metrics

    # ------------------------------------------------------------------- what PBT asks for, see `EvolvingPPO`

    def set_hyperparameters(self, values: Mapping[str, HyperparameterValue]) -> None:
        """Put values in force before the next optimiser step, or raise ValueError and change nothing."""
        self._ppo.set_hyperparameters(values)

    def get_hyperparameters(self) -> dict[str, HyperparameterValue]:
        """All values in force."""
        return dict(self._ppo.in_force)

    def snapshot(self) -> Tensors:
        """`policy/…` and `optimizer/…`, as copies."""
        return self._ppo.snapshot()

    def adopt(self, tensors: Mapping[str, NDArray[Any]], optimizer_state: OptimizerState) -> None:
        """Take over a snapshot and its widths, or raise ValueError and change nothing."""
        self._ppo.adopt(tensors, optimizer_state)

    def get_state(self) -> Tensors:
        """Everything that another one of the same settings needs to go on as this one."""
        return self._ppo.get_state()

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `get_state`; ValueError where it does not fit."""
        self._ppo.set_state(state)
