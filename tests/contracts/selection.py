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
from tests.marl_pbt.board_rows import ask, row, rules

# Few distinct values, so that ties are common; and what is not finite.
MEANS = st.sampled_from([-1e308, -1.0, 0.0, 1.0, 2.0, 1e308, math.nan, math.inf, -math.inf])
POPULATIONS = st.dictionaries(st.integers(0, 63), MEANS, max_size=24)
given_any_population = given(means=POPULATIONS, maximize=st.booleans(), seed=st.integers(0, 99))
in_short = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.differing_executors],  # one contract, several classes
)


def ranking_of(means: dict[int, float], maximize: bool = True, seed: int = 0) -> Ranking:
    scores = {member: Score(mean, 0.0, 20) for member, mean in means.items()}
    return Ranking.of(scores, maximize, np.random.default_rng(seed))


class SelectionContract:
    selection: ClassVar[Selection]

    def donors(self, ranking: Ranking, seed: int = 0) -> dict[int, tuple[int, ...]]:
        """What everybody is told who asks; each with its own stream, as in a run."""
        streams = {member: np.random.default_rng([seed, member]) for member in ranking.order}
        return {member: tuple(self.selection.donors(member, ranking, rng)) for member, rng in streams.items()}

    @in_short
    @given_any_population
    def test_whom_a_member_may_copy_is_ranked_and_told_once_best_first(self, means, maximize, seed):
        """D05: never itself."""
        ranking = ranking_of(means, maximize, seed)
        for member, donors in self.donors(ranking, seed).items():
            assert set(donors) <= set(ranking.order) - {member}
            assert sorted(set(donors), key=ranking.order.index) == list(donors)

    @in_short
    @given_any_population
    def test_nobody_who_is_not_finite_may_be_copied(self, means, maximize, seed):
        """R39, D05."""
        for donors in self.donors(ranking_of(means, maximize, seed), seed).values():
            assert all(math.isfinite(means[donor]) for donor in donors)

    @in_short
    @given_any_population
    def test_nobody_may_copy_a_worse_one(self, means, maximize, seed):
        """R36: in both modes. So copies never run in a circle (D09), and the best copies nobody that is below it."""
        for member, donors in self.donors(ranking_of(means, maximize, seed), seed).items():
            for donor in donors:
                assert means[donor] >= means[member] if maximize else means[donor] <= means[member]

    @in_short
    @given_any_population
    def test_the_same_ranking_and_stream_give_the_same_answer(self, means, maximize, seed):
        ranking = ranking_of(means, maximize, seed)
        assert self.donors(ranking, seed) == self.donors(ranking, seed)

    def test_one_alone_copies_nobody(self):
        """D08."""
        assert self.donors(ranking_of({})) == {}
        assert self.donors(ranking_of({3: 1.0})) == {3: ()}

    @in_short
    @given(population=st.integers(2, 9), equal=st.booleans(), maximize=st.booleans(), seed=st.integers(0, 99))
    def test_by_the_rules_of_a_decision_only_better_ones_are_copied_never_among_equals(
        self, population, equal, maximize, seed
    ):
        """D05, D06, D08: of two at most the worse one copies; the best never does."""
        means = [0.0 if equal else float(member) for member in range(population)]
        rows = [row(member, mean) for member, mean in enumerate(means)]
        by = rules(population, selection=self.selection, maximize=maximize)
        copies = {member: ask(rows, member, by, seed).donor for member in range(population)}
        for member, donor in copies.items():
            assert donor is None or (not equal and (donor.member > member) == maximize)

    def test_without_a_quorum_nobody_copies(self):
        """D07: two of eight have reported."""
        rows = [row(0, 0.0), row(1, 9.0)]
        assert {ask(rows, 0, rules(8, selection=self.selection), seed).reason for seed in range(20)} == {"no_quorum"}

    def test_a_gap_that_is_too_small_is_copied_by_nobody(self):
        by = rules(4, selection=self.selection, min_gap=100.0)
        rows = [row(member, float(member)) for member in range(4)]
        assert all(ask(rows, member, by, seed).donor is None for member in range(4) for seed in range(20))

    def test_a_member_whose_score_is_not_finite_copies_at_once(self):
        """R39: by whatever selection."""
        rows = [row(0, math.nan), *(row(member, float(member)) for member in range(1, 5))]
        assert {ask(rows, 0, rules(selection=self.selection), seed).donor.member for seed in range(20)} == {4}
