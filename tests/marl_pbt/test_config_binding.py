from __future__ import annotations

import pickle

import numpy as np
import pytest
from config_files import SOUND, load

from marl_pbt.config import bind
from marl_pbt.decision import Rules
from marl_pbt.explore import Explorer, Perturb, Resample
from marl_pbt.hyperparameters import (
    Choice,
    ContinuousFactors,
    DiscreteFactors,
    Hyperparameter,
    Integer,
    Ordered,
    Real,
)
from marl_pbt.own_functions import OwnDonor, OwnLastWord, OwnProposal, OwnSelection
from marl_pbt.pb2 import PB2
from marl_pbt.protocols import HyperparameterSpec, LearnerDescription, UserError
from marl_pbt.selection import BinaryTournament, Truncation, TTest, rank_weighted_donor

SPECS = {
    "learning_rate": HyperparameterSpec(3e-4, "float", low=0.0, low_is_open=True),
    "gae_lambda": HyperparameterSpec(0.95, "float", low=0.0, high=1.0),
    "ent_coef": HyperparameterSpec(0.0, "float", low=0.0),
    "batch_size": HyperparameterSpec(512, "int", low=2),
    "rollout": HyperparameterSpec(2048, "int", low=1),
    "normalize": HyperparameterSpec(True, "bool"),
    "activation": HyperparameterSpec("relu", "str"),
}
SPECIES = ("predator", "prey")
DESCRIPTION = LearnerDescription(dict.fromkeys(SPECIES, SPECS), {}, {})


def bound(*overrides: str, description: LearnerDescription = DESCRIPTION):
    return bind(load(SOUND, *overrides), description, SPECIES)


def declared(text: str) -> Hyperparameter:
    """What becomes of one declaration for predators."""
    name, _, declaration = text.partition("=")
    return bound(f"pbt.hyperparameters={{{name}: {declaration}}}").declared["predator"][0]


def refusals(*overrides: str) -> tuple[str, ...]:
    with pytest.raises(UserError) as error:
        bound(*overrides)
    return error.value.faults


def test_the_pbt_section_becomes_what_decides():
    pbt = bound()
    assert pbt.declared == {
        "predator": (
            Hyperparameter("predator", "learning_rate", Real(3e-4, 5e-3, log=True)),
            Hyperparameter("predator", "ent_coef", Real(1e-3, 2e-2, log=True), 0.005),
        ),
        "prey": (Hyperparameter("prey", "gae_lambda", Real(0.7, 0.98)),),
    }
    assert pbt.rules == Rules(Truncation(0.25, 0.25), population=8, burn_in=500_000)
    assert pbt.defaults["prey"] == {name: spec.default for name, spec in SPECS.items()}
    assert pbt.explorer == Explorer(Perturb(DiscreteFactors((0.8, 1.25)), 0.25))


def test_every_lever_reaches_the_rules():
    pbt = bound(
        "pbt.population=5",
        "pbt.burn_in=0",
        "pbt.quorum=0.25",
        "pbt.min_gap={absolute: 3, standard_errors: 0}",
        "pbt.mode=min",
        "pbt.compare=latest",
        "pbt.quantile_bottom=0.5",
        "pbt.quantile_top=0.1",
        "pbt.resample_probability=1",
    )
    expected = Rules(Truncation(0.5, 0.1), 5, 0, 0.25, 3, 0, maximize=False, compare="latest", rescue_top=0.1)
    assert pbt.rules == expected
    assert pbt.explorer.proposal.resample_probability == 1


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("selection", "t_test", TTest()),
        ("selection", "binary_tournament", BinaryTournament()),
        ("selection", "math:gcd", OwnSelection("pbt.selection", "math:gcd")),
        ("donor", "rank", rank_weighted_donor),
        ("donor", "math:gcd", OwnDonor("pbt.donor", "math:gcd")),
        ("explorer", "resample", Resample()),
        ("explorer", "pb2", PB2(Perturb(DiscreteFactors((0.8, 1.25)), 0.25))),
        ("explorer", "math:gcd", OwnProposal("pbt.explorer", "math:gcd")),
        ("after_explore", "math:gcd", OwnLastWord("pbt.after_explore", "math:gcd")),
        ("perturb_factors", "{loguniform: [0.5, 2]}", Perturb(ContinuousFactors(0.5, 2), 0.25)),
    ],
)
def test_every_strategy_is_one_word_or_an_import_string_away(key, value, found):
    pbt = bound(f"pbt.{key}={value}")
    strategies = (pbt.rules.selection, pbt.rules.donor, pbt.explorer.proposal, pbt.explorer.last_word)
    assert found in strategies


def test_in_mode_min_pb2_takes_a_fall_for_a_gain():
    """R36."""
    assert not bound("pbt.explorer=pb2", "pbt.mode=min").explorer.proposal.maximize


def test_functions_of_ones_own_that_cannot_be_had_are_told_all_at_once_with_their_place():
    told = refusals(
        "pbt.selection=no_such_module:select",
        "pbt.donor=math:no_such_name",
        "pbt.explorer=math:pi",
        "pbt.after_explore=math:floor",
    )
    assert [fault.split(":")[0] for fault in told] == ["pbt.selection", "pbt.donor", "pbt.explorer"]
    assert "no module 'no_such_module'" in told[0]
    assert "math has no 'no_such_name'" in told[1]
    assert "must be callable, 'math:pi' is a float (--set pbt.explorer=math:pi)" in told[2]


@pytest.mark.parametrize("explorer", ["perturb", "pb2", "math:gcd"])
def test_what_is_bound_can_be_sent_to_a_worker(explorer):
    names = [f"pbt.{key}=math:gcd" for key in ("selection", "donor", "after_explore")]
    pbt = bound("pbt.constraints=['batch_size <= 4096']", f"pbt.explorer={explorer}", *names)
    assert pickle.loads(pickle.dumps(pbt)) == pbt


@pytest.mark.parametrize(
    ("text", "distribution", "initial"),
    [
        (
            "batch_size={lograndint: [64, 4096], initial: [64, 128]}",
            Integer(64, 4096, log=True),
            Integer(64, 128, log=True),
        ),
        ("batch_size={randint: [64, 4096], initial: 1e3}", Integer(64, 4096), 1000),
        ("batch_size={ordered: [64, 128.0], initial: 64.0}", Ordered((64, 128)), 64),
        ("ent_coef={ordered: [0, 1], initial: 1}", Ordered((0.0, 1.0)), 1.0),
        ("ent_coef={uniform: [0, 1], initial: 1}", Real(0.0, 1.0), 1.0),
        ("ent_coef={uniform: [0, 1], initial: {loguniform: [0.1, 1]}}", Real(0.0, 1.0), Real(0.1, 1.0, log=True)),
        ("ent_coef={uniform: [0, 1], initial: {choice: [0, 1]}}", Real(0.0, 1.0), Choice((0.0, 1.0))),
        ("normalize={bool: [false, true], initial: true}", Choice((False, True)), True),
        ("activation={choice: [relu, tanh]}", Choice(("relu", "tanh")), None),
    ],
)
def test_types_come_from_the_learner_and_not_from_how_a_value_is_written(text, distribution, initial):
    """D15."""
    found = declared(text)
    assert repr((found.distribution, found.initial)) == repr((distribution, initial))


def test_a_name_without_a_species_holds_for_all_and_one_with_it_has_the_last_word():
    pbt = bound("pbt.hyperparameters={prey.gae_lambda: {uniform: [0.5, 0.6]}, gae_lambda: {uniform: [0.8, 0.9]}}")
    assert [pbt.declared[name][0].distribution for name in SPECIES] == [Real(0.8, 0.9), Real(0.5, 0.6)]


@pytest.mark.parametrize("leaf", ["prey: {gae_lambda: RANGE}", "prey.gae_lambda: RANGE"])
def test_of_a_nested_declaration_only_the_leaf_moves(leaf):
    """R13: not its neighbours in the same species, not its namesake in the other one."""
    pbt = bound(f"pbt.hyperparameters={{{leaf.replace('RANGE', '{uniform: [0.5, 0.6]}')}}}")
    values = {name: spec.default for name, spec in SPECS.items()}
    moved = {name: pbt.explorer.explore(values, pbt.declared[name], np.random.default_rng(0)) for name in SPECIES}
    assert moved["predator"] == {}
    assert moved["prey"].keys() == {"gae_lambda"}
    assert moved["prey"]["gae_lambda"].new != values["gae_lambda"]


def test_a_name_without_a_species_skips_species_that_lack_it():
    only_prey = LearnerDescription({"predator": {}, "prey": SPECS}, {}, {})
    pbt = bound("pbt.hyperparameters={gae_lambda: {uniform: [0.8, 0.9]}}", description=only_prey)
    assert [len(pbt.declared[name]) for name in SPECIES] == [0, 1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("learning_rat={uniform: [0.1, 1]}", "unknown hyperparameter 'learning_rat'; did you mean 'learning_rate'?"),
        ("predator.lr={uniform: [0.1, 1]}", "unknown hyperparameter 'lr'; there are activation, batch_size"),
        ("predatr.gae_lambda={uniform: [0, 1]}", "unknown species 'predatr'; did you mean 'predator'?"),
        ("batch_size={loguniform: [64, 128]}", "batch_size is an int; must be declared as lograndint, got loguniform"),
        ("batch_size={uniform: [64, 128]}", "batch_size is an int; must be declared as randint, got uniform"),
        ("ent_coef={randint: [0, 1]}", "ent_coef is a float; must be declared as uniform, got randint"),
        ("normalize={uniform: [0, 1]}", "normalize is a bool; must be declared as bool or choice, got uniform"),
        ("activation={bool: [false, true]}", "activation is a str; must be declared as choice or ordered, got bool"),
        ("gae_lambda={uniform: [0.5, 1.5]}", "must be a number in [0, 1], got 1.5"),
        ("learning_rate={uniform: [0, 1]}", "must be a number in (0, inf), got 0"),
        ("batch_size={randint: [1, 8]}", "must be a whole number in [2, inf), got 1"),
        ("batch_size={choice: [64, 64.5]}", "must be a whole number in [2, inf), got 64.5"),
        ("batch_size={choice: [64, true]}", "must be a whole number in [2, inf), got True"),
        ("normalize={choice: [true, 1]}", "must be true or false, got 1"),
        ("activation={choice: [relu, 1]}", "must be a string, got 1"),
    ],
)
def test_a_declaration_that_does_not_fit_the_learner_is_refused(text, told):
    name, _, declaration = text.partition("=")
    faults = refusals(f"pbt.hyperparameters={{{name}: {declaration}}}")
    assert all(fault.startswith(f"pbt.hyperparameters.{name}") and "(--set " in fault for fault in faults)
    assert told in faults[0]


def test_all_that_does_not_fit_is_told_at_once_with_its_line():
    text = SOUND.replace("ent_coef", "entcoef").replace("[0.7, 0.98]", "[0.7, 1.98]")
    with pytest.raises(UserError) as error:
        bind(load(text), DESCRIPTION, SPECIES)
    assert error.value.faults == (
        "pbt.hyperparameters.predator.entcoef: unknown hyperparameter 'entcoef'; did you mean 'ent_coef'? (c.yaml:9)",
        "pbt.hyperparameters.prey.gae_lambda.uniform: must be a number in [0, 1], got 1.98 (c.yaml:10)",
    )


@pytest.mark.parametrize(
    ("constraint", "batch_size", "told"),
    [
        ("batch_sze <= 4096", "randint: [64, 128]", "unknown hyperparameter 'batch_sze'; did you mean 'batch_size'?"),
        ("activation <= 3", "randint: [64, 128]", "activation must be int or float in '<=', is str"),
        ("gae_lambda divides 3", "randint: [64, 128]", "gae_lambda must be int in 'divides', is float"),
        ("batch_size <= 32", "randint: [64, 128]", "its lower bound must be at most 32"),
        ("batch_size <= 100", "choice: [64, 128]", "all its listed values must be at most 100"),
        ("batch_size <= rollout", "randint: [4096, 8192]", "its lower bound must be at most 2048"),
        ("batch_size divides 100", "randint: [64, 128]", "its lower bound must divide 100"),
        ("batch_size divides 0", "randint: [64, 128]", "must be a whole number of at least 1, is 0"),
        ("batch_size divides 2.5", "randint: [64, 128]", "must be a whole number of at least 1, is 2.5"),
        ("batch_size divides 100", "ordered: [50, 64]", "a listed value must divide as it is"),
    ],
)
def test_a_constraint_that_could_not_be_repaired_is_refused(constraint, batch_size, told):
    """D16."""
    faults = refusals(f"pbt.constraints=['{constraint}']", f"pbt.hyperparameters.batch_size={{{batch_size}}}")
    assert faults[0].startswith("pbt.constraints.0: ")
    assert told in faults[0]


@pytest.mark.parametrize("constraint", ["batch_size <= 4096", "batch_size divides 8192", "batch_size divides rollout"])
def test_a_constraint_that_is_taken_keeps_explored_values_legal(constraint):
    """D16."""
    pbt = bound(f"pbt.constraints=['{constraint}']", "pbt.hyperparameters={batch_size: {lograndint: [64, 16384]}}")
    (batch_size,) = pbt.declared["predator"]
    rng = np.random.default_rng(0)
    values = {**pbt.defaults["predator"], "batch_size": batch_size.draw_initial(rng)}
    for _ in range(300):
        values |= {name: change.new for name, change in pbt.explorer.explore(values, (batch_size,), rng).items()}
        assert batch_size.distribution.contains(values["batch_size"])
        assert pbt.explorer.constraints[0].holds(values)
