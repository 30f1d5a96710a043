"""Compiles the kernels that most tests need, before tests begin: `python -m tests.compiled_first bytes`, `… floats`.

In a fresh clone that takes a minute, and a test that has to wait for it may run out of time. Both at once take little
longer than one. Where an earlier process has compiled them they are loaded in a second.
"""

from __future__ import annotations

import sys

import numpy as np
from gymnasium import spaces

from agents.ppo import kind
from envs.predator_prey_grass import parallel_env
from marl_pbt.environments import interface_of
from marl_pbt.protocols import Interface


def compile_for(dtype: str) -> None:
    """Step and observe worlds of this dtype, and learn from what is seen."""
    # As in configs/ppg.yaml, and as tests/envs/ppg_configs.py has it.
    rules = {} if dtype == "bytes" else {"observation_dtype": "float32"}
    worlds = parallel_env(**rules, max_steps=3).batched(1)
    worlds.reset(0)
    for _ in range(4):
        for index, space in enumerate(worlds.observation_spaces.values()):
            worlds.observe(index, np.empty((worlds.rows()[index], *space.shape), space.dtype))
        worlds.step([np.zeros(rows, np.int64) for rows in worlds.rows()])
    worlds.set_state(worlds.get_state())
    vector = {"fish": spaces.Box(-1, 1, (5,), np.float32)}
    floats = Interface(("fish",), vector, {"fish": spaces.Discrete(3)})
    kind.warm_up({}, interface_of(worlds) if dtype == "bytes" else floats)


if __name__ == "__main__":
    compile_for(sys.argv[1])
