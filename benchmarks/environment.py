"""How fast predator, prey, grass goes on one core: agent steps per second, observations included, random policies."""

from __future__ import annotations

import os

os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import argparse
import time
from collections.abc import Callable

import numpy as np

from envs.predator_prey_grass import parallel_env


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="measurements of each kind, interleaved (default 7)")
    parser.add_argument("--seconds", type=float, default=0.8, help="about how long one measurement takes (default 0.8)")
    arguments = parser.parse_args()
    kinds = {
        "batched, 64 worlds": batched_player(64),
        "batched, 16 worlds": batched_player(16),
        "PettingZoo face, 1 world": single_player(),
    }
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(arguments.repeats):
        for name, play in kinds.items():
            rates[name].append(measure(play, arguments.seconds))
    print(f"{'agent steps/s of process time':<32}{'median':>12}{'lowest':>12}{'highest':>12}")
    for name, values in rates.items():
        print(f"{name:<32}{np.median(values):>12,.0f}{min(values):>12,.0f}{max(values):>12,.0f}")


def measure(play: Callable[[], int], seconds: float) -> float:
    """Agent steps per second of process time; `play` makes some and says how many."""
    agent_steps, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        agent_steps += play()
    return agent_steps / spent


def batched_player(num_worlds: int) -> Callable[[], int]:
    worlds = parallel_env().batched(num_worlds)
    worlds.reset(0)
    actions = np.random.default_rng(0).integers(0, 9, (64, max(worlds.max_rows) + 64))
    windows = [
        np.empty((rows, *(space.shape or ())), space.dtype)
        for rows, space in zip(worlds.max_rows, worlds.observation_spaces.values(), strict=True)
    ]

    def play() -> int:
        agent_steps = 0
        for nth in range(64):
            rows = worlds.rows()
            agent_steps += sum(rows)
            worlds.step([actions[nth, s : s + n] for s, n in enumerate(rows)])
            for s, window in enumerate(windows):
                worlds.observe(s, window)
        return agent_steps

    for _ in range(5):  # compile, and get past the first generation
        play()
    return play


def single_player() -> Callable[[], int]:
    world = parallel_env()
    world.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 9, (64, 200)).tolist()

    def play() -> int:
        agent_steps = 0
        for nth in range(64):
            if not world.agents:
                world.reset()
            agent_steps += len(world.agents)
            world.step(dict(zip(world.agents, actions[nth], strict=False)))
        return agent_steps

    for _ in range(5):
        play()
    return play


if __name__ == "__main__":
    main()
