"""Explore: how a copied policy's hyperparameters move."""

import numpy as np
import pytest

from marl_pbt.constraints import Constraint
from marl_pbt.explore import Change, Experience, Explorer, Perturb, Resample
from marl_pbt.hyperparameters import (
    Choice,
    ContinuousFactors,
    DiscreteFactors,
    Hyperparameter,
    Integer,
    Ordered,
    Real,
)
from marl_pbt.own_functions import OwnLastWord, OwnProposal
from marl_pbt.standings import Gain

RATE = Hyperparameter("predator", "learning_rate", Real(1e-5, 1.0, log=True))
EPOCHS = Hyperparameter("predator", "n_epochs", Integer(1, 30))
WIDTHS = Hyperparameter("predator", "width", Ordered((3, 4, 8, 10)))
VALUES = {"learning_rate": 0.1, "n_epochs": 10, "width": 8, "gamma": 0.99, "net": "small"}


def moves(resample_probability, constraints=()):
    return Explorer(Perturb(DiscreteFactors((0.8, 1.25)), resample_probability), constraints)


def own(name, **fields):
    return Explorer(OwnProposal("pbt.explorer", f"tests.marl_pbt.test_explore:{name}"), **fields)


def then(last_word, **fields):
    """Nothing is resampled, then somebody has the last word."""
    return Explorer(Perturb(DiscreteFactors((0.8, 1.25)), 0.0), last_word=last_word, **fields)


def explored(explorer, seed, declared=(RATE, EPOCHS, WIDTHS), values=VALUES):
    return explorer.explore(values, declared, np.random.default_rng(seed))


def test_without_resampling_every_declared_value_moves_by_one_factor_or_place():
    """R08: floats stay floats, ints ints, undeclared constants are untouched."""
    seen = [explored(moves(resample_probability=0.0), seed) for seed in range(60)]
    assert {change["learning_rate"].new for change in seen} == {0.1 * 0.8, 0.1 * 1.25}
    assert {change["n_epochs"].new for change in seen} == {8, 12}
    assert {change["width"].new for change in seen} == {4, 10}
    assert {tuple(type(change[name].new) for name in change) for change in seen} == {(float, int, int)}
    assert all(change.keys() == {"learning_rate", "n_epochs", "width"} for change in seen)


def test_with_resampling_only_every_value_comes_from_its_prior():
    """R09: evenly over the prior, wherever the value was."""
    seen = [explored(moves(resample_probability=1.0), seed) for seed in range(300)]
    assert {change["n_epochs"].new for change in seen} == set(range(1, 31))
    assert {change["width"].new for change in seen} == {3, 4, 8, 10}
    decades = np.histogram(np.log10([change["learning_rate"].new for change in seen]), bins=5, range=(-5, 0))[0]
    assert decades.sum() == 300 and abs(decades - 60).max() < 30
    assert {change[name].operation for change in seen for name in change} == {"resample"}


def test_each_hyperparameter_is_resampled_on_its_own():
    """Section 1: resample_probability is per hyperparameter."""
    seen = [explored(moves(resample_probability=0.25), seed) for seed in range(2000)]
    resampled = np.array([[change[name].operation == "resample" for name in change] for change in seen])
    assert abs(resampled.mean(axis=0) - 0.25).max() < 0.04
    assert abs(np.corrcoef(resampled.T) - np.eye(3)).max() < 0.1


def test_a_species_of_which_nothing_is_declared_keeps_everything():
    """R13: only the leaf that was declared moves, and that of this species alone."""
    assert explored(moves(resample_probability=0.5), 0, declared=()) == {}
    assert explored(moves(resample_probability=0.0), 0, declared=(RATE,)).keys() == {"learning_rate"}


def test_old_and_new_value_and_the_operation_are_told():
    change = explored(moves(resample_probability=0.0), 0)["learning_rate"]
    assert change in (Change(0.1, 0.1 * 0.8, "×0.8"), Change(0.1, 0.1 * 1.25, "×1.25"))


def test_the_same_stream_explores_alike():
    explorer = moves(resample_probability=0.5)
    assert explored(explorer, 5) == explored(explorer, 5)
    assert explored(explorer, 5) != explored(explorer, 6)


def test_constraints_have_the_last_word():
    """D16."""
    explorer = moves(resample_probability=0.0, constraints=[Constraint.parse("n_epochs <= 9")])
    changes = [explored(explorer, seed)["n_epochs"] for seed in range(40)]
    assert {(change.new, change.operation) for change in changes} == {(8, "×0.8"), (9, "×1.25 repaired")}


def test_constraints_see_values_that_are_not_declared_and_never_touch_them():
    """D16, R08: `n_epochs <= limit`, where limit is a constant; `gamma <= limit` would move one."""
    explorer = moves(
        resample_probability=0.0, constraints=[Constraint.parse("n_epochs <= limit"), Constraint.parse("gamma <= 0.5")]
    )
    for seed in range(20):
        changes = explored(explorer, seed, declared=(EPOCHS,), values={**VALUES, "limit": 9})
        assert changes.keys() == {"n_epochs"}
        assert changes["n_epochs"].new <= 9


def test_a_declared_name_that_the_learner_does_not_have_is_an_error_that_names_it():
    """R02."""
    with pytest.raises(KeyError, match="learning_rate"):
        explored(moves(resample_probability=0.0), 0, values={"n_epochs": 3})


# ------------------------------------------------------------------------------------ other ways to move


def test_resample_draws_everything_afresh_whatever_it_was():
    """R09."""
    seen = [explored(Explorer(Resample()), seed) for seed in range(300)]
    assert {change["n_epochs"].new for change in seen} == set(range(1, 31))
    assert {change[name].operation for change in seen for name in change} == {"resample"}


def test_a_factor_from_a_range_moves_anywhere_in_it_and_integers_at_least_by_one():
    """D14, R08."""
    explorer = Explorer(Perturb(ContinuousFactors(0.8, 1.25), 0.0))
    seen = [explored(explorer, seed) for seed in range(300)]
    rates = np.array([change["learning_rate"].new for change in seen])
    assert 0.08 <= rates.min() < 0.083
    assert 0.12 < rates.max() <= 0.125
    assert len(set(rates)) == 300
    assert {change["n_epochs"].new for change in seen} == {8, 9, 11, 12}
    assert {change["width"].new for change in seen} == {4, 10}


# ------------------------------------------------------------------------------------ a user's own


fixed = lambda values: {"learning_rate": 0.5}  # noqa: E731  # R46 is about a lambda


def test_a_custom_function_has_the_last_word_once_per_explore():
    """R22, R45: it gets what was proposed and every constant."""
    calls = []
    changes = explored(then(lambda values: calls.append(dict(values)) or {**values, "n_epochs": 7}), 0)
    (seen,) = calls
    assert seen["n_epochs"] in (8, 12)
    assert (seen["gamma"], seen["net"]) == (0.99, "small")
    assert (changes["n_epochs"].old, changes["n_epochs"].new) == (10, 7)
    assert changes["n_epochs"].operation in ("×0.8 own", "×1.25 own")
    assert changes["learning_rate"].operation in ("×0.8", "×1.25")


def test_a_lambda_will_do_and_what_it_leaves_out_stays_as_proposed():
    """R46."""
    changes = explored(then(OwnLastWord("pbt.after_explore", "tests.marl_pbt.test_explore:fixed")), 0)
    assert changes["learning_rate"].new == 0.5
    assert changes["n_epochs"].new in (8, 12)


@pytest.mark.parametrize(
    ("wanted", "new", "operation"),
    [
        ({"n_epochs": 3.9}, 4, "own"),  # R47
        ({"n_epochs": np.int64(5)}, 5, "own"),
        ({"n_epochs": 1e9}, 30, "own clamped"),
        ({"n_epochs": float("nan")}, None, "own refused"),
        ({"n_epochs": float("inf")}, None, "own refused"),
        ({"n_epochs": "many"}, None, "own refused"),
        ({"n_epochs": True}, None, "own refused"),
        ({"n_epochs": None, "gamma": 0.5, "no_such_name": 3}, None, ""),
        ({"learning_rate": np.float64(0.5)}, 0.5, "own"),
        ({"learning_rate": 1}, 1.0, "own"),
        ({"learning_rate": -3}, 1e-5, "own clamped"),
        ({"width": 9}, 8, "own clamped"),
        ({"width": "wide"}, None, "own refused"),
        ({"net": "big"}, "big", "own"),
        ({"net": "vast"}, None, "own refused"),
        ({"net": 3}, None, "own refused"),
    ],
)
def test_what_a_custom_function_gives_is_brought_within_type_and_bounds_or_refused(wanted, new, operation):
    """D15, D16: never a crash in a worker, and undeclared constants stay (R08)."""
    name = next(iter(wanted))
    declared = (RATE, EPOCHS, WIDTHS, Hyperparameter("predator", "net", Choice(("small", "big"))))
    before = explored(moves(resample_probability=0.0), 0, declared)[name]
    change = explored(then(lambda values: wanted), 0, declared)[name]
    assert (change.new, type(change.new)) == ((before.new, type(before.new)) if new is None else (new, type(new)))
    assert change.operation == f"{before.operation} {operation}".strip()


def test_constraints_hold_after_the_last_word_too():
    """D16."""
    explorer = then(lambda values: {"n_epochs": 30}, constraints=[Constraint.parse("n_epochs <= 9")])
    assert explored(explorer, 0)["n_epochs"].new == 9


def by_experience(values, declared, rng, experience):
    best = max(experience.gains, key=lambda gain: gain.per_interval)
    return {"learning_rate": best.hyperparameters["learning_rate"] * rng.uniform(0.9, 1.1), "n_epochs": 99}


def test_an_own_explorer_sees_what_the_population_gained_and_has_its_own_stream():
    gains = [Gain(1, 5.0, {"learning_rate": 0.2}), Gain(1, 9.0, {"learning_rate": 0.4})]
    known, declared = Experience(1, gains), (RATE, EPOCHS, WIDTHS)
    one, two, other = (
        own("by_experience").explore(VALUES, declared, np.random.default_rng(seed), known) for seed in (3, 3, 4)
    )
    assert one == two != other
    assert 0.36 <= one["learning_rate"].new <= 0.44
    assert one["n_epochs"] == Change(10, 30, "proposed clamped")
    assert one["width"] == Change(8, 8, "stay")


def no_mapping(*asked):
    return 3


def test_an_own_function_that_gives_no_values_is_an_error_in_one_line():
    told = r"\S+:no_mapping must give a mapping of names to values, gave 3$"
    with pytest.raises(ValueError, match=rf"^pbt\.explorer: {told}"):
        explored(own("no_mapping"), 0)
    with pytest.raises(ValueError, match=rf"^pbt\.after_explore: {told}"):
        explored(then(OwnLastWord("pbt.after_explore", "tests.marl_pbt.test_explore:no_mapping")), 0)
