"""Learning curves by update path, against agent steps: `python -m benchmarks.learning_curves` (about ten minutes).

Each path trains from each seed on predator–prey–grass, preset `base`. A seed gives all paths the same weights, worlds
and minibatches to begin with; rounding soon parts them, so what is compared is the mean over seeds with its 95 %
bootstrap interval, per species and stretch of agent steps. Where the mathematics is the same, intervals hold each
other's mean.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PATHS = ("sparse", "dense", "sb3")
SETTINGS = {"n_steps": 32, "n_epochs": 4, "batch_size": 2048, "learning_rate": 5e-4, "ent_coef": 0.01}
NUM_WORLDS = 64
MAX_STEPS = 300  # as in configs/ppg.yaml: with the preset's 1000, too few episodes end for a mean
STRETCH = 500_000
Curves = dict[str, NDArray[np.float64]]


def train(job: tuple[str, int, int]) -> Curves:
    """One run: per species the mean return of the episodes that ended in each stretch; NaN where none did."""
    path, seed, agent_steps = job
    import torch

    from benchmarks.learner import make_learner

    torch.set_num_threads(1)
    learner = make_learner(NUM_WORLDS, SETTINGS | {"update_path": path}, seed, max_steps=MAX_STEPS)
    stretches = agent_steps // STRETCH
    returns: dict[str, list[list[float]]] = {name: [[] for _ in range(stretches)] for name in learner.species}
    done = 0
    while done < agent_steps:
        report = learner.update()
        for episode in report.episodes:
            for name, value in episode.returns.items():
                returns[name][min(done // STRETCH, stretches - 1)].append(value)
        done += report.clocks.agent_steps
    return {
        name: np.array([np.mean(values) if values else np.nan for values in each]) for name, each in returns.items()
    }


def interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean over seeds, and the bounds of its 95 % bootstrap interval."""
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return np.nan, np.nan, np.nan
    means = np.random.default_rng(0).choice(values, (10_000, len(values))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def print_table(curves: Mapping[str, Sequence[Curves]], species: Sequence[str]) -> None:
    print("| species | agent steps | " + " | ".join(f"{path}: mean return (95 %)" for path in PATHS), end=" | ")
    print("the means of sparse, dense lie in sb3's interval, or sb3's in theirs |\n" + "|---" * (3 + len(PATHS)) + "|")
    for name in species:
        values = {path: np.array([curve[name] for curve in curves[path]]) for path in PATHS}
        for stretch in range(values["sb3"].shape[1]):
            intervals = {path: interval(values[path][:, stretch]) for path in PATHS}
            cells = [f"{mean:.0f} ({low:.0f} to {high:.0f})" for mean, low, high in intervals.values()]
            agree = [
                "yes" if holds(intervals[path], intervals["sb3"]) or holds(intervals["sb3"], intervals[path]) else "no"
                for path in PATHS[:-1]
            ]
            steps = f"{stretch * STRETCH / 1e6:.2f} to {(stretch + 1) * STRETCH / 1e6:.2f} M"
            print(f"| {name} | {steps} | {' | '.join(cells)} | {', '.join(agree)} |")


def holds(one: tuple[float, float, float], other: tuple[float, float, float]) -> bool:
    return one[1] <= other[0] <= one[2]


def draw(curves: Mapping[str, Sequence[Curves]], species: Sequence[str], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(species), figsize=(5.5 * len(species), 3.8), layout="constrained")
    for name, plot in zip(species, np.atleast_1d(axes), strict=True):
        draw_species({way: np.array([curve[name] for curve in each]) for way, each in curves.items()}, plot)
        plot.set_title(name)
        plot.set_xlabel("agent steps (millions)")
    np.atleast_1d(axes)[0].set_ylabel("episode return, mean over seeds")
    np.atleast_1d(axes)[0].legend(frameon=False)
    figure.savefig(path, dpi=120)


def draw_species(values: Mapping[str, NDArray[np.float64]], plot: Axes) -> None:
    for way, runs in values.items():
        bounds = np.array([interval(column) for column in runs.T])
        steps = (np.arange(len(bounds)) + 0.5) * STRETCH / 1e6
        plot.plot(steps, bounds[:, 0], label=way)
        plot.fill_between(steps, bounds[:, 1], bounds[:, 2], alpha=0.2, linewidth=0)
    plot.grid(alpha=0.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--agent-steps", type=int, default=3_000_000, help="of each run")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--figure", type=Path, help="PNG to write")
    arguments = parser.parse_args()
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"  # inherited by the workers
    jobs = [(path, seed, arguments.agent_steps) for seed in range(arguments.seeds) for path in PATHS]
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        results = pool.map(train, jobs, chunksize=1)
    curves = {path: [result for job, result in zip(jobs, results, strict=True) if job[0] == path] for path in PATHS}
    species = list(results[0])
    print_table(curves, species)
    if arguments.figure:
        draw(curves, species, arguments.figure)


if __name__ == "__main__":
    main()
