"""The rules as data."""

import dataclasses

import pytest

from envs.predator_prey_grass.rules import PRESETS, make_rules


def test_the_preset_is_what_the_specification_says():
    rules = make_rules()
    assert (rules.width, rules.height, rules.max_steps, rules.observation_dtype) == (25, 25, 1000, "uint8")
    assert dataclasses.astuple(rules.grass) == (100, 2.0, 2.0, 0.04)
    predator, prey = rules.species
    assert dataclasses.astuple(predator) == ("predator", "predator", 6, 5.0, 0.15, 12.0, 7, 40, 2000)
    assert dataclasses.astuple(prey) == ("prey", "prey", 8, 3.0, 0.05, 8.0, 9, 100, 2000)


def test_changes_reach_the_field_they_name_and_no_other():
    rules = make_rules(max_steps=50, grass={"growth": 1}, species={"prey": {"initial_count": 20}})
    assert (rules.max_steps, rules.grass.growth, rules.species[1].initial_count) == (50, 1.0, 20)
    assert rules.species[0] == PRESETS["base"].species[0]
    assert isinstance(rules.grass.growth, float)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"max_stepz": 3}, "max_stepz: unknown key; did you mean 'max_steps'?"),
        (
            {"zebra": 3},
            "zebra: unknown key; must be one of grass, height, max_steps, observation_dtype, preset, species, width",
        ),
        ({"preset": "bass"}, "preset: must be one of base, got 'bass'"),
        ({"max_steps": 0}, "max_steps: must be in [1, 1e+09], got 0"),
        ({"max_steps": 3.0}, "max_steps: must be a whole number, got 3.0"),
        ({"width": True}, "width: must be a whole number, got True"),
        ({"grass": 3}, "grass: must be a mapping, got 3"),
        ({"species": ["prey"]}, "species: must be a mapping, got ['prey']"),
        ({"grass": {"growht": 1}}, "grass.growht: unknown key; did you mean 'growth'?"),
        ({"grass": {"growth": float("nan")}}, "grass.growth: must be in [0, 1e+06], got nan"),
        ({"grass": {"growth": "much"}}, "grass.growth: must be a number, got 'much'"),
        ({"grass": {"initial_energy": 3.0}}, "grass.initial_energy: must be at most grass.max_energy = 2, got 3"),
        ({"grass": {"count": 626}}, "grass.count: must be at most width × height = 625, got 626"),
        ({"species": {"preys": {}}}, "species.preys: unknown key; did you mean 'prey'?"),
        ({"species": {"prey": {"window": 4}}}, "species.prey.window: must be odd, got 4"),
        (
            {"species": {"prey": {"initial_count": 101}}},
            "species.prey.initial_count: must be at most slots and ids = 100, got 101",
        ),
        (
            {"species": {"prey": {"birth_energy": 2}}},
            "species.prey.birth_energy: must be at least initial_energy = 3, got 2",
        ),
        (
            {"width": 3, "height": 4, "grass": {"count": 1}},
            "species: initial counts must fit on width × height = 12 cells, got 14",
        ),
        ({"observation_dtype": "uint16"}, "observation_dtype: must be one of uint8, float32, got 'uint16'"),
    ],
)
def test_a_fault_is_told_in_one_line(changes, fault):
    with pytest.raises(ValueError) as caught:
        make_rules(**changes)
    assert str(caught.value) == fault


def test_all_faults_are_told_at_once():
    with pytest.raises(ValueError) as caught:
        make_rules(max_stepz=3, width=0, grass={"count": -1}, species={"prey": {"slot": 3}, "fox": {}})
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "max_stepz",
        "width",
        "grass.count",
        "species.fox",
        "species.prey.slot",
    ]
