"""Distributions: types, bounds, priors, moves."""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_pbt.hyperparameters import Choice, ContinuousFactors, DiscreteFactors, Hyperparameter, Integer, Ordered, Real

FACTOR = DiscreteFactors((0.8, 1.25))
in_short = settings(max_examples=200, deadline=None, derandomize=True)


def rng(seed=0):
    return np.random.default_rng(seed)


def walk(distribution, value, steps, seed=0):
    draws = rng(seed)
    for _ in range(steps):
        value = distribution.perturb(value, FACTOR, draws).value
        yield value


@pytest.mark.parametrize(
    ("distribution", "start", "kind"),
    [
        (Real(1e-5, 1e-2, log=True), 1e-3, float),
        (Real(0.0, 1.0), 0.5, float),
        (Real(-2.0, -0.5), -1.0, float),
        (Integer(1, 4096), 64, int),
        (Integer(0, 10), 3, int),
        (Integer(-20, -1), -5, int),
        (Integer(1, 16, log=True), 4, int),
    ],
)
def test_100_000_perturbations_stay_within_bounds_and_of_their_type(distribution, start, kind):
    """D14, D15."""
    steps = 0
    for value in walk(distribution, start, 100_000):
        if type(value) is not kind or not distribution.low <= value <= distribution.high:
            pytest.fail(f"step {steps}: {value!r}")
        steps += 1
    assert steps == 100_000


@pytest.mark.parametrize("start", [1, 2, 3])
def test_small_integers_move_with_every_perturbation(start):
    """D14: rounding must not hold 1 and 2 in their place."""
    draws = rng()
    moved = [Integer(0, 100).perturb(start, FACTOR, draws).value - start for _ in range(200)]
    assert 0 not in moved
    assert min(moved) < 0 < max(moved)


def test_zero_can_be_left():
    """D14."""
    for distribution in (Integer(0, 5), Real(0.0, 1.0)):
        assert any(value != 0 for value in (distribution.perturb(0, FACTOR, rng(seed)).value for seed in range(20)))
    assert Integer(0, 5).perturb(0, FACTOR, rng()).operation == "resample"


@pytest.mark.parametrize("factor", [FACTOR, ContinuousFactors(0.8, 1.25)])
def test_the_geometric_mean_does_not_drift(factor):
    """D14: over 100 000 perturbations far from the bounds, by less than 1 % a step (×0.8/×1.2 loses 2 % a step)."""
    draws, distribution = rng(), Real(1e-300, 1e300)
    ends = []
    for _ in range(1000):
        value = 1.0
        for _ in range(100):
            value = distribution.perturb(value, factor, draws).value
        ends.append(math.log(value))
    per_step = np.mean(ends) / 100  # of 100 000 draws: one standard deviation is 0.07 %
    assert abs(math.expm1(per_step)) < 0.0025
    assert 400 < sum(end > 0 for end in ends) < 600


def test_whole_numbers_do_not_drift_either():
    """D14: where a unit is little the two factors cancel within 1 %; and small numbers never pile up at a bound."""
    whole = Integer(1, 4096)
    for start in range(45, 3000):
        down, up = (whole.perturb(start, lambda _, factor=factor: factor, rng()).value for factor in (0.8, 1.25))
        assert abs(math.sqrt(down * up) / start - 1) < 0.01
    is_below = np.array(list(walk(whole, 64, 100_000))) < 64
    assert 0.4 < is_below.mean() < 0.6


def test_up_and_down_undo_each_other():
    """D14: the two factors are each other's inverse, so no bias hides in a pair of moves."""
    up, down = (lambda _: 1.25), (lambda _: 0.8)
    value = Real(0.0, 10.0).perturb(Real(0.0, 10.0).perturb(1.7, up, rng()).value, down, rng()).value
    assert value == pytest.approx(1.7, rel=1e-12)


def test_two_becomes_1_6_or_2_5_without_resampling():
    """R08."""
    assert {Real(0.1, 10.0).perturb(2.0, FACTOR, rng(seed)).value for seed in range(50)} == {1.6, 2.5}


def test_a_declared_float_stays_one_though_its_value_is_whole():
    """D15: types come from declarations, never from the value."""
    for value in (1, 2, np.int64(2)):
        assert type(Real(0.0, 10.0).perturb(value, FACTOR, rng()).value) is float
    assert type(Integer(1, 10).perturb(np.float64(4.0), FACTOR, rng()).value) is int


def test_a_listed_value_keeps_the_type_of_the_list():
    """D15."""
    for distribution in (Ordered((1, 2, 3)), Choice((1, 2, 3))):
        for seed in range(20):
            assert type(distribution.perturb(1.0, FACTOR, rng(seed)).value) is int
    assert not Choice((1, 2)).contains(True)
    assert not Choice((False, True)).contains(1)
    assert not Integer(0, 1).contains(True)
    assert not Real(0.0, 1.0).contains(True)


def test_a_clamped_move_says_so():
    assert Real(0.0, 1.0).perturb(0.9, lambda _: 1.25, rng()).operation == "×1.25 clamped"
    assert Real(0.0, 1.0).perturb(0.5, lambda _: 1.25, rng()).operation == "×1.25"
    assert Integer(1, 4).perturb(1, lambda _: 0.8, rng()).operation == "×0.8 clamped"


def test_ordered_values_move_one_place_and_stop_at_the_ends():
    """R12."""
    places = Ordered((3, 4, 8, 10))
    reached = partial(lambda value: {places.perturb(value, FACTOR, rng(seed)).value for seed in range(100)})
    assert reached(4) == {3, 8}
    assert reached(3) == {3, 4}
    assert reached(10) == {8, 10}
    assert reached(7) == {3, 4, 8, 10}


def test_ordered_moves_are_named():
    places = Ordered(("small", "middle", "large"))
    assert {places.perturb("middle", FACTOR, rng(seed)).operation for seed in range(20)} == {"left", "right"}
    assert {places.perturb("small", FACTOR, rng(seed)).operation for seed in range(20)} == {"stay", "right"}


def test_an_unordered_choice_stays_or_is_drawn_afresh():
    choice = Choice(("tanh", "relu"))
    assert choice.perturb("tanh", FACTOR, rng()).value == "tanh"
    assert {choice.perturb("gone", FACTOR, rng(seed)).value for seed in range(20)} == {"tanh", "relu"}


def test_priors_reach_both_ends_evenly():
    """R09."""
    draws = rng()
    counts = np.bincount([Integer(1, 4).sample(draws) for _ in range(4000)], minlength=5)
    assert counts[0] == 0 and (abs(counts[1:] - 1000) < 120).all()
    logs = np.log10([Real(1e-5, 1e-1, log=True).sample(draws) for _ in range(4000)])
    assert (abs(np.histogram(logs, bins=4, range=(-5, -1))[0] - 1000) < 120).all()
    picked = [Choice(("a", "b")).sample(draws) for _ in range(2000)]
    assert abs(picked.count("a") - 1000) < 120


def test_an_initial_value_is_kept_and_a_missing_one_drawn_within_bounds():
    """R43."""
    prior = Real(1e-3, 1e-2)
    assert Hyperparameter("fox", "learning_rate", prior, 2e-3).draw_initial(rng()) == 2e-3
    for seed in range(50):
        assert prior.contains(Hyperparameter("fox", "learning_rate", prior).draw_initial(rng(seed)))
        narrow = Hyperparameter("fox", "learning_rate", prior, Real(1e-3, 2e-3)).draw_initial(rng(seed))
        assert 1e-3 <= narrow <= 2e-3


@in_short
@given(low=st.floats(-1e6, 1e6), width=st.floats(0, 1e6), where=st.floats(0, 1), factor=st.floats(0.01, 100))
def test_any_real_move_is_legal(low, width, where, factor):
    """D14, D15."""
    distribution = Real(low, low + width)
    value = distribution.clamp(low + where * width)
    for move in (distribution.perturb(value, lambda _: factor, rng()).value, distribution.sample(rng())):
        assert type(move) is float
        assert distribution.contains(move)


@in_short
@given(low=st.integers(-1000, 1000), width=st.integers(0, 1000), where=st.floats(0, 1), factor=st.floats(0.01, 100))
def test_any_integer_move_is_legal_and_moves_where_there_is_room(low, width, where, factor):
    """D14, D15."""
    distribution = Integer(low, low + width)
    value = distribution.clamp(low + where * width)
    moved = distribution.perturb(value, lambda _: factor, rng()).value
    assert type(moved) is int
    assert distribution.contains(moved)
    if low < value < low + width and value and factor != 1:
        assert moved != value


@in_short
@given(value=st.one_of(st.integers(-5, 40), st.floats(allow_nan=True), st.sampled_from(["a", "?"]), st.booleans()))
@pytest.mark.parametrize("values", [(1, 2, 4, 8), (0.1, 0.5), ("a", "b"), (False, True), (1, "a", 2.5)])
def test_a_list_always_gives_one_of_its_own(values, value):
    """D15."""
    for distribution in (Ordered(values), Choice(values)):
        for given_back in (distribution.clamp(value), distribution.perturb(value, FACTOR, rng()).value):
            assert any(given_back is mine or (given_back == mine and type(given_back) is type(mine)) for mine in values)
