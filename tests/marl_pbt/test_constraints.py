"""Constraints between hyperparameters."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_pbt.constraints import Constraint, repair

in_short = settings(max_examples=200, deadline=None, derandomize=True)


def constraints(*texts):
    return [Constraint.parse(text) for text in texts]


def test_what_fits_is_left_alone():
    """D16."""
    values = {"batch_size": 64, "rollout": 640, "learning_rate": 1e-3}
    assert repair(values, constraints("batch_size <= rollout", "batch_size divides rollout")) == (values, ())


def test_a_minibatch_larger_than_the_batch_becomes_the_batch():
    """D16."""
    assert repair({"batch_size": 512, "rollout": 300}, constraints("batch_size <= rollout")) == (
        {"batch_size": 300, "rollout": 300},
        ("batch_size",),
    )


def test_a_number_can_stand_on_the_right():
    """D16."""
    assert repair({"batch_size": 512}, constraints("batch_size <= 256"))[0] == {"batch_size": 256}
    assert repair({"gae_lambda": 1.5}, constraints("gae_lambda <= 0.99"))[0] == {"gae_lambda": 0.99}


def test_what_does_not_divide_becomes_the_next_smaller_that_does():
    """D16."""
    assert (
        repair({"batch_size": 300, "rollout": 1000}, constraints("batch_size divides rollout"))[0]["batch_size"] == 250
    )


def test_types_survive_a_repair():
    """D15, D16."""
    repaired, _ = repair({"epochs": 9, "rate": 3.0, "limit": 2}, constraints("epochs <= 4.7", "rate <= limit"))
    assert repaired == {"epochs": 4, "rate": 2.0, "limit": 2}
    assert type(repaired["epochs"]) is int and type(repaired["rate"]) is float


def test_a_later_repair_does_not_break_an_earlier_one():
    """D16: divides first, then at most 300, and 300 does not divide 1000."""
    repaired, touched = repair({"batch": 1000, "rollout": 1000}, constraints("batch divides rollout", "batch <= 300"))
    assert repaired == {"batch": 250, "rollout": 1000}
    assert touched == ("batch",)


@pytest.mark.parametrize("values", [{"a": 0, "b": 10}, {"a": -3, "b": 10}, {"a": 8, "b": 0}])
def test_nothing_is_left_to_divide_but_there_is_no_crash(values):
    """D16."""
    assert repair(values, constraints("a divides b"))[0]["a"] == 1


def test_a_constraint_on_names_that_are_not_there_is_passed_over():
    assert repair({"a": 5}, constraints("a <= b", "c divides a")) == ({"a": 5}, ())


@pytest.mark.parametrize(
    "text", ["", "a < b", "a <= ", "<= b", "a >= b", "a <= b <= c", "a divides b c", "3 <= a", "a <= -1"]
)
def test_what_is_no_constraint_is_refused_with_the_forms_that_are(text):
    with pytest.raises(ValueError, match=r"must be 'name <= name or number'"):
        Constraint.parse(text)


@in_short
@given(
    values=st.fixed_dictionaries({name: st.integers(-4, 600) for name in "abc"}),
    texts=st.lists(
        st.sampled_from(["a <= b", "b <= a", "a divides b", "b divides c", "c <= 17", "a divides 360", "c <= 2.5"]),
        max_size=5,
    ),
)
def test_afterwards_every_constraint_holds_whatever_their_order(values, texts):
    """D16."""
    repaired, touched = repair(values, constraints(*texts))
    assert all(constraint.holds(repaired) for constraint in constraints(*texts))
    assert set(touched) == {name for name in values if values[name] != repaired[name]}
    assert all(type(value) is int for value in repaired.values())
