"""`FastPPO`: Stable-Baselines3's `PPO` with an update several times as fast."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.utils import explained_variance

from agents.ppo.fast.capability import why_not
from agents.ppo.fast.loss import CLIPPED, ENTROPY, KL, LOSS, SQUARED_ERROR, SURROGATE
from agents.ppo.fast.session import UpdateSession
from agents.ppo.fast.update import FINISHED, NOT_FINITE, STOPPED

if TYPE_CHECKING:
    from agents.ppo.settings import UpdatePath

logger = logging.getLogger(__name__)


class FastPPO(PPO):
    """`PPO` whose `train()` runs in compiled kernels where it can, and is Stable-Baselines3's own where it cannot.

    Constructor, policies, optimiser and its state, schedules, logger keys, `save` and `load` are all `PPO`'s, and so is
    the mathematics: the same minibatches from the same generator, the same loss, the same steps, within rounding.

    Attributes:
        update_path: Which way to go: `sparse` (the first layer reads lists of what is not zero), `dense` (it reads all
            inputs), `sb3` (Stable-Baselines3's `train()`), `auto`: the fastest that can.
        path_in_use: The way the last update went, and why if it was a detour: `sb3 (device is cuda)`.
    """

    update_path: UpdatePath = "auto"
    path_in_use: str = ""

    def train(self) -> None:
        """Update the policy from the rollout buffer.

        Raises:
            FloatingPointError: The loss or its gradient is no longer finite. The steps before that stand, so parameters
                and moments are finite.
        """
        reason = None if self.update_path == "sb3" else why_not(self)
        if self.update_path == "sb3" or reason:
            self._say_path(f"sb3 ({reason})" if reason else "sb3")
            super().train()
            return
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        session = UpdateSession(self, self.update_path)
        self._say_path(session.path)
        end, reports = self._train_epochs(session)
        session.store()
        if end == NOT_FINITE:
            where = f"minibatch {len(reports[-1])} of epoch {len(reports)}"
            raise FloatingPointError(f"loss is {reports[-1][-1, LOSS]} or its gradient is not finite in {where}")
        self._record(reports, session.clip_range)

    def _train_epochs(self, session: UpdateSession) -> tuple[int, list[NDArray[np.float64]]]:
        """Train until the epochs are over or must end; how it ended, and the diagnostics of each epoch."""
        end = FINISHED
        reports: list[NDArray[np.float64]] = []
        while end == FINISHED and len(reports) < self.n_epochs:
            end, report = session.train_epoch()
            reports.append(report)
            self._n_updates += end != NOT_FINITE
        if end == STOPPED and self.verbose >= 1:
            kl = reports[-1][-1, KL]
            print(f"Early stopping at step {len(reports) - 1} due to reaching max kl: {kl:.2f}")  # noqa: T201  # as PPO
        return end, reports

    def _record(self, reports: list[NDArray[np.float64]], clip_range: float) -> None:
        """Log what `PPO.train()` logs."""
        means = np.concatenate(reports).mean(axis=0)
        buffer = self.rollout_buffer
        self.logger.record("train/entropy_loss", -means[ENTROPY])
        self.logger.record("train/policy_gradient_loss", -means[SURROGATE])
        self.logger.record("train/value_loss", means[SQUARED_ERROR])
        self.logger.record("train/approx_kl", reports[-1][:, KL].mean())  # of the last epoch alone, as PPO does
        self.logger.record("train/clip_fraction", means[CLIPPED])
        self.logger.record("train/loss", reports[-1][-1, LOSS])
        explained = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        self.logger.record("train/explained_variance", explained)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/clip_range", clip_range)

    def _say_path(self, path: str) -> None:
        """Note the way, and log it when it changes; of many models' one, whoever has them tells it."""
        if path != self.path_in_use:
            self.path_in_use = path
            logger.debug("update path: %s", path)
