"""Policies as architecture and tensors, made without a learner."""

import json

import numpy as np
from gymnasium import spaces

from agents.ppo.architecture import describe_architecture, policy_shapes
from agents.ppo.settings import SpeciesSettings


def architecture_of(box, n_actions=9, pi=(64, 64), vf=(64, 64), activation="relu"):
    settings = SpeciesSettings({}, {"pi": pi, "vf": vf}, activation)
    return json.loads(json.dumps(describe_architecture(box, spaces.Discrete(n_actions), settings)))


def lively_tensors(architecture, seed=0):
    """Weights that prefer some actions, without being sure of them."""
    rng = np.random.default_rng(seed)
    spread = {
        name: 1.4 / np.sqrt(shape[-1]) if len(shape) == 2 else 0.2
        for name, shape in policy_shapes(architecture).items()
    }
    return {
        f"policy/{name}": rng.normal(size=shape, scale=spread[name]).astype(np.float32)
        for name, shape in policy_shapes(architecture).items()
    }
