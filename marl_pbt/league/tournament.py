"""Plays a league: what is known already is read, the rest is played and kept at once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping

from marl_pbt.league.assembly import League
from marl_pbt.league.jobs import Episodes, Job, Rules, jobs_of
from marl_pbt.league.match_store import MatchStore
from marl_pbt.league.pool import run_jobs
from marl_pbt.league.schedule import Pairing


def play_league(
    league: League,
    pairings: Iterable[Pairing],
    rules: Rules,
    store: MatchStore,
    workers: int,
    progress: Callable[[int, int, int], None],
) -> dict[Pairing, list[Episodes]]:
    """Every pairing's blocks of episodes, in their order.

    Args:
        league: Who plays where.
        pairings: Who meets whom.
        rules: How often, from which seed.
        store: Of matches that were played before.
        workers: Processes.
        progress: Called with jobs done, jobs in all, and agent steps played just now.

    Raises:
        MatchFailedError: What was played before it is kept.
        OSError: A match cannot be kept.
    """
    jobs = {pairing: jobs_of(league, pairing, rules) for pairing in pairings}
    results = {job.key: known for of in jobs.values() for job in of if (known := store.get(job)) is not None}
    waiting = {job.key: job for of in jobs.values() for job in of if job.key not in results}
    total = len(results) + len(waiting)  # fewer than jobs where somebody plays under two names
    progress(len(results), total, 0)
    with contextlib.closing(run_jobs(list(waiting.values()), workers)) as finished:
        for job, episodes in finished:
            results[job.key] = episodes
            store.put(job, episodes)
            progress(len(results), total, episodes.agent_steps)
    return _in_order(jobs, results)


def _in_order(jobs: Mapping[Pairing, list[Job]], results: Mapping[str, Episodes]) -> dict[Pairing, list[Episodes]]:
    return {pairing: [results[job.key] for job in of] for pairing, of in jobs.items()}
