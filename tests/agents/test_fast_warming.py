"""What the supervisor compiles before the workers start is what they need."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from gymnasium import spaces

from agents.ppo import kind
from agents.ppo.architecture import policy_shapes
from agents.ppo.fast import acting, frozen, lists, update
from envs.predator_prey_grass import parallel_env
from marl_pbt.protocols import Interface, WarmsUp

FROZEN = (frozen.act_from_lists, frozen.act_from_features)
ENTRIES = (update.train_epoch, acting.act_on, acting.value_of, lists.list_rows, *FROZEN)


def compiled() -> list[set[str]]:
    return [{str(signature) for signature in entry.signatures} for entry in ENTRIES]


@pytest.mark.parametrize("path", ["sparse", "dense"])
def test_after_the_warm_up_an_update_compiles_nothing(path):
    worlds = parallel_env().batched(2)
    interface = Interface(worlds.species, worlds.observation_spaces, worlds.action_spaces)
    settings = {"n_steps": 4, "n_epochs": 1, "update_path": path}
    assert isinstance(kind, WarmsUp)
    kind.warm_up(settings, interface)
    before = compiled()
    kind.build(settings, interface, worlds, seed=0).update()
    assert compiled() == before


@pytest.mark.parametrize(
    "box", [spaces.Box(0, 255, (7, 7, 4), np.uint8), spaces.Box(-1, 1, (5,), np.float32)], ids=["bytes", "floats"]
)
def test_after_the_warm_up_a_frozen_policy_compiles_nothing(box):
    interface = Interface(("prey",), {"prey": box}, {"prey": spaces.Discrete(3)})
    kind.warm_up({}, interface)
    before = compiled()
    architecture = kind.describe({}, interface).architecture["prey"]
    tensors = {f"policy/{name}": np.zeros(shape, np.float32) for name, shape in policy_shapes(architecture).items()}
    kind.load_policy(architecture, tensors).act(np.stack([box.sample()] * 3), np.random.default_rng(0))
    assert compiled() == before


@pytest.mark.parametrize("settings", [{"activation": "tanh"}, {"net_arch": [64]}, {"update_path": "sb3"}])
def test_nothing_is_compiled_for_what_goes_another_way(settings):
    box = {"prey": spaces.Box(0, 1, (3,), np.float32)}
    before = compiled()
    kind.warm_up(settings, Interface(("prey",), box, {"prey": spaces.Discrete(2)}))
    assert compiled() == before


def test_the_warm_up_imports_no_torch():
    program = (
        "import sys; from agents.ppo import kind; from marl_pbt.protocols import Interface\n"
        "from envs.predator_prey_grass import parallel_env; worlds = parallel_env().batched(2)\n"
        "kind.warm_up({}, Interface(worlds.species, worlds.observation_spaces, worlds.action_spaces))\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=100).returncode == 0
