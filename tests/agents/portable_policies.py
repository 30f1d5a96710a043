"""Policies with drawn weights, for writing into files of others and reading back."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from agents.ppo import kind
from agents.ppo.architecture import policy_shapes
from marl_pbt.protocols import Interface, PortablePolicy

WINDOW = spaces.Box(0, 255, (7, 7, 4), np.uint8)
NETS = [{"pi": [], "vf": []}, {"pi": [16], "vf": [12, 8]}, {"pi": [], "vf": [8]}, {"pi": [64, 64], "vf": [64, 64]}]
ACTIONS = 9


def interface_of(box, actions=ACTIONS):
    return Interface(("prey",), {"prey": box}, {"prey": spaces.Discrete(actions)})


def portable(box=WINDOW, net_arch=None, activation="relu", hyperparameters=None, seed=0):
    settings = {"net_arch": net_arch or {"pi": [16], "vf": [12, 8]}, "activation": activation}
    described = kind.describe(settings, interface_of(box))
    rng, architecture = np.random.default_rng(seed), described.architecture["prey"]
    tensors = {
        f"policy/{name}": (2 * rng.normal(size=shape) / np.sqrt(shape[-1])).astype(np.float32)
        for name, shape in policy_shapes(architecture).items()
    }
    values = {name: spec.default for name, spec in described.hyperparameters["prey"].items()}
    return PortablePolicy(architecture, tensors, box, spaces.Discrete(ACTIONS), values | (hyperparameters or {}))


def settings_of(policy):
    """The settings that describe what a policy is made of."""
    return {"net_arch": policy.architecture["net_arch"], "activation": policy.architecture["activation"]}


def sampled(box, rows=300, seed=0):
    box = spaces.Box(box.low, box.high, dtype=box.dtype, seed=seed)
    return np.stack([box.sample() for _ in range(rows)])


def greedy(policy, observations):
    frozen = kind.load_policy(policy.architecture, policy.tensors)
    return frozen.act(observations, np.random.default_rng(0), greedy=True)
