"""What the tables say: estimates, one rating per policy, and how far a single number can be believed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marl_pbt.league.alpha_rank import AlphaRankInterval, alpha_rank_interval
from marl_pbt.league.assembly import Entrant, League
from marl_pbt.league.bradley_terry import bradley_terry
from marl_pbt.league.intransitivity import Intransitivity, intransitivity
from marl_pbt.league.payoffs import LENGTH, Payoffs, return_of
from marl_pbt.league.ratings import CoAdaptation, coadaptation, mean_against_field
from marl_pbt.league.statistics import Estimate, Resamples, estimate, resampled_means
from marl_pbt.league.win_rule import WinRule

ALPHA_RANK_DRAWS = ((300, 200), (1100, 40), (2500, 5))
"""Up to so many profiles, so many resampled tables: seconds each."""


@dataclass(frozen=True)
class AlphaRankMass:
    """The share of the time that evolution spends with a policy, see `marl_pbt.league.alpha_rank`.

    Attributes:
        mean: Over resampled tables.
        low: The 2.5 % quantile.
        high: The 97.5 % quantile.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Rating:
    """What is said of one policy.

    Attributes:
        entrant: Whose.
        field: Its mean return over all whom it met, with its interval.
        length: Env steps of its episodes.
        alpha_rank: None where it cannot be told.
        elo: None unless a notion of winning was chosen.
        own_gap: Return with its own partner minus the mean over the others; None without one.
    """

    entrant: Entrant
    field: Estimate
    length: Estimate
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

    Raises:
        UserError: The notion of winning does not fit the league.
    """
    resamples = Resamples.draw(payoffs.tables[LENGTH].shape[-1], rng)
    own = tuple(where for where in payoffs.pairings if _trained_together(league, where))
    ranks, why_not = _alpha_ranks(payoffs, resamples)
    elo = _elo(payoffs, win)
    ratings, gaps = {}, {}
    for nth, species in enumerate(league.species):
        table = payoffs.tables[return_of(species)]
        gap = coadaptation(table, own, nth, resamples) if own and len(league.species) > 1 else None
        if gap is not None and gap.policies:
            gaps[species] = gap.average
        field = mean_against_field(table, nth, resamples)
        length = mean_against_field(payoffs.tables[LENGTH], nth, resamples)
        ratings[species] = _sorted(
            Rating(
                entrant=entrant,
                field=field[place],
                length=length[place],
                alpha_rank=None if ranks is None else _mass(ranks, nth, place),
                elo=None if elo is None else float(elo[nth][place]),
                own_gap=_gap_of(gap, place),
            )
            for place, entrant in enumerate(league.entrants[species])
            if entrant.is_focal
        )
    return Verdict(
        league=league,
        payoffs=payoffs,
        estimates={name: estimate(table, resamples) for name, table in payoffs.tables.items()},
        ratings=ratings,
        intransitivity=_intransitivities(payoffs, rng),
        coadaptation=gaps,
        own=own,
        notes=tuple(why_not) + _elo_warning(win),
    )


def _sorted(ratings: Iterable[Rating]) -> tuple[Rating, ...]:
    """Best first; those without a mean last."""
    return tuple(sorted(ratings, key=lambda rating: -np.nan_to_num(rating.field.mean, nan=-np.inf)))


def _trained_together(league: League, pairing: Sequence[int]) -> bool:
    players = [league.entrants[name][nth] for name, nth in zip(league.species, pairing, strict=True)]
    return players[0].own is not None and len({each.own for each in players}) == 1


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


def _mass(ranks: AlphaRankInterval, species: int, place: int) -> AlphaRankMass:
    mean, low, high = (float(of.population_mass[species][place]) for of in (ranks.mean, ranks.low, ranks.high))
    return AlphaRankMass(mean, low, high)


def _elo(payoffs: Payoffs, win: WinRule | None) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    if win is None:
        return None
    strengths = bradley_terry(*win.counts(payoffs))
    return strengths.rows, strengths.columns


def _elo_warning(win: WinRule | None) -> tuple[str, ...]:
    if win is None:
        return ()
    return (
        f"Elo counts '{win.text}' as a win. It assumes that one number per policy decides who wins and that what one "
        "side gains the other loses; in a game that is not zero-sum, or not transitive, it misleads",
    )


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
