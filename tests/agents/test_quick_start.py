"""What a learner's process does not import."""

from __future__ import annotations

import subprocess
import sys

from tests.marl_pbt.command import REPOSITORY

UPDATE = """
import sys
from agents.ppo import kind
from marl_pbt.environments import EnvironmentSource, interface_of

worlds = EnvironmentSource("envs.predator_prey_grass:parallel_env", {"max_steps": 20}).open_worlds(2)
learner = kind.build({"n_steps": 16}, interface_of(worlds), worlds, 0)
learner.update()
state = learner.get_state()
learner.set_state(state)
print("torch._dynamo" in sys.modules)
"""


def test_a_learner_is_built_trained_kept_and_restored_without_torchs_compiler() -> None:
    """A new torch may bring it back: benchmarks/RESULTS.md says what it costs."""
    told = subprocess.run([sys.executable, "-c", UPDATE], cwd=REPOSITORY, stdout=subprocess.PIPE, check=True, text=True)
    assert told.stdout == "False\n"
