"""Alpha-rank: how often evolving populations would play each policy.

Each population plays one policy at a time. Now and then a mutant tries another; it takes over if it fares better
against what the others play, rarely if it fares worse. The time that this Markov chain spends in a profile (one policy
per population) is the profile's mass. Any number of populations, general-sum, cycles welcome.

Sources: Omidshafiei et al., "α-Rank: Multi-Agent Evaluation by Evolution", Scientific Reports 9 (2019), the
multi-population model; Rowland et al., "Multiagent Evaluation under Incomplete Information", NeurIPS 2019, for infinite
α and for what uncertain payoffs make of the masses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from marl_pbt.league.stationary import stationary_distribution
from marl_pbt.league.statistics import CONFIDENCE

Floats = NDArray[np.float64]

POPULATION_SIZE = 50
EPSILON = 1e-6
MAX_PROFILES = 4096  # 64 × 64: rates of 134 MB; the work grows with the cube
# Rarer than this no mutant takes over: the chain stays irreducible, and the ratios of rates stay within floats.
_RAREST = 1e-100


@dataclass(frozen=True, eq=False)
class AlphaRank:
    """The masses of a game.

    Attributes:
        profile_mass: `(n_1, …, n_K)`, sums to 1.
        population_mass: Per population `(n_k,)`, the share of the time that it plays each of its policies.
    """

    profile_mass: Floats
    population_mass: tuple[Floats, ...]

    @classmethod
    def of(cls, profile_mass: Floats) -> AlphaRank:
        """With the sums over what the other populations play."""
        every = range(profile_mass.ndim)
        sums = (profile_mass.sum(axis=tuple(other for other in every if other != own)) for own in every)
        return cls(profile_mass, tuple(sums))


@dataclass(frozen=True, eq=False)
class AlphaRankInterval:
    """The masses when payoffs are uncertain.

    Attributes:
        mean: Averaged over the resampled tables.
        low: The 2.5 % quantile of each mass, profile and population alike; these do not sum to 1.
        high: The 97.5 % quantile.
        tables: How many tables there were.
    """

    mean: AlphaRank
    low: AlphaRank
    high: AlphaRank
    tables: int


def alpha_rank(
    payoffs: Sequence[ArrayLike], alpha: float | None = None, m: int = POPULATION_SIZE, epsilon: float = EPSILON
) -> AlphaRank:
    """The masses of all profiles.

    With α = None selection is infinitely strong: a mutant that fares better takes over (1 − ε), one that fares worse
    hardly ever does (ε), one that fares the same does half the time. Only the order of payoffs counts, so units do not.
    The small ε decides how mass is shared between sets of profiles that are never left otherwise. Payoffs that differ
    by less than 1e-9 of their population's whole range are the same.

    Args:
        payoffs: Per population `(n_1, …, n_K)`: what it gets in each profile; all finite. With K = 1 nobody is met.
        alpha: Strength of selection per unit of payoff, not negative; None for the limit.
        m: Individuals in a population, for finite α: a mutant of advantage x takes over with probability
            (1 − e^(−αx)) / (1 − e^(−αmx)), 1/m at x = 0.
        epsilon: In (0, 0.5), for α = None.

    Raises:
        ValueError: Shapes do not fit, a payoff is not finite, a number is out of range, or there are more than 4096
            profiles.
    """
    tables = _checked(payoffs)
    if alpha is not None and not 0 <= alpha < np.inf:
        raise ValueError(f"alpha: must be None, 0 or a positive number, got {alpha}")
    if m < 2:
        raise ValueError(f"m: must be at least 2, got {m}")
    if not 0 < epsilon < 0.5:
        raise ValueError(f"epsilon: must be in (0, 0.5), got {epsilon}")
    return _masses(tables, alpha, m, epsilon)


def alpha_rank_interval(
    samples: Iterable[Sequence[ArrayLike]],
    alpha: float | None = None,
    m: int = POPULATION_SIZE,
    epsilon: float = EPSILON,
) -> AlphaRankInterval:
    """The masses averaged over resampled payoff tables, with percentile intervals.

    A single table's masses jump when two close payoffs change places; the average says how sure the ranking is.

    Args:
        samples: Resampled `payoffs`, as of `alpha_rank`, the populations' tables of one resample together. 200 are
            enough; each costs as much as one `alpha_rank`.
        alpha: As of `alpha_rank`.
        m: As of `alpha_rank`.
        epsilon: As of `alpha_rank`.

    Raises:
        ValueError: As of `alpha_rank`, or there is no sample.
    """
    ranks = [alpha_rank(sample, alpha, m, epsilon) for sample in samples]
    if not ranks:
        raise ValueError("samples: must be at least one, got none")
    tail = (1 - CONFIDENCE) / 2
    profiles = np.stack([rank.profile_mass for rank in ranks])
    populations = [np.stack(masses) for masses in zip(*(rank.population_mass for rank in ranks), strict=True)]

    def at(level: float) -> AlphaRank:
        return AlphaRank(
            np.quantile(profiles, level, axis=0), tuple(np.quantile(each, level, axis=0) for each in populations)
        )

    return AlphaRankInterval(AlphaRank.of(profiles.mean(axis=0)), at(tail), at(1 - tail), len(ranks))


def fixation_probability(advantage: ArrayLike, m: int) -> Floats:
    """How likely a single mutant takes over a population of `m`; any size of `advantage` (α · payoff difference)."""
    size = np.abs(np.asarray(advantage, dtype=np.float64))
    # Both exponents are negative, so nothing overflows; a disadvantage is e^(−(m−1)·size) times the advantage's value.
    with np.errstate(over="ignore", invalid="ignore"):
        better = np.where(size > 0, np.expm1(-size) / np.expm1(-m * size), 1 / m)
        return np.where(np.asarray(advantage) < 0, better * np.exp(-(m - 1) * size), better)


def _checked(payoffs: Sequence[ArrayLike]) -> list[Floats]:
    tables = [np.asarray(table, dtype=np.float64) for table in payoffs]
    shapes = [table.shape for table in tables]
    if not tables or any(shape != shapes[0] or len(shape) != len(tables) or 0 in shape for shape in shapes):
        raise ValueError(f"payoffs: must be K tables of one shape (n_1, …, n_K), got shapes {shapes}")
    if tables[0].size > MAX_PROFILES:
        raise ValueError(f"payoffs: must have at most {MAX_PROFILES} profiles, got {tables[0].size} {shapes[0]}")
    for population, table in enumerate(tables):
        if not np.isfinite(table).all():
            raise ValueError(
                f"payoffs[{population}]: must be finite in every profile, got {table[~np.isfinite(table)][0]}"
            )
    return tables


def _masses(tables: list[Floats], alpha: float | None, m: int, epsilon: float) -> AlphaRank:
    shape = tables[0].shape
    profiles = np.arange(tables[0].size).reshape(shape)
    rates = np.zeros((profiles.size, profiles.size))
    for population, table in enumerate(tables):
        # (groups, n_k): the profiles that differ only in what this population plays, side by side.
        along = np.moveaxis(profiles, population, -1).reshape(-1, shape[population])
        payoff = np.moveaxis(table, population, -1).reshape(along.shape)
        if alpha is None:
            takeover = _response(payoff[:, None, :] - payoff[:, :, None], _resolution(table), epsilon)
        else:
            with np.errstate(over="ignore"):
                takeover = fixation_probability(alpha * (payoff[:, None, :] - payoff[:, :, None]), m)
        rates[along[:, :, None], along[:, None, :]] = np.maximum(takeover, _RAREST)
    # Mutants come alike often in every direction; that common factor changes no mass, neither does staying.
    return AlphaRank.of(stationary_distribution(rates).reshape(shape))


def _response(advantage: Floats, resolution: float, epsilon: float) -> Floats:
    """How likely a mutant takes over under infinitely strong selection."""
    return np.where(np.abs(advantage) <= resolution, 0.5, np.where(advantage > 0, 1 - epsilon, epsilon))


def _resolution(table: Floats) -> float:
    """Up to which difference two payoffs are the same: means of the same values may differ in their last digits."""
    return float(1e-9 * np.ptp(table) + 8 * np.finfo(np.float64).eps * np.abs(table).max())
