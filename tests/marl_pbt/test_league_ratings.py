"""What payoff tables say of policies: means against the field, co-adaptation, and whether one number can say it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from marl_pbt.league.intransitivity import intransitivity
from marl_pbt.league.ratings import coadaptation, is_field_common, leads, mean_against_field
from marl_pbt.league.statistics import Resamples, estimate

in_short = settings(max_examples=40, deadline=None, derandomize=True)
whole = st.integers(-9, 9).map(float)
EPISODES = 10


def resamples_of(episodes=EPISODES):
    return Resamples.draw(episodes, np.random.default_rng(5), 500)


def signs():
    return np.random.default_rng(6)


def played(means, noise=1.0, seed=0):
    """Episodes of a table of true means."""
    means = np.asarray(means, dtype=float)
    return means[..., None] + noise * np.random.default_rng(seed).normal(size=(*means.shape, EPISODES))


def centred(values):
    """Episodes whose mean is exactly as given."""
    return np.asarray(values, dtype=float)[..., None] + np.tile([1.0, -1.0], EPISODES // 2)


def test_the_mean_against_the_field_is_over_all_opponents():
    table = centred([[1, 2, 3], [4, 5, 9]])
    np.testing.assert_allclose(mean_against_field(table, 0, resamples_of()).mean, [2, 6])
    np.testing.assert_allclose(mean_against_field(table, 1, resamples_of()).mean, [2.5, 3.5, 6])


def test_the_field_of_three_species_is_what_the_other_two_play():
    table = played(np.arange(24).reshape(2, 3, 4))
    found = mean_against_field(table, 1, resamples_of())
    np.testing.assert_allclose(found.mean, table.mean(axis=(0, 2, 3)))
    expected = estimate(table[:, 2].mean(axis=(0, 1)), resamples_of())
    np.testing.assert_allclose([found.low[2], found.high[2]], [expected.low, expected.high])


def test_a_lone_species_has_its_own_mean():
    table = played([3, 1])
    np.testing.assert_allclose(mean_against_field(table, 0, resamples_of()).mean, table.mean(axis=-1))


def test_pairings_that_were_not_played_are_left_out_of_the_field():
    table = centred([[1, 2, 3], [4, 5, 9], [7, 7, 7]])
    table[0, 2] = table[2] = np.nan
    found = mean_against_field(table, 0, resamples_of())
    np.testing.assert_allclose(found.mean, [1.5, 6, np.nan])
    assert found.n.tolist() == [EPISODES, EPISODES, 0]


def test_a_lead_has_the_interval_of_the_paired_difference():
    """Luck that seeds bring to everybody is in both means and in no difference between them."""
    table = played([[1, 2, 3], [4, 5, 9], [0, 0, 0]], noise=0.5) + 20 * np.random.default_rng(8).normal(size=EPISODES)
    found = leads(table, 0, [1, 0, 2], resamples_of())
    by_episode = table.mean(axis=1)
    expected = estimate([by_episode[1] - by_episode[0], by_episode[0] - by_episode[2]], resamples_of())
    for name in ("mean", "standard_error", "low", "high", "n"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name))
    field = mean_against_field(table, 0, resamples_of())
    assert field.low[1] < field.high[0]  # the intervals overlap
    assert (found.low > 0).all()


def test_leads_are_between_neighbours_in_the_order_that_is_given_and_of_each_species():
    table = centred([[1, 2, 3], [4, 5, 9]])
    np.testing.assert_allclose(leads(table, 0, [0, 1], resamples_of()).mean, [-4])
    np.testing.assert_allclose(leads(table, 1, [2, 1, 0], resamples_of()).mean, [2.5, 1])
    np.testing.assert_allclose(leads(table, 1, [2, 0], resamples_of()).mean, [3.5])


def test_nobody_is_ahead_of_someone_who_met_nobody():
    table = centred([[1, 2], [3, 4], [5, 6]])
    table[1] = np.nan
    np.testing.assert_array_equal(leads(table, 0, [2, 0, 1], resamples_of()).mean, [4, np.nan])


def test_a_field_is_common_where_all_played_the_same_profiles():
    table = played(np.zeros((3, 2, 2)))
    assert is_field_common(table, 0, [0, 1, 2])
    table[2, 1, 0] = np.nan
    assert not is_field_common(table, 0, [0, 1, 2])
    assert is_field_common(table, 0, [0, 1])
    assert not is_field_common(table, 1, [0, 1])
    table[:2, 1, 0] = np.nan
    assert is_field_common(table, 0, [0, 1, 2])
    table[0, 0, 0, :-1] = np.nan  # an episode is enough to have met
    assert is_field_common(table, 0, [0, 1, 2])


def test_a_species_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match=r"species: must be an axis of \(n_1, …, n_K, episodes\), got 2 of \(2, 3, 10"):
        mean_against_field(np.zeros((2, 3, 10)), 2, resamples_of())


def test_coadaptation_is_the_own_partner_against_the_mean_of_the_others():
    table = centred([[10, 2, 4], [1, 5, 1], [0, 0, 9]])
    found = coadaptation(table, [(0, 0), (1, 1)], 0, resamples_of())
    assert found.policies == (0, 1)
    np.testing.assert_allclose(found.per_policy.mean, [7, 4])
    assert found.average.mean == pytest.approx(5.5)
    from_prey = coadaptation(table, [(0, 0), (1, 1)], 1, resamples_of())
    np.testing.assert_allclose(from_prey.per_policy.mean, [9.5, 4])


def test_coadaptation_has_the_interval_of_the_paired_difference():
    table = played(np.zeros((3, 3)))
    found = coadaptation(table, [(0, 0), (2, 2)], 0, resamples_of())
    differences = [table[0, 0] - table[0, 1:].mean(axis=0), table[2, 2] - table[2, :2].mean(axis=0)]
    expected = estimate([*differences, np.mean(differences, axis=0)], resamples_of())
    np.testing.assert_allclose(found.per_policy.low, expected.low[:2])
    np.testing.assert_allclose(found.average.high, expected.high[2])


def test_easy_partners_cancel_in_the_average_of_coadaptation():
    table = played(np.array([0, 5, 50]) + np.array([[1], [2], [3]]), noise=0)
    found = coadaptation(table, [(0, 0), (1, 1), (2, 2)], 0, resamples_of())
    assert found.average.mean == pytest.approx(0, abs=1e-9)


def test_coadaptation_leaves_out_whom_nothing_can_be_said_of():
    table = centred([[1, 2], [3, 4], [5, 6]])
    table[0, 1] = table[1, 1] = np.nan
    found = coadaptation(table, [(0, 0), (1, 1), (2, 1)], 0, resamples_of())
    assert found.policies == (2,)
    nobody = coadaptation(table, [], 0, resamples_of())
    assert nobody.policies == ()
    assert np.isnan(nobody.average.mean)


@pytest.mark.parametrize("profile", [(0, 2), (0,), (-1, 0)])
def test_an_own_pair_outside_the_table_is_an_error(profile):
    with pytest.raises(ValueError, match="own: must be profiles of a table"):
        coadaptation(np.zeros((2, 2, EPISODES)), [profile], 0, resamples_of())


@in_short
@given(arrays.arrays(np.float64, 3, elements=whole), arrays.arrays(np.float64, 4, elements=whole), st.booleans())
def test_an_additive_table_is_transitive(rows, columns, has_gap):
    table = played(rows[:, None] + columns, noise=0)
    if has_gap:
        table[1, 2] = np.nan
    found = intransitivity(table, 0, signs())
    assert found.raw == pytest.approx(0, abs=1e-12)
    assert found.corrected == pytest.approx(0, abs=1e-12)
    assert (found.chance, found.reversal) == (1.0, None)


@in_short
@given(
    arrays.arrays(np.float64, (3, 4, 6), elements=whole),
    arrays.arrays(np.float64, (4, 1), elements=whole),
    st.floats(0.5, 3),
)
def test_what_helps_all_policies_alike_changes_neither_residual_nor_reversal(table, columns, factor):
    here, there = (intransitivity(each, 0, signs()) for each in (table, factor * (table + columns)))
    assert there.chance == pytest.approx(here.chance)
    assert (here.reversal is None) == (there.reversal is None)
    if here.reversal:
        assert there.reversal.standard_errors == pytest.approx(here.reversal.standard_errors)


def test_a_purely_cyclic_table_is_found():
    """Rows and columns have mean 0 each: nothing is additive."""
    found = intransitivity(played([[1, -1], [-1, 1]], noise=0), 0, signs())
    assert (found.raw, found.corrected) == (pytest.approx(1), pytest.approx(1))
    reversal = found.reversal
    assert (reversal.better, reversal.worse, reversal.here, reversal.there) == (0, 1, (0,), (1,))
    assert (reversal.gap_here, reversal.gap_there) == (2, -2)
    assert np.isfinite(reversal.standard_errors)


def test_the_share_by_hand():
    """[[3, 1], [0, 2]]: mean 1.5, rows ±0.5, columns 0, residuals ±1, so 4 of 4 · 0.25 + 4 = 5."""
    assert intransitivity(played([[3, 1], [0, 2]], noise=0), 0, signs()).raw == pytest.approx(0.8)


def test_noise_is_taken_off_the_share():
    """A fifth of the true sum of squares is cyclic; of the noise, which is a third of it, 25 in 35 parts are."""
    rng = np.random.default_rng(1)
    found = []
    for seed in range(30):
        rows, columns, cyclic = rng.normal(size=(6, 1)), rng.normal(size=6), rng.normal(size=(6, 6))
        cyclic += cyclic.mean() - cyclic.mean(axis=0) - cyclic.mean(axis=1, keepdims=True)
        additive = rows - rows.mean() + columns - columns.mean()
        truth = additive / np.linalg.norm(additive) + 0.5 * cyclic / np.linalg.norm(cyclic)
        found.append(intransitivity(played(truth * 6, noise=2.0, seed=seed), 0, signs()))
    assert np.mean([each.raw for each in found]) > 0.29
    assert np.mean([each.corrected for each in found]) == pytest.approx(0.2, abs=0.03)


def test_common_luck_of_a_seed_is_not_taken_for_noise_of_the_residual():
    """It shifts all cells of an episode alike: the additive part takes all of it, so the correction is what it was."""
    table = played([[3, 1], [0, 2]], noise=0.1)
    luck = 0.5 * np.random.default_rng(8).normal(size=EPISODES)
    here, there = (intransitivity(each, 0, signs()) for each in (table, table + luck))
    assert there.corrected == pytest.approx(here.corrected)
    assert there.chance == here.chance


def test_a_table_of_nothing_but_noise_is_no_finding():
    found = [intransitivity(played(np.zeros((5, 5)), seed=seed), 0, signs()) for seed in range(60)]
    chances = np.array([each.chance for each in found])
    assert 0.35 < chances.mean() < 0.65
    assert (chances <= 0.05).mean() < 0.1
    assert np.isnan([each.corrected for each in found]).mean() > 0.9
    assert all(each.reversal is None or each.reversal.chance > 0.05 for each in found)


def test_a_reversal_must_be_clear_on_both_sides():
    means = np.array([[5.0, 0.0], [0.0, 0.5]])
    assert intransitivity(played(means, noise=3.0, seed=2), 0, signs()).reversal is None
    found = intransitivity(played(means, noise=0.05, seed=2), 0, signs()).reversal
    assert (found.better, found.worse, found.here, found.there) == (0, 1, (0,), (1,))
    assert found.chance < 0.001
    assert found.gap_there / -0.5 == pytest.approx(1, abs=0.2)


def test_of_several_reversals_the_clearest_is_named():
    means = np.array([[5.0, 0.0, 1.0], [0.0, 5.0, 1.0], [4.0, 1.0, 1.0]])
    found = intransitivity(played(means, noise=0.3), 0, signs()).reversal
    assert {found.better, found.worse} == {0, 1}


def test_the_other_species_is_asked_about_its_own_policies():
    means = np.array([[5.0, 0.0, 1.0], [0.0, 5.0, 1.0]])
    found = intransitivity(played(means, noise=0.1), 1, signs()).reversal
    assert {found.better, found.worse} == {0, 1}
    assert {found.here, found.there} == {(0,), (1,)}


def test_with_three_species_an_opponent_is_what_the_other_two_play():
    means = np.zeros((2, 2, 3))
    means[0, 1, 2], means[1, 0, 1] = 4, 3
    reversal = intransitivity(played(means, noise=0.1), 0, signs()).reversal
    assert (reversal.better, reversal.here, reversal.there) == (0, (1, 2), (0, 1))
    assert intransitivity(played([1.0, 2.0]), 0, signs()).raw == pytest.approx(0)


def test_of_one_episode_only_the_raw_share_is_known():
    found = intransitivity(np.array([[3.0, 1.0], [0.0, 2.0]])[..., None], 0, signs())
    assert found.raw == pytest.approx(0.8)
    assert np.isnan([found.corrected, found.chance]).all()
    assert found.reversal is None


def test_missing_episodes_and_pairings_are_left_out():
    table = played([[3, 1, 0], [0, 2, 0], [1, 1, 1]], noise=0.1)
    table[2] = table[0, 0, 3] = np.nan
    found = intransitivity(table, 0, signs())
    assert found.raw == pytest.approx(intransitivity(table[:2], 0, signs()).raw)
    assert found.reversal is not None
    assert found.chance < 0.05
