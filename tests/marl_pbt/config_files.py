"""A small sound config, and ways to load changed ones: for the tests of the config."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from marl_pbt.config import LoadedConfig, load_config
from marl_pbt.protocols import UserError

SOUND = """\
name: toy
environment: {make: "my_env:make", config: {max_steps: 300}}
learner: {make: "my_agent:kind", settings: {n_steps: 64}}
pbt:
  interval: 500_000
  hyperparameters:
    predator:
      learning_rate: {loguniform: [3e-4, 5e-3]}
      ent_coef: {loguniform: [1e-3, 2e-2], initial: 0.005}
    prey.gae_lambda: {uniform: [0.7, 0.98]}
stop: {progress: 5e6}
"""


def load(text: str | bytes, *overrides: str) -> LoadedConfig:
    """The config in this text."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("c.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_config("c.yaml", overrides)


def faults(text: str | bytes, *overrides: str) -> list[str]:
    """What is wrong with it; a list of single lines."""
    try:
        load(text, *overrides)
    except UserError as error:
        assert all(fault and "\n" not in fault and fault.isprintable() for fault in error.faults)
        return list(error.faults)
    return []
