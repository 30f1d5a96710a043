"""One call of `FastPPO.train()`: what the kernels need is brought in, epochs are run, results are taken back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.preprocessing import is_image_space

from agents.ppo.fast.adam import AdamSettings
from agents.ppo.fast.memory import make_learned, make_room
from agents.ppo.fast.observations import as_features, is_sparse
from agents.ppo.fast.rollout import as_lists, read_rollout
from agents.ppo.fast.transfer import layout_of, load_moments, load_parameters, store
from agents.ppo.fast.update import Rules, train_epoch

if TYPE_CHECKING:
    from stable_baselines3 import PPO


class UpdateSession:
    """An update in progress; the model's tensors change at `store`.

    Args:
        model: One that `capability.why_not` has nothing against.
        path: `sparse`, `dense`, or `auto`: by what the observations are like.
    """

    def __init__(self, model: PPO, path: str) -> None:
        self._policy = model.policy
        self._layout = layout_of(model.policy)
        self._learned = make_learned(self._layout)
        load_parameters(model.policy, self._layout, self._learned.parameters)
        steps = load_moments(model.policy, self._layout, self._learned.moments)
        self._adam = _adam_settings(model, steps)
        self._rules = _rules(model)
        rollout = read_rollout(model.rollout_buffer)
        is_image = is_image_space(model.policy.observation_space) and model.policy.normalize_images
        if path == "auto":
            path = "sparse" if rollout.lists is not None or is_sparse(rollout.observations) else "dense"
        self.path = path
        self._observations = (
            as_lists(rollout, is_image) if path == "sparse" else as_features(rollout.observations, is_image)
        )
        self._columns = rollout.columns
        self._draw_order = rollout.draw_order
        rows = len(rollout.columns.actions)
        batch_size = min(self._rules.batch_size, rows)
        self._room = make_room(self._learned, self._observations, batch_size, self._layout.actions)
        self._report = np.zeros((-(-rows // batch_size), 6))

    @property
    def clip_range(self) -> float:
        """In force for this update."""
        return self._rules.clip_range

    def train_epoch(self) -> tuple[int, NDArray[np.float64]]:
        """Go once through the rollout.

        Returns:
            How it ended, as in `update`; per minibatch the diagnostics in the order of `loss`'s places.
        """
        order = self._draw_order()
        end, done, steps = train_epoch(
            self._learned, self._observations, self._columns, order, self._rules, self._adam, self._room, self._report
        )
        self._adam = self._adam._replace(steps=steps)
        return end, self._report[:done].copy()

    def store(self) -> None:
        """Hand parameters and moments back to the model."""
        store(self._policy, self._layout, self._learned, self._adam.steps)


def _adam_settings(model: PPO, steps: int) -> AdamSettings:
    group = model.policy.optimizer.param_groups[0]
    (beta1, beta2), clip = group["betas"], float(model.max_grad_norm)
    return AdamSettings(float(group["lr"]), float(beta1), float(beta2), float(group["eps"]), clip, steps)


def _rules(model: PPO) -> Rules:
    clip_range = model.clip_range(model._current_progress_remaining)  # type: ignore[operator]  # PPO makes it a schedule
    kl_limit = math.inf if model.target_kl is None else 1.5 * model.target_kl
    return Rules(
        int(model.batch_size),
        bool(model.normalize_advantage),
        float(clip_range),
        float(model.ent_coef),
        float(model.vf_coef),
        float(kl_limit),
    )
