"""Scores policies by the panel: `evaluate … --against panel` for all policies of a run at once, in its environment.

The many members play a few episodes each, since their mean is what counts; those that were chosen play more. Before the
end of a run only the late half of the panel is met. Episodes begin from the run's seed, so that all arms of a seed play
from the same starts, and another seed from others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.learning.results import Reading, Reference, Returns
from benchmarks.learning.training import Moment
from marl_pbt.imports import ensure_rooms_on_path
from marl_pbt.league.addresses import PANEL
from marl_pbt.league.assembly import Entrant, League, Request, assemble
from marl_pbt.league.jobs import Job, Rules, jobs_of
from marl_pbt.league.pool import run_jobs
from marl_pbt.league.schedule import Pairing, pairings
from marl_pbt.policy_files import read_policies
from marl_pbt.seats import RANDOM
from marl_pbt.streams import stream

LATE = "_8M"
"""How the names of reference policies end that were trained long."""
MEMBER_EPISODES, CHOSEN_EPISODES = 2, 10
"""With each reference policy. Pairings that are played ten at a time take half as long per episode as two at a time."""

Played = tuple[str, str]
"""A species, and the digest of a policy that plays it."""


@dataclass(frozen=True)
class Order:
    """What is to be played for one policy.

    Attributes:
        episodes: With each reference policy.
        is_whole: False: with the late half of the panel alone.
    """

    episodes: int
    is_whole: bool

    def joined(self, other: Order | None) -> Order:
        """Enough for both."""
        if other is None:
            return self
        return Order(max(self.episodes, other.episodes), self.is_whole or other.is_whole)


def score(moments: Sequence[Moment], seed: int, workers: int) -> list[Reading]:
    """What the populations and the best of all moments are worth; the last moment is the end of the run.

    Args:
        moments: Of one run.
        seed: Of the episodes.
        workers: Processes.

    Raises:
        UserError: A file is not whole.
        MatchFailedError: A match was not played to its end.
    """
    ensure_rooms_on_path()
    files = {path for moment in moments for path in (*moment.members, *moment.best.values())}
    digests = {path: {name: each.digest for name, each in read_policies(path).items()} for path in sorted(files)}
    orders: dict[Played, Order] = {}
    for moment in moments:
        is_whole = moment is moments[-1]
        for path in moment.members:
            for played in digests[path].items():
                orders[played] = Order(MEMBER_EPISODES, is_whole).joined(orders.get(played))
        for species, path in (*moment.best.items(), *moment.leader.items()):
            played = (species, digests[path][species])
            orders[played] = Order(CHOSEN_EPISODES, is_whole).joined(orders.get(played))
    league = assemble(Request([str(path) for path in digests], [PANEL]))
    returns = play(league, orders, seed, workers)
    return [_reading(moment, digests, returns) for moment in moments]


def _reading(
    moment: Moment, digests: Mapping[Path, Mapping[str, str]], returns: Mapping[Played, Mapping[str, float]]
) -> Reading:
    species = list(digests[moment.members[0]])
    return Reading(
        agent_steps=moment.agent_steps,
        members={name: tuple(returns[name, digests[path][name]] for path in moment.members) for name in species},
        best={name: returns[name, digests[path][name]] for name, path in moment.best.items()},
        leader={name: returns[name, digests[path][name]] for name, path in moment.leader.items()},
    )


def score_reference(workers: int) -> Reference:
    """What random policies and the panel's own are worth against the panel."""
    ensure_rooms_on_path()
    league = assemble(Request([PANEL, RANDOM], [PANEL]))
    focal = {(each.species, each.digest): each for of in league.entrants.values() for each in of if each.is_focal}
    returns = play(league, dict.fromkeys(focal, Order(CHOSEN_EPISODES, is_whole=True)), 0, workers)
    scores: dict[str, dict[str, Returns]] = {name: {} for name in league.species}
    for played, entrant in focal.items():
        scores[entrant.species][_name(entrant)] = returns[played]
    return Reference(scores)


def play(league: League, orders: Mapping[Played, Order], seed: int, workers: int) -> dict[Played, dict[str, float]]:
    """Play what is ordered.

    Returns:
        Per policy its mean return with each reference policy that it met.
    """
    jobs: list[Job] = []
    for pairing in pairings(league.entrants, None, stream(seed, "pairings")):
        focal, met = _sides(league, pairing)
        order = orders.get((focal.species, focal.digest))
        if order is not None and (order.is_whole or _name(met).endswith(LATE)):
            jobs += jobs_of(league, pairing, Rules(order.episodes, seed, greedy=False))
    returns: dict[Played, dict[str, float]] = {played: {} for played in orders}
    for job, episodes in run_jobs(jobs, workers):  # of so few episodes that each pairing is one job
        focal, met = _sides(league, job.pairing)
        own = episodes.returns[focal.species]
        returns[focal.species, focal.digest][_name(met)] = sum(own) / len(own)
    return {played: dict(sorted(of.items())) for played, of in returns.items()}


def _sides(league: League, pairing: Pairing) -> tuple[Entrant, Entrant]:
    """Who is scored, and by whom."""
    one, other = _players(league, pairing)
    return (one, other) if one.is_focal else (other, one)


def _players(league: League, pairing: Pairing) -> Iterable[Entrant]:
    return (league.entrants[name][nth] for name, nth in zip(league.species, pairing, strict=True))


def _name(entrant: Entrant) -> str:
    """`predator_a_8M`."""
    return entrant.label.removesuffix(" (met)").removeprefix(f"{PANEL}:")
