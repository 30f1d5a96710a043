"""Scores, and the rows that members publish of themselves."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_pbt.shared_board import ROW_BYTES
from marl_pbt.standings import GAINS_LENGTH, HISTORY_LENGTH, BoardRow, Gain, Score, ScoreWindow, Source

in_short = settings(max_examples=60, deadline=None, derandomize=True)


def window_of(returns, min_episodes=1, length=100):
    window = ScoreWindow(length, min_episodes)
    window.add(returns)
    return window


def row_with(history, **fields):
    generation = history[-1][0] if history else 0
    return BoardRow(0, fields.pop("generation", generation), history=tuple(history), **fields)


def test_a_policy_is_pending_until_it_has_enough_episodes():
    """D10."""
    window = window_of([1.0] * 19, min_episodes=20)
    assert window.score() is None
    window.add([21.0])
    assert window.score() == Score(2.0, 1.0, 20)


def test_a_cleared_window_is_pending_again():
    """D10."""
    window = window_of([1.0] * 30, min_episodes=20)
    window.clear()
    assert (len(window), window.score(), window.returns()) == (0, None, [])


def test_only_the_latest_episodes_count():
    window = window_of(range(100), length=10)
    assert window.returns() == list(range(90, 100))
    assert window.score().mean == 94.5


def test_a_window_shorter_than_min_episodes_is_as_long_as_those():
    assert window_of(range(50), min_episodes=20, length=5).score().episodes == 20


def test_mean_and_standard_error_are_those_of_statistics():
    score = window_of([2.0, 4.0, 4.0, 6.0]).score()
    assert score.mean == 4.0
    assert score.standard_error == pytest.approx(math.sqrt(8 / 3) / 2)
    assert window_of([5.0]).score() == Score(5.0, 0.0, 1)


def test_equal_returns_have_exactly_equal_means_however_many():
    """D06: no gap out of rounding."""
    assert len({window_of([0.1] * count).score().mean for count in (20, 30, 64, 100)}) == 1


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_one_return_that_is_not_finite_makes_the_score_so(odd):
    """D05."""
    for returns in ([odd], [1.0, odd, 2.0], [odd, -odd, odd]):
        assert not window_of(returns).score().is_finite


@pytest.mark.parametrize("returns", [[1e308] * 20, [1e200, -1e200], [-1e308, 1e308, 3.0]])
def test_returns_too_large_for_arithmetic_are_not_finite_and_no_crash(returns):
    """D05: a reward of 1e308 is a fault of the environment, not of the worker."""
    assert not window_of(returns).score().is_finite


def test_the_newest_score_is_that_of_the_policy_held_now():
    """D10: a loser's old score is not its new policy's."""
    scores = [(1, Score(1.0, 0.1, 20)), (2, Score(2.0, 0.1, 20))]
    assert row_with(scores).newest.mean == 2.0
    assert row_with(scores, last_exploit=1).newest.mean == 2.0
    assert row_with(scores, last_exploit=2).newest is None
    assert row_with(scores, generation=3).newest is None
    assert row_with([]).newest is None


def test_scores_are_found_by_ready_point():
    row = row_with([(1, Score(1.0, 0.0, 20)), (3, Score(3.0, 0.0, 20))])
    assert (row.score_at(1).mean, row.score_at(2), row.score_at(3).mean) == (1.0, None, 3.0)


def test_only_a_published_policy_with_a_finite_score_can_be_a_donor():
    """D05."""
    sound = row_with([(4, Score(1.0, 0.0, 20))], snapshot_generation=4)
    assert sound.can_be_donor
    assert not replace(sound, snapshot_generation=3).can_be_donor
    assert not replace(sound, snapshot_generation=-1).can_be_donor
    assert not replace(sound, last_exploit=4).can_be_donor
    assert not replace(sound, history=((4, Score(math.nan, 0.0, 20)),)).can_be_donor
    assert not replace(sound, history=((4, Score(1.0, math.inf, 20)),)).can_be_donor


SCORES = st.builds(Score, st.floats(), st.floats(), st.integers(0, 10**6))
VALUES = st.one_of(
    st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), st.text()
)


@in_short
@given(
    history=st.lists(st.tuples(st.integers(0, 10**6), SCORES), max_size=5),
    hyperparameters=st.dictionaries(st.text(), VALUES, max_size=4),
    parent=st.none() | st.builds(Source, st.integers(0, 99), st.integers(0, 99)),
    gained=st.lists(st.tuples(st.integers(0, 99), st.floats(allow_nan=False, allow_infinity=False)), max_size=3),
)
def test_a_row_comes_back_as_it_went(history, hyperparameters, parent, gained):
    gains = tuple(Gain(at, gain, hyperparameters) for at, gain in gained)
    row = BoardRow(3, 7, 11, 13, tuple(history), 2, 7, hyperparameters, parent, 5, gains=gains)
    back = BoardRow.from_bytes(row.to_bytes())
    assert replace(back, history=()) == replace(row, history=())
    for (at, score), (at_back, score_back) in zip(row.history, back.history, strict=True):
        assert at == at_back and score.episodes == score_back.episodes
        assert score == score_back if score.is_finite else not score_back.is_finite


def test_a_row_is_strict_json():
    data = row_with([(1, Score(math.nan, math.inf, 20))]).to_bytes()
    json.loads(data, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_the_longest_row_fits_into_its_slot():
    score = Score(-123456.7890123456789, 12345.67890123456789, 10**6)
    history = [(10**6 + at, score) for at in range(HISTORY_LENGTH + 50)]
    hyperparameters = {f"a_rather_long_name_of_a_hyperparameter_{i}": -1.2345678901234567e-100 for i in range(60)}
    gains = tuple(Gain(10**6 + at, -1.2345678901234567e-100, hyperparameters) for at in range(GAINS_LENGTH))
    data = row_with(history, hyperparameters=hyperparameters, gains=gains).to_bytes()
    assert len(data) < ROW_BYTES
    assert len(BoardRow.from_bytes(data).history) == HISTORY_LENGTH
    assert BoardRow.from_bytes(data).newest == score
