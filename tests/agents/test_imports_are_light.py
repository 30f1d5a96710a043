"""A config is checked without torch: describing a learner is fast."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from gymnasium import spaces
from marl_pbt.protocols import Interface
from {module} import {kind} as kind
box = spaces.Box(0, 255, (7, 7, 4), "uint8")
kind.describe({{"n_steps": 8}}, Interface(("prey",), {{"prey": box}}, {{"prey": spaces.Discrete(9)}}))
print([name for name in ("torch", "stable_baselines3", "envs") if name in sys.modules])
"""


@pytest.mark.parametrize(("module", "kind"), [("agents.ppo", "kind"), ("agents.scripted", "random_kind")])
def test_describing_a_learner_imports_neither_torch_nor_sb3_nor_environments(module, kind):
    script = SCRIPT.format(module=module, kind=kind)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
