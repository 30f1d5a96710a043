"""PBT beside its controls at equal agent steps, scored by the held-out panel: `python -m benchmarks.learning`.

Every run is the train command on `configs/ppg.yaml` with a few keys changed (`arms.py` lists them). What is scored, per
run and species:

- *best*: the policy in `best/` at the end, which is what a user takes home. In all arms it is chosen by the run's own
  scores, so an arm also pays for choosing badly;
- *leader*: the policy of the member whose own score is the best at the end, where `best/` may hold one from long ago:
  whether an arm learned badly, or only chose badly, these two tell apart;
- *mean of all*: the mean over all members' final policies: how good the population is, whoever is chosen from it;
- the same along the way, at 20, 40, 60, 80 and 100 % of the agent steps, after the copies of that ready point; and the
  agent steps until a curve comes to a quarter and half of the way from random policies to the panel's late ones.

A score is the mean return in whole episodes (1000 steps) against the late half of the panel: predators with its prey,
prey with its predators, policies of other seeds that no run meets. The whole panel is met at the end too; `measures.py`
says why it is not what ranks. Training returns are never compared: they depend on the run's own opponents.

The unit is the run. Members of a population descend from each other and are no sample, so seeds alone are resampled.
A seed gives all arms the same first draws, and the same starts of the scoring episodes, so arms are also compared seed
by seed: the differences' interquartile mean, and how likely an arm's run beats one of the other's.

Training takes as many agent steps in all arms; matches by which cross-play ranks are not counted as such, the minutes
beside tell what they cost. A control that starts low must stay low: how much of a lead in `low_start` is that, the arm
`random_search_wide` tells.

Results are appended to a file, one line per run. Interrupted, the same command goes on; other arms and more seeds may
be added later. A run of eight members and 5 million agent steps each takes about 2 min 15 s on two cores, 20 s of it
scoring; all arms and settings with five seeds are 95 runs, four hours.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.learning import figure, tables
from benchmarks.learning.arms import ARMS, SETTINGS, Job, jobs_of
from benchmarks.learning.results import Result, ResultsFile
from benchmarks.learning.scoring import score, score_reference
from benchmarks.learning.training import RunFailedError, moments_of, provenance_of, train
from marl_pbt.arguments import positive
from marl_pbt.figures import counted, duration
from marl_pbt.league.pool import MatchFailedError
from marl_pbt.plan import available_cores
from marl_pbt.protocols import UserError


def main() -> int:
    arguments = parse(sys.argv[1:])
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"  # for the processes that are started
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the run is stopped with us
    jobs = jobs_of(arguments.arms, arguments.settings, range(arguments.seeds), arguments.progress, arguments.set)
    file = ResultsFile(arguments.results)
    failed = 0
    try:
        if not arguments.show:
            failed = make_all(jobs, file, arguments.runs_dir)
    except KeyboardInterrupt:
        print("stopped; the same command goes on", flush=True)
        return 130
    show([file.results[job] for job in jobs if job in file.results], file, arguments.table, arguments.figure)
    return 1 if failed else 0


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks.learning", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--seeds", type=positive, default=5, metavar="N", help="seeds 0 to N − 1 (5)")
    add("--arms", type=_names(ARMS), default=list(ARMS), metavar="A,B", help=f"of {', '.join(ARMS)} (all)")
    add("--settings", type=_names(SETTINGS), default=list(SETTINGS), metavar="A,B", help=f"of {', '.join(SETTINGS)}")
    add("--progress", type=positive, default=5_000_000, metavar="STEPS", help="agent steps of each member (5,000,000)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="change the config, for all arms")
    add(
        "--results", type=Path, default=Path("runs/learning/results.jsonl"), metavar="FILE", help="what has been scored"
    )
    add(
        "--runs-dir",
        type=Path,
        default=Path("runs/learning"),
        metavar="DIR",
        help="where runs lie until they are scored",
    )
    add("--figure", type=Path, metavar="FILE", help="draw it, e.g. docs/learning.png")
    add("--table", type=Path, metavar="FILE", help="write the tables there too, as markdown")
    add("--show", action="store_true", help="run nothing: tables and figure of what there is")
    return parser.parse_args(words)


def _names(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Reads names with commas between."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        wrong = [name for name in names if name not in known]
        if wrong:
            raise argparse.ArgumentTypeError(f"must be of {', '.join(known)}, got {wrong[0]!r}")
        return names

    return read


def make_all(jobs: Sequence[Job], file: ResultsFile, runs: Path) -> int:
    """Make and score every run that is not in the file yet; how many failed."""
    workers = available_cores()
    if file.reference is None:
        file.add(score_reference(workers))
    missing = [job for job in jobs if job not in file.results]
    print(f"{counted(len(jobs), 'run')}, {len(missing)} of them to make; results: {file.path}", flush=True)
    began, failed = time.monotonic(), 0
    for nth, job in enumerate(missing, start=1):
        try:
            result = make(job, runs, workers)
            file.add(result)
            said = result.provenance
            told = f"{said['wall_s']:.0f} s, scored in {said['scoring_s']:.0f} s"
        except (RunFailedError, MatchFailedError, UserError) as fault:
            failed += 1
            told = f"failed, made again by the next command: {fault}"
        left = duration((time.monotonic() - began) / nth * (len(missing) - nth))
        print(f"{job.setting}, {job.arm}, seed {job.seed}: {told} · {nth} of {len(missing)}, {left} left", flush=True)
    return failed


def make(job: Job, runs: Path, workers: int) -> Result:
    """Train, score, and delete the run."""
    began = time.monotonic()
    try:
        run = train(job, runs)
        trained = time.monotonic()
        readings = score(moments_of(run, job.progress), job.seed, workers)
        costs = {"wall_s": round(trained - began, 1), "scoring_s": round(time.monotonic() - trained, 1)}
        return Result(job, tuple(readings), {**provenance_of(run), **costs})
    finally:
        shutil.rmtree(runs / job.name, ignore_errors=True)


def show(results: Sequence[Result], file: ResultsFile, table: Path | None, picture: Path | None) -> None:
    if file.reference is None or not results:
        print(f"nothing has been scored yet in {file.path}")
        return
    comparisons = tables.comparisons_of(results, file.reference)
    text = f"{tables.make_tables(comparisons)}\n\n{tables.code_versions(results)}"
    print(f"\n{text}")
    others = len(file.results) - len(results)
    if others:
        print(f"\nleft out: {counted(others, 'run')} of the file that were made otherwise, or not asked for")
    if table is not None:
        table.write_text(text + "\n", encoding="utf-8")
    if picture is not None:
        figure.draw(comparisons, picture)


if __name__ == "__main__":
    sys.exit(main())
