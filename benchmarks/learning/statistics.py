"""Aggregates over seeds with 95 % bootstrap intervals, after Agarwal et al. 2021 (arXiv 2108.13264).

Few seeds, and now and then one that fails: the interquartile mean forgets the outer quarters, so it is less noisy than
the median and less moved by one run than the mean. What is resampled are seeds, 10,000 times, and the interval is the
resamples' 2.5 % and 97.5 % quantiles. (The paper resamples within each of many tasks; here every figure is of one.)

Such intervals are a little narrow for few seeds. Tried on 600 samples each: at 5 seeds they cover the estimator's mean
in 90 % of normal and 84 to 88 % of skewed or two-humped samples, from 8 seeds on in 91 to 95 %. They are not corrected
for how many comparisons a table makes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

DRAWS = 10_000
LEVELS = (0.025, 0.975)


@dataclass(frozen=True)
class Interval:
    """An estimate.

    Attributes:
        value: NaN without data.
        low: Lower end of the 95 % interval; NaN with a single seed.
        high: Upper end.
        n: Seeds.
    """

    value: float
    low: float
    high: float
    n: int


def iqm(values: ArrayLike) -> Floats:
    """The mean along the last axis without the ⌊n/4⌋ smallest and as many largest; NaN without values or with a NaN."""
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=-1)
    n = ordered.shape[-1]
    if n == 0:
        return np.full(ordered.shape[:-1], np.nan)
    cut = n // 4
    middle = ordered[..., cut : n - cut].mean(axis=-1)
    return np.where(np.isnan(ordered[..., -1]), np.nan, middle)  # NaN is sorted last, and would be cut off


def estimate(values: ArrayLike) -> Interval:
    """The interquartile mean of one value per seed; infinity is what was never reached, and larger than all."""
    data = np.asarray(values, dtype=np.float64)
    return _interval(len(data), lambda drawn: iqm(data[drawn]))


def difference(ours: ArrayLike, theirs: ArrayLike) -> Interval:
    """The interquartile mean of the differences of the same seeds.

    Args:
        ours: One value per seed.
        theirs: Of the same seeds, in the same order.

    Raises:
        ValueError: They are not as many.
    """
    one, other = _pairs(ours, theirs)
    return estimate(one - other)


def improvement(ours: ArrayLike, theirs: ArrayLike) -> Interval:
    """How likely a run of ours is better than one of theirs, equal ones counting half (Mann and Whitney's U over n²).

    Each of ours is compared with each of theirs; the seeds of ours and of theirs are resampled apart, as in the paper.
    Drawn together, pairs of the same seed would count more in a resample than in the value.

    Args:
        ours: One value per seed.
        theirs: Of the same seeds, in the same order.

    Raises:
        ValueError: They are not as many.
    """
    one, other = _pairs(ours, theirs)
    gaps = one[:, None] - other[None, :]
    wins = np.where(np.isnan(gaps), np.nan, (gaps > 0) + 0.5 * (gaps == 0))
    return _interval(len(one), lambda of_one, of_other: _mean_of(wins, of_one, of_other), arms=2)


def _pairs(ours: ArrayLike, theirs: ArrayLike) -> tuple[Floats, Floats]:
    one, other = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if one.shape != other.shape:
        raise ValueError(f"theirs: must be of the same seeds, got {other.shape} beside {one.shape}")
    return one, other


def _mean_of(wins: Floats, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
    return np.asarray(wins[rows[..., :, None], columns[..., None, :]].mean(axis=(-2, -1)))


def _interval(n: int, statistic: Callable[..., Floats], arms: int = 1) -> Interval:
    """Of a statistic of drawn seeds `(…, n)`, drawn for each arm apart."""
    if n == 0:
        return Interval(np.nan, np.nan, np.nan, 0)
    value = float(statistic(*[np.arange(n)] * arms))
    if n == 1:
        return Interval(value, np.nan, np.nan, 1)
    rng = np.random.default_rng(0)
    drawn = statistic(*(rng.integers(n, size=(DRAWS, n)) for _ in range(arms)))
    # No straight line between neighbours: one of them may be infinite.
    low, high = np.quantile(drawn, LEVELS, method="inverted_cdf")
    return Interval(value, float(low), float(high), n)
