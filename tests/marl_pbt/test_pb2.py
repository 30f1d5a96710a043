"""PB2: hyperparameters go where the population's gains make a Gaussian process most hopeful."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from config_files import SOUND, faults, load
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_pbt.config import bind
from marl_pbt.explore import Experience, Explorer, Perturb
from marl_pbt.hyperparameters import Choice, DiscreteFactors, Hyperparameter, Integer, Ordered, Real
from marl_pbt.own_functions import OwnLastWord
from marl_pbt.pb2 import PB2, Axis
from marl_pbt.pb2_process import Bandit, TimeVarying
from marl_pbt.protocols import HyperparameterSpec, LearnerDescription
from marl_pbt.standings import Gain

ROOT = Path(__file__).resolve().parents[2]
X = Hyperparameter("fox", "x", Real(1.0, 2.0))
PERTURB = Perturb(DiscreteFactors((0.8, 1.25)), 0.25)
EXPLORER = Explorer(PB2(PERTURB))


def experience(*gains, generation=1, running=()):
    return Experience(generation, [Gain(*gain) for gain in gains], running)


TWENTY_AT_TWO = experience((1, 20.0, {"x": 2.0}), (1, 10.0, {"x": 1.0}), running=[{"x": 1.0}, {"x": 2.0}])


def proposed(declared, known, seed=0, explorer=EXPLORER, values=None):
    values = values or {each.name: each.draw_initial(np.random.default_rng(1)) for each in declared}
    return explorer.explore(values, declared, np.random.default_rng(seed), known)


@pytest.mark.parametrize("seed", range(5))
def test_where_2_gains_twenty_and_1_gains_ten_it_proposes_more_than_one_and_a_half(seed):
    """R41; in mode min it is the other way round."""
    change = proposed((X,), TWENTY_AT_TWO, seed)["x"]
    assert 1.5 < change.new <= 2.0
    assert change.operation == "pb2"
    assert 1.0 <= proposed((X,), TWENTY_AT_TWO, seed, Explorer(PB2(PERTURB, maximize=False)))["x"].new < 1.5


SPECS = {"x": HyperparameterSpec(1.5, "float", low=0.0), "k": HyperparameterSpec(3, "int", low=1)}
DESCRIPTION = LearnerDescription({"predator": SPECS, "prey": SPECS}, {}, {})


def bound(declared):
    head, tail = SOUND.split("  hyperparameters:\n")[0], SOUND[SOUND.index("stop:") :]
    text = f"{head}  explorer: pb2\n  hyperparameters:\n{declared}{tail}"
    return bind(load(text), DESCRIPTION, ("predator", "prey"))


def test_nested_and_flat_bounds_are_the_same_and_give_the_same_proposals():
    """R42."""
    flat = bound("    predator.x: {uniform: [1, 2]}\n    predator.k: {randint: [1, 5]}\n")
    nested = bound("    predator:\n      x: {uniform: [1, 2]}\n      k: {randint: [1, 5]}\n")
    known = experience(*((1, gain, {"x": x, "k": k}) for gain, x, k in ((1.0, 1.2, 2), (5.0, 1.8, 4), (2.0, 1.4, 1))))
    changes = [proposed(each.declared["predator"], known, 3, each.explorer) for each in (flat, nested)]
    assert changes[0] == changes[1]
    assert changes[0].keys() == {"x", "k"}
    assert {change.operation for change in changes[0].values()} == {"pb2"}


def test_a_missing_initial_value_is_drawn_within_bounds_and_a_given_one_is_kept():
    """R43."""
    declared = bound("    x: {uniform: [1, 2]}\n    k: {randint: [1, 5], initial: 4}\n").declared["predator"]
    drawn = [[each.draw_initial(np.random.default_rng(seed)) for each in declared] for seed in range(50)]
    assert all(1.0 <= x <= 2.0 and k == 4 for x, k in drawn)
    assert len({x for x, _ in drawn}) == 50


@pytest.mark.parametrize("kind", ["uniform", "loguniform", "randint", "lograndint"])
def test_three_bounds_or_reversed_ones_are_an_error(kind):
    """R44."""
    for bounds, told in (("[1, 2, 3]", "must be two numbers [low, high]"), ("[2, 1]", "lower bound 2 is above")):
        (fault,) = faults(SOUND, "pbt.explorer=pb2", f"pbt.hyperparameters={{x: {{{kind}: {bounds}}}}}")
        assert told in fault and fault.startswith("pbt.hyperparameters.x")


def lowered(values):
    """A user's own, by import string as from a config."""
    return {"x": values["x"] - 0.5}


@pytest.mark.parametrize(
    "last_word",
    [
        pytest.param(OwnLastWord("pbt.after_explore", "tests.marl_pbt.test_pb2:lowered"), id="a function"),
        pytest.param(lambda values: {"x": values["x"] - 0.5}, id="a lambda"),
    ],
)
def test_a_custom_function_has_the_last_word_on_a_proposal_a_lambda_too(last_word):
    """R45, R46: it gets what was proposed, once: twice would take away 1."""
    before = proposed((X,), TWENTY_AT_TWO)["x"].new
    assert before - 0.5 > 1.0  # else it would be clamped
    change = proposed((X,), TWENTY_AT_TWO, explorer=Explorer(PB2(PERTURB), last_word=last_word))["x"]
    assert (change.new, change.operation) == (pytest.approx(before - 0.5), "pb2 own")


def test_an_integer_proposal_is_rounded():
    """R47: 3.9 becomes 4."""
    axis = Axis.of(Hyperparameter("fox", "k", Integer(1, 5)))
    assert (axis.value((3.9 - 1) / 4), axis.place(4)) == (4, 0.75)
    assert type(axis.value(0.5)) is int
    known = experience(*((1, -((k - 4.0) ** 2), {"k": k}) for k in (1, 2, 3, 4, 5, 4)))
    change = proposed((Hyperparameter("fox", "k", Integer(1, 5)),), known)["k"]
    assert (change.new, type(change.new)) == (4, int)


def test_logarithmic_hyperparameters_are_even_in_their_logarithm():
    rate = Axis.of(Hyperparameter("fox", "rate", Real(1e-5, 1e-1, log=True)))
    assert rate.place(1e-3) == pytest.approx(0.5)
    assert rate.value(0.25) == pytest.approx(1e-4)
    size = Axis.of(Hyperparameter("fox", "size", Integer(1, 256, log=True)))
    assert size.place(16) == pytest.approx(0.5)
    assert [size.value(place) for place in (0.0, 0.5, 1.0)] == [1, 16, 256]
    assert set(size.settled(np.linspace(-0.1, 0.13, 50)).tolist()) == {size.place(1), size.place(2)}


def test_what_is_no_range_is_perturbed_or_resampled():
    others = {"net": Choice(("a", "b")), "width": Ordered((3, 4, 8)), "fixed": Real(2.0, 2.0)}
    declared = (X, *(Hyperparameter("fox", name, each) for name, each in others.items()))
    values = {"x": 1.0, "net": "a", "width": 4, "fixed": 2.0}
    seen = [proposed(declared, TWENTY_AT_TWO, seed, values=values) for seed in range(12)]
    assert {change["x"].operation for change in seen} == {"pb2"}
    assert {change["net"].operation for change in seen} == {"stay", "resample"}
    assert {change["width"].operation for change in seen} >= {"left", "right"}
    assert {change["fixed"].new for change in seen} == {2.0}


@pytest.mark.parametrize(
    "gains", [[], [(1, 3.0, {"x": 1.5})], [(1, 3.0, {"y": 1.0}), (1, 3.0, {"x": 9.0}), (1, 3.0, {"x": "a"})]]
)
def test_before_there_are_two_gains_within_the_declaration_values_are_perturbed(gains):
    seen = {proposed((X,), experience(*gains), seed, values={"x": 1.5})["x"].operation for seed in range(20)}
    assert seen == {"×0.8", "×1.25", "resample"}


def test_what_somebody_tries_out_already_is_not_proposed_again():
    """The batch: what is running narrows the uncertainty there, as in GP-BUCB."""
    known = [(1, 1.0, {"x": x}) for x in (1.0, 1.2, 1.8, 2.0)] * 4
    alone = proposed((X,), experience(*known))["x"].new
    beside = proposed((X,), experience(*known, running=[{"x": alone}] * 3))["x"].new
    assert abs(beside - alone) > 0.05


def test_what_was_long_ago_counts_less():
    old = [(at, 10.0 * x, {"x": x}) for at in (1, 2) for x in (1.0, 1.5, 2.0)]
    new = [(at, -10.0 * x, {"x": x}) for at in (30, 31) for x in (1.0, 1.5, 2.0)]
    assert proposed((X,), experience(*old, *new, generation=31))["x"].new < 1.25
    assert proposed((X,), experience(*old, *new, generation=2))["x"].new > 1.75


@pytest.mark.parametrize("members", [4, 8])
def test_a_handful_of_members_finds_a_hidden_optimum(members):
    """Two hyperparameters, noise as large as the differences near the optimum; twelve ready points."""
    declared = (Hyperparameter("fox", "rate", Real(1e-5, 1e-1, log=True)), Hyperparameter("fox", "k", Integer(1, 9)))
    rng = np.random.default_rng(0)
    held = [{each.name: each.draw_initial(rng) for each in declared} for _ in range(members)]
    gains, explored = [], []
    for at in range(1, 13):
        means = [10 - 4 * (np.log10(h["rate"]) + 3) ** 2 - 0.3 * (h["k"] - 5) ** 2 + rng.normal() for h in held]
        gains += [Gain(at, mean, dict(h)) for mean, h in zip(means, held, strict=True)]
        for loser in np.argsort(means)[: members // 4]:
            others = [h for place, h in enumerate(held) if place != loser]
            changes = EXPLORER.explore(held[loser], declared, rng, Experience(at, gains, others))
            held[loser] = {name: change.new for name, change in changes.items()}
            explored.append(held[loser])
    late = explored[len(explored) // 2 :]
    assert np.mean([abs(np.log10(h["rate"]) + 3) for h in late]) < 0.6  # draws of the prior: 1.0
    assert np.mean([abs(h["k"] - 5) for h in late]) < 1.5  # 2.2


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    gains=st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from([-1e300, -1.0, 0.0, 1e-9, 1e300]), st.floats(1.0, 2.0)),
        max_size=12,
    ),
    seed=st.integers(0, 9),
)
def test_whatever_was_gained_a_proposal_is_legal_and_repeats(gains, seed):
    """D14, D17."""
    known = experience(*((at, gain, {"x": x}) for at, gain, x in gains), generation=7)
    change = proposed((X,), known, seed)["x"]
    assert 1.0 <= change.new <= 2.0
    assert type(change.new) is float
    assert proposed((X,), known, seed)["x"] == change


def test_the_kernels_gradient_is_that_of_its_values():
    points = np.random.default_rng(0).random((6, 3)) * [5.0, 1.0, 1.0]
    kernel = TimeVarying(0.4, 0.2)
    _, gradient = kernel(points, eval_gradient=True)
    for place, theta in enumerate(kernel.theta):
        nudged = []
        for step in (1e-6, -1e-6):
            changed = kernel.theta.copy()
            changed[place] = theta + step
            nudged.append(kernel.clone_with_theta(changed)(points))
        assert np.allclose((nudged[0] - nudged[1]) / 2e-6, gradient[:, :, place], atol=1e-6)
    assert np.allclose(kernel(points).diagonal(), kernel.diag(points))


def test_the_more_is_known_the_more_optimism_is_worth():
    points = np.random.default_rng(0).random((60, 2))
    few, many = (Bandit(points[:count], points[:count, 1], points[:0]) for count in (2, 60))
    assert few.optimism == 0.0
    assert many.optimism == pytest.approx(np.sqrt(0.2 * np.log(0.4 * 60)))


def test_scikit_learn_is_imported_by_nobody_who_does_not_propose():
    program = """
import sys
import marl_pbt.worker, marl_pbt.plan, marl_pbt.pb2
print(sorted({"sklearn", "scipy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n"
