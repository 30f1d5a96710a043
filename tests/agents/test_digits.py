"""The classifier learns, and what it has learned outlives a change of width."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from agents.digits import kind
from agents.digits.examples import load_split
from marl_pbt.protocols import DivergedError, Interface, UserError

NOWHERE = Interface((), {}, {})
SPECIES = "classifier"


def make(seed: int = 0, **settings):
    return kind.build({"max_hidden_units": 128, **settings}, NOWHERE, None, seed)


def trained(seed: int = 0, updates: int = 8, **settings):
    learner = make(seed, learning_rate=3e-3, **settings)
    for _ in range(updates):
        learner.update()
    return learner


def policy_of(learner):
    architecture = kind.describe({"max_hidden_units": 128}, NOWHERE).architecture[SPECIES]
    tensors = {name: array for name, array in learner.snapshot(SPECIES).items() if name.startswith("policy/")}
    return kind.load_policy(json.loads(json.dumps(architecture)), tensors)


def accuracy(learner) -> float:
    """In the validation batches of an update that learns nothing, like those that scores are made of."""
    learner.set_hyperparameters(SPECIES, {"learning_rate": 1e-12})
    return float(np.mean([episode.returns[SPECIES] for episode in learner.update().episodes]))


def test_classifies_nine_of_ten_digits_that_it_has_not_seen_within_seconds():
    learner = trained(updates=15, hidden_units=64)
    report = learner.update()
    assert np.mean([episode.returns[SPECIES] for episode in report.episodes]) > 0.9
    assert report.metrics["classifier/test_accuracy"] > 0.9
    assert len(report.episodes) == 10 and sum(episode.length for episode in report.episodes) == 400


@pytest.mark.parametrize("optimizer_state", ["reset", "donor", "keep"])
def test_a_width_mutation_survives_an_exploit(optimizer_state):
    """D24: as a member does it: adopt another width, take the donor's hyperparameters, explore to a third width."""
    donor, loser = trained(hidden_units=48), trained(seed=1, updates=1, hidden_units=8)
    before, expected = accuracy(loser), accuracy(donor)
    loser.adopt(SPECIES, donor.snapshot(SPECIES), optimizer_state)
    assert loser.get_hyperparameters(SPECIES)["hidden_units"] == 48
    loser.set_hyperparameters(SPECIES, donor.get_hyperparameters(SPECIES))
    loser.set_hyperparameters(SPECIES, {"hidden_units": 60})
    assert loser.snapshot(SPECIES)["policy/layer_1/weight"].shape == (60, 60)
    assert before < 0.6 < 0.85 < expected == accuracy(loser)
    loser.set_hyperparameters(SPECIES, {"learning_rate": 3e-3})
    for _ in range(4):
        loser.update()
    assert accuracy(loser) > expected


def test_narrowing_keeps_most_of_it_and_says_what_it_lost():
    learner = trained(hidden_units=64, updates=12)
    before = accuracy(learner)
    learner.set_hyperparameters(SPECIES, {"hidden_units": 48})
    lost = learner.update().metrics["classifier/narrowing_loss"]
    assert 0 < lost < 0.2 and accuracy(learner) > before - 0.03
    assert learner.update().metrics["classifier/narrowing_loss"] == 0


def test_moments_travel_with_equal_widths_only():
    """D02."""
    donor, alike, other = trained(hidden_units=16), trained(seed=1, hidden_units=16), trained(seed=2, hidden_units=24)
    moments = {name: array for name, array in donor.snapshot(SPECIES).items() if name.startswith("optimizer/")}
    own = alike.snapshot(SPECIES)
    alike.adopt(SPECIES, donor.snapshot(SPECIES), "keep")
    assert all(np.array_equal(alike.snapshot(SPECIES)[name], own[name]) for name in moments)
    other.adopt(SPECIES, donor.snapshot(SPECIES), "keep")
    assert not any(other.snapshot(SPECIES)[name].any() for name in moments)
    other.adopt(SPECIES, donor.snapshot(SPECIES), "donor")
    assert all(np.array_equal(other.snapshot(SPECIES)[name], moments[name]) for name in moments)


def test_a_fresh_learner_of_a_drawn_width_is_as_one_built_with_it():
    drawn, built = make(hidden_units=32), make(hidden_units=32)
    drawn.set_hyperparameters(SPECIES, {"hidden_units": 100})
    weights = drawn.snapshot(SPECIES)["policy/layer_0/weight"]
    assert len(np.unique(weights[:, 0])) == 100  # no copies
    assert built.snapshot(SPECIES)["policy/layer_0/weight"].shape == (32, 64)


def test_a_state_of_another_width_goes_on_bit_for_bit():
    """D19."""
    learner = trained(hidden_units=16)
    learner.set_hyperparameters(SPECIES, {"hidden_units": 90})
    resumed = make(seed=5)
    resumed.set_state(learner.get_state())
    assert resumed.update().episodes == learner.update().episodes
    assert all(np.array_equal(array, resumed.get_state()[name]) for name, array in learner.get_state().items())


def test_the_widest_snapshot_is_as_large_as_described():
    described = kind.describe({"max_hidden_units": 128}, NOWHERE)
    learner = trained(updates=1, hidden_units=128)
    assert sum(array.nbytes for array in learner.snapshot(SPECIES).values()) == described.snapshot_bytes[SPECIES]
    assert described.hyperparameters[SPECIES]["hidden_units"].high == 128


def test_refuses_what_is_too_wide_and_what_is_no_classifier():
    learner, wide = trained(), kind.build({"hidden_units": 129}, NOWHERE, None, 0)
    before = learner.get_state()
    with pytest.raises(ValueError, match="policy/layer_2/weight: must be there for a width from 1 to 128"):
        learner.adopt(SPECIES, wide.snapshot(SPECIES), "reset")
    with pytest.raises(ValueError, match=r"classifier\.hidden_units: must be an int ≥ 1 and ≤ 128, got 129"):
        learner.set_hyperparameters(SPECIES, {"hidden_units": 129})
    snapshot = learner.snapshot(SPECIES)
    with pytest.raises(ValueError, match="policy/layer_7/bias: unknown"):
        learner.adopt(SPECIES, snapshot | {"policy/layer_7/bias": np.zeros(3, np.float32)}, "reset")
    with pytest.raises(ValueError, match="optimizer/layer_0/weight/first"):
        learner.adopt(SPECIES, {**snapshot, "optimizer/layer_0/weight/first": np.zeros(3, np.float32)}, "donor")
    assert all(np.array_equal(array, before[name]) for name, array in learner.get_state().items())


def test_settings_that_contradict_each_other_or_name_an_environment_are_refused():
    with pytest.raises(UserError, match="hidden_units: must be at most max_hidden_units, got 300"):
        kind.describe({"hidden_units": 300}, NOWHERE)
    with pytest.raises(UserError, match=r"environment\.make: must be null, this learner plays nowhere, got prey"):
        kind.describe({}, Interface(("prey",), {}, {}))


def test_a_loss_that_is_not_finite_is_told_as_a_divergence():
    learner = make(learning_rate=1e30)
    with pytest.raises(DivergedError, match="classifier: its loss is not finite"):
        for _ in range(3):
            learner.update()


def test_the_classifier_can_be_asked_as_a_policy():
    learner, split = trained(updates=12, hidden_units=64), load_split()
    pixels = split.test.pixels
    policy = policy_of(learner)
    said = policy.act(pixels, np.random.default_rng(0), greedy=True)
    assert said.shape == (400,) and said.dtype == np.int64
    assert np.mean(said == split.test.labels) == pytest.approx(
        learner.update().metrics["classifier/test_accuracy"], abs=0.03
    )
    drawn = [policy.act(pixels, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[0], drawn[2])
    assert policy.act(pixels[:0], np.random.default_rng(0)).shape == (0,)


def test_a_file_of_another_kind_is_no_classifier():
    tensors = trained(updates=1).snapshot(SPECIES)
    with pytest.raises(ValueError, match="kind: must be 'digits', got 'ppo'"):
        kind.load_policy({"kind": "ppo"}, tensors)
    with pytest.raises(ValueError, match="hidden_layers: must be an int ≥ 1 and ≤ 16, got 1000000000"):
        kind.load_policy({"kind": "digits", "hidden_layers": 10**9, "max_hidden_units": 2}, tensors)
    with pytest.raises(ValueError, match="policy/layer_3/weight: must be there"):
        kind.load_policy({"kind": "digits", "hidden_layers": 3, "max_hidden_units": 128}, tensors)


def test_no_example_is_in_two_parts():
    split = load_split()
    rows = np.concatenate([part.inputs for part in (split.training, split.validation, split.test)])
    assert len(rows) == 1797 and len(split.training) == 997
    assert len(np.unique(rows, axis=0)) == 1797


def test_describing_imports_neither_torch_nor_scikit_learn():
    script = (
        "import sys; from marl_pbt.protocols import Interface; from agents.digits import kind;"
        "from agents.quadratic import kind as other; nowhere = Interface((), {}, {});"
        "kind.describe({}, nowhere); other.describe({}, nowhere);"
        "print({'torch', 'sklearn', 'envs'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
