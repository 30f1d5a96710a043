"""What training with certain hyperparameters brought: noted by members, told on the board."""

import os

import numpy as np
import pytest

from marl_pbt.policy_state import PolicyState, ScoreRules
from marl_pbt.standings import BoardRow, Gain, Score
from tests.marl_pbt.toy_population import STEADY, Population, board_row, evolution, pair


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def test_what_an_interval_gained_is_told_with_what_was_in_force(tmp_path):
    population = Population(tmp_path, evolution(1), STEADY, levels=(0.0,))
    for _ in range(3):
        population.live(0)
    row = board_row(population, 0)
    scores = [score.mean for _, score in row.history]
    assert [gain.generation for gain in row.gains] == [2, 3]
    assert [gain.per_interval for gain in row.gains] == pytest.approx(np.diff(scores).tolist())
    assert all(gain.hyperparameters == row.hyperparameters for gain in row.gains)


def test_after_an_exploit_gains_count_from_the_donors_score(tmp_path):
    population = pair(tmp_path)
    population.live(0)
    donors = board_row(population, 1).history[0][1].mean
    population.live(0)
    row = board_row(population, 0)
    (gain,) = row.gains
    assert gain.per_interval == pytest.approx(row.newest.mean - donors)
    assert gain.hyperparameters == row.hyperparameters


def state():
    return PolicyState.founder_of(0, ScoreRules(10, 4))


def test_pending_ready_points_spread_a_gain_and_changed_values_or_odd_scores_break_it():
    policy, values = state(), {"x": 1.0}
    policy.note_gain(1, Score(10.0, 1.0, 9), values)
    policy.note_gain(2, None, values)
    policy.note_gain(3, Score(16.0, 1.0, 9), values)
    assert policy.gains == [Gain(3, 3.0, values)]
    policy.change_hyperparameters(3)
    policy.note_gain(4, Score(17.0, 1.0, 9), {"x": 2.0})
    policy.note_gain(5, None, {"x": 2.0})
    policy.change_hyperparameters(5)
    policy.note_gain(6, Score(99.0, 1.0, 9), {"x": 3.0})
    policy.note_gain(7, Score(float("nan"), 0.0, 9), {"x": 3.0})
    policy.note_gain(8, Score(50.0, 1.0, 9), {"x": 3.0})
    assert [gain.generation for gain in policy.gains] == [3, 4]


def test_what_is_remembered_stays_bounded():
    """R27/R28."""
    policy = state()
    for at in range(1, 100):
        policy.note_gain(at, Score(float(at), 1.0, 9), {"x": 1.0})
    assert [gain.generation for gain in policy.gains] == list(range(84, 100))


def test_checkpoints_and_rows_from_before_there_were_gains_are_read():
    """D19."""
    data = {key: value for key, value in state().to_json().items() if key not in ("gains", "base")}
    assert PolicyState.from_json(data, ScoreRules(10, 4)).gains == []
    old = BoardRow(0, 3).to_bytes().replace(b',"gains":{"names":[],"table":[]}', b"")
    assert b"gains" not in old
    assert BoardRow.from_bytes(old) == BoardRow(0, 3)
