"""Training speed of the PPO learner on one core, by update path: `python -m benchmarks.learner`.

Paths are interleaved, so that a busy machine slows all of them alike; figures are medians over the repeats with the
smallest and the largest, ratios are taken repeat by repeat. Targets: 120 000 agent steps/s at 4 epochs and batch 2048
(220 000 at 2), `train()` at least 3 times (sparse) and 1.7 times (dense) as fast as Stable-Baselines3's own.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.spread import spread

if TYPE_CHECKING:
    from agents.ppo.learner import PPOLearner
    from agents.ppo.species import SpeciesPPO
    from marl_pbt.protocols import Learner

PATHS = ("sparse", "dense", "sb3")
SETUPS: dict[str, tuple[int, dict[str, Any]]] = {
    "64 worlds x 32 steps, 4 epochs, batch 2048": (64, {"n_steps": 32, "n_epochs": 4, "batch_size": 2048}),
    "64 worlds x 32 steps, 2 epochs, batch 2048": (64, {"n_steps": 32, "n_epochs": 2, "batch_size": 2048}),
    "16 worlds x 64 steps, 2 epochs, batch 512/1024": (
        16,
        {"n_steps": 64, "n_epochs": 2, "species": {"predator": {"batch_size": 512}, "prey": {"batch_size": 1024}}},
    ),
}
"""Name → number of worlds, settings of the learner."""
BATCH_SIZES = (64, 256, 1024, 2048, 4096)


class Sample(NamedTuple):
    """One update of one setup: agent steps per second of wall and of processor time, share outside `train()`."""

    per_wall_s: float
    per_cpu_s: float
    share_outside: float


def make_learner(num_worlds: int, settings: Mapping[str, Any], seed: int = 0, **environment: Any) -> Learner:
    from agents.ppo import kind
    from envs.predator_prey_grass import parallel_env
    from marl_pbt.protocols import Interface

    worlds = parallel_env(**environment).batched(num_worlds)
    interface = Interface(worlds.species, worlds.observation_spaces, worlds.action_spaces)
    return kind.build(settings, interface, worlds, seed)


def measure_update(learner: Learner) -> Sample:
    began = time.process_time()
    report = learner.update()
    cpu_s = time.process_time() - began
    clocks = report.clocks
    outside = 1 - report.metrics["time/train_s"] / clocks.seconds
    return Sample(clocks.agent_steps / clocks.seconds, clocks.agent_steps / cpu_s, outside)


def ratios(values: list[float], others: list[float]) -> str:
    return spread([a / b for a, b in zip(values, others, strict=True)], ".2f")


def whole_updates(repeats: int, warm_up: int) -> None:
    """Rollout and update, end to end."""
    learners = {
        (name, path): make_learner(worlds, settings | {"update_path": path})
        for name, (worlds, settings) in SETUPS.items()
        for path in PATHS
    }
    samples: dict[tuple[str, str], list[Sample]] = {key: [] for key in learners}
    for repeat in range(warm_up + repeats):
        for key, learner in learners.items():
            sample = measure_update(learner)
            if repeat >= warm_up:
                samples[key].append(sample)
    print("| setup | path | agent steps/s | per s of processor time | share outside train() | of sb3 |")
    print("|---|---|---|---|---|---|")
    for (name, path), measured in samples.items():
        per_wall, per_cpu, outside = (list(column) for column in zip(*measured, strict=True))
        of_sb3 = ratios(per_wall, [sample.per_wall_s for sample in samples[name, "sb3"]])
        speeds = f"{spread(per_wall, ',.0f')} | {spread(per_cpu, ',.0f')}"
        print(f"| {name} | {path} | {speeds} | {spread(outside, '.1%')} | {of_sb3} |")


def rollout_of(settings: Mapping[str, Any]) -> PPOLearner:
    """A learner past its first updates, with a rollout in its buffers."""
    from agents.ppo.learner import PPOLearner

    learner = make_learner(64, settings)
    assert isinstance(learner, PPOLearner)
    for _ in range(3):
        learner.update()
    learner.collect()
    return learner


def prey_of(learner: PPOLearner) -> SpeciesPPO:
    return learner.species_ppo("prey")


def update_alone(repeats: int) -> None:
    """`train()` of the prey on one and the same rollout, one epoch at each minibatch size."""
    learner = rollout_of({"n_steps": 32, "n_epochs": 1, "learning_rate": 1e-9})
    prey = prey_of(learner)
    rows = prey.buffer.size()
    print(f"\n| train() on {rows} prey rows, batch | " + " | ".join(f"{path}, µs per row" for path in PATHS), end="")
    print(" | sparse of sb3 | dense of sb3 |\n|" + "---|" * (len(PATHS) + 3))
    for batch_size in BATCH_SIZES:
        prey.set_hyperparameters({"batch_size": batch_size})
        times: dict[str, list[float]] = {path: [] for path in PATHS}
        for repeat in range(repeats + 1):
            for path in PATHS:
                prey.model.update_path = path  # type: ignore[assignment]  # one of the literals
                seconds = timed(prey.train)
                if repeat:
                    times[path].append(seconds)
        cells = [spread([1e6 * seconds / rows for seconds in times[path]], ".2f") for path in PATHS]
        cells += [ratios(times["sb3"], times[path]) for path in ("sparse", "dense")]
        print(f"| {batch_size} | " + " | ".join(cells) + " |")


def inference_alone(repeats: int) -> None:
    """Actions and values for one env step's prey of 64 worlds."""
    from agents.ppo.fast.inference import FastInference
    from agents.ppo.inference import TorchInference

    prey = prey_of(rollout_of({"n_steps": 32}))
    observations = prey.buffer.column("observations")[: prey.buffer.size() // 32]
    ways = {path: FastInference(prey.policy, path) for path in ("sparse", "dense")} | {
        "torch": TorchInference(prey.policy)
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats * 3):
        for name, way in ways.items():
            way.begin()
            way.act(observations, prey.rng)  # backgrounds are found once in a rollout
            times[name].append(timed(lambda way=way: way.act(observations, prey.rng)))  # type: ignore[misc]
    print(f"\n| actions, log-probabilities and values of {len(observations)} prey rows | µs per row | of torch |")
    print("|---|---|---|")
    for name, seconds in times.items():
        per_row = spread([1e6 * each / len(observations) for each in seconds], ".2f")
        print(f"| {name} | {per_row} | {ratios(times['torch'], seconds)} |")


def timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="updates per setup that are measured")
    parser.add_argument("--warm-up", type=int, default=3, help="updates per setup before that")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # before torch is imported
    import torch

    torch.set_num_threads(1)
    whole_updates(arguments.repeats, arguments.warm_up)
    update_alone(arguments.repeats)
    inference_alone(arguments.repeats)


if __name__ == "__main__":
    main()
