"""One number per policy, with its interval, from the payoffs of all profiles.

A profile is one policy per species. `episodes` is what one species got: `(n_1, …, n_K, episodes)` float64, K ≥ 1
species with n_k policies each, NaN where an episode has no value or a profile was not played. `species` says whose
payoffs they are, hence whose policies are rated: 0 … K − 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from marl_pbt.league.statistics import Estimate, Resamples, estimate_of_combinations

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CoAdaptation:
    """How much better policies fare with the partners that they were trained with.

    Attributes:
        policies: Whom it can be said of: they played with a partner of their own and with others. Ascending.
        per_policy: `(policies,)` own partner minus the mean over the others.
        average: `()` over the policies; NaN without any.
    """

    policies: tuple[int, ...]
    per_policy: Estimate
    average: Estimate


def unfold(episodes: ArrayLike, species: int) -> Floats:
    """`(n_species, profiles of the others, episodes)`; the others' profiles in C order, one of them where K = 1.

    Raises:
        ValueError: `episodes` has no axis beside the episodes', or there is no such species.
    """
    table = np.asarray(episodes, dtype=np.float64)
    if table.ndim < 2 or not 0 <= species < table.ndim - 1:
        raise ValueError(f"species: must be an axis of (n_1, …, n_K, episodes), got {species} of {table.shape}")
    first = np.moveaxis(table, species, 0)
    others = int(np.prod(first.shape[1:-1]))
    return first.reshape(first.shape[0], others, first.shape[-1])


def mean_against_field(episodes: ArrayLike, species: int, resamples: Resamples) -> Estimate:
    """Per policy the mean over all profiles that it played in, each profile counting alike; `(n_species,)`.

    Policies are comparable where all played the same profiles: on a table with gaps some have met an easier field.
    """
    table = unfold(episodes, species)
    return estimate_of_combinations(_cells(table), _block_diagonal(_shares(table)), resamples)


def leads(episodes: ArrayLike, species: int, order: Sequence[int], resamples: Resamples) -> Estimate:
    """By how much each policy's mean against the field exceeds the next one's; `(len(order) − 1,)`.

    NaN where one of the two met nobody. Episodes have common seeds, so a difference is often clearer than the two
    intervals, which may overlap.

    Args:
        episodes: As above.
        species: As above.
        order: Policies, best first.
        resamples: Of as many episodes.
    """
    table = unfold(episodes, species)
    means = _block_diagonal(_shares(table))[list(order)]
    has_met = np.asarray(means.any(axis=1))
    differences = means[:-1] - means[1:]
    differences[~(has_met[:-1] & has_met[1:])] = 0.0  # of which nothing is known
    return estimate_of_combinations(_cells(table), differences, resamples)


def is_field_common(episodes: ArrayLike, species: int, policies: Sequence[int]) -> bool:
    """Whether these policies of a species all played the same profiles of the others."""
    played = _is_played(unfold(episodes, species))[list(policies)]
    return bool((played == played[:1]).all())


def coadaptation(episodes: ArrayLike, own: Sequence[Sequence[int]], species: int, resamples: Resamples) -> CoAdaptation:
    """What a policy gets with its own partner minus its mean over all other partners that it met.

    A single policy's number also holds how easy its own partner is to play with. Where every partner is exactly one
    policy's own, that cancels in the average, which therefore is the number to look at.

    Args:
        episodes: As above.
        own: The profiles of policies that belong together, a number per species; for two species pairs (i, j).
        species: As above.
        resamples: Of as many episodes.

    Raises:
        ValueError: An own profile is not in the table.
    """
    table = unfold(episodes, species)
    is_played = _is_played(table)
    is_own = unfold(_marked(own, np.shape(episodes)[:-1])[..., None], species)[..., 0] > 0
    its_own, others = is_played & is_own, is_played & ~is_own
    policies = np.flatnonzero(its_own.any(axis=1) & others.any(axis=1))
    contrasts = its_own / np.maximum(its_own.sum(axis=1, keepdims=True), 1)
    contrasts -= others / np.maximum(others.sum(axis=1, keepdims=True), 1)
    factors = _block_diagonal(contrasts)[policies]
    average = factors.sum(axis=0, keepdims=True) / max(len(policies), 1)
    estimates = estimate_of_combinations(_cells(table), np.concatenate([factors, average]), resamples)
    return CoAdaptation(tuple(policies.tolist()), estimates[:-1], estimates[-1])


def _marked(profiles: Sequence[Sequence[int]], shape: tuple[int, ...]) -> Floats:
    """1 at each of the profiles, 0 elsewhere."""
    marks = np.zeros(shape)
    for profile in profiles:
        is_inside = len(profile) == len(shape) and all(0 <= i < n for i, n in zip(profile, shape, strict=True))
        if not is_inside:
            raise ValueError(f"own: must be profiles of a table {shape}, got {tuple(profile)}")
        marks[tuple(profile)] = 1.0
    return marks


def _shares(table: Floats) -> Floats:
    """`(n, profiles)`: what each profile counts in a policy's mean."""
    is_played = _is_played(table)
    shares: Floats = is_played / np.maximum(is_played.sum(axis=1, keepdims=True), 1)
    return shares


def _is_played(table: Floats) -> NDArray[np.bool_]:
    return np.asarray(~np.isnan(table).all(axis=-1))


def _cells(table: Floats) -> Floats:
    return table.reshape(-1, table.shape[-1])


def _block_diagonal(rows: Floats) -> Floats:
    """`(n, n · m)` from `(n, m)`: row i over the cells of policy i, 0 over the cells of others."""
    n, m = rows.shape
    blocks = np.zeros((n, n, m))
    blocks[np.arange(n), np.arange(n)] = rows
    return blocks.reshape(n, n * m)
