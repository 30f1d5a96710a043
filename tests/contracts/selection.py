"""What every selection promises; join with a class that names one.

class TestTruncation(SelectionContract):
    selection = Truncation()
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marl_pbt.selection import Ranking, Selection
from marl_pbt.standings import Score

# Few distinct values, so that ties are common; and what is not finite.
MEANS = st.sampled_from([-1e308, -1.0, 0.0, 1.0, 2.0, 1e308, math.nan, math.inf, -math.inf])
POPULATIONS = st.dictionaries(st.integers(0, 63), MEANS, max_size=40)
given_any_population = given(means=POPULATIONS, maximize=st.booleans(), seed=st.integers(0, 99))
in_short = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.differing_executors],  # one contract, several classes
)


def ranking_of(means: dict[int, float], maximize: bool = True, seed: int = 0) -> Ranking:
    scores = {member: Score(mean, 0.0, 20) for member, mean in means.items()}
    return Ranking.of(scores, maximize, np.random.default_rng(seed))


class SelectionContract:
    selection: ClassVar[Selection]

    @in_short
    @given_any_population
    def test_losers_and_donors_never_overlap_and_are_ranked(self, means, maximize, seed):
        ranking = ranking_of(means, maximize, seed)
        losers, donors = self.selection.losers(ranking), self.selection.donors(ranking)
        assert not set(losers) & set(donors)
        assert len(set(losers)) == len(losers) <= len(ranking.order) // 2
        assert len(set(donors)) == len(donors)
        assert set(losers) | set(donors) <= set(ranking.order)

    @in_short
    @given_any_population
    def test_nobody_who_is_not_finite_is_in_either_set(self, means, maximize, seed):
        """R39, D05."""
        ranking = ranking_of(means, maximize, seed)
        for member in (*self.selection.losers(ranking), *self.selection.donors(ranking)):
            assert math.isfinite(means[member])

    @in_short
    @given_any_population
    def test_no_loser_is_better_than_a_donor(self, means, maximize, seed):
        """R36: in both modes."""
        ranking = ranking_of(means, maximize, seed)
        for loser in self.selection.losers(ranking):
            for donor in self.selection.donors(ranking):
                assert means[donor] >= means[loser] if maximize else means[donor] <= means[loser]

    @in_short
    @given_any_population
    def test_the_same_ranking_is_always_split_alike(self, means, maximize, seed):
        ranking = ranking_of(means, maximize, seed)
        assert list(self.selection.losers(ranking)) == list(self.selection.losers(ranking))
        assert list(self.selection.donors(ranking)) == list(self.selection.donors(ranking))

    def test_one_or_nobody_is_left_alone(self):
        """D08."""
        for means in ({}, {3: 1.0}):
            assert not self.selection.losers(ranking_of(means))
            assert not self.selection.donors(ranking_of(means))
