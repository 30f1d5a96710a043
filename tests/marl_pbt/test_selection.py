"""Ranking, and truncation selection."""

import math

import numpy as np
import pytest

from marl_pbt.selection import Ranking, Truncation
from marl_pbt.standings import Score
from tests.contracts.selection import SelectionContract, ranking_of


class TestTruncation(SelectionContract):
    selection = Truncation()


class TestGreedyTruncation(SelectionContract):
    selection = Truncation(bottom=0.5, top=0.5)


class TestUnevenTruncation(SelectionContract):
    selection = Truncation(bottom=0.1, top=0.45)


class TestNoTruncation(SelectionContract):
    selection = Truncation(bottom=0.0, top=0.0)


FIVE = {0: 0.0, 1: 50.0, 2: 100.0, 3: 150.0, 4: 200.0}


def test_of_five_the_two_worst_may_copy_the_two_best():
    """R06's ground: q = 0.25, two low, two high."""
    assert set(Truncation().losers(ranking_of(FIVE))) == {0, 1}
    assert Truncation().donors(ranking_of(FIVE)) == (4, 3)


def test_in_mode_min_the_lowest_is_the_best():
    """R36."""
    ranking = ranking_of(FIVE, maximize=False)
    assert Truncation().donors(ranking) == (0, 1)
    assert ranking.gap(donor=0, loser=4) == 200.0
    assert ranking_of(FIVE).gap(donor=0, loser=4) == -200.0


@pytest.mark.parametrize(
    ("members", "quantile", "losers"),
    [
        *[(1, 0.25, 0), (2, 0.25, 1), (3, 0.25, 1), (4, 0.25, 1), (5, 0.25, 2), (8, 0.25, 2), (9, 0.25, 3)],
        *[(5, 0.2, 1), (25, 0.28, 7), (10, 0.3, 3), (7, 0.01, 1), (8, 0.5, 4), (3, 0.5, 1), (1, 0.5, 0), (8, 0.0, 0)],
    ],
)
def test_a_quantile_is_rounded_up_but_never_beyond_half(members, quantile, losers):
    """D08, R40: also where the share is no exact binary fraction (0.28 × 25 is seven, not eight)."""
    ranking = ranking_of({member: float(member) for member in range(members)})
    assert len(Truncation(bottom=quantile).losers(ranking)) == losers
    assert len(Truncation(top=quantile).donors(ranking)) == losers


def test_what_is_not_finite_is_not_ranked():
    """R39."""
    ranking = ranking_of({0: math.nan, 1: 3.0, 2: math.inf, 3: -math.inf, 4: 1.0})
    assert ranking.order == (1, 4)


def test_ties_break_at_random_and_without_favour():
    """D06: 10 000 rankings of eight equal members; everyone is a loser as often as everyone else."""
    lost, rng = np.zeros(8), np.random.default_rng(0)
    scores = {member: Score(1.0, 0.0, 20) for member in range(8)}
    for _ in range(10_000):
        lost[list(Truncation().losers(Ranking.of(scores, True, rng)))] += 1
    assert lost.sum() == 20_000
    assert abs(lost - 2500).max() < 4.5 * math.sqrt(2500 * 0.75)


def test_ties_do_not_depend_on_the_order_in_which_rows_were_read():
    scores = {member: Score(1.0, 0.0, 20) for member in range(8)}
    backwards = dict(reversed(scores.items()))
    one, other = (Ranking.of(each, True, np.random.default_rng(3)).order for each in (scores, backwards))
    assert one == other


def test_the_pooled_error_is_that_of_the_difference():
    ranking = Ranking.of({0: Score(1.0, 3.0, 20), 1: Score(2.0, 4.0, 20)}, True, np.random.default_rng(0))
    assert ranking.pooled_error(0, 1) == 5.0
