"""Elo ratings of two species from wins and losses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from marl_pbt.league.bradley_terry import bradley_terry

in_short = settings(max_examples=40, deadline=None, derandomize=True)
counts = arrays.arrays(np.float64, (3, 4), elements=st.integers(0, 12).map(float))


def chances(rated):
    """That rows beat columns, by the definition of Elo."""
    return 1 / (1 + 10 ** ((rated.columns - rated.rows[:, None]) / 400))


def test_odds_of_nine_to_one_are_worth_382_points():
    """One row, one column, strengths r and −r by symmetry; e^r = 3, so P(row wins) = 9/10 and P(row beats the average
    policy) = 3/4. The maximum has w + prior = 0.9 N + 2 · prior · 0.75: with N = 10, prior = 0.5 that is w = 9.25.
    """
    rated = bradley_terry([[9.25]], [[0.75]])
    assert rated.rows[0] - rated.columns[0] == pytest.approx(400 * np.log10(9))
    assert rated.rows[0] + rated.columns[0] == pytest.approx(3000)


def test_draws_count_half_to_each_side():
    """Everybody drew with everybody: all are equal."""
    rated = bradley_terry(np.full((2, 3), 2.5), np.full((2, 3), 2.5))
    np.testing.assert_allclose(np.concatenate([rated.rows, rated.columns]), 1500)


def test_who_wins_everything_stays_finite_and_first():
    wins = np.array([[10.0, 10.0], [5.0, 5.0], [0.0, 0.0]])
    rated = bradley_terry(wins, 10 - wins)
    assert np.isfinite(rated.rows).all()
    assert rated.rows[0] > rated.rows[1] > rated.rows[2]
    assert np.isfinite(bradley_terry(np.full((4, 4), 1e9), np.zeros((4, 4)), 1e-6).rows).all()


def test_strengths_that_made_the_results_are_found_again():
    strength, opponent = np.array([100.0, 0.0, -250.0]), np.array([150.0, 0.0])
    wins = 1e6 / (1 + 10 ** ((opponent - strength[:, None]) / 400))
    rated = bradley_terry(wins, 1e6 - wins)
    np.testing.assert_allclose(rated.rows, 1500 + strength, atol=0.01)
    np.testing.assert_allclose(rated.columns, 1500 + opponent, atol=0.01)


def test_who_has_not_played_is_average():
    """An average policy of the model is at 0 there; here wins and losses balance, so that is 1500."""
    rated = bradley_terry([[6.0, 0.0], [0.0, 0.0]], [[6.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(np.concatenate([rated.rows, rated.columns]), 1500)


@in_short
@given(counts, counts)
def test_expected_wins_are_the_wins_up_to_the_prior(wins, losses):
    """At the maximum each policy's surplus of wins is what the prior's two half games take back, at most 0.5."""
    rated = bradley_terry(wins, losses)
    surplus = wins - (wins + losses) * chances(rated)
    assert np.abs(surplus.sum(axis=1)).max() <= 0.5 + 1e-9
    assert np.abs(surplus.sum(axis=0)).max() <= 0.5 + 1e-9
    assert np.mean([*rated.rows, *rated.columns]) == pytest.approx(1500)


@in_short
@given(counts, counts)
def test_seen_from_the_other_side_strengths_are_the_same(wins, losses):
    here, there = bradley_terry(wins, losses), bradley_terry(losses.T, wins.T)
    np.testing.assert_allclose(here.rows, there.columns, atol=1e-6)
    np.testing.assert_allclose(here.columns, there.rows, atol=1e-6)


@in_short
@given(counts, counts, st.permutations(range(3)), st.permutations(range(4)))
def test_the_order_of_policies_does_not_matter(wins, losses, rows, columns):
    placed = np.ix_(rows, columns)
    here, there = bradley_terry(wins, losses), bradley_terry(wins[placed], losses[placed])
    np.testing.assert_allclose(there.rows, here.rows[rows], atol=1e-6)
    np.testing.assert_allclose(there.columns, here.columns[columns], atol=1e-6)


@pytest.mark.parametrize(
    ("wins", "losses", "prior", "message"),
    [
        ([[1.0]], [[1.0, 2.0]], 0.5, r"got \(1, 1\) and \(1, 2\)"),
        ([1.0], [1.0], 0.5, "two tables"),
        ([[-1.0]], [[1.0]], 0.5, "wins: must be finite and not negative, got -1.0"),
        ([[1.0]], [[np.nan]], 0.5, "losses: must be finite and not negative, got nan"),
        ([[1.0]], [[np.inf]], 0.5, "losses: must be finite and not negative, got inf"),
        ([[1.0]], [[1.0]], 0.0, "prior: must be a positive number, got 0.0"),
    ],
)
def test_what_are_no_counts_is_an_error(wins, losses, prior, message):
    with pytest.raises(ValueError, match=message):
        bradley_terry(wins, losses, prior)
