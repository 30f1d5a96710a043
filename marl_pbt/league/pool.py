"""Jobs on all cores, or in this process: the results are the same."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from marl_pbt.league.jobs import Episodes, Job
from marl_pbt.supervision.bootstrap import arm_pool_process
from marl_pbt.supervision.signals import blocked_while_starting


class MatchFailedError(Exception):
    """A match could not be played to its end; the message says which and why."""


def run_jobs(jobs: Sequence[Job], workers: int) -> Generator[tuple[Job, Episodes], None, None]:
    """Play, in whichever order they finish.

    Args:
        jobs: What there is to play.
        workers: Processes; 1 plays here.

    Raises:
        MatchFailedError: The environment or a policy raised, or a process died; the matches before it were yielded.
    """
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            yield job, _played_here(job)
        return
    # Spawned, never forked: fork after torch or numba used their threads hangs.
    context = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(min(workers, len(jobs)), context, initializer=arm_pool_process)
    try:
        with blocked_while_starting():  # every process is started by one of these
            futures = {pool.submit(_played_here, job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], _result(futures[future], future)
        pool.shutdown()
    except BaseException:
        # Nobody waits for matches that nobody will see: they may take minutes.
        for process in set(multiprocessing.active_children()) - before:
            process.kill()
        pool.shutdown(cancel_futures=True)  # its thread buries them; two that wait for a process disturb each other
        raise


def _played_here(job: Job) -> Episodes:
    try:
        return job.run()
    except (Exception, SystemExit) as fault:  # a stranger's environment may raise anything
        # In words: what it raised need not survive the way from one process to another.
        said = [f"{type(fault).__name__}: {fault}", *getattr(fault, "__notes__", ())]
        text = " ".join("; ".join(said).split())
        last = traceback.extract_tb(fault.__traceback__)[-1]
        raise MatchFailedError(f"{job.title} (seed {job.seed}): {text} ({last.filename}:{last.lineno})") from fault


def _result(job: Job, future: Future[Episodes]) -> Episodes:
    try:
        return future.result()
    except BrokenProcessPool:
        raise MatchFailedError(f"a process that played was killed (out of memory?), perhaps in {job.title}") from None
