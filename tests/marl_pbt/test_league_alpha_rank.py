"""Alpha-rank against games solved by hand, against OpenSpiel, and its invariants.

By hand: f(x) is the rate at which a mutant of advantage x takes over. With alpha = None it is 1 − ε, 1/2, ε for x > 0,
= 0, < 0. For finite alpha, f(−x) / f(x) = e^(−(m−1)αx). In equilibrium as much mass leaves a profile as enters it.
"""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from marl_pbt.league.alpha_rank import MAX_PROFILES, alpha_rank, alpha_rank_interval, fixation_probability
from marl_pbt.league.stationary import stationary_distribution

in_short = settings(max_examples=40, deadline=None, derandomize=True)
EPSILON = 0.01

ROCK_PAPER_SCISSORS = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
SEXES = [np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 2.0]])]


@st.composite
def games(draw):
    shape = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    table = arrays.arrays(np.float64, shape, elements=st.integers(-4, 4).map(float))
    return [draw(table) for _ in shape]


@pytest.mark.parametrize("alpha", [None, 0.1, 1.0, 50.0])
def test_in_rock_paper_scissors_all_are_equal(alpha):
    """Turning all three policies of both populations on by one changes nothing, so the marginals are uniform."""
    rank = alpha_rank([ROCK_PAPER_SCISSORS, -ROCK_PAPER_SCISSORS], alpha)
    for mass in rank.population_mass:
        np.testing.assert_allclose(mass, 1 / 3, rtol=1e-9)


def test_in_the_prisoners_dilemma_both_defect():
    """Whatever the other does, to defect is better: each population alone goes C→D at 1 − ε and D→C at ε, so it spends
    the share 1 − ε in D, and the two are independent.
    """
    row = np.array([[3.0, 0.0], [5.0, 1.0]])
    rank = alpha_rank([row, row.T], epsilon=EPSILON)
    expected = np.outer([EPSILON, 1 - EPSILON], [EPSILON, 1 - EPSILON])
    np.testing.assert_allclose(rank.profile_mass, expected, rtol=1e-12)
    assert alpha_rank([row, row.T]).profile_mass[1, 1] > 0.99999


@pytest.mark.parametrize("alpha", [None, 0.3, 10.0])
def test_matching_pennies_goes_round_all_four_profiles_alike(alpha):
    """Around the cycle each profile is left for the next at f(2) and for the last at f(−2): all the same, so 1/4."""
    row = np.array([[1.0, -1.0], [-1.0, 1.0]])
    np.testing.assert_allclose(alpha_rank([row, -row], alpha).profile_mass, 1 / 4, rtol=1e-12)


def test_the_battle_of_the_sexes_has_two_ends():
    """From AA and BB every step is worse (ε), from AB and BA every step is better (1 − ε). With p = AA = BB and
    q = AB = BA: 2εp = 2(1 − ε)q and 2p + 2q = 1, so p = (1 − ε)/2 and q = ε/2.
    """
    p, q = (1 - EPSILON) / 2, EPSILON / 2
    np.testing.assert_allclose(alpha_rank(SEXES, epsilon=EPSILON).profile_mass, [[p, q], [q, p]], rtol=1e-12)


def test_the_battle_of_the_sexes_with_finite_selection():
    """AB is left by f(1) both ways and entered by f(−1) from AA and from BB, which exchanging the players makes equal:
    AB = AA · e^(−(m−1)α), likewise BA = AA · e^(−2(m−1)α). With m = 2 and α = ln 2 that is 1 : 1/2 : 1/4 : 1.
    """
    rank = alpha_rank(SEXES, alpha=np.log(2), m=2)
    np.testing.assert_allclose(rank.profile_mass, np.array([[4, 2], [1, 4]]) / 11, rtol=1e-12)


def test_two_by_three_with_preferences_that_do_not_depend_on_the_other():
    """Rows prefer 1 to 0: ε and 1 − ε. Columns prefer 2 to 1 to 0: the best is left at 2ε and entered at 1 − ε, so
    (1 − x₂)(1 − ε) = 2εx₂, x₂ = (1 − ε)/(1 + ε); the worst likewise x₀ = ε/(2 − ε). Independent, so the product.
    """
    best, worst = (1 - EPSILON) / (1 + EPSILON), EPSILON / (2 - EPSILON)
    rows, columns = np.array([[0.0] * 3, [1.0] * 3]), np.array([[0.0, 5.0, 6.0]] * 2)
    rank = alpha_rank([rows, columns], epsilon=EPSILON)
    np.testing.assert_allclose(rank.population_mass[0], [EPSILON, 1 - EPSILON], rtol=1e-12)
    np.testing.assert_allclose(rank.population_mass[1], [worst, 1 - best - worst, best], rtol=1e-12)
    np.testing.assert_allclose(rank.profile_mass, np.outer(*rank.population_mass), rtol=1e-12)


def test_three_populations_with_a_dominant_policy_each():
    """Independent again: ε and 1 − ε in each."""
    tables = [np.indices((2, 2, 2))[population].astype(float) for population in range(3)]
    rank = alpha_rank(tables, epsilon=EPSILON)
    assert rank.profile_mass[1, 1, 1] == pytest.approx((1 - EPSILON) ** 3)
    for mass in rank.population_mass:
        np.testing.assert_allclose(mass, [EPSILON, 1 - EPSILON])


def test_one_population_that_meets_nobody_plays_its_best():
    np.testing.assert_allclose(alpha_rank([[1.0, 2.0]], epsilon=EPSILON).profile_mass, [EPSILON, 1 - EPSILON])


# from open_spiel.python.egt import alpharank    (OpenSpiel 2.0.2)
# alpharank.compute([PREDATORS, PREY], alpha=0.5, m=10)[2]
# alpharank.compute([PREDATORS, PREY], use_inf_alpha=True, inf_alpha_eps=0.01)[2]
PREDATORS, PREY = np.array([[3.0, 0.0, 2.0], [1.0, 2.0, -1.0]]), np.array([[0.0, 1.0, 2.0], [2.0, -1.0, 1.0]])
TWO_FINITE = """0.002279328675141 0.005074463672138 0.98557761611662
    0.003551003324601 0.002276577303969 0.001241010907533"""
TWO_LIMIT = """0.011091778992662 0.010334855124322 0.953307969196605
    0.012561830254736 0.005242080269972 0.007461486161702"""
# The same with THREE, alpha=0.3, m=20.
THREE = [
    np.array([[[3.0, 1.0], [1.0, 3.0], [1.0, 2.0]], [[2.0, -2.0], [-3.0, -1.0], [-2.0, 3.0]]]),
    np.array([[[3.0, -3.0], [0.0, 2.0], [-3.0, 2.0]], [[-3.0, 0.0], [2.0, -1.0], [-1.0, -2.0]]]),
    np.array([[[2.0, -2.0], [3.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 3.0], [2.0, 2.0]]]),
]
THREE_FINITE = """9.965437650591907e-01 3.321850573889994e-05 1.024023844583075e-03 3.818156018906090e-04
    9.412376552260377e-05 1.380038659996122e-04 6.039446080666839e-04 1.260908008690198e-04
    4.654052112728118e-04 3.047557396501314e-04 2.228182047636336e-04 6.203479245210701e-05"""
THREE_LIMIT = """0.93740090577755 0.004069838591885 0.024029613009027 0.006365180776662
    0.005725886707083 0.005049634417749 0.004049445763819 0.002666628074849
    0.003198019598508 0.002845625684675 0.002139732832218 0.002459488765974"""


@pytest.mark.parametrize(
    ("tables", "settings_", "golden"),
    [
        ([PREDATORS, PREY], {"alpha": 0.5, "m": 10}, TWO_FINITE),
        ([PREDATORS, PREY], {"epsilon": 0.01}, TWO_LIMIT),
        (THREE, {"alpha": 0.3, "m": 20}, THREE_FINITE),
        (THREE, {"epsilon": 0.01}, THREE_LIMIT),
    ],
    ids=["2x3 finite", "2x3 limit", "2x3x2 finite", "2x3x2 limit"],
)
def test_masses_are_the_numbers_that_openspiel_gave(tables, settings_, golden):
    masses = alpha_rank(tables, **settings_).profile_mass.ravel()
    np.testing.assert_allclose(masses, np.array(golden.split(), dtype=float), rtol=1e-8)


@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (4, 5), (1, 4), (2, 2, 3), (2, 3, 2, 2)])
def test_masses_are_openspiels_on_random_games(shape):
    pytest.importorskip("open_spiel")
    from open_spiel.python.egt import alpharank

    rng = np.random.default_rng(len(shape))
    tables = [rng.normal(size=shape) for _ in shape]
    for ours, theirs in [
        ({"alpha": 0.1, "m": 50}, {"alpha": 0.1, "m": 50}),
        ({"alpha": 2.0, "m": 5}, {"alpha": 2.0, "m": 5}),
        ({"epsilon": 0.02}, {"use_inf_alpha": True, "inf_alpha_eps": 0.02}),
    ]:
        expected = alpharank.compute(tables, **theirs)[2]
        np.testing.assert_allclose(alpha_rank(tables, **ours).profile_mass.ravel(), expected, atol=1e-9)


@in_short
@given(games(), st.sampled_from([None, 0.0, 0.7, 30.0, 1e9]))
def test_masses_are_a_distribution(tables, alpha):
    rank = alpha_rank(tables, alpha)
    assert (rank.profile_mass >= 0).all()
    for mass in (rank.profile_mass, *rank.population_mass):
        assert mass.sum() == pytest.approx(1, abs=1e-12)


@in_short
@given(games(), st.sampled_from([None, 0.2]), st.randoms(use_true_random=False))
def test_the_order_of_policies_does_not_matter(tables, alpha, random):
    orders = [random.sample(range(n), n) for n in tables[0].shape]
    here = alpha_rank(tables, alpha)
    there = alpha_rank([table[np.ix_(*orders)] for table in tables], alpha)
    np.testing.assert_allclose(there.profile_mass, here.profile_mass[np.ix_(*orders)], atol=1e-9)


@in_short
@given(games(), st.data())
def test_without_alpha_the_units_of_payoffs_do_not_matter(tables, data):
    units = st.tuples(st.sampled_from([1e-3, 0.1, 1.0, 7.0, 300.0]), st.sampled_from([-1000.0, 0.0, 0.3, 50.0]))
    changed = [factor * table + shift for table, (factor, shift) in ((each, data.draw(units)) for each in tables)]
    np.testing.assert_allclose(alpha_rank(changed).profile_mass, alpha_rank(tables).profile_mass, atol=1e-9)


def test_payoffs_that_differ_by_rounding_are_equal():
    equal, nearly = np.array([0.3, 0.3, 1.0]), np.array([0.1 + 0.2, 0.3, 1.0])
    np.testing.assert_allclose(alpha_rank([nearly]).profile_mass, alpha_rank([equal]).profile_mass, rtol=1e-12)


def test_takeover_is_safe_for_any_advantage():
    """(1 − e^(−u)) / (1 − e^(−mu)): 1/m at 0, 1 and 0 at the ends, for m = 2 it is 1 / (1 + e^(−u))."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fixation_probability([-1e308, -1e4, -1e-300, 0.0, 1e-12, 1e4, 1e308, np.inf], 50)
        np.testing.assert_allclose(found, [0, 0, 0.02, 0.02, 0.02, 1, 1, 1], rtol=1e-9)
        assert alpha_rank([table * 1e200 for table in SEXES], alpha=1e200).profile_mass[0, 0] == pytest.approx(0.5)
    some = np.array([-3.0, -0.1, 0.1, 3.0])
    np.testing.assert_allclose(fixation_probability(some, 2), 1 / (1 + np.exp(-some)))


def test_a_chain_that_hardly_ever_changes_sides_is_solved_to_the_last_digits():
    """Made so that π_i r_ij = π_j r_ji, hence π is known; two halves of 60 states that are joined by rates of 1e-40."""
    rng = np.random.default_rng(0)
    truth = 10.0 ** rng.uniform(-12, 0, size=120)
    truth /= truth.sum()
    joins = rng.uniform(size=(120, 120))
    joins[:60, 60:] *= 1e-40
    joins = np.triu(joins) + np.triu(joins).T
    np.testing.assert_allclose(stationary_distribution(joins / truth[:, None]), truth, rtol=1e-11)


def test_resampled_tables_say_how_sure_a_mass_is():
    """The better of two policies changes in a quarter of the tables: so does the one that has all the mass."""
    better, worse = [[0.0, 1.0]], [[1.0, 0.0]]
    found = alpha_rank_interval(iter([better, better, worse, better]))
    np.testing.assert_allclose(found.mean.population_mass[0], [0.25, 0.75], atol=1e-5)
    np.testing.assert_allclose(found.mean.profile_mass, [0.25, 0.75], atol=1e-5)
    assert found.tables == 4
    assert found.low.profile_mass[1] < 0.1 < 0.9 < found.high.profile_mass[1]
    sure = alpha_rank_interval([better] * 3)
    np.testing.assert_allclose(sure.low.population_mass[0], sure.high.population_mass[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"payoffs": [np.zeros((2, 2))]}, r"K tables of one shape \(n_1, …, n_K\), got shapes \[\(2, 2\)\]"),
        ({"payoffs": [np.zeros((2, 2)), np.zeros((2, 3))]}, "one shape"),
        ({"payoffs": []}, "got shapes"),
        ({"payoffs": [np.zeros(0)]}, "got shapes"),
        ({"payoffs": [[1.0, np.nan]]}, r"payoffs\[0\]: must be finite in every profile, got nan"),
        ({"payoffs": [np.zeros(MAX_PROFILES + 1)]}, "at most 4096 profiles, got 4097"),
        ({"payoffs": [[1.0, 2.0]], "alpha": -1.0}, "alpha: must be None, 0 or a positive number, got -1.0"),
        ({"payoffs": [[1.0, 2.0]], "alpha": float("inf")}, "alpha: .* got inf"),
        ({"payoffs": [[1.0, 2.0]], "m": 1}, "m: must be at least 2, got 1"),
        ({"payoffs": [[1.0, 2.0]], "epsilon": 0.5}, r"epsilon: must be in \(0, 0.5\), got 0.5"),
    ],
)
def test_what_is_no_game_is_an_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        alpha_rank(**arguments)


def test_no_resampled_table_is_an_error():
    with pytest.raises(ValueError, match="samples: must be at least one"):
        alpha_rank_interval([])
