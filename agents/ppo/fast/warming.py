"""Compiles the kernels before they are needed; once per machine, since numba keeps them. Imports no torch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.ppo.architecture import KIND, policy_shapes
from agents.ppo.fast.acting import act_on, make_net, make_room, value_of
from agents.ppo.fast.adam import AdamSettings
from agents.ppo.fast.frozen import FastPolicy
from agents.ppo.fast.layout import make_layout
from agents.ppo.fast.lists import SparseRows
from agents.ppo.fast.memory import make_learned
from agents.ppo.fast.memory import make_room as make_update_room
from agents.ppo.fast.minibatch import Columns
from agents.ppo.fast.observations import as_features
from agents.ppo.fast.update import Rules, train_epoch


def compile_kernels(shape: tuple[int, ...], dtype: Any, is_image: bool) -> None:
    """Act on one row of observations like these, learn from it, and act as a frozen policy."""
    observations, inputs, actions = np.zeros((1, *shape), dtype), math.prod(shape), 2
    lists = SparseRows(shape, dtype, is_image)
    lists.add(observations)
    learned = make_learned(make_layout(inputs, actions, (32, 32), (32, 32)))
    actor, critic, room = make_net(learned.actor), make_net(learned.critic), make_room(inputs, actions)
    chosen, numbers = np.zeros(1, np.int64), [np.zeros(1, np.float32) for _ in range(3)]
    act_on(actor, critic, lists.view(), 0, room, numbers[0], chosen, numbers[1], numbers[2])
    value_of(critic, as_features(observations, is_image), room, numbers[2])
    rules = Rules(1, True, 0.2, 0.0, 0.5, math.inf)
    adam = AdamSettings(1e-3, 0.9, 0.999, 1e-5, 0.5, 0)
    update_room = make_update_room(learned, lists.view(), 1, actions)
    columns, report = Columns(chosen, *numbers), np.zeros((1, 6))
    train_epoch(learned, lists.view(), columns, np.zeros(1, np.int64), rules, adam, update_room, report)
    _act_frozen(observations, is_image)


def _act_frozen(observations: NDArray[Any], is_image: bool) -> None:
    architecture = {
        "kind": KIND,
        "observation_shape": list(observations.shape[1:]),
        "observation_dtype": str(observations.dtype),
        "is_image": is_image,
        "n_actions": 2,
        "net_arch": {"pi": [32, 32], "vf": []},
        "activation": "relu",
    }
    tensors = {f"policy/{name}": np.zeros(size, np.float32) for name, size in policy_shapes(architecture).items()}
    FastPolicy(architecture, tensors).act(observations, np.random.default_rng(0))
