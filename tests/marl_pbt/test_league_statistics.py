"""Means of payoff tables and their intervals: episodes are resampled, the same ones for all cells."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from marl_pbt.league.statistics import (
    Resamples,
    estimate,
    estimate_of_combinations,
    estimate_of_means,
    estimate_of_shares,
    resampled_means,
)

in_short = settings(max_examples=40, deadline=None, derandomize=True)
payoffs = st.floats(-1000, 1000, allow_nan=False, width=32)


def resamples_of(episodes, draws=2000):
    return Resamples.draw(episodes, np.random.default_rng(5), draws)


def same(one, other):
    for field in ("mean", "standard_error", "low", "high", "n"):
        np.testing.assert_allclose(getattr(one, field), getattr(other, field), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("draw", "truth", "at_least"),
    [
        (lambda rng, shape: rng.normal(size=shape), 0.0, 0.93),
        (lambda rng, shape: rng.uniform(size=shape), 0.5, 0.93),
        (lambda rng, shape: rng.gamma(4, size=shape), 4.0, 0.92),
        (lambda rng, shape: rng.exponential(size=shape), 1.0, 0.895),
    ],
    ids=["normal", "uniform", "skewed", "very skewed"],
)
def test_intervals_of_ten_episodes_cover_the_truth_nearly_as_often_as_they_say(draw, truth, at_least):
    values = draw(np.random.default_rng(0), (4000, 10))
    found = estimate(values, resamples_of(10))
    covered = np.mean((found.low <= truth) & (truth <= found.high))
    assert at_least <= covered <= 0.97


def test_the_interval_of_symmetric_data_is_as_wide_as_the_t_interval():
    """Hesterberg 2015: that is what the levels are widened for; t at 97.5 % with 9 degrees of freedom is 2.262."""
    values = np.random.default_rng(3).normal(size=(500, 10))
    found = estimate(values, resamples_of(10))
    widths = (found.high - found.low) / (2 * 2.262 * found.standard_error)
    assert abs(np.median(widths) - 1) < 0.04


def test_fewer_than_five_episodes_get_the_t_interval():
    """Values 1, 2, 3: standard error 1/√3; t at 97.5 % with 2 degrees of freedom is 4.3027."""
    found = estimate([1.0, 2.0, 3.0], resamples_of(3))
    assert found.mean == 2.0
    assert found.standard_error == pytest.approx(1 / np.sqrt(3))
    assert (found.low, found.high) == (pytest.approx(2 - 4.3027 / np.sqrt(3), abs=1e-4), pytest.approx(4.484, abs=1e-3))


def test_of_one_episode_only_the_mean_is_known():
    found = estimate([[7.0], [np.nan]], resamples_of(1))
    assert found.n.tolist() == [1, 0]
    np.testing.assert_array_equal(found.mean, [7.0, np.nan])
    assert np.isnan([found.standard_error, found.low, found.high]).all()


@in_short
@given(payoffs, st.integers(2, 12))
def test_the_interval_of_equal_values_is_a_point(value, episodes):
    found = estimate(np.full((2, episodes), value), resamples_of(episodes, 50))
    for end in (found.mean, found.low, found.high):
        assert end.tolist() == [value, value]
    assert found.standard_error.tolist() == [0.0, 0.0]


@in_short
@given(arrays.arrays(np.float64, (3, 8), elements=payoffs), st.floats(0.5, 4), st.floats(-50, 50))
def test_units_change_an_interval_as_they_change_the_values(values, factor, shift):
    here, there = (estimate(each, resamples_of(8, 200)) for each in (values, factor * values + shift))
    for field in ("mean", "low", "high"):
        np.testing.assert_allclose(getattr(there, field), factor * getattr(here, field) + shift, atol=1e-6)
    np.testing.assert_allclose(there.standard_error, factor * here.standard_error, atol=1e-6)


def test_a_missing_episode_is_left_out():
    gaps = np.array([[1.0, np.nan, 5.0, 3.0, np.nan, 6.0, 2.0, 4.0]])
    found, full = estimate(gaps, resamples_of(8)), estimate(gaps[:, ~np.isnan(gaps[0])], resamples_of(6))
    assert (found.n, found.mean, found.standard_error) == (full.n, full.mean, pytest.approx(full.standard_error))
    assert abs(found.low - full.low) < 0.3
    assert abs(found.high - full.high) < 0.3


def test_episodes_may_be_any_axis_and_cells_any_shape():
    values = np.random.default_rng(1).normal(size=(3, 6, 4))
    found = estimate(values, resamples_of(6), axis=1)
    assert found.mean.shape == found.low.shape == found.n.shape == (3, 4)
    same(found[2, 1], estimate(values[2, :, 1], resamples_of(6)))


def test_a_table_in_many_blocks_is_the_same_as_cell_by_cell():
    values = np.random.default_rng(1).normal(size=(2100, 5))
    found = estimate(values, resamples_of(5, 100))
    for cell in (0, 1023, 1024, 2099):
        same(found[cell], estimate(values[cell], resamples_of(5, 100)))
    mean = estimate_of_means(values, resamples_of(5, 100))
    same(mean, estimate(values.mean(axis=0), resamples_of(5, 100)))


@in_short
@given(arrays.arrays(np.float64, (4, 7), elements=payoffs))
def test_a_mean_over_cells_is_as_sure_as_the_means_of_its_seeds(table):
    """Luck that a seed brings to all cells stays in: the same as taking each seed's mean over the cells first."""
    same(estimate_of_means(table, resamples_of(7, 300)), estimate(table.mean(axis=0), resamples_of(7, 300)))


def test_luck_that_seeds_bring_to_all_cells_does_not_average_out():
    luck = np.random.default_rng(2).normal(size=10)
    found = estimate_of_means(np.tile(luck, (16, 1)), resamples_of(10))
    same(found, estimate(luck, resamples_of(10)))


def test_a_difference_of_cells_with_the_same_luck_is_sure():
    luck = np.random.default_rng(2).normal(size=10)
    found = estimate_of_combinations([luck, luck + 3], [[-1, 1]], resamples_of(10))
    np.testing.assert_allclose([found.low[0], found.mean[0], found.high[0]], 3, atol=1e-12)


def test_a_cell_that_was_not_played_is_left_out_of_the_mean():
    table = np.random.default_rng(2).normal(size=(3, 10))
    gaps = np.vstack([table, np.full(10, np.nan)])
    same(estimate_of_means(gaps, resamples_of(10)), estimate_of_means(table, resamples_of(10)))


def test_a_mean_over_nothing_or_with_a_lone_episode_says_what_is_unknown():
    nothing = estimate_of_means(np.full((2, 4), np.nan), resamples_of(4))
    assert np.isnan(nothing.mean)
    assert nothing.n == 0
    lone = estimate_of_means([[1.0, 2.0, 3.0], [np.nan, 4.0, np.nan]], resamples_of(3))
    assert (lone.mean, lone.n) == (3.0, 3)
    assert np.isnan([lone.standard_error, lone.low, lone.high]).all()


def test_a_combination_that_needs_a_cell_not_played_is_unknown():
    table = [[1.0, 2.0, 3.0], [np.nan] * 3]
    found = estimate_of_combinations(table, [[1, 0], [1, -1], [0, 0]], resamples_of(3))
    np.testing.assert_array_equal(found.mean, [2.0, np.nan, np.nan])
    assert found.n.tolist() == [3, 0, 0]


@pytest.mark.parametrize(
    ("ones", "of", "low", "high"),
    [
        (0, 10, 0.0, 0.27753),  # z² / (n + z²), z² = 3.84146
        (10, 10, 0.72247, 1.0),
        (5, 10, 0.23659, 0.76341),  # 0.5 ± z / (2 √(n + z²))
        (1, 1, 0.20655, 1.0),
        (0, 1000, 0.0, 0.0038267),
    ],
)
def test_shares_have_wilsons_interval(ones, of, low, high):
    found = estimate_of_shares([1.0] * ones + [np.nan] + [0.0] * (of - ones))
    assert (found.mean, found.n) == (ones / of, of)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-5), pytest.approx(high, abs=1e-5))
    assert (
        np.isnan(found.standard_error)
        if of == 1
        else found.standard_error == pytest.approx(np.std([1.0] * ones + [0.0] * (of - ones), ddof=1) / np.sqrt(of))
    )


def test_shares_of_nothing_are_unknown_and_tables_of_shares_keep_their_shape():
    found = estimate_of_shares([[[0.0, 1.0, 1.0, 1.0], [np.nan] * 4]])
    assert found.mean.shape == found.low.shape == found.n.shape == (1, 2)
    assert found.n.tolist() == [[4, 0]]
    assert found.mean[0, 0] == 0.75
    assert np.isnan([found.mean[0, 1], found.standard_error[0, 1], found.low[0, 1], found.high[0, 1]]).all()


def test_resampled_tables_are_means_of_the_drawn_episodes():
    values = np.random.default_rng(4).normal(size=(2, 3, 5))
    resamples = resamples_of(5, 30).first(20)
    tables = resampled_means(values, resamples)
    assert tables.shape == (20, 2, 3)
    np.testing.assert_allclose(tables[7, 1, 2], values[1, 2] @ resamples.counts[7] / 5)


def test_a_resample_without_any_episode_of_a_cell_gives_the_cells_own_mean():
    tables = resampled_means([[2.0, np.nan, np.nan], [np.nan] * 3], resamples_of(3, 50))
    np.testing.assert_array_equal(tables, np.tile([2.0, np.nan], (50, 1)))


def test_the_same_seed_draws_the_same_resamples():
    one, other = (Resamples.draw(6, np.random.default_rng(9), 40) for _ in range(2))
    np.testing.assert_array_equal(one.counts, other.counts)
    assert (one.counts.sum(axis=1) == 6).all()


def test_wrong_numbers_of_episodes_are_errors():
    with pytest.raises(ValueError, match="must have 5 episodes as the resamples, got 4"):
        estimate(np.zeros((2, 4)), resamples_of(5))
    with pytest.raises(ValueError, match="at least 1, got 0 and 2000"):
        resamples_of(0)
