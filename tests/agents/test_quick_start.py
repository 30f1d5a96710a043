"""What a learner's process does not import."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from agents.quick_start import step_without_compiler
from tests.marl_pbt.command import REPOSITORY

PPO = """
import sys
from agents.ppo import kind
from marl_pbt.environments import EnvironmentSource, interface_of

worlds = EnvironmentSource("envs.predator_prey_grass:parallel_env", {{"max_steps": 20}}).open_worlds(2)
learner = kind.build({{"n_steps": 16, "update_path": "{path}"}}, interface_of(worlds), worlds, 0)
"""
DIGITS = """
import sys
from agents.digits import kind
from marl_pbt.protocols import Interface

learner = kind.build({"steps": 1}, Interface((), {}, {}), None, 0)
"""
UPDATE = """
learner.update()
state = learner.get_state()
learner.set_state(state)
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize(
    "build", [PPO.format(path="auto"), PPO.format(path="sb3"), DIGITS], ids=["kernels", "sb3", "digits"]
)
def test_a_learner_is_built_trained_kept_and_restored_without_torchs_compiler(build: str) -> None:
    """A new torch may bring it back: benchmarks/RESULTS.md says what it costs."""
    program = [sys.executable, "-c", build + UPDATE]
    told = subprocess.run(program, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True, text=True)
    assert told.stdout == "False\n"


@pytest.mark.parametrize("options", [{}, {"fused": True, "eps": 1e-5}, {"amsgrad": True, "foreach": True}])
@pytest.mark.parametrize("make", [torch.optim.Adam, torch.optim.AdamW])
def test_steps_are_the_same_bit_for_bit(make: type[torch.optim.Adam], options: dict[str, object]) -> None:
    rng, ends = np.random.default_rng(0), []
    start, gradients = rng.normal(size=30), rng.normal(size=(5, 30))
    for is_plain in (False, True):
        weights = torch.nn.Parameter(torch.from_numpy(start.copy()))
        optimizer = make([weights], lr=0.1, **options)
        if is_plain:
            step_without_compiler(optimizer)
        for gradient in gradients:
            weights.grad = torch.from_numpy(gradient.copy())
            optimizer.step()
        ends.append(weights.detach().numpy().copy())
        assert torch.is_grad_enabled() and weights.requires_grad
    assert np.array_equal(*ends) and not np.array_equal(ends[0], start)
