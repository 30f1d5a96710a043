"""Which agents of any PettingZoo environment are of which species, and what cannot be adapted."""

from __future__ import annotations

import pytest

from marl_pbt.adapted import AdaptedWorlds, read_species
from marl_pbt.environments import EnvironmentSource
from marl_pbt.protocols import UserError
from tests.marl_pbt import adaptable_environments as toys


def named(*agents):
    environment = toys.Script()
    environment.possible_agents = list(agents)
    return environment


def test_species_are_the_prefixes_of_the_ids_unless_patterns_are_given():
    agents = named("adversary_0", "adversary_10", "agent_0", "wolf", "a_b_1", 7)
    assert read_species(agents).names == ("adversary", "agent", "wolf", "a_b", "7")
    table = read_species(agents, {"prey": ["agent_*", "[!a]*"], "predator": ["adversary_?", "adversary_1?", "a_b_*"]})
    assert table.names == ("prey", "predator")
    assert [table.species_of(agent) for agent in ("agent_0", "wolf", 7, "a_b_1")] == ["prey"] * 3 + ["predator"]
    assert table.sizes == (3, 3)


@pytest.mark.parametrize(
    ("make", "patterns", "told"),
    [
        (
            toys.Meadow,
            {"fox": ["fox_*"], "young": ["hare_?"]},
            [
                "environment.species: each of possible_agents must fit a pattern; "
                "hare_10, hare_11, hare_12 and 27 more fits none"
            ],
        ),
        (
            toys.Script,
            {"a": ["a_*"], "all": ["*"]},
            ["environment.species: a_0, a_1, a_2 must be of one species, fits a and all"],
        ),
        (
            toys.Script,
            {"a": ["a_*", "c_*"], "b": ["b_*"], "d": ["d"]},
            [
                "environment.species.a: 'c_*' fits none of possible_agents, a_0, a_1, a_2 and 1 more",
                "environment.species.d: 'd' fits none of possible_agents, a_0, a_1, a_2 and 1 more",
            ],
        ),
        (
            toys.NamesNobody,
            None,
            ["environment.make: gives an environment without possible_agents; must say there who may ever be born"],
        ),
        (
            toys.TwoKindsOfHares,
            None,
            [
                "environment.species: agents of one species must have equal spaces, the observation spaces of hare_0 "
                "and hare_7 (hare) differ: Box(-1.0, 1.0, (5,), float32) and Box(-1.0, 1.0, (6,), float32)"
            ],
        ),
        (
            toys.Meadow,
            {"all": ["*"]},
            [
                "environment.species: agents of one species must have equal spaces, the observation spaces of fox_0 "
                "and hare_0 (all) differ: Box(0, 255, (4, 3, 2), uint8) and Box(-1.0, 1.0, (5,), float32)",
                "environment.species: agents of one species must have equal spaces, the action spaces of fox_0 "
                "and hare_0 (all) differ: Discrete(3) and Discrete(4)",
            ],
        ),
        (
            toys.SeesDictionaries,
            None,
            [
                f"environment.make: the observation space of {agent} must be one of Box, MultiBinary, MultiDiscrete, "
                "got Dict('place': Box(0.0, 1.0, (2,), float32))"
                for agent in ("fox_0", "hare_0")
            ],
        ),
        (
            toys.NoSpaces,
            None,
            ["environment.make: action_space of possible_agents raised KeyError: 'fox_0'"],
        ),
    ],
)
def test_agents_that_make_no_species_are_told_in_a_line_each(make, patterns, told):
    with pytest.raises(UserError) as caught:
        AdaptedWorlds(make, 2, patterns)
    assert list(caught.value.faults) == told


TOYS = "tests.marl_pbt.adaptable_environments:"


def test_a_source_uses_an_environments_own_batched_face_where_there_is_one():
    own = EnvironmentSource("envs.predator_prey_grass:parallel_env", {}).open_worlds(2)
    adapted = EnvironmentSource(f"{TOYS}PlainPredatorPreyGrass", {}).open_worlds(2)
    assert not isinstance(own, AdaptedWorlds)
    assert isinstance(adapted, AdaptedWorlds)
    assert adapted.species == own.species


def test_a_source_gives_the_adapter_its_patterns_whatever_else_is_changed():
    source = EnvironmentSource(f"{TOYS}Meadow", {}, {"reynard": ["fox_*"], "harvey": ["hare_*"]})
    source = source.changed({"max_steps": 3})
    assert source.open_worlds(1).species == ("reynard", "harvey")
    assert source.species_in(source.open())("fox_1") == "reynard"


@pytest.mark.parametrize(
    ("make", "species", "told"),
    [
        (
            "envs.predator_prey_grass:parallel_env",
            {"all": ["*"]},
            "environment.species: must not be given, envs.predator_prey_grass:parallel_env says itself which are its "
            "species: predator, prey",
        ),
        ("builtins:dict", None, "must make a PettingZoo parallel environment, got a dict, without reset, step"),
        ("toy_environments:by_turns", None, "which is stepped by turns (AEC); give its parallel_env"),
        ("toy_environments:BatchedWithoutSpecies", None, "gives an environment with batched, without species"),
    ],
)
def test_what_a_source_cannot_open_is_told_in_a_line(make, species, told):
    with pytest.raises(UserError) as caught:
        EnvironmentSource(make, {}, species).open_worlds(1)
    (line,) = caught.value.faults
    assert told in line
