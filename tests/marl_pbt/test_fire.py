"""Sub-populations judged by how fast they improve, and evaluators (arXiv 2109.13800)."""

import math
import statistics
from dataclasses import replace

import pytest

from marl_pbt.evaluations import Roles, fitness_of, verdict
from marl_pbt.fire import FIRE
from marl_pbt.standings import Source
from tests.marl_pbt.board_rows import ask, row, rules
from tests.marl_pbt.noisy_quadratic import copies_by_reason, final_losses, is_clearly_lower, simulated

TEN = FIRE(Roles((4, 4), 2), max_intervals=10, p_value=0.05)
"""P1: 0 to 3; P2: 4 to 7; evaluators: 8 and 9."""
SIXTEEN = FIRE(Roles((6, 6), 4))
BEGUN = 4
"""The ready point at which evaluations below began."""


def divided(sub_populations=TEN, **fields):
    population = sum(sub_populations.roles.sizes) + sub_populations.roles.evaluators
    return rules(population, sub_populations=sub_populations, **fields)


def member(index, *means, **fields):
    return row(index, *means, hyperparameters={"lr": float(index)}, **fields)


def evaluator(index, parent, child, *means):
    """It took the parent's weights and the child's hyperparameters at ready point 4, and has scored since."""
    told = {"last_exploit": BEGUN, "parent": Source(parent, BEGUN - 1), "teacher": Source(child, BEGUN - 1)}
    return member(index, *[None] * BEGUN, *means, **told)


def board(*evaluators, points=6):
    """P1 climbs by 1, from its member's number on; P2 scores far lower; with these evaluators."""
    generation = BEGUN + points
    first = [member(index, *(index + at for at in range(generation))) for index in range(4)]
    second = [member(index, *[-100.0 - index] * generation) for index in range(4, 8)]
    present = {each.member for each in evaluators}
    return [*first, *second, *(member(index, *[0.0] * generation) for index in {8, 9} - present), *evaluators]


FAST = [20.0 + 3 * at for at in range(6)]
SLOW = [20.0 + 0.5 * at for at in range(6)]
BOTH = board(evaluator(8, 4, 3, *FAST), evaluator(9, 5, 3, *SLOW))


# ------------------------------------------------------------------------------------ who is what


def test_what_a_member_is_follows_from_its_index():
    roles = Roles((4, 5, 6), 4)
    places = [roles.place(index) for index in range(19)]
    assert places == [0] * 4 + [1] * 5 + [2] * 6 + [1, 2, 1, 2]
    assert [index for index in range(19) if roles.is_evaluator(index)] == [15, 16, 17, 18]
    told = {index: ask(BOTH, index, divided()).why["sub_population"] for index in (0, 3, 4, 7, 8, 9)}
    assert told == {0: "P1", 3: "P1", 4: "P2", 7: "P2", 8: "evaluators", 9: "evaluators"}


# ------------------------------------------------------------------------------------ P1


def test_p1_is_plain_pbt_by_score_within_itself():
    decision = ask(board(), 0, divided())
    assert (decision.reason, decision.donor.member, decision.explores, decision.teacher) == ("exploit", 3, True, None)
    assert (decision.why["rank"], decision.why["ranked"]) == (4, 4)


def test_p1_wants_a_quorum_of_p1():
    """D07."""
    rows = board()
    assert ask([*rows[:2], *rows[4:]], 0, divided()).reason == "no_quorum"


# ------------------------------------------------------------------------------------ P2


def test_a_parents_fitness_is_by_how_much_its_evaluator_gets_higher_than_the_others_in_either_mode():
    rows = {each.member: each for each in BOTH}
    fitness = fitness_of([rows[8], rows[9]], rows, maximize=True)
    assert list(fitness) == [4, 5]
    assert fitness[4].mean > 5 > 0 > fitness[5].mean
    losses = board(evaluator(8, 4, 3, *(-mean for mean in FAST)), evaluator(9, 5, 3, *(-mean for mean in SLOW)))
    rows = {each.member: each for each in losses}
    assert fitness_of([rows[8], rows[9]], rows, maximize=False) == fitness


def test_the_slower_parent_copies_the_faster_one_though_that_one_scores_lower():
    rows = [
        replace(each, history=tuple((at, replace(s, mean=-900.0)) for at, s in each.history))
        if each.member == 4
        else each
        for each in BOTH
    ]
    decision = ask(rows, 5, divided())
    assert (decision.reason, decision.donor.member, decision.explores) == ("exploit", 4, True)
    assert decision.why["improvement"] < 0 < decision.why["gap"]
    assert ask(rows, 4, divided()).reason == "not_selected"


def test_parents_whom_nobody_has_evaluated_take_no_part():
    assert [ask(BOTH, index, divided()).reason for index in (6, 7)] == ["not_evaluated", "not_evaluated"]


def test_one_evaluation_alone_is_none():
    assert ask(board(evaluator(8, 4, 3, *FAST)), 4, divided()).reason == "not_evaluated"


def test_more_than_the_quorum_of_what_can_be_evaluated_at_once_must_be():
    """D07: of four evaluators three."""
    sixteen = FIRE(Roles((4, 4), 4))
    rows = [*BOTH, evaluator(10, 6, 3), evaluator(11, 7, 3)]
    assert ask(rows, 5, divided(sixteen)).reason == "no_quorum"
    rows[-2] = evaluator(10, 6, 3, *SLOW)
    assert ask(rows, 5, divided(sixteen)).why["ranked"] == 3


def test_an_evaluation_of_what_the_parent_no_longer_has_does_not_count():
    rows = [replace(each, last_exploit=BEGUN) if each.member == 4 else each for each in BOTH]
    assert ask(rows, 4, divided()).reason == "not_evaluated"
    assert ask(rows, 5, divided()).reason == "not_evaluated"


def test_parents_keep_to_the_gap():
    assert ask(BOTH, 5, divided(min_gap=1000.0)).reason == "gap_too_small"


# ------------------------------------------------------------------------------------ promotion


def test_the_child_copies_the_weights_of_an_evaluator_that_gets_ahead_and_keeps_its_hyperparameters():
    decision = ask(BOTH, 3, divided())
    assert (decision.reason, decision.donor.member, decision.explores) == ("promotion", 8, False)
    assert decision.teacher.member == 3
    assert decision.why["evaluated"] == {"member": 4, "generation": BEGUN - 1}
    assert decision.why["chance"] < 0.05 < decision.why["lead"]


def test_nobody_but_the_child_copies_it():
    assert [ask(BOTH, index, divided()).reason for index in (1, 2)] == ["not_selected", "not_selected"]


def test_what_is_too_few_points_to_rule_out_chance_is_not_copied():
    for points, reason in ((4, "not_selected"), (5, "promotion")):
        rows = board(evaluator(8, 4, 3, *FAST[:points]), points=points)
        assert ask(rows, 3, divided()).reason == reason


def test_the_faster_one_is_not_copied_before_it_is_the_better_one():
    climbing = [
        4.0 + 1.5 * at for at in range(6)
    ]  # from 4 on faster than the child was from 4 on, but the child has 12
    assert ask(board(evaluator(8, 4, 3, *climbing)), 3, divided()).reason == "not_selected"


def test_a_child_that_has_copied_since_is_nobodys_child():
    rows = [replace(each, last_exploit=BEGUN) if each.member == 3 else each for each in BOTH]
    assert ask(rows, 3, divided()).reason != "promotion"


# ------------------------------------------------------------------------------------ evaluators


def test_a_free_evaluator_takes_weights_of_a_parent_and_hyperparameters_of_the_best_child():
    decisions = [ask(board(), 8, divided(), seed) for seed in range(60)]
    assert {(each.reason, each.teacher.member, each.explores) for each in decisions} == {("evaluation", 3, False)}
    assert {each.donor.member for each in decisions} == {4, 5, 6, 7}
    assert (decisions[0].why["of"], decisions[0].why["last"]) == ("P2", "idle")


def test_it_takes_a_parent_that_no_other_evaluator_is_at():
    rows = board(evaluator(8, 4, 3, *FAST))
    assert {ask(rows, 9, divided(), seed).donor.member for seed in range(60)} == {5, 6, 7}


def test_it_goes_on_while_it_may_still_get_ahead():
    decision = ask(BOTH, 8, divided())
    assert (decision.donor, decision.reason) == (None, "evaluating")
    assert decision.why["intervals"] == 6
    assert decision.why["chance"] < 0.05 < decision.why["lead"]


@pytest.mark.parametrize(
    ("word", "means", "changes"),
    [
        ("evaluating", [-50.0] * 9, {}),
        ("no_overlap", [-50.0] * 10, {}),
        ("not_faster", [0.0 + 0.4 * at for at in range(12)], {}),
        ("not_finite", [1.0, math.nan], {}),
        ("parent_lost", FAST, {4: {"last_exploit": BEGUN}}),
        ("parent_lost", FAST, {4: {"is_retired": True}}),
        ("child_lost", FAST, {3: {"last_exploit": BEGUN}}),
        ("succeeded", FAST, {3: {"last_exploit": BEGUN, "parent": Source(8, 9)}}),
    ],
)
def test_it_gives_up_for_the_reasons_of_the_paper(word, means, changes):
    rows = board(evaluator(8, 4, 3, *means), points=len(means))
    rows = [replace(each, **changes.get(each.member, {})) for each in rows]
    found = {each.member: each for each in rows if not each.is_retired}
    assert verdict(found[8], found, True, 10, 0.05).word == word
    decision = ask(rows, 8, divided())
    assert decision.reason == ("evaluating" if word == "evaluating" else "evaluation")


@pytest.mark.parametrize(
    ("intervals", "word", "reason"),
    [(10, "evaluating", "evaluating"), (11, "not_promoted", "evaluation"), (40, "not_promoted", "evaluation")],
)
def test_one_that_is_ahead_by_less_than_the_gap_gives_up_too(intervals, word, reason):
    """One interval after the last: its child looks at its own ready point."""
    level = [replace(each, history=()) for each in board(points=intervals) if each.member < 3]
    child = member(3, *[10.0] * (BEGUN + intervals))
    own = evaluator(8, 4, 3, *[11.0] * intervals)
    rows = [*level, child, *board(own, points=intervals)[4:]]
    found = {each.member: each for each in rows}
    assert verdict(own, found, True, 10, 0.05).word == word
    for gap, child_does in ((5.0, {"no_quorum", "not_selected"}), (0.5, {"promotion"})):
        assert ask(rows, 3, divided(min_gap=gap)).reason in child_does
    assert ask(rows, 8, divided(min_gap=5.0)).reason == reason


def test_an_evaluator_waits_for_the_end_of_the_burn_in():
    burning = divided(burn_in=11.0)
    assert {ask(board(), index, burning, progress=10.0).reason for index in range(10)} == {"burn_in"}


def test_with_nobody_to_evaluate_it_goes_on_as_it_is():
    assert ask(board()[8:], 8, divided()).reason == "no_donor"


def test_the_same_rows_and_stream_give_the_same_decision():
    assert all(ask(BOTH, index, divided(), 3) == ask(BOTH, index, divided(), 3) for index in range(10))


def test_all_equal_only_evaluators_copy():
    """D06: and what they copy is work, not selection."""
    rows = [member(index, *[7.0] * 6) for index in range(10)]
    reasons = {ask(rows, index, divided(), seed).reason for index in range(8) for seed in range(10)}
    assert reasons <= {"gap_too_small", "not_selected", "not_evaluated"}


@pytest.mark.parametrize(("broken", "donors"), [(0, {3}), (5, {4, 6, 7})])
def test_who_has_diverged_is_rescued_by_its_own_sub_population(broken, donors):
    """R39."""
    rows = [member(each.member, math.nan) if each.member == broken else each for each in board()]
    assert ask(rows, broken, divided()).donor.member in donors


# ------------------------------------------------------------------------------------ what it is for


def test_p1_gets_further_than_one_greedy_population_where_a_low_learning_rate_pays_only_soon():
    """On the noisy quadratic plain truncation anneals too early; P2 keeps rates high, and evaluators show what for.

    As measured over 12 seeds: log loss of P1's best −2.15 ± 0.53, without promotions −0.96 ± 0.14; plain, with all
    sixteen members, −1.06 ± 0.12.
    """
    assert is_clearly_lower(final_losses(SIXTEEN, range(6)), final_losses(None))
    copies = copies_by_reason(SIXTEEN)
    assert copies["promotion"] > 20
    assert copies["evaluation"] > 200


def test_p2_goes_on_with_the_high_learning_rates_that_p1_has_given_up():
    """The best is above 0.5 almost to the end; at ready point 50 P2 is near it, and P1 has annealed."""

    def rate(simulation, members):
        return statistics.median(simulation.rates[index, 50] for index in members)

    rates = [(rate(each, range(6)), rate(each, range(6, 12))) for each in simulated(SIXTEEN)]
    assert sum(greedy < 0.2 and patient > 2 * greedy for greedy, patient in rates) >= 7
