"""The parts of cross-play that decide: scores from matches, who is met, what stays in the archive, who is best."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from marl_pbt.ancestry import LineageEvent
from marl_pbt.cross_play.archive import RECENT, Archive, superfluous
from marl_pbt.cross_play.challenge import Challenge, leads
from marl_pbt.cross_play.draw import CrossPlayRules, drawn
from marl_pbt.cross_play.match import Match, Opponent, score_of
from marl_pbt.cross_play.payoffs import RunningPayoffs
from marl_pbt.protocols import Clocks
from marl_pbt.snapshot import Snapshot, decode
from marl_pbt.standings import BoardRow, Score, Source


def match(member, returns, generation=5, is_past=False, own=6):
    return Match(own, Opponent(member, generation, is_past), tuple(returns), {"prey": -1.0})


def test_means_are_taken_per_opponent_first():
    score = score_of([match(0, [0.0, 0.0, 0.0, 0.0]), match(1, [10.0])], 1)
    assert (score.mean, score.episodes) == (5.0, 5)


def test_a_member_is_one_opponent_in_all_its_versions_and_a_past_version_is_one_by_itself():
    met = [match(0, [0.0], generation=4), match(0, [4.0], generation=5), match(0, [8.0], 2, is_past=True)]
    assert score_of(met, 1).mean == 5.0
    assert score_of(met, 3) is None


def test_the_standard_error_is_that_of_episodes_within_opponents():
    """Two opponents, five episodes each: pooled variance 2.5, of a mean of two means of five: √(2.5 · 2/5) / 2."""
    one, other = [0.0, 1.0, 2.0, 3.0, 4.0], [100.0, 101.0, 102.0, 103.0, 104.0]
    score = score_of([match(0, one), match(1, other)], 1)
    assert score.standard_error == pytest.approx(math.sqrt(2.5 * 0.4) / 2)
    assert score_of([match(0, one)], 1).standard_error == pytest.approx(math.sqrt(2.5 / 5))


def test_few_episodes_do_not_tell_their_variance_and_borrow_the_spread_between_opponents():
    score = score_of([match(0, [0.0, 2.0]), match(1, [100.0, 102.0])], 1)
    assert score.standard_error == pytest.approx(50.0)


def test_single_episodes_borrow_the_spread_between_opponents():
    score = score_of([match(0, [1.0]), match(1, [2.0]), match(2, [3.0])], 1)
    assert score.standard_error == pytest.approx(1.0 / math.sqrt(3))
    assert score_of([match(0, [1.0])], 1).standard_error == 0.0


@pytest.mark.parametrize("value", [math.nan, math.inf, 1.7e308])
def test_returns_that_are_no_numbers_make_a_score_that_never_ranks(value):
    assert not score_of([match(0, [value, value]), match(1, [1.0])], 1).is_finite


def test_a_match_survives_json_also_where_it_is_not_finite():
    there = Match.from_json(match(3, [1.5, math.nan], is_past=True).to_json())
    assert there.opponent == Opponent(3, 5, True)
    assert there.returns[0] == 1.5
    assert math.isnan(there.returns[1])


ENTRIES = [(member, generation) for member in range(5) for generation in range(9)]


def test_the_same_opponents_for_everybody_but_oneself():
    rules = CrossPlayRules(opponents=4, past=0.0)
    met = [{each.member for each in drawn(rules, 0, member, 6, ENTRIES)} for member in range(5)]
    assert met == [set(range(5)) - {member} for member in range(5)]
    few = CrossPlayRules(opponents=2, past=0.0)
    chosen = [[each.member for each in drawn(few, 0, member, 6, ENTRIES)] for member in range(5)]
    alike = [each for each in chosen if each == max(chosen, key=chosen.count)]
    assert len(alike) >= 3  # all but those who are among the two
    assert len({tuple(each.member for each in drawn(few, 0, 0, at, ENTRIES)) for at in range(1, 9)}) > 1


def test_the_past_is_the_same_for_everybody_too():
    rules = CrossPlayRules(opponents=4, past=0.5)
    for generation in (6, 7, 8):
        met = [[each for each in drawn(rules, 0, member, generation, ENTRIES) if each.is_past] for member in range(5)]
        usual = max(met, key=met.count)
        assert len(usual) == 2
        assert all(each == usual for member, each in enumerate(met) if member not in {past.member for past in usual})


def test_half_of_the_opponents_that_there_can_be_are_enough():
    assert CrossPlayRules(opponents=6, population=8).least_opponents == 3
    assert CrossPlayRules(opponents=6, population=2).least_opponents == 1
    assert CrossPlayRules(opponents=16, population=8).least_opponents == 4


@given(some.integers(0, 4), some.integers(1, 12), some.integers(1, 9), some.floats(0, 1), some.integers(0, 99))
def test_opponents_are_others_once_each_and_the_past_is_older(member, generation, opponents, past, seed):
    met = drawn(CrossPlayRules(opponents=opponents, past=past), seed, member, generation, ENTRIES)
    assert len(met) <= opponents
    assert len(set(met)) == len(met)
    now = [each for each in met if not each.is_past]
    assert all(each.member != member for each in met)
    assert all(each.generation == min(generation - 1, 8) for each in now)
    assert all(each.generation < generation - 1 for each in met if each.is_past)
    assert sum(each.is_past for each in met) <= round(opponents * past)


def test_who_is_behind_or_ahead_is_met_in_the_version_nearest_to_the_one_wanted():
    entries = [(1, 2), (1, 3), (2, 7), (2, 9)]
    met = drawn(CrossPlayRules(opponents=7, past=0.0), 0, 0, 6, entries)
    assert {(each.member, each.generation) for each in met} == {(1, 3), (2, 7)}


@given(some.lists(some.integers(0, 60), unique=True, min_size=1, max_size=25), some.integers(0, 6))
def test_the_archive_keeps_the_newest_and_some_of_the_older(generations, kept):
    gone = superfluous(generations, kept)
    left = sorted(set(generations) - set(gone))
    newest = sorted(generations)[-RECENT:]
    assert left[-len(newest) :] == newest
    older = left[: -len(newest)]
    assert len(older) <= kept
    assert 0 not in older
    if len([each for each in generations if each]) >= kept + RECENT:
        assert len(older) == kept


def test_what_stays_is_spread_over_the_run():
    kept = []
    for generation in range(1, 41):
        kept = [each for each in [*kept, generation] if each not in superfluous([*kept, generation], 4)]
    older = kept[:-RECENT]
    assert older[0] == 1
    assert np.diff([*older, kept[-RECENT]]).max() <= 16


def test_the_archive_holds_what_acts_and_only_whole_members(tmp_path):
    archive = Archive(tmp_path, kept=1)
    tensors = {"policy/w": np.ones(3, np.float32), "optimizer/m": np.ones(3, np.float32)}
    policies = {name: Snapshot({"generation": 1}, tensors) for name in ("predator", "prey")}
    for generation in range(1, 8):
        archive.add(3, generation, policies)
    archive.add(4, 2, {"prey": policies["prey"]})
    assert archive.entries(["predator", "prey"]) == [(3, at) for at in (3, 4, 5, 6, 7)]
    assert set(decode(archive.read("prey", 3, 7)).tensors) == {"policy/w"}
    with pytest.raises(OSError):
        archive.read("prey", 3, 2)


@pytest.mark.parametrize(
    ("own", "won", "won_by_less"), [([4, 7], True, False), ([1, 6], True, True), ([0, 1], False, True)]
)
def test_a_challenge_is_lost_by_more_than_a_standard_error_over_the_same_opponents(own, won, won_by_less):
    theirs = [match(0, [1.0]), match(1, [4.0])]
    challenge = Challenge.between(Source(1, 2), [match(0, [own[0]]), match(1, [own[1]])], theirs)
    assert challenge.incumbent_score == pytest.approx(2.5)
    assert challenge.is_won(maximize=True) is won
    assert challenge.is_won(maximize=False) is won_by_less
    assert Challenge.from_json(challenge.to_json()) == challenge


def test_where_nobody_is_challenged_the_challenge_is_won():
    assert Challenge(None, -3.0).is_won(maximize=True)
    assert not Challenge(None, math.nan).is_finite


def test_the_leader_is_who_has_the_best_newest_score():
    rows = [BoardRow(1, 4, history=((4, Score(3.0, 0.1, 7)),)), BoardRow(2, 4, history=((4, Score(math.nan, 0, 7)),))]
    assert leads(Score(3.0, 0.1, 7), rows, maximize=True)
    assert not leads(Score(2.0, 0.1, 7), rows, maximize=True)
    assert leads(Score(2.0, 0.1, 7), rows, maximize=False)
    assert not leads(Score(math.nan, 0.1, 7), rows, maximize=True)
    assert not leads(None, rows, maximize=True)
    assert leads(Score(2.0, 0.1, 7), [replace(row, is_retired=True) for row in rows], maximize=True)


def ready(member, generation, matches, own=None):
    own_pair = None if own is None else {"mean": own, "standard_error": 1.0, "episodes": 9}
    why = {"matches": [each.to_json() for each in matches], "own_pair": own_pair}
    return LineageEvent("ready", member, "predator", generation, Clocks(), 0.0, why=why)


def test_the_payoff_table_holds_the_newest_matches_and_own_pairs_on_its_diagonal():
    payoffs = RunningPayoffs(3)
    assert payoffs.table("predator") is None
    payoffs.note([ready(0, 1, [match(1, [5.0]), match(2, [7.0, 9.0])], own=20.0)])
    payoffs.note([ready(0, 2, [match(1, [6.0]), match(2, [1.0], is_past=True)], own=30.0), ready(1, 2, [])])
    table = payoffs.table("predator")
    assert table.means[0].tolist() == [30.0, 6.0, 8.0]
    assert np.isnan(table.means[1:]).all()
    assert table.versions == {0: 2, 1: 2}
    assert table.coadaptation_gap == 30.0 - 7.0
    assert math.isnan(table.intransitivity)


def test_rock_paper_scissors_is_all_intransitive_and_a_sum_is_not_at_all():
    def table_of(payoff):
        payoffs = RunningPayoffs(6)
        payoffs.note(ready(i, 1, [match(j, [payoff(i, j)]) for j in range(6) if j != i]) for i in range(6))
        return payoffs.table("predator")

    assert table_of(lambda i, j: float(i + j)).intransitivity == pytest.approx(0.0, abs=1e-9)
    assert table_of(lambda i, j: (0.0, 1.0, -1.0)[(i - j) % 3]).intransitivity > 0.9
