"""Hidden sizes as hyperparameters: what a policy has learned outlives another width, or says how much it lost."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from agents.ppo import kind
from agents.ppo.inference import logits_and_values
from agents.ppo.settings import ACTIVATIONS
from marl_pbt.protocols import PortablePolicy, TellsArchitecture, UserError
from tests.agents.toy_worlds import ToyWorlds
from tests.contracts.learner import PlayingLearnerContract, assert_differ, assert_same, policy_of, untimed

SETTINGS = {"n_steps": 8, "batch_size": 64, "learning_rate": 1e-2, "net_arch": [40, 32], "max_hidden_units": 300}
INTERFACE = ToyWorlds().interface


class TestWithRoomToGrow(PlayingLearnerContract):
    kind, settings, make_worlds = kind, SETTINGS, ToyWorlds


def build(seed: int = 0, updates: int = 0, **settings: Any):
    learner = kind.build({**SETTINGS, **settings}, INTERFACE, ToyWorlds(), seed)
    for _ in range(updates):
        learner.update()
    return learner


def said(learner, species: str = "fish"):
    """Logits and values for observations as they may be."""
    box = INTERFACE.observation_spaces[species]
    box.seed(0)
    observations = np.stack([box.sample() for _ in range(300)])
    return logits_and_values(learner.species_ppo(species).policy, observations)


def assert_says(learner, expected, species: str = "fish", within: float = 1e-5):
    for now, before in zip(said(learner, species), expected, strict=True):
        assert np.abs(now - before).max() <= within * max(1.0, np.abs(before).max())


def widths(learner, species: str = "fish") -> list[int]:
    return [value for name, value in learner.get_hyperparameters(species).items() if "hidden_units" in name]


def specs_of(**settings: Any):
    specs = kind.describe({**SETTINGS, **settings}, INTERFACE).hyperparameters["fish"]
    return {name: (spec.default, spec.high) for name, spec in specs.items() if "hidden_units" in name}


# ------------------------------------------------------------------------------------------------- what there is


def test_each_hidden_layer_has_a_width_and_no_more_than_there_are():
    assert specs_of(net_arch=[64, 32]) == {"hidden_units_1": (64, 300), "hidden_units_2": (32, 300)}
    assert specs_of(net_arch=[]) == {}


def test_actor_and_critic_evolve_apart_where_they_have_lists_of_their_own():
    apart = {"pi_hidden_units_1": (8, 300), "vf_hidden_units_1": (16, 300), "vf_hidden_units_2": (4, 300)}
    assert specs_of(net_arch={"pi": [8], "vf": [16, 4]}) == apart
    learner = build(net_arch={"pi": [8], "vf": [16, 4]}, updates=1)
    expected = said(learner)
    learner.set_hyperparameters("fish", {"vf_hidden_units_1": 20, "pi_hidden_units_1": 12})
    assert learner.architecture("fish")["net_arch"] == {"pi": [12], "vf": [20, 4]}
    assert_says(learner, expected)


def test_who_sets_no_greatest_width_pays_for_none_and_is_told_how_to_get_one():
    assert specs_of(net_arch=[64, 32], max_hidden_units=None) == {
        "hidden_units_1": (64, 64),
        "hidden_units_2": (32, 32),
    }
    described = kind.describe({**SETTINGS, "max_hidden_units": None}, INTERFACE)
    assert described.hyperparameters["fish"]["hidden_units_1"].hint == "raise learner.settings.max_hidden_units"
    exactly = sum(array.nbytes for array in build().snapshot("fish").values())
    assert described.snapshot_bytes["fish"] == exactly


def test_a_greatest_width_below_the_widest_layer_is_refused():
    with pytest.raises(UserError) as caught:
        kind.describe({**SETTINGS, "species": {"fish": {"max_hidden_units": 39}}}, INTERFACE)
    assert caught.value.faults == (
        "species.fish.max_hidden_units: must be at least 40, as fish's net_arch has, got 39",
    )


def test_the_widest_snapshot_is_as_large_as_described():
    learner = build(updates=1)
    learner.set_hyperparameters("fish", {"hidden_units_1": 300, "hidden_units_2": 300})
    described = kind.describe(SETTINGS, INTERFACE)
    assert sum(array.nbytes for array in learner.snapshot("fish").values()) == described.snapshot_bytes["fish"]


# ----------------------------------------------------------------------------------------------- another width


@pytest.mark.parametrize(
    ("activation", "net_arch", "to"),
    [
        *((activation, [40, 32], (64, 100)) for activation in ACTIVATIONS),
        ("relu", [7], (19,)),
        ("tanh", [5, 9, 3], (5, 10, 256)),
    ],
)
def test_widening_changes_neither_logits_nor_values(activation, net_arch, to):
    """D24: to 1e-5, with any activation, for any number of layers."""
    learner = build(activation=activation, net_arch=net_arch, updates=2)
    expected = {species: said(learner, species) for species in learner.species}
    for species in learner.species:
        learner.set_hyperparameters(species, {f"hidden_units_{n + 1}": width for n, width in enumerate(to)})
        assert_says(learner, expected[species], species)
        assert tuple(widths(learner, species)) == to
    learner.update()
    assert_differ({"": said(learner)[0]}, {"": expected["fish"][0]})


def test_narrowing_keeps_most_of_it_and_says_once_what_it_lost():
    learner = build(updates=6)
    expected, _ = said(learner)
    learner.set_hyperparameters("fish", {"hidden_units_1": 30})
    assert np.corrcoef(said(learner)[0].ravel(), expected.ravel())[0, 1] > 0.95
    metrics = learner.update().metrics
    assert 0 < metrics["fish/narrowing_loss"] < 0.2
    assert "bird/narrowing_loss" not in metrics
    assert "fish/narrowing_loss" not in learner.update().metrics


def test_a_fresh_learner_of_a_drawn_width_is_one_that_was_built_with_it():
    drawn, built = build(), build(species={"fish": {"net_arch": [90, 20]}})
    drawn.set_hyperparameters("fish", {"hidden_units_1": 200, "hidden_units_2": 20})
    drawn.set_hyperparameters("fish", {"hidden_units_1": 90})
    assert_same(drawn.get_state(), built.get_state())
    drawn.update(), built.update()
    assert_same(drawn.get_state(), built.get_state())


def test_the_other_species_does_not_notice():
    """D26."""
    learner, untouched = build(updates=1), build(updates=1)
    learner.set_hyperparameters("fish", {"hidden_units_2": 77})
    assert_same(learner.snapshot("bird"), untouched.snapshot("bird"))


def test_other_values_stay_in_force_with_another_width():
    """D01."""
    learner = build(updates=1)
    learner.set_hyperparameters("fish", {"learning_rate": 5e-3, "gamma": 0.5, "n_epochs": 7})
    learner.set_hyperparameters("fish", {"hidden_units_1": 50, "clip_range": 0.3})
    species = learner.species_ppo("fish")
    assert [group["lr"] for group in species.policy.optimizer.param_groups] == [5e-3]
    assert (species.model.n_epochs, species.buffer.gamma, species.model.clip_range(1.0)) == (7, 0.5, 0.3)


def test_an_illegal_width_is_refused_and_nothing_changes():
    """D16."""
    learner = build(updates=1)
    before = learner.get_state()
    for wrong in (0, 301, 64.5):
        with pytest.raises(ValueError, match=rf"fish\.hidden_units_1: must be an int ≥ 1 and ≤ 300, got {wrong}"):
            learner.set_hyperparameters("fish", {"hidden_units_2": 50, "hidden_units_1": wrong})
    assert_same(learner.get_state(), before)


@pytest.mark.parametrize(("width", "path"), [(33, "dense"), (256, "dense"), (300, "sb3"), (31, "sb3")])
def test_compiled_kernels_take_over_at_the_widths_that_they_are_made_for(width, path):
    learner = build(updates=1, update_path="dense")
    assert learner.update().notes["fish/update_path"] == "dense"
    learner.set_hyperparameters("fish", {"hidden_units_1": width})
    assert learner.update().notes["fish/update_path"].partition(" ")[0] == path


# ----------------------------------------------------------------------------------------------------- exploits


@pytest.mark.parametrize("optimizer_state", ["reset", "donor", "keep"])
def test_a_width_mutation_survives_an_exploit(optimizer_state):
    """D24: as a member does it: adopt other widths, take the donor's hyperparameters, explore to third ones."""
    donor, loser = build(seed=2, updates=4), build(seed=1, updates=1)
    donor.set_hyperparameters("fish", {"hidden_units_1": 56})
    donor.update()
    expected = said(donor)
    loser.adopt("fish", donor.snapshot("fish"), optimizer_state)
    assert widths(loser) == [56, 32]
    loser.set_hyperparameters("fish", donor.get_hyperparameters("fish"))
    assert_same(policy_of(loser.snapshot("fish")), policy_of(donor.snapshot("fish")))
    loser.set_hyperparameters("fish", {"hidden_units_1": 70, "hidden_units_2": 40})
    assert widths(loser) == [70, 40]
    assert_says(loser, expected)
    loser.update()


def test_moments_travel_with_equal_widths_only():
    """D02."""
    donor, alike, other = (build(seed=seed, updates=1) for seed in (1, 2, 3))
    other.set_hyperparameters("fish", {"hidden_units_1": 48})
    other.update()
    moments, own = donor.snapshot("fish"), alike.snapshot("fish")
    names = [name for name in moments if name.startswith("optimizer/")]
    alike.adopt("fish", moments, "keep")
    assert all(np.array_equal(alike.snapshot("fish")[name], own[name]) for name in names)
    other.adopt("fish", moments, "keep")
    assert not any(other.snapshot("fish")[name].any() for name in names)
    other.adopt("fish", moments, "donor")
    assert_same(other.snapshot("fish"), moments)
    other.set_hyperparameters("fish", {"hidden_units_1": 41})
    assert not any(other.snapshot("fish")[name].any() for name in names)


def test_refuses_what_is_too_wide_or_no_such_net_and_stays_as_it_was():
    """D24: that donor is passed over."""
    learner = build(updates=1, max_hidden_units=64)
    before, snapshot = learner.get_state(), build(seed=1).snapshot("fish")
    wide = build(net_arch=[65, 32]).snapshot("fish")
    apart = build(net_arch={"pi": [40, 32], "vf": [41, 32]}).snapshot("fish")
    flat = {**snapshot, "policy/mlp_extractor.policy_net.0.weight": np.zeros(3, np.float32)}
    deep = build(net_arch=[40, 32, 8]).snapshot("fish")
    shallow = build(net_arch=[40]).snapshot("fish")
    for wrong, fault in [
        (wide, r"fish\.hidden_units_1: must be an int ≥ 1 and ≤ 64, got 65"),
        (apart, r"policy/mlp_extractor\.value_net\.0\.weight: must have 40 units, as in the actor"),
        (flat, r"policy/mlp_extractor\.policy_net\.0\.weight"),
        (deep, r"mlp_extractor\.policy_net\.4\.bias.*: no such tensor"),
        (shallow, r"policy/mlp_extractor\.policy_net\.2\.weight: tensor is missing"),
    ]:
        with pytest.raises(ValueError, match=fault):
            learner.adopt("fish", wrong, "donor")
    assert_same(learner.get_state(), before)


# ----------------------------------------------------------------------------------------------- state and files


def test_a_state_of_other_widths_goes_on_bit_for_bit():
    """D19: also where a layer was narrowed and nobody has told of it yet."""
    learner = build(updates=2)
    learner.set_hyperparameters("fish", {"hidden_units_1": 90, "hidden_units_2": 20})
    resumed = build(seed=5)
    resumed.set_state(learner.get_state())
    assert resumed.get_hyperparameters("fish") == learner.get_hyperparameters("fish")
    reports = [one.update() for one in (learner, resumed)]
    assert untimed(reports[0].metrics) == untimed(reports[1].metrics)
    assert reports[0].metrics["fish/narrowing_loss"] > 0
    for one in (learner, resumed):
        one.set_hyperparameters("fish", {"hidden_units_1": 120})
    assert_same(resumed.get_state(), learner.get_state())


def test_a_fresh_state_stays_fresh():
    learner, resumed = build(), build(seed=5)
    resumed.set_state(learner.get_state())
    for one in (learner, resumed):
        one.set_hyperparameters("fish", {"hidden_units_1": 50})
    assert_same(resumed.get_state(), learner.get_state())


def evolved(first: int = 100):
    learner = build(updates=1)
    learner.set_hyperparameters("fish", {"hidden_units_1": first, "hidden_units_2": 50})
    learner.update()
    return learner


@pytest.mark.parametrize("first", [100, 290])
def test_a_policy_of_an_evolved_width_is_rebuilt_from_what_the_learner_tells(first):
    learner = evolved(first)
    assert isinstance(learner, TellsArchitecture)
    architecture = json.loads(json.dumps(learner.architecture("fish")))
    assert architecture["net_arch"] == {"pi": [first, 50], "vf": [first, 50]}
    described = kind.describe(SETTINGS, INTERFACE).architecture
    assert learner.architecture("bird") == described["bird"]
    policy = kind.load_policy(architecture, learner.snapshot("fish"))
    box = INTERFACE.observation_spaces["fish"]
    box.seed(0)
    observations = np.stack([box.sample() for _ in range(300)])
    assert np.array_equal(policy.act(observations, np.random.default_rng(0), greedy=True), said(learner)[0].argmax(1))
    with pytest.raises(ValueError, match=r"mlp_extractor\.policy_net\.0\.weight: must be"):
        kind.load_policy(described["fish"], learner.snapshot("fish"))


@pytest.mark.parametrize("suffix", [".zip", ".onnx"])
def test_a_policy_of_an_evolved_width_leaves_for_other_tools(suffix):
    """The exporter reads the file back and compares its answers; the declared widths are among the hyperparameters."""
    learner = evolved()
    spaces = INTERFACE.observation_spaces["fish"], INTERFACE.action_spaces["fish"]
    values = {name: learner.get_hyperparameters("fish")[name] for name in ("learning_rate", "hidden_units_1")}
    policy = PortablePolicy(learner.architecture("fish"), policy_of(learner.snapshot("fish")), *spaces, values)
    assert kind.export_policy(policy, suffix)
    forged = PortablePolicy(policy.architecture, policy.tensors, *spaces, {"hidden_units_1": 99})
    with pytest.raises(ValueError, match=r"hyperparameters\.hidden_units_1: must be an int ≥ 100 and ≤ 100, got 99"):
        kind.export_policy(forged, suffix)
