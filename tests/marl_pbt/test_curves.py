"""Learning curves compared from equal scores on, as FIRE PBT does (arXiv 2109.13800)."""

import math

import numpy as np
import pytest

from marl_pbt.curves import Curve, chance_of_lead, curve_of, lead, overlap, smoothed
from tests.marl_pbt.board_rows import row

UP = np.arange(10.0)


def curve(*points):
    return Curve.through(np.array(points, np.float64))


def test_a_curve_is_what_has_been_scored_since_the_last_copy_with_pending_points_interpolated():
    standing = row(0, 9.0, 9.0, 1.0, None, 3.0, math.nan, 5.0, last_exploit=2)
    assert curve_of(standing, maximize=True).points.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert curve_of(standing, maximize=False).points.tolist() == [-1.0, -2.0, -3.0, -4.0, -5.0]
    assert curve_of(row(0, 9.0, None, last_exploit=1), maximize=True) is None


def test_smoothing_leaves_a_line_alone_to_its_ends_and_takes_noise_away():
    np.testing.assert_allclose(smoothed(3 * UP - 2), 3 * UP - 2)
    noisy = UP + np.random.default_rng(0).normal(0, 1, 10)
    assert np.std(smoothed(noisy) - UP) < 0.7 * np.std(noisy - UP)
    assert smoothed(np.array([1.0, 5.0])).tolist() == [1.0, 5.0]


def test_curves_are_laid_over_each_other_where_they_are_equally_good():
    late, early = Curve.through(UP), Curve.through(UP + 4)
    assert overlap(late, early) == (slice(4, 10), slice(6))
    assert overlap(early, late) == (slice(6), slice(4, 10))
    assert overlap(curve(1, 2, 3), curve(7, 8, 9)) is None


def test_who_climbs_faster_from_equal_scores_leads_though_it_began_lower():
    slow, fast = Curve.through(10 + UP), Curve.through(3 * UP)
    assert lead(fast, slow) > 5 > 0 > lead(slow, fast)
    assert lead(slow, slow) == 0


def test_who_lies_wholly_above_is_lowered_until_they_overlap_and_never_falls_behind():
    slow, fast, flat = Curve.through(UP), Curve.through(100 + 3 * UP), Curve.through(100 + 0.1 * UP)
    assert lead(fast, slow) > 10
    assert lead(flat, slow) == 0 == lead(slow, fast)


@pytest.mark.parametrize(("points", "chance"), [(1, 0.5), (4, 1 / 16), (7, 1 / 128)])
def test_a_lead_in_every_point_is_chance_in_one_of_two_to_the_points(points, chance):
    assert chance_of_lead(Curve.through(UP[:points] + 100), Curve.through(UP)) == chance
    assert chance_of_lead(Curve.through(UP), Curve.through(UP[:points] + 100)) == 1


def test_the_sign_test_counts_points_after_the_curves_meet():
    child, evaluator = Curve.through(10 + UP), Curve.through(3 * UP)
    assert overlap(evaluator, child) == (slice(4, 10), slice(6))
    assert chance_of_lead(evaluator, child) == 1 / 64
    assert chance_of_lead(child, evaluator) == 1
