"""What it costs that nothing is lost and nothing hangs: `python -m benchmarks.guards` (three minutes).

- Training with all guards (finite or not at all, progress counters) against without, as ratios of agent steps per
  second of processor time, learners taking turns within a round.
- A durable checkpoint of a member of the default config: its state, the file, all flushed; how much of it is before the
  members that share its worker train on, and how much of it is work for the processor rather than waiting for the disk.
- From the death of a worker to when a fresh one is up in its place, in a run whose workers are killed; its imports are
  those of the toy learner, without torch.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.recovery import recoveries_s
from benchmarks.spread import spread
from marl_pbt.background import Background
from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.environments import EnvironmentSource, interface_of
from marl_pbt.finite import check_parameters, check_report
from marl_pbt.guarded_worlds import guarded
from marl_pbt.imports import load_object
from marl_pbt.protocols import Learner, LearnerKind
from marl_pbt.snapshot import Snapshot
from marl_pbt.supervision.watched import WatchedSource, watched
from marl_pbt.supervision.whereabouts import Whereabouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENVIRONMENT = EnvironmentSource("envs.predator_prey_grass:parallel_env", {"max_steps": 300})
NUM_WORLDS = 16
UPDATES_PER_INTERVAL = 26
"""Of the default config: 500 000 agent steps, about 19 000 in an update."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--kills", type=int, default=10)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    bare, safe = learner_of(is_guarded=False), learner_of(is_guarded=True)
    ratios = list(ratios_of(bare, safe, arguments.rounds))
    print(f"training with all guards against without: {spread(ratios, '.3f')}", flush=True)
    all_of_it, before_others, processor = zip(*checkpoints_ms(bare, arguments.rounds), strict=True)
    print(f"durable checkpoint, ms: {spread(all_of_it, '.1f')}", flush=True)
    print(f"of it before others go on, ms: {spread(before_others, '.2f')}")
    print(f"of it processor time, ms: {spread(processor, '.1f')}", flush=True)
    print(f"from a death to a fresh worker, s: {spread(recoveries_s(arguments.kills), '.2f')}")


def learner_of(is_guarded: bool) -> Learner:
    """PPO on predator–prey–grass as a worker builds it, or as it would without guards."""
    seen = Whereabouts(Whereabouts.allocate(multiprocessing.get_context("spawn")))
    source = WatchedSource.of(ENVIRONMENT, seen) if is_guarded else ENVIRONMENT
    worlds = source.open_worlds(NUM_WORLDS)
    worlds = guarded(worlds) if is_guarded else worlds
    kind: LearnerKind = load_object("agents.ppo:kind", LearnerKind, "learner.make")
    learner = kind.build({}, interface_of(worlds), worlds, 0)
    return watched(learner, seen, update="learner.update") if is_guarded else learner


def ratios_of(bare: Learner, safe: Learner, rounds: int) -> list[float]:
    """Agent steps per second of processor time, guarded over bare, per round; with a share of an interval's checks."""

    def plain() -> int:
        return bare.update().clocks.agent_steps

    def checked() -> int:
        report = safe.update()
        check_report(report, safe.species)
        return report.clocks.agent_steps

    plain(), checked()
    began = time.process_time()
    check_parameters(safe)
    per_update = (time.process_time() - began) / UPDATES_PER_INTERVAL
    found = []
    for number in range(rounds):
        order: list[tuple[Callable[[], int], float]] = [(plain, 0.0), (checked, per_update)]
        speeds = {}
        for update, more in order if number % 2 else order[::-1]:
            began = time.process_time()
            steps = sum(update() for _ in range(3))
            speeds[update] = steps / (time.process_time() - began + 3 * more)
        found.append(speeds[checked] / speeds[plain])
    return found


def checkpoints_ms(learner: Learner, number: int) -> Iterator[tuple[float, float, float]]:
    """Milliseconds: by the wall clock all of it, and until the worker is free; of the processor's time."""
    background = Background()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        checkpoints = MemberCheckpoints(Path(folder) / "member_00", Retention())
        for generation in range(1, number + 1):
            began, cpu = time.perf_counter(), time.process_time()
            said = {"kind": "checkpoint", "member": 0, "generation": generation}
            snapshot = Snapshot(said, learner.get_state())
            writing = background.begin(partial(checkpoints.write, generation, snapshot, {}))
            free = time.perf_counter()
            background.wait(writing)
            now = time.perf_counter(), free, time.process_time()
            yield 1000 * (now[0] - began), 1000 * (now[1] - began), 1000 * (now[2] - cpu)


if __name__ == "__main__":
    main()
