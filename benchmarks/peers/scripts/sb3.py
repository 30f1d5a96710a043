"""Stable-Baselines3's PPO on SuperSuit's vector environment: one policy for everyone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import supersuit  # type: ignore[import-not-found]  # in its own virtual environment only
from pettingzoo.utils import BaseParallelWrapper
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from benchmarks.peers.scripts.arguments import keep_to_one_thread, parse_arguments
from benchmarks.peers.scripts.environments import make_environment
from benchmarks.peers.scripts.slots import Slots
from benchmarks.peers.scripts.stopwatch import Stopwatch

NUM_ENVS = {"predator_prey_grass": 1, "simple_tag": 16}
N_STEPS = 32
MINIBATCH = 512


class Counted(BaseParallelWrapper):  # type: ignore[misc]  # PettingZoo ships no types
    """Counts what living agents do, over all copies."""

    agent_steps = 0

    def step(self, actions: Mapping[str, int]) -> Any:
        """Let every living agent act once."""
        Counted.agent_steps += len(self.env.agents)
        return self.env.step(actions)


class Measure(BaseCallback):
    """Asks the stopwatch before each rollout, that is after each update."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        super().__init__()
        self._stopwatch = stopwatch
        self._is_done = False

    def _on_rollout_start(self) -> None:
        self._is_done = self._stopwatch.is_done(Counted.agent_steps)

    def _on_step(self) -> bool:
        return not self._is_done


def main() -> None:
    arguments = parse_arguments(__doc__)
    keep_to_one_thread()
    np.random.seed(0)
    environment = Counted(make_environment(arguments.environment))
    if arguments.environment == "predator_prey_grass":
        environment = Slots(environment)
    environment = supersuit.pad_observations_v0(environment)
    vectorized = supersuit.concat_vec_envs_v1(
        supersuit.pettingzoo_env_to_vec_env_v1(environment),
        NUM_ENVS[arguments.environment],
        num_cpus=0,
        base_class="stable_baselines3",
    )
    learner = PPO(
        "MlpPolicy",
        vectorized,
        n_steps=N_STEPS,
        n_epochs=4,
        batch_size=MINIBATCH,
        policy_kwargs={"net_arch": [64, 64]},
        device="cpu",
        seed=None,  # SuperSuit's vector environment cannot be seeded by PPO
    )
    stopwatch = Stopwatch(arguments.seconds, warm_up=3)
    learner.learn(10**9, callback=Measure(stopwatch))
    settings = {"num_envs": NUM_ENVS[arguments.environment], "n_steps": N_STEPS, "batch_size": MINIBATCH}
    rows = {"rows_per_rollout": N_STEPS * vectorized.num_envs}
    stopwatch.report(["stable-baselines3", "supersuit", "torch"], {**settings, **rows})


if __name__ == "__main__":
    main()
