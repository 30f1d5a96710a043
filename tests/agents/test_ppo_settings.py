import numpy as np
import pytest
from gymnasium import spaces

from agents.ppo import kind
from agents.ppo.settings import parse_settings
from agents.scripted import random_kind
from marl_pbt.protocols import Interface, UserError
from tests.agents.toy_worlds import ToyWorlds

INTERFACE = ToyWorlds().interface


def faults_of(settings, interface=INTERFACE):
    with pytest.raises(UserError) as caught:
        kind.describe(settings, interface)
    return caught.value.faults


def test_a_key_at_the_top_holds_for_all_species_unless_overridden():
    settings = parse_settings({"learning_rate": 1e-3, "species": {"fish": {"batch_size": 32, "gamma": 1}}}, INTERFACE)
    bird, fish = settings.species["bird"].hyperparameters, settings.species["fish"].hyperparameters
    assert bird["learning_rate"] == fish["learning_rate"] == 1e-3
    assert (bird["batch_size"], fish["batch_size"]) == (2048, 32)
    assert (bird["gamma"], fish["gamma"]) == (0.99, 1.0)
    assert type(fish["gamma"]) is float


def test_networks_differ_between_species_and_between_actor_and_critic():
    species = {"fish": {"net_arch": {"pi": [8], "vf": [16, 4]}, "activation": "tanh"}}
    architecture = kind.describe({"net_arch": [32], "species": species}, INTERFACE).architecture
    assert architecture["bird"]["net_arch"] == {"pi": [32], "vf": [32]}
    assert architecture["fish"]["net_arch"] == {"pi": [8], "vf": [16, 4]}
    assert (architecture["bird"]["activation"], architecture["fish"]["activation"]) == ("relu", "tanh")


def test_every_fault_is_told_at_once_with_its_key():
    settings = {
        "learning_rte": 1e-3,
        "n_steps": 0,
        "device": "gpu",
        "gamma": 1.5,
        "species": {"brd": {}, "fish": {"batch_size": 1, "n_epochs": 2.5, "n_steps": 3, "lerning_rate": 1}},
    }
    assert faults_of(settings) == (
        "learning_rte: unknown key; did you mean 'learning_rate'?",
        "n_steps: must be an int ≥ 1, got 0",
        "device: must be one of auto, cpu, cuda, got 'gpu'",
        "gamma: must be a finite float ≥ 0 and ≤ 1, got 1.5",
        "species.brd: unknown species; did you mean 'bird'?",
        "species.fish.n_steps: holds for all species; give it as 'n_steps' at the top",
        "species.fish.lerning_rate: unknown key; did you mean 'learning_rate'?",
        "species.fish.batch_size: must be an int ≥ 2, got 1",
        "species.fish.n_epochs: must be an int ≥ 1, got 2.5",
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", "3e-4"),
        ("ent_coef", True),
        ("reward_scale", -1),
        ("target_kl", 0),
        ("normalize_advantage", 1),
        ("activation", "rellu"),
        ("activation", ["relu"]),
        ("net_arch", 64),
        ("net_arch", [0]),
        ("net_arch", {"pi": [64]}),
        ("species", ["bird"]),
        ("species", {"bird": 3}),
    ],
)
def test_an_illegal_value_is_one_line_that_names_key_and_value(key, value):
    (fault,) = faults_of({key: value})
    assert fault.startswith(key)
    assert "\n" not in fault


@pytest.mark.parametrize("given", [{}, {"target_kl": None}, {"target_kl": 0.02, "normalize_advantage": False}])
def test_legal_settings_pass(given):
    kind.describe(given, INTERFACE)


@pytest.mark.parametrize(
    ("observation", "action", "named"),
    [
        (spaces.Discrete(3), spaces.Discrete(2), "Discrete(3)"),
        (spaces.Dict({"a": spaces.Box(0, 1)}), spaces.Discrete(2), "Dict"),
        (spaces.Box(0, 1, ()), spaces.Discrete(2), "Box"),
        (spaces.Box(0, 1, (4,)), spaces.Box(0, 1, (2,)), "Box(0.0, 1.0, (2,), float32)"),
        (spaces.Box(0, 1, (4,)), spaces.MultiDiscrete([2, 2]), "MultiDiscrete([2 2])"),
        (spaces.Box(0, 1, (4,)), spaces.Discrete(2, start=1), "start=1"),
    ],
)
def test_spaces_that_ppo_cannot_deal_with_are_named_with_their_species(observation, action, named):
    (fault,) = faults_of({}, Interface(("owl",), {"owl": observation}, {"owl": action}))
    assert fault.startswith("owl: ")
    assert named in fault


@pytest.mark.parametrize("learner", [kind, random_kind])
def test_a_config_without_an_environment_is_a_clear_error(learner):
    empty = Interface((), {}, {})
    for refuse in (lambda: learner.describe({}, empty), lambda: learner.build({}, INTERFACE, None, 0)):
        with pytest.raises(UserError, match="environment: this learner needs one"):
            refuse()


@pytest.mark.parametrize(
    ("settings", "faults"),
    [
        (
            {"species": {"fish": {"max_hidden_units": 8}}},
            ("species.fish.max_hidden_units: must be at least 64, as fish's net_arch has, got 8",),
        ),
        (
            {"max_hidden_units": 70, "species": {"fish": {"net_arch": [80]}}},
            ("max_hidden_units: must be at least 80, as fish's net_arch has, got 70",),
        ),
    ],
)
def test_a_greatest_width_that_is_too_small_is_named_where_it_stands(settings, faults):
    assert faults_of(settings) == faults


def test_no_level_of_the_state_and_no_group_of_metrics_can_be_a_species():
    learner = kind.build({"n_steps": 4, "batch_size": 8}, INTERFACE, ToyWorlds(), 0)
    said = {*learner.get_state(), *learner.update().metrics}
    groups = {name.split("/")[0] for name in said} - {*INTERFACE.species}
    assert groups >= {"worlds", "episodes", "guests", "time"}
    box = spaces.Box(0, 1, (4,), np.float32)
    for name in groups:
        (fault,) = faults_of({}, Interface((name,), {name: box}, {name: spaces.Discrete(2)}))
        assert fault.startswith(f"{name}: not a name for a species")


@pytest.mark.parametrize("name", ["worlds", "guests", "a/b", "time"])
def test_a_species_may_not_be_called_like_a_part_of_the_state(name):
    box = spaces.Box(0, 1, (4,), np.float32)
    (fault,) = faults_of({}, Interface((name,), {name: box}, {name: spaces.Discrete(2)}))
    assert fault.startswith(f"{name}: not a name for a species")
