"""Ranking, the selections, and the choice among donors."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from marl_pbt.own_functions import OwnDonor, OwnSelection
from marl_pbt.selection import (
    BinaryTournament,
    Ranking,
    Truncation,
    TTest,
    rank_weighted_donor,
    uniform_donor,
    welch_p,
)
from marl_pbt.standings import Score
from tests.contracts.selection import SelectionContract, ranking_of


class TestTruncation(SelectionContract):
    selection = Truncation()


class TestGreedyTruncation(SelectionContract):
    selection = Truncation(bottom=0.5, top=0.5)


class TestUnevenTruncation(SelectionContract):
    selection = Truncation(bottom=0.1, top=0.45)


class TestNoTruncation(SelectionContract):
    selection = Truncation(bottom=0.0)


class TestTTestContract(SelectionContract):
    selection = TTest()


class TestBinaryTournamentContract(SelectionContract):
    selection = BinaryTournament()


def the_best_one(member, ranking, rng):
    """A user's own."""
    return ranking.order[:1]


class TestOwnSelectionContract(SelectionContract):
    selection = OwnSelection("pbt.selection", "tests.marl_pbt.test_selection:the_best_one")


def asked(selection, ranking, seed=0):
    """What everybody is told."""
    return {member: tuple(selection.donors(member, ranking, np.random.default_rng(seed))) for member in ranking.order}


def losers(selection, ranking):
    return {member for member, donors in asked(selection, ranking).items() if donors}


FIVE = {0: 0.0, 1: 50.0, 2: 100.0, 3: 150.0, 4: 200.0}


def test_of_five_the_two_worst_may_copy_the_two_best():
    """R06's ground: q = 0.25, two low, two high."""
    assert asked(Truncation(), ranking_of(FIVE)) == {0: (4, 3), 1: (4, 3), 2: (), 3: (), 4: ()}


def test_in_mode_min_the_lowest_is_the_best():
    """R36."""
    ranking = ranking_of(FIVE, maximize=False)
    assert asked(Truncation(), ranking)[4] == (0, 1)
    assert ranking.gap(donor=0, loser=4) == 200.0
    assert ranking_of(FIVE).gap(donor=0, loser=4) == -200.0


@pytest.mark.parametrize(
    ("members", "quantile", "count"),
    [
        *[(1, 0.25, 0), (2, 0.25, 1), (3, 0.25, 1), (4, 0.25, 1), (5, 0.25, 2), (8, 0.25, 2), (9, 0.25, 3)],
        *[(5, 0.2, 1), (25, 0.28, 7), (10, 0.3, 3), (7, 0.01, 1), (8, 0.5, 4), (3, 0.5, 1), (1, 0.5, 0), (8, 0.0, 0)],
    ],
)
def test_a_quantile_is_rounded_up_but_never_beyond_half(members, quantile, count):
    """D08, R40: also where the share is no exact binary fraction (0.28 × 25 is seven, not eight)."""
    ranking = ranking_of({member: float(member) for member in range(members)})
    assert len(ranking.worst(quantile)) == len(ranking.best(quantile)) == count
    assert len(losers(Truncation(bottom=quantile), ranking)) == count


def test_what_is_not_finite_is_not_ranked():
    """R39."""
    ranking = ranking_of({0: math.nan, 1: 3.0, 2: math.inf, 3: -math.inf, 4: 1.0})
    assert ranking.order == (1, 4)


def test_ties_break_at_random_and_without_favour():
    """D06: 10 000 rankings of eight equal members; everyone is a loser as often as everyone else."""
    lost, rng = np.zeros(8), np.random.default_rng(0)
    scores = {member: Score(1.0, 0.0, 20) for member in range(8)}
    for _ in range(10_000):
        lost[list(Ranking.of(scores, True, rng).worst(0.25))] += 1
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


# ------------------------------------------------------------------------------------ Jaderberg et al.: two at a time


def test_in_a_tournament_the_worst_copies_whom_it_draws_the_best_nobody_and_the_others_only_better_ones():
    told = {
        member: {asked(BinaryTournament(), ranking_of(FIVE), seed)[member] for seed in range(200)} for member in FIVE
    }
    assert told[0] == {(1,), (2,), (3,), (4,)}
    assert told[2] == {(), (3,), (4,)}
    assert told[4] == {()}


def test_in_a_tournament_rivals_are_drawn_evenly():
    """D06: over 10 000 draws."""
    rng, ranking = np.random.default_rng(0), ranking_of(FIVE)
    drawn = Counter(BinaryTournament().donors(0, ranking, rng)[0] for _ in range(10_000))
    assert drawn.keys() == {1, 2, 3, 4} and max(abs(count - 2500) for count in drawn.values()) < 195


def sample(mean, deviation, count, seed):
    values = np.random.default_rng(seed).normal(mean, deviation, count)
    return values, Score(float(values.mean()), float(values.std(ddof=1) / math.sqrt(count)), count)


@pytest.mark.parametrize("seed", range(20))
def test_welchs_p_is_that_of_scipy_from_the_episodes_themselves(seed):
    one, other = sample(0.0, 3.0, 10, seed), sample(2.0, 1.0, 25, 100 + seed)
    expected = stats.ttest_ind(one[0], other[0], equal_var=False).pvalue
    assert welch_p(one[1], other[1]) == pytest.approx(expected, rel=1e-9)


def test_welchs_p_where_it_cannot_be_told_is_one():
    sound, odd = Score(1.0, 0.1, 10), [Score(9.0, 0.0, 1), Score(math.nan, 0.1, 10), Score(math.inf, 0.1, 10)]
    assert {welch_p(sound, each) for each in odd} == {1.0}
    assert welch_p(Score(-1e308, 1.0, 9), Score(1e308, 1.0, 9)) == 1.0
    assert (welch_p(Score(1.0, 0.0, 9), Score(2.0, 0.0, 9)), welch_p(Score(1.0, 0.0, 9), Score(1.0, 0.0, 9))) == (0, 1)


def test_the_t_test_copies_who_is_better_beyond_doubt_and_nobody_else():
    """The difference of 1 and 3 has a standard error of √2: p = 0.17; that of 1 and 9: p < 0.001."""
    scores = {0: Score(1.0, 1.0, 10), 1: Score(3.0, 1.0, 10), 2: Score(9.0, 1.0, 10)}
    ranking = Ranking.of(scores, True, np.random.default_rng(0))
    told = {TTest().donors(0, ranking, np.random.default_rng(seed)) for seed in range(50)}
    assert told == {(), (2,)}
    assert {TTest().donors(2, ranking, np.random.default_rng(seed)) for seed in range(50)} == {()}


def test_among_members_that_are_all_alike_the_t_test_copies_in_one_case_of_forty():
    """At p < 0.05 on both sides, and only the better one is copied; a tournament copies in every second case."""
    copies = {TTest(): 0, BinaryTournament(): 0}
    for seed in range(2000):
        scores = {member: sample(0.0, 1.0, 10, 2 * seed + member)[1] for member in range(2)}
        for selection in copies:
            ranking = Ranking.of(scores, True, np.random.default_rng(seed))
            copies[selection] += bool(selection.donors(0, ranking, np.random.default_rng(seed)))
    assert abs(copies[TTest()] / 2000 - 0.025) < 0.01
    assert abs(copies[BinaryTournament()] / 2000 - 0.5) < 0.04


# ------------------------------------------------------------------------------------ which of the donors


def test_by_rank_the_best_of_three_is_copied_three_times_as_often_as_the_last():
    rng, ranking = np.random.default_rng(0), ranking_of(FIVE)
    drawn = Counter(rank_weighted_donor((4, 3, 2), ranking, rng) for _ in range(6000))
    assert [abs(drawn[member] - expected) < 150 for member, expected in ((4, 3000), (3, 2000), (2, 1000))] == [True] * 3
    even = Counter(uniform_donor((4, 3, 2), ranking, rng) for _ in range(6000))
    assert max(abs(count - 2000) for count in even.values()) < 150


# ------------------------------------------------------------------------------------ a user's own


def test_an_own_selection_may_name_itself_and_worse_ones_and_copies_only_better_ones():
    everybody = OwnSelection("pbt.selection", "tests.marl_pbt.test_selection:everybody")
    assert asked(everybody, ranking_of(FIVE)) == {0: (4, 3, 2, 1), 1: (4, 3, 2), 2: (4, 3), 3: (4,), 4: ()}


def everybody(member, ranking, rng):
    return sorted(ranking.order)


def nobody_there(*asked):
    return (77,)


def last_donor(donors, ranking, rng):
    return donors[-1]


def test_what_an_own_function_gives_is_checked_and_the_error_is_one_line():
    selection = OwnSelection("pbt.selection", "tests.marl_pbt.test_selection:nobody_there")
    with pytest.raises(ValueError, match=r"^pbt\.selection: \S+:nobody_there must give members of .* gave \(77,\)$"):
        selection.donors(0, ranking_of(FIVE), np.random.default_rng(0))
    own = OwnDonor("pbt.donor", "tests.marl_pbt.test_selection:last_donor")
    assert own((4, 3), ranking_of(FIVE), np.random.default_rng(0)) == 3
    with pytest.raises(ValueError, match=r"^pbt\.donor: .* must give one of \(4, 3\), gave \(77,\)$"):
        OwnDonor("pbt.donor", selection.source)((4, 3), ranking_of(FIVE), np.random.default_rng(0))
