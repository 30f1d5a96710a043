"""The figure of the PBT paper's toy, from the files of two runs: `python -m benchmarks.toy` (ten seconds).

Left the workers' ways over the hill with and without PBT, copies as dashed jumps; right how high they stand, against
the height that neither of them can exceed alone (Jaderberg et al. 2017, fig. 2).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CONTROLS = {"pbt": "PBT", "random_search": "the same starts, nobody copies"}
START = 0.9
SUMMIT = 1.2
COLOURS = ("#d1495b", "#00798c")


@dataclass(frozen=True)
class Way:
    """What one member did.

    Attributes:
        steps: `(n,)`: gradient steps at the readings, the start first.
        theta: `(n, 2)`: where it stood, before it copied anybody.
        jumps: Per copy: from which reading, to where.
    """

    steps: NDArray[np.int64]
    theta: NDArray[np.float64]
    jumps: dict[int, NDArray[np.float64]]

    @property
    def height(self) -> NDArray[np.float64]:
        """The objective along the way."""
        height: NDArray[np.float64] = SUMMIT - np.square(self.theta).sum(axis=1)
        return height


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", type=Path, default=Path("docs/toy.png"))
    figure = parser.parse_args().figure
    with tempfile.TemporaryDirectory() as folder:
        ways = {control: train(Path(folder), control) for control in CONTROLS}
    for control, each in ways.items():
        heights = ", ".join(f"{way.height[-1]:.3f}" for way in each)
        print(
            f"{CONTROLS[control]}: {heights} after {each[0].steps[-1]} steps, {len(each[0].jumps)} and "
            f"{len(each[1].jumps)} copies"
        )
    draw(ways, figure)


def train(runs: Path, control: str) -> list[Way]:
    """Run the command as a user does, and read what it leaves."""
    command = ["-m", "marl_pbt.train", "configs/toy.yaml", "--runs-dir", str(runs), "--name", control]
    subprocess.run([sys.executable, *command, "--set", f"pbt.control={control}"], check=True, stdout=subprocess.DEVNULL)
    return read_ways(runs / control)


def read_ways(run: Path) -> list[Way]:
    """Per member: readings from its TensorBoard curves, copies from the lineage."""
    from marl_pbt.lineage_store import read_lineage

    readings = [read_readings(run / "tb" / f"member_{member:02d}") for member in range(2)]
    jumps: list[dict[int, NDArray[np.float64]]] = [{}, {}]
    for event in read_lineage(run / "lineage.jsonl"):
        if event.kind == "exploit" and event.parent is not None:
            # An interval is one update, and so the n-th reading is that of generation n.
            jumps[event.member][event.generation] = readings[event.parent.member][1][event.parent.generation]
    return [Way(steps, theta, jumped) for (steps, theta), jumped in zip(readings, jumps, strict=True)]


def read_readings(folder: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    from tensorboard.backend.event_processing.event_accumulator import STORE_EVERYTHING_SIZE_GUIDANCE, EventAccumulator

    events = EventAccumulator(str(folder), STORE_EVERYTHING_SIZE_GUIDANCE).Reload()
    curves = [events.Scalars(f"learner/policy/theta_{axis}") for axis in range(2)]
    steps = [0, *(point.step for point in curves[0])]
    return np.array(steps), np.array([[START, *(point.value for point in curve)] for curve in curves]).T


def draw(ways: dict[str, list[Way]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (plane, curves) = pyplot.subplots(1, 2, figsize=(10.5, 4.4), layout="constrained")
    draw_hill(plane)
    for control in ("random_search", "pbt"):  # the second on top
        for member, way in enumerate(ways[control]):
            is_pbt = control == "pbt"
            colour = COLOURS[member] if is_pbt else "0.45"
            label = f"worker {member}, PBT" if is_pbt else CONTROLS[control] if member == 0 else None
            draw_way(plane, way, colour)
            curves.plot(way.steps, way.height, label=label, color=colour, linestyle="-" if is_pbt else "--")
    curves.axhline(SUMMIT, color="0.8", linewidth=0.8, zorder=0)
    curves.axhline(SUMMIT - START**2, color="0.8", linewidth=0.8, zorder=0)
    curves.set(xlabel="gradient steps", ylabel="objective Q", title="How high they stand")
    curves.legend(frameon=False, loc="lower right")
    figure.savefig(path, dpi=120)


def draw_hill(plane: Axes) -> None:
    axis = np.linspace(-0.1, 1.0, 120)
    height = SUMMIT - axis[None, :] ** 2 - axis[:, None] ** 2
    plane.contourf(axis, axis, height, levels=16, cmap="Greens", alpha=0.55)
    plane.plot(0, 0, marker="*", markersize=13, color="0.15")
    plane.set(xlabel="θ₀", ylabel="θ₁", title="The workers' ways over Q = 1.2 − θ₀² − θ₁²", aspect="equal")


def draw_way(plane: Axes, way: Way, colour: str) -> None:
    """Trained stretches as dots on a line, copies as dotted lines."""
    at = way.theta[0]
    for reading in range(1, len(way.theta)):
        stretch = np.array([at, way.theta[reading]])
        plane.plot(*stretch.T, marker=".", markersize=4, linewidth=1.5, color=colour)
        at = way.theta[reading]
        if reading in way.jumps:
            jump = np.array([at, way.jumps[reading]])
            plane.plot(*jump.T, linestyle=":", linewidth=1.8, color=colour)
            at = way.jumps[reading]


if __name__ == "__main__":
    main()
