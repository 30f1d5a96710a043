"""Training speed of the PPO learner on one core: `python -m benchmarks.learner`.

Setups are interleaved, so that a busy machine slows all of them alike; figures are medians over the repeats with the
smallest and the largest. Target: 40 000 agent steps/s at 4 epochs, at most 15 % of the time outside `PPO.train()`.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.spread import spread

if TYPE_CHECKING:
    from marl_pbt.protocols import Learner

SETUPS: dict[str, tuple[int, dict[str, Any]]] = {
    "64 worlds x 32 steps, 4 epochs, batch 2048": (64, {"n_steps": 32, "n_epochs": 4, "batch_size": 2048}),
    "64 worlds x 32 steps, 2 epochs, batch 2048": (64, {"n_steps": 32, "n_epochs": 2, "batch_size": 2048}),
    "16 worlds x 64 steps, 2 epochs, batch 512/1024": (
        16,
        {"n_steps": 64, "n_epochs": 2, "species": {"predator": {"batch_size": 512}, "prey": {"batch_size": 1024}}},
    ),
}
"""Name → number of worlds, settings of the learner."""


class Sample(NamedTuple):
    """One update of one setup: agent steps per second of wall and of processor time, share outside `train()`."""

    per_wall_s: float
    per_cpu_s: float
    share_outside: float


def make_learner(num_worlds: int, settings: dict[str, Any]) -> Learner:
    from agents.ppo import kind
    from envs.predator_prey_grass import parallel_env
    from marl_pbt.protocols import Interface

    worlds = parallel_env().batched(num_worlds)
    interface = Interface(worlds.species, worlds.observation_spaces, worlds.action_spaces)
    return kind.build(settings, interface, worlds, seed=0)


def measure_update(learner: Learner) -> Sample:
    began = time.process_time()
    report = learner.update()
    cpu_s = time.process_time() - began
    clocks = report.clocks
    outside = 1 - report.metrics["time/train_s"] / clocks.seconds
    return Sample(clocks.agent_steps / clocks.seconds, clocks.agent_steps / cpu_s, outside)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="updates per setup that are measured")
    parser.add_argument("--warm-up", type=int, default=3, help="updates per setup before that")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # before torch is imported
    import torch

    torch.set_num_threads(1)
    learners = {name: make_learner(*setup) for name, setup in SETUPS.items()}
    samples: dict[str, list[Sample]] = {name: [] for name in SETUPS}
    for repeat in range(arguments.warm_up + arguments.repeats):
        for name, learner in learners.items():
            sample = measure_update(learner)
            if repeat >= arguments.warm_up:
                samples[name].append(sample)
    print("| setup | agent steps/s | per s of processor time | share outside PPO.train() |\n|---|---|---|---|")
    for name, measured in samples.items():
        per_wall, per_cpu, outside = zip(*measured, strict=True)
        print(f"| {name} | {spread(per_wall, ',.0f')} | {spread(per_cpu, ',.0f')} | {spread(outside, '.1%')} |")


if __name__ == "__main__":
    main()
