"""A verdict in words and tables of plain text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from marl_pbt.figures import number_text
from marl_pbt.league.intransitivity import Intransitivity
from marl_pbt.league.payoffs import LENGTH, return_of
from marl_pbt.league.statistics import Estimate
from marl_pbt.league.verdict import AlphaRankMass, Rating, Verdict

MOST_COLUMNS = 8
"""Wider payoff tables are left to the picture and the files."""
UNLIKELY = 0.05
"""A reversal that chance makes more often than this in a table of this size is not told."""


def report_lines(verdict: Verdict) -> Iterator[str]:
    """What the terminal shows."""
    for species in verdict.league.species:
        yield ""
        yield from rating_lines(verdict, species)
    if len(verdict.league.species) == 2:
        for nth in range(2):
            if verdict.payoffs.was_played.shape[1 - nth] <= MOST_COLUMNS:
                yield ""
                yield from payoff_lines(verdict, nth)
    yield ""
    yield from diagnosis_lines(verdict)


def rating_lines(verdict: Verdict, species: str) -> Iterator[str]:
    """One line per focal policy, the best first."""
    ratings = verdict.ratings[species]
    if not ratings:
        return
    yield f"{species}: mean return against the field, 95 % interval"
    rows = [_header(ratings)]
    rows += [_rating_row(place, rating) for place, rating in enumerate(ratings, 1)]
    has_column = [any(row[nth] for row in rows[1:]) for nth in range(len(rows[0]))]
    yield from aligned([[cell for cell, has in zip(row, has_column, strict=True) if has] for row in rows])


def payoff_lines(verdict: Verdict, nth: int) -> Iterator[str]:
    """The table of a species' returns: its policies down, the other species' across."""
    species, other = verdict.league.species[nth], verdict.league.species[1 - nth]
    estimates = verdict.estimates[return_of(species)]
    means = estimates.mean if nth == 0 else estimates.mean.T
    errors = estimates.standard_error if nth == 0 else estimates.standard_error.T
    yield f"{species}'s return ± standard error, by {other}"
    rows = [["", *verdict.payoffs.labels[other]]]
    for label, mean, error in zip(verdict.payoffs.labels[species], means, errors, strict=True):
        rows.append([label, *(_mean_text(m, e) for m, e in zip(mean, error, strict=True))])
    yield from aligned(rows)


def diagnosis_lines(verdict: Verdict) -> Iterator[str]:
    """How far one number per policy can be believed."""
    for species, found in verdict.intransitivity.items():
        yield f"{species}: {_intransitivity_text(verdict, species, found)}"
    for species, gap in verdict.coadaptation.items():
        yield (
            f"{species}: {_signed(gap)} return with their own partners, compared with those that others trained with "
            f"(co-adaptation; 95 % {_interval(gap)})"
        )
    yield from (f"note: {note}" for note in verdict.notes)


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of cells under each other: words to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    is_word = [any(cell[:1].isalpha() for cell in column) for column in zip(*rows[1:], strict=True)]
    for row in rows:
        cells = zip(row, widths, is_word, strict=True)
        yield "  ".join(cell.ljust(width) if word else cell.rjust(width) for cell, width, word in cells).rstrip()


def _header(ratings: Sequence[Rating]) -> list[str]:
    has_elo = any(rating.elo is not None for rating in ratings)
    head = ["", "policy", "mean", "± s.e.", "95 %", "ahead of next", "alpha-rank", "own − others"]
    return [*head, "Elo" if has_elo else "", "steps"]


def _rating_row(place: int, rating: Rating) -> list[str]:
    return [
        str(place),
        rating.entrant.label,
        number_text(float(rating.field.mean)),
        number_text(float(rating.field.standard_error)),
        _interval(rating.field),
        "" if rating.lead is None else f"{number_text(float(rating.lead.mean))} {_interval(rating.lead)}",
        _mass_text(rating.alpha_rank),
        "" if rating.own_gap is None else _signed(rating.own_gap),
        "" if rating.elo is None else f"{rating.elo:z.0f}",
        number_text(float(rating.quantities[LENGTH].mean)),
    ]


def _mass_text(mass: AlphaRankMass | None) -> str:
    if mass is None:
        return ""
    interval = "" if mass.low is None or mass.high is None else f" [{100 * mass.low:.0f}, {100 * mass.high:.0f}]"
    return f"{mass.mean:.0%}{interval}"


def _interval(of: Estimate) -> str:
    return f"[{number_text(float(of.low))}, {number_text(float(of.high))}]"


def _mean_text(mean: float, error: float) -> str:
    return number_text(mean) + ("" if math.isnan(error) else f" ± {number_text(error)}")


def _signed(of: Estimate) -> str:
    sign = "+" if float(of.mean) > 0 else ""
    return f"{sign}{_mean_text(float(of.mean), float(of.standard_error))}"


def _intransitivity_text(verdict: Verdict, species: str, found: Intransitivity) -> str:
    if math.isnan(found.corrected):
        text = "whether its order depends on whom it meets is lost in noise; play more episodes"
    else:
        share = f"{found.corrected:.0%} of the differences in return, noise taken off, depend on who meets whom"
        text = f"{share} and fit no ranking (cyclic part; p = {found.chance:.2g} for none)"
        if not found.chance <= UNLIKELY:
            return f"that its order depends on whom it meets cannot be told from noise (p = {found.chance:.2g})"
    reversal = found.reversal
    if reversal is None or reversal.chance > UNLIKELY:
        return text
    labels = verdict.payoffs.labels[species]
    better, worse = labels[reversal.better], labels[reversal.worse]
    return (
        f"{text}; e.g. {better} gets {number_text(reversal.gap_here)} more than {worse} against "
        f"{_company(verdict, species, reversal.here)}, but {number_text(-reversal.gap_there)} less against "
        f"{_company(verdict, species, reversal.there)}"
    )


def _company(verdict: Verdict, species: str, profile: Sequence[int]) -> str:
    others = [name for name in verdict.league.species if name != species]
    return " and ".join(verdict.payoffs.labels[name][place] for name, place in zip(others, profile, strict=True))


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table for TensorBoard's Text tab."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def rating_markdown(verdict: Verdict, species: str) -> str:
    """The ratings of a species as such a table."""
    ratings = verdict.ratings[species]
    return markdown([_header(ratings), *(_rating_row(place, rating) for place, rating in enumerate(ratings, 1))])


def finite_or_none(value: float) -> float | None:
    """For JSON, which has no NaN."""
    return float(value) if np.isfinite(value) else None
