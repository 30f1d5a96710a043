"""Makes a run with the train command, and finds the policies in it that are scored."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.learning.arms import CONFIG, Job
from marl_pbt.ancestry import LineageEvent
from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.lineage_store import read_lineage
from marl_pbt.policy_files import read_policies
from marl_pbt.run_directory import RunDirectory

REPOSITORY = Path(__file__).parents[2]
SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Of a run's progress, at which the population is scored."""
POLL_S = 0.25
STOP_S = 15.0


class RunFailedError(Exception):
    """A run did not come to its end; the message says how."""


@dataclass(frozen=True)
class Moment:
    """The policies of a population at one moment, as files.

    Attributes:
        agent_steps: Of a member, mean over members.
        members: Each member's checkpoint.
        best: Per species what lay in `best/`; a species without one is absent.
        leader: Per species the checkpoint of the member whose score was the best then; likewise.
    """

    agent_steps: float
    members: tuple[Path, ...]
    best: Mapping[str, Path]
    leader: Mapping[str, Path]


def train(job: Job, runs: Path) -> RunDirectory:
    """Run the command as a user does; what lies in `best/` on the way is kept too.

    Raises:
        RunFailedError: It failed.
    """
    run, log = RunDirectory(runs / job.name), runs / f"{job.name}.txt"
    shutil.rmtree(run.root, ignore_errors=True)  # of a benchmark that was interrupted
    runs.mkdir(parents=True, exist_ok=True)
    settings = [word for change in (*job.changes, f"seed={job.seed}") for word in ("--set", change)]
    command = [sys.executable, "-m", "marl_pbt.train", CONFIG, "--name", job.name, "--runs-dir", str(runs.absolute())]
    try:
        with log.open("wb") as output:
            process = subprocess.Popen([*command, *settings], cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT)
            try:
                _keep_every_best(process, run)
            except BaseException:
                _stop(process)
                raise
        said = log.read_text(errors="replace").strip().splitlines()
    finally:
        log.unlink()
    if process.returncode:
        raise RunFailedError(f"exit code {process.returncode}: {said[-1] if said else 'it said nothing'}")
    return run


def _keep_every_best(process: subprocess.Popen[bytes], run: RunDirectory) -> None:
    """Copy each policy that comes to lie in `best/`, until the run ends: which one it is the run alone decides."""
    seen: dict[str, int] = {}
    is_running = True
    while is_running:
        is_running = process.poll() is None
        for path in sorted(run.best.glob("*.safetensors")):
            written = path.stat().st_mtime_ns
            if seen.get(path.stem) != written:
                seen[path.stem] = written
                folder = _history(run, path.stem)
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / f"{len(list(folder.iterdir())):06d}.safetensors")
        if is_running:
            time.sleep(POLL_S)


def _history(run: RunDirectory, species: str) -> Path:
    return run.root / "every_best" / species


def _stop(process: subprocess.Popen[bytes]) -> None:
    """A terminal has told it already; somebody who killed us alone has not."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def moments_of(run: RunDirectory, progress: int) -> list[Moment]:
    """The population at each of the shares of its progress.

    Raises:
        RunFailedError: A member has no checkpoint.
    """
    ready = _ready_points(read_lineage(run.lineage))
    return [_moment(run, ready, share * progress) for share in SHARES]


def _ready_points(events: Sequence[LineageEvent]) -> dict[int, dict[int, int]]:
    """Per member and generation its agent steps."""
    found: dict[int, dict[int, int]] = {event.member: {} for event in events}
    for event in events:
        if event.kind == "ready":
            found[event.member][event.generation] = event.clocks.agent_steps
    return found


def _moment(run: RunDirectory, ready: Mapping[int, Mapping[int, int]], target: float) -> Moment:
    """At the first ready point at which a member has come that far, else at its last."""
    members, steps, latest = [], [], 0
    for member, passed in sorted(ready.items()):
        on_disk = MemberCheckpoints(run.member(member), Retention())
        kept = [generation for generation in on_disk.generations() if generation in passed]
        if not kept:
            raise RunFailedError(f"{run.member(member).name} has no checkpoint")
        generation = next((each for each in kept if passed[each] >= target), kept[-1])
        members.append(on_disk.path(generation))
        steps.append(passed[generation])
        latest = max(latest, generation)
    species = sorted(path.stem for path in run.best.glob("*.safetensors"))
    best = {name: path for name in species if (path := _best_by(run, name, latest)) is not None}
    leader = {name: path for name in species if (path := _leader(members, name)) is not None}
    return Moment(sum(steps) / len(steps), tuple(members), best, leader)


def _best_by(run: RunDirectory, species: str, generation: int) -> Path | None:
    """The last that came to lie in `best/` and had passed no more ready points than this."""
    for path in sorted(_history(run, species).glob("*.safetensors"), reverse=True):
        passed = read_policies(path)[species].card.generation
        if passed is not None and passed <= generation:
            return path
    return None


def _leader(checkpoints: Sequence[Path], species: str) -> Path | None:
    """Where the score that the member had then is the best; one that has just copied somebody has none."""
    scores = {path: read_policies(path)[species].card.score for path in checkpoints}
    means = {path: score["mean"] for path, score in scores.items() if score is not None and score["mean"] is not None}
    return max(means, key=lambda path: means[path]) if means else None


def provenance_of(run: RunDirectory) -> dict[str, Any]:
    """What made it: versions and the state of the source; with how much it trained, and how many copies were made."""
    events = read_lineage(run.lineage)
    versions = json.loads(run.versions.read_text())
    source = versions["git"] or {"commit": None, "changed_files": []}
    return {
        "commit": source["commit"],
        "changed_files": len(source["changed_files"]),
        "python": versions["python"],
        "packages": versions["packages"],
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "agent_steps": sum(max(passed.values(), default=0) for passed in _ready_points(events).values()),
        "copies": sum(event.kind == "exploit" for event in events),
    }
