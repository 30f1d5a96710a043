"""The decision at a ready point: copy somebody, or go on."""

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_pbt.selection import BinaryTournament, Truncation, TTest, rank_weighted_donor, uniform_donor
from marl_pbt.standings import Source
from tests.marl_pbt.board_rows import ask, five, row, rules

in_short = settings(max_examples=150, deadline=None, derandomize=True)


# ------------------------------------------------------------------------------------ who copies whom


@pytest.mark.parametrize("loser", [0, 1])
def test_each_of_the_two_worst_copies_one_of_the_two_best(loser):
    """R06."""
    decisions = [ask(five(), loser, seed=seed) for seed in range(60)]
    assert {decision.reason for decision in decisions} == {"exploit"}
    assert {decision.donor.member for decision in decisions} == {3, 4}


@pytest.mark.parametrize("member", [2, 3, 4])
def test_the_others_go_on(member):
    """R06."""
    decision = ask(five(), member)
    assert (decision.donor, decision.reason) == (None, "not_selected")


def test_in_mode_min_the_highest_copies_the_lowest():
    """R36."""
    minimize = rules(maximize=False)
    assert {ask(five(), 4, minimize, seed).donor.member for seed in range(40)} == {0, 1}
    assert ask(five(), 0, minimize).reason == "not_selected"


def test_donors_are_drawn_evenly():
    """D06: no index bias over 10 000 draws; beyond 4.5 standard deviations it would be one."""
    rows = five()
    drawn = Counter(ask(rows, 0, seed=seed).donor.member for seed in range(10_000))
    assert drawn.total() == 10_000 and abs(drawn[3] - 5000) < 225


def test_the_reason_is_told():
    """Section 5: rank, gap, quorum."""
    why = ask(five(), 0, seed=1).why
    assert (why["rank"], why["ranked"], why["compared_at"], why["quorum"]) == (5, 5, 1, 0.5)
    assert why["gap"] in (150.0, 200.0)


def test_the_same_question_and_stream_give_the_same_decision():
    assert all(ask(five(), 0, seed=seed) == ask(five(), 0, seed=seed) for seed in range(20))


# ------------------------------------------------------------------------------------ when nobody copies


def test_no_exploit_before_the_burn_in():
    """R36."""
    burning = rules(burn_in=20.0)
    assert ask(five(), 0, burning, progress=19.0).reason == "burn_in"
    assert ask(five(), 0, burning, progress=20.0).reason == "exploit"


def test_a_pending_member_does_not_copy():
    """D10."""
    rows = [row(0, None), *five()[1:]]
    assert ask(rows, 0).reason == "pending"


def test_all_equal_nobody_copies():
    """D06."""
    rows = [row(member, 7.0) for member in range(8)]
    reasons = {ask(rows, member, seed=seed).reason for member in range(8) for seed in range(40)}
    assert reasons == {"gap_too_small", "not_selected"}


@pytest.mark.parametrize(("ranked", "reason"), [(2, "no_quorum"), (4, "no_quorum"), (5, "exploit"), (8, "exploit")])
def test_more_than_half_must_have_a_score_before_anyone_copies(ranked, reason):
    """D07: of eight, five; here those that have not reported are not on the board at all."""
    rows = [row(member, float(member)) for member in range(ranked)]
    assert ask(rows, 0, rules(8)).reason == reason


def test_members_without_a_finite_score_do_not_make_a_quorum():
    """D07."""
    odd = [row(5, None), row(6, math.nan), row(7, math.inf)]
    rows = [*(row(member, float(member)) for member in range(4)), *odd]
    assert ask(rows, 0, rules(8)).reason == "no_quorum"


def test_a_quorum_of_one_wants_everybody():
    """D07: and is not out of reach."""
    rows = [row(member, float(member)) for member in range(8)]
    assert ask(rows, 0, rules(8, quorum=1.0)).reason == "exploit"
    assert ask(rows[:7], 0, rules(8, quorum=1.0)).reason == "no_quorum"


def test_one_member_alone_is_inert():
    """D08."""
    for mean in (1.0, math.nan):
        assert ask([row(0, mean)], 0).reason == "alone"


@pytest.mark.parametrize("population", [2, 3])
def test_of_two_or_three_exactly_one_copies_the_best(population):
    """D08."""
    rows = [row(member, float(member)) for member in range(population)]
    decisions = [ask(rows, member) for member in range(population)]
    assert [decision.donor.member for decision in decisions if decision.donor] == [population - 1]
    assert decisions[0].reason == "exploit"


def test_a_quantile_of_zero_means_nobody():
    """R40."""
    inert = rules(selection=Truncation(bottom=0.0))
    assert {ask(five(), member, inert).donor for member in range(5)} == {None}


def test_the_gap_must_be_exceeded_and_not_only_reached():
    rows = [row(0, 1.0), row(1, 3.0)]
    assert ask(rows, 0, rules(2, min_gap=2.0)).reason == "gap_too_small"
    assert ask(rows, 0, rules(2, min_gap=1.999)).reason == "exploit"


def test_the_gap_is_measured_in_pooled_standard_errors():
    rows = [row(0, 0.0, error=3.0), row(1, 5.0, error=4.0)]
    assert ask(rows, 0, rules(2, min_gap_standard_errors=1.0)).reason == "gap_too_small"
    assert ask(rows, 0, rules(2, min_gap_standard_errors=0.99)).reason == "exploit"
    decision = ask(rows, 0, rules(2, min_gap=6.0, min_gap_standard_errors=0.5))
    assert (decision.why["gap"], decision.why["required_gap"]) == (5.0, 6.0)


def test_only_those_top_members_that_exceed_the_gap_are_copied():
    rows = [row(0, 0.0), *(row(member, 3.0) for member in range(1, 6)), row(6, 4.0), row(7, 9.0)]
    assert {ask(rows, 0, rules(8, min_gap=5.0), seed).donor.member for seed in range(40)} == {7}


# ------------------------------------------------------------------------------------ who is no donor


def test_nobody_copies_an_empty_slot_or_a_policy_that_is_pending():
    """D05, D10: the donor has meanwhile copied somebody itself; its slot holds no version of its new policy."""
    rows = five()
    rows[3] = replace(rows[3], last_exploit=1)
    rows[4] = replace(rows[4], snapshot_generation=-1)
    assert ask(rows, 0).reason == "no_donor"


def test_nobody_copies_the_version_that_it_runs_already():
    """D05."""
    rows = five()
    rows[0] = replace(rows[0], parent=Source(4, 1))
    assert {ask(rows, 0, seed=seed).donor.member for seed in range(40)} == {3}
    rows[0] = replace(rows[0], parent=Source(4, 0))
    assert {ask(rows, 0, seed=seed).donor.member for seed in range(40)} == {3, 4}


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_never_a_donor(odd):
    """D05, R39."""
    rows = [*five()[:4], row(4, odd)]
    for member in range(5):
        donor = ask(rows, member).donor
        assert donor is None or donor.member != 4


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_member_whose_score_is_not_finite_copies_at_once(odd):
    """R39: without quorum, burn-in or gap; any sound donor will do."""
    rows = [row(0, odd), row(1, None), row(2, 5.0)]
    strict = rules(8, burn_in=1e9, quorum=0.9, min_gap=1e9)
    decision = ask(rows, 0, strict)
    assert (decision.reason, decision.donor.member) == ("not_finite", 2)


def test_a_member_whose_score_is_not_finite_prefers_the_best():
    rows = [*(row(member, float(member)) for member in range(7)), row(7, math.nan)]
    assert {ask(rows, 7, seed=seed).donor.member for seed in range(40)} == {5, 6}


def test_a_member_whose_score_is_not_finite_takes_a_lesser_one_where_the_best_cannot_be_copied():
    rows = [*(row(member, float(member)) for member in range(7)), row(7, math.nan)]
    rows[5], rows[6] = (replace(rows[member], snapshot_generation=-1) for member in (5, 6))
    assert {ask(rows, 7, seed=seed).donor.member for seed in range(80)} == {0, 1, 2, 3, 4}


def test_by_rank_better_donors_are_copied_more_often():
    by = rules(donor=rank_weighted_donor)
    drawn = Counter(ask(five(), 0, by, seed).donor.member for seed in range(1500))
    assert abs(drawn[4] - 1000) < 80


def test_where_nobody_is_sound_nobody_is_copied():
    rows = [row(member, math.nan) for member in range(4)]
    assert {ask(rows, member).reason for member in range(4)} == {"no_donor"}


# ------------------------------------------------------------------------------------ whatever stands there


MEANS = st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, 1.0, 1e308, -1e308, None])


@in_short
@given(
    histories=st.lists(st.lists(MEANS, min_size=1, max_size=4), min_size=2, max_size=9),
    parents=st.lists(st.none() | st.builds(Source, st.integers(0, 8), st.integers(0, 4)), min_size=9, max_size=9),
    compare=st.sampled_from(["equal_progress", "latest"]),
    maximize=st.booleans(),
    selection=st.sampled_from([Truncation(), TTest(), BinaryTournament()]),
    donor=st.sampled_from([uniform_donor, rank_weighted_donor]),
)
def test_whatever_stands_on_the_board_a_decision_is_sound(histories, parents, compare, maximize, selection, donor):
    """D05: never itself, an empty slot, what is not finite, the version it runs already, or a pending one."""
    rows = [row(member, *means, parent=parents[member]) for member, means in enumerate(histories)]
    by = rules(len(rows), compare=compare, maximize=maximize, selection=selection, donor=donor)
    for own in rows:
        decision = ask(rows, own.member, by)
        if decision.donor is not None:
            donor = decision.donor
            assert donor.member != own.member
            assert donor.can_be_donor and donor.newest.is_finite
            assert own.parent != Source(donor.member, donor.snapshot_generation)
            assert decision.reason in ("exploit", "not_finite")
            assert (decision.reason == "not_finite") == (not own.newest.is_finite)
        else:
            assert decision.reason not in ("exploit", "not_finite")
