"""Explore: how a copied policy's hyperparameters move."""

from functools import partial

import numpy as np
import pytest

from marl_pbt.constraints import Constraint
from marl_pbt.explore import Change, Perturb
from marl_pbt.hyperparameters import DiscreteFactors, Hyperparameter, Integer, Ordered, Real

RATE = Hyperparameter("predator", "learning_rate", Real(1e-5, 1.0, log=True))
EPOCHS = Hyperparameter("predator", "n_epochs", Integer(1, 30))
WIDTHS = Hyperparameter("predator", "width", Ordered((3, 4, 8, 10)))
VALUES = {"learning_rate": 0.1, "n_epochs": 10, "width": 8, "gamma": 0.99, "net": "small"}
moves = partial(Perturb, DiscreteFactors((0.8, 1.25)))


def explored(explorer, seed, declared=(RATE, EPOCHS, WIDTHS), values=VALUES):
    return explorer.explore(values, declared, np.random.default_rng(seed))


def test_without_resampling_every_declared_value_moves_by_one_factor_or_place():
    """R08: floats stay floats, ints ints, undeclared constants are untouched."""
    seen = [explored(moves(resample_probability=0.0), seed) for seed in range(60)]
    assert {change["learning_rate"].new for change in seen} == {0.1 * 0.8, 0.1 * 1.25}
    assert {change["n_epochs"].new for change in seen} == {8, 12}
    assert {change["width"].new for change in seen} == {4, 10}
    assert all(change.keys() == {"learning_rate", "n_epochs", "width"} for change in seen)


def test_with_resampling_only_every_value_comes_from_its_prior():
    """R09."""
    seen = [explored(moves(resample_probability=1.0), seed) for seed in range(300)]
    assert {change["n_epochs"].new for change in seen} == set(range(1, 31))
    assert {change["width"].new for change in seen} == {3, 4, 8, 10}
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
