"""Aggregates over seeds, on cases that can be reckoned by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from benchmarks.learning.statistics import difference, estimate, improvement, iqm


def test_of_five_seeds_the_best_and_the_worst_are_forgotten():
    assert iqm([100.0, 1.0, 2.0, -50.0, 3.0]) == 2.0


def test_of_eight_seeds_two_at_each_end_are_forgotten():
    assert iqm([0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 99.0, 99.0]) == 2.5


def test_of_three_seeds_all_count():
    assert iqm([1.0, 2.0, 6.0]) == 3.0


def test_it_is_the_trimmed_mean_that_the_authors_take():
    from scipy.stats import trim_mean

    values = np.random.default_rng(3).normal(size=(4, 11))
    np.testing.assert_allclose(iqm(values), trim_mean(values, 0.25, axis=1))


def test_equal_seeds_have_an_interval_of_no_width():
    found = estimate([7.0] * 5)
    assert (found.value, found.low, found.high, found.n) == (7.0, 7.0, 7.0, 5)


def test_two_seeds_reach_from_one_to_the_other():
    # A quarter of the resamples is twice the first, a quarter twice the second.
    found = estimate([2.0, 6.0])
    assert (found.value, found.low, found.high) == (4.0, 2.0, 6.0)


def test_one_outlier_among_many_does_not_widen_the_interval_to_itself():
    found = estimate([*range(10, 25), 1000.0])
    assert found.value == 17.5 and 10.0 < found.low < 17.5 < found.high < 25.0


def test_the_interval_covers_the_mean_about_as_often_as_it_says():
    samples = np.random.default_rng(1).normal(size=(150, 10))
    found = [estimate(sample) for sample in samples]
    assert 0.88 <= np.mean([each.low <= 0 <= each.high for each in found]) <= 1.0


def test_one_seed_has_no_interval_and_none_has_no_value():
    assert estimate([3.0]).value == 3.0 and math.isnan(estimate([3.0]).low)
    assert math.isnan(estimate([]).value) and estimate([]).n == 0


def test_what_was_never_reached_is_larger_than_all_and_can_be_forgotten():
    assert estimate([1.0, 2.0, 3.0, 4.0, math.inf]).value == 3.0
    found = estimate([1.0, 2.0, math.inf, math.inf, math.inf])
    assert (found.value, found.high) == (math.inf, math.inf) and not math.isnan(found.low)


def test_differences_are_taken_seed_by_seed():
    # Seeds differ far more than arms do; in every one of them ours is ahead by about 1.
    theirs = np.array([10.0, 100.0, 1000.0, 20.0, 500.0])
    found = difference(theirs + np.array([1.0, 1.1, 0.9, 1.0, 1.0]), theirs)
    assert found.value == pytest.approx(1.0) and 0.9 <= found.low <= found.high <= 1.1


def test_differences_of_other_numbers_of_seeds_are_refused():
    with pytest.raises(ValueError, match="must be of the same seeds"):
        difference([1.0, 2.0], [1.0])


def test_improvement_counts_wins_over_all_pairs_and_ties_half():
    # 3 beats 1, 2 and ties with 3: 2.5; 1 ties with 1: 0.5; of nine pairs with 4, which beats all: 3.
    assert improvement([3.0, 1.0, 4.0], [1.0, 2.0, 3.0]).value == pytest.approx(6 / 9)


def test_an_arm_is_as_likely_to_beat_itself_as_to_lose():
    found = improvement([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert found.value == 0.5 and found.low + found.high == pytest.approx(1.0)


def test_seeds_of_both_arms_are_resampled_apart():
    """All 27² resamples of three seeds each, reckoned: the interval is of what the value is."""
    ours, theirs = np.array([313.0, 323.0, 333.0]), np.array([317.0, 327.0, 337.0])
    wins = ours[:, None] > theirs[None, :]
    draws = list(itertools.product(range(3), repeat=3))
    means = np.array([wins[np.ix_(rows, columns)].mean() for rows in draws for columns in draws])
    found = improvement(ours, theirs)
    assert found.value == pytest.approx(means.mean()) == pytest.approx(1 / 3)
    ends = np.quantile(means, (0.025, 0.975), method="inverted_cdf")
    assert (found.low, found.high) == pytest.approx(tuple(ends))
    assert ends == pytest.approx([0.0, 8 / 9])


def test_a_value_that_is_not_a_number_is_not_forgotten_as_the_largest():
    values = [1.0, 2.0, math.nan, 3.0, 4.0]
    found = estimate(values)
    assert np.isnan([iqm(values), found.value, found.low, found.high]).all()
    assert iqm([values, [1.0, 2.0, 3.0, 4.0, math.inf]]).tolist() == pytest.approx([math.nan, 3.0], nan_ok=True)


def test_an_arm_that_always_wins_does_so_in_every_resample():
    found = improvement([5.0, 6.0, 7.0, 8.0], [1.0, 2.0, 3.0, 4.0])
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_the_same_data_give_the_same_interval():
    assert estimate([1.0, 2.0, 5.0, 9.0, 3.0]) == estimate([1.0, 2.0, 5.0, 9.0, 3.0])
