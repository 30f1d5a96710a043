"""What the tables say: estimates, one rating per policy, and how far a single number can be believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marl_pbt.league.alpha_rank import AlphaRankInterval, alpha_rank_interval
from marl_pbt.league.assembly import Entrant, League
from marl_pbt.league.bradley_terry import bradley_terry
from marl_pbt.league.intransitivity import Intransitivity, intransitivity
from marl_pbt.league.payoffs import LENGTH, Payoffs, return_of
from marl_pbt.league.ratings import CoAdaptation, coadaptation, is_field_common, leads, mean_against_field
from marl_pbt.league.statistics import Estimate, Resamples, estimate, estimate_of_shares, resampled_means
from marl_pbt.league.win_rule import WinRule

ALPHA_RANK_DRAWS = ((300, 200), (1100, 40), (2500, 5))
"""Up to so many profiles, so many resampled tables: seconds each."""
FEW_EPISODES = 5


@dataclass(frozen=True)
class AlphaRankMass:
    """The share of the time that evolution spends with a policy, see `marl_pbt.league.alpha_rank`.

    Attributes:
        mean: Over resampled tables.
        low: The 2.5 % quantile; None with too few episodes to tell.
        high: The 97.5 % quantile; likewise.
    """

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, eq=False)
class Rating:
    """What is said of one policy.

    Attributes:
        entrant: Whose.
        field: Its mean return over all whom it met, with its interval.
        quantities: The same of every table: returns of all species, lengths, and what the environment counts.
        lead: By how much its mean exceeds that of the next; None for the last.
        alpha_rank: None where it cannot be told.
        elo: None unless a notion of winning was chosen.
        own_gap: Return with its own partner minus the mean over the others' own partners; None without one.
    """

    entrant: Entrant
    field: Estimate
    quantities: Mapping[str, Estimate]
    lead: Estimate | None
    alpha_rank: AlphaRankMass | None
    elo: float | None
    own_gap: Estimate | None


@dataclass(frozen=True, eq=False)
class Verdict:
    """Everything that is said of a league.

    Attributes:
        league: Who played where.
        payoffs: The tables, episode by episode.
        estimates: The same as means, by the tables' names.
        ratings: Per species the focal policies, best mean against the field first.
        intransitivity: Per species; none with fewer than two policies on a side.
        coadaptation: Per species, averaged; none where nobody has an own partner.
        own: The pairings of those that trained together.
        notes: What a reader must know, one line each.
    """

    league: League
    payoffs: Payoffs
    estimates: Mapping[str, Estimate]
    ratings: Mapping[str, tuple[Rating, ...]]
    intransitivity: Mapping[str, Intransitivity]
    coadaptation: Mapping[str, Estimate]
    own: tuple[tuple[int, ...], ...]
    notes: tuple[str, ...]


def give_verdict(league: League, payoffs: Payoffs, win: WinRule | None, rng: np.random.Generator) -> Verdict:
    """Work it all out.

    Args:
        league: Who played where.
        payoffs: What came of it.
        win: What counts as a win, for Elo; None: no Elo.
        rng: Draws the resamples, the same ones for every number, and what else is drawn.
    """
    resamples = Resamples.draw(payoffs.tables[LENGTH].shape[-1], rng)
    own = tuple(where for where in payoffs.pairings if _trained_together(league, where))
    ranks, why_no_rank = _alpha_ranks(payoffs, resamples)
    elo, about_elo = _elo(payoffs, win)
    gaps = [_coadaptation(payoffs, own, nth, resamples) for nth in range(len(league.species))]
    ratings = {
        name: _ratings(league, payoffs, nth, _Asides(ranks, elo, gaps[nth], resamples))
        for nth, name in enumerate(league.species)
    }
    return Verdict(
        league=league,
        payoffs=payoffs,
        estimates={name: _estimated(name, table, resamples) for name, table in payoffs.tables.items()},
        ratings=ratings,
        intransitivity=_intransitivities(payoffs, rng),
        coadaptation={name: gap.average for name, gap in zip(league.species, gaps, strict=True) if gap is not None},
        own=own,
        notes=(*_uneven_fields(league, payoffs), *why_no_rank, *about_elo),
    )


@dataclass(frozen=True, eq=False)
class _Asides:
    """What has been worked out for all policies at once."""

    ranks: AlphaRankInterval | None
    elo: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    gap: CoAdaptation | None
    resamples: Resamples


def _ratings(league: League, payoffs: Payoffs, nth: int, asides: _Asides) -> tuple[Rating, ...]:
    """Of a species, best first; those without a mean last."""
    species, resamples = league.species[nth], asides.resamples
    table = payoffs.tables[return_of(species)]
    fields = {name: mean_against_field(each, nth, resamples) for name, each in payoffs.tables.items()}
    means = np.nan_to_num(fields[return_of(species)].mean, nan=-np.inf)
    focal = [place for place, entrant in enumerate(league.entrants[species]) if entrant.is_focal]
    order = sorted(focal, key=lambda place: -means[place])
    ahead = leads(table, nth, order, resamples) if len(order) > 1 else None
    return tuple(
        Rating(
            entrant=league.entrants[species][place],
            field=fields[return_of(species)][place],
            quantities={name: of[place] for name, of in fields.items()},
            lead=None if ahead is None or rank == len(order) - 1 else ahead[rank],
            alpha_rank=None if asides.ranks is None else _mass(asides.ranks, nth, place, resamples.episodes),
            elo=None if asides.elo is None else float(asides.elo[nth][place]),
            own_gap=_gap_of(asides.gap, place),
        )
        for rank, place in enumerate(order)
    )


def _estimated(name: str, table: NDArray[np.float64], resamples: Resamples) -> Estimate:
    """Of every cell; where all values are 0 or 1, as of extinctions, with the interval that suits shares."""
    is_counted = name != LENGTH and not name.startswith(return_of(""))
    is_share = is_counted and bool(np.isin(table[~np.isnan(table)], (0.0, 1.0)).all())
    return estimate_of_shares(table) if is_share else estimate(table, resamples)


def _coadaptation(
    payoffs: Payoffs, own: Sequence[Sequence[int]], nth: int, resamples: Resamples
) -> CoAdaptation | None:
    """Among those that have an own partner; None where nobody can be compared."""
    if not own or len(payoffs.species) < 2:
        return None
    gap = coadaptation(_among(own, payoffs.tables[return_of(payoffs.species[nth])]), own, nth, resamples)
    return gap if gap.policies else None


def _uneven_fields(league: League, payoffs: Payoffs) -> Iterator[str]:
    """Whose means against the field are of different fields."""
    for nth, species in enumerate(league.species):
        focal = [place for place, entrant in enumerate(league.entrants[species]) if entrant.is_focal]
        if focal and not is_field_common(payoffs.tables[return_of(species)], nth, focal):
            yield f"{species}: not all met the same others, so a better mean may only mean easier company"


def _trained_together(league: League, pairing: Sequence[int]) -> bool:
    players = [league.entrants[name][nth] for name, nth in zip(league.species, pairing, strict=True)]
    return players[0].own is not None and len({each.own for each in players}) == 1


def _among(own: Sequence[Sequence[int]], table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Only the pairings of policies that have an own partner: those of baselines say nothing about co-adaptation."""
    is_among = np.zeros(table.shape[:-1], bool)
    is_among[np.ix_(*(sorted(set(places)) for places in zip(*own, strict=True)))] = True
    return np.where(is_among[..., None], table, np.nan)


def _gap_of(gap: CoAdaptation | None, place: int) -> Estimate | None:
    if gap is None or place not in gap.policies:
        return None
    return gap.per_policy[gap.policies.index(place)]


def _alpha_ranks(payoffs: Payoffs, resamples: Resamples) -> tuple[AlphaRankInterval | None, list[str]]:
    """Of a whole table of more than one species, each of which has a choice."""
    if len(payoffs.species) < 2 or max(payoffs.was_played.shape) < 2:
        return None, []
    if not payoffs.was_played.all():
        return None, ["alpha-rank needs a whole table, everybody against everybody; it is left out"]
    profiles = payoffs.was_played.size
    draws = next((draws for most, draws in ALPHA_RANK_DRAWS if profiles <= most), None)
    if draws is None:
        most = ALPHA_RANK_DRAWS[-1][0]
        return None, [f"alpha-rank is left out: {profiles} profiles, it is worked out for at most {most}"]
    few = resamples.first(draws)
    tables = [resampled_means(payoffs.tables[return_of(name)], few) for name in payoffs.species]
    return alpha_rank_interval([tuple(table[nth] for table in tables) for nth in range(draws)]), []


def _mass(ranks: AlphaRankInterval, species: int, place: int, episodes: int) -> AlphaRankMass:
    mean, low, high = (float(of.population_mass[species][place]) for of in (ranks.mean, ranks.low, ranks.high))
    # So few episodes have next to no resamples that differ: certainty would be made up.
    return AlphaRankMass(mean, low, high) if episodes >= FEW_EPISODES else AlphaRankMass(mean, None, None)


def _elo(
    payoffs: Payoffs, win: WinRule | None
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]] | None, tuple[str, ...]]:
    """Strengths per species, and what must be said of them."""
    if win is None:
        return None, ()
    if win.table not in payoffs.tables:
        return None, (
            f"--win: {win.table} is not counted here, so there is no Elo; what is: {', '.join(payoffs.tables)}",
        )
    strengths = bradley_terry(*win.counts(payoffs))
    warning = (
        f"Elo counts '{win.text}' as a win. It assumes that one number per policy decides who wins and that what one "
        "side gains the other loses; in a game that is not zero-sum, or not transitive, it misleads"
    )
    return (strengths.rows, strengths.columns), (warning,)


def _intransitivities(payoffs: Payoffs, rng: np.random.Generator) -> dict[str, Intransitivity]:
    """Where the order of a species' policies can depend on whom they meet."""
    if len(payoffs.species) < 2 or not payoffs.was_played.all():
        return {}
    size = payoffs.was_played.size
    return {
        name: intransitivity(payoffs.tables[return_of(name)], nth, rng)
        for nth, name in enumerate(payoffs.species)
        if 1 < len(payoffs.labels[name]) < size
    }
