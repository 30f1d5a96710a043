"""What the worlds of predator, prey, grass offer beside rewards: shaping terms, and parameters that may change."""

import pickle

import numpy as np
import pytest
from ppg_configs import CONFIGS, CROWDED

from envs.predator_prey_grass import parallel_env
from envs.predator_prey_grass.layout import DECAY, PARENT, X, Y
from envs.predator_prey_grass.shaping import TERMS

PREDATOR, PREY = 0, 1
BARREN = {"width": 9, "height": 9, "max_steps": 50, "grass": {"count": 1, "growth": 0.0, "initial_energy": 0.0}}


def started(num_worlds=4, seed=0, **rules):
    worlds = parallel_env(**rules).batched(num_worlds)
    worlds.reset(seed)
    return worlds


def play(worlds, steps, seed=0):
    draws = np.random.default_rng(seed)
    for _ in range(steps):
        yield worlds.step([draws.integers(0, 9, rows) for rows in worlds.rows()])


def stay(worlds):
    return worlds.step([np.full(rows, 4) for rows in worlds.rows()])


def term(worlds, species, name):
    return worlds.shaping(species)[:, TERMS[("predator", "prey")[species]].index(name)]


def put(worlds, species, x, y, energy):
    """Where the first of a species stands in the first world, and what it has."""
    state = worlds.get_state()
    state["traits"][0, species, X, 0], state["traits"][0, species, Y, 0] = x, y
    state["energy"][0, species, 0] = energy
    worlds.set_state(state)


@pytest.mark.parametrize("config", CONFIGS)
def test_terms_add_up_to_what_episodes_count(config):
    worlds = started(1, **CONFIGS[config])
    tags = {"catch": "predator/kills", "graze": "prey/grazed"}
    sums, ended = dict.fromkeys((*tags, "starved", "eaten", "hunters starved"), 0.0), 0
    for result in play(worlds, 200):
        sums["catch"] += term(worlds, PREDATOR, "catch").sum()
        sums["hunters starved"] += term(worlds, PREDATOR, "starved").sum()
        for name in ("graze", "starved", "eaten"):
            sums[name] += term(worlds, PREY, name).sum()
        for episode in result.episodes:
            counted = [episode.metrics[tag] for tag in (*tags.values(), "prey/starved", "prey/eaten")]
            assert [sums[name] for name in ("catch", "graze", "starved", "eaten")] == counted
            assert sums["hunters starved"] == episode.metrics["predator/starved"]
            sums, ended = dict.fromkeys(sums, 0.0), ended + 1
    assert ended


def test_every_catch_is_a_prey_that_was_eaten_in_that_step_and_gives_its_energy():
    worlds, caught = started(8, **CROWDED), 0
    for _ in play(worlds, 80):
        catch, energy = term(worlds, PREDATOR, "catch"), term(worlds, PREDATOR, "energy")
        assert catch.sum() == term(worlds, PREY, "eaten").sum()
        assert np.array_equal(catch > 0, energy > 0)
        caught += catch.sum()
    assert caught > 20


def test_whoever_survives_neither_starved_nor_was_eaten():
    worlds, dead = started(8, **CROWDED), 0
    for _ in play(worlds, 80):
        lives = [term(worlds, s, "survive") for s in (PREDATOR, PREY)]
        assert np.array_equal(lives[PREDATOR], 1 - term(worlds, PREDATOR, "starved"))
        assert np.array_equal(lives[PREY], 1 - term(worlds, PREY, "starved") - term(worlds, PREY, "eaten"))
        dead += (lives[PREY] == 0).sum()
    assert dead > 20


def test_a_hand_made_meal_and_a_hand_made_death():
    one_each = {"predator": {"initial_count": 1}, "prey": {"initial_count": 1}}
    worlds = started(1, **BARREN, species=one_each)
    put(worlds, PREDATOR, 4, 4, 5.0)
    put(worlds, PREY, 4, 4, 2.5)
    stay(worlds)
    assert worlds.shaping(PREDATOR).tolist() == [[1.0, np.float32(2.5 - 0.05), 1.0, 0.0]]
    assert worlds.shaping(PREY).tolist() == [[0.0, 0.0, 0.0, 0.0, 1.0]]

    worlds = started(1, **BARREN, species=one_each)
    put(worlds, PREDATOR, 4, 4, 0.1)
    put(worlds, PREY, 0, 0, 2.5)
    stay(worlds)
    assert worlds.shaping(PREDATOR).tolist() == [[0.0, 0.0, 0.0, 1.0]]
    assert worlds.shaping(PREY).tolist() == [[0.0, 0.0, 1.0, 0.0, 0.0]]


def test_terms_change_neither_rewards_nor_returns_whoever_asks_for_them():
    asked, unasked = started(3, max_steps=40), started(3, max_steps=40)
    for result, other in zip(play(asked, 100), play(unasked, 100), strict=True):
        asked.shaping(PREDATOR), asked.shaping(PREY)
        assert all(np.array_equal(a, b) for a, b in zip(result.rewards, other.rewards, strict=True))
        assert result.episodes == other.episodes


def test_nobody_has_acted_yet_after_a_reset_or_in_a_restored_state():
    worlds = started()
    assert worlds.shaping(PREDATOR).shape == (0, 4)
    stay(worlds)
    assert worlds.shaping(PREY).shape == (worlds.num_worlds * 8, 5)
    worlds.set_state(worlds.get_state())
    assert worlds.shaping(PREY).shape == (0, 5)


# ------------------------------------------------------------------------------------------------------- parameters


def test_parameters_as_they_are_configured_change_nothing():
    plain, told = started(3, **CROWDED), started(3, **CROWDED)
    for species, own in told.parameters.items():
        told.set_parameters(species, {name: parameter.default for name, parameter in own.items()})
    for result, other in zip(play(plain, 100), play(told, 100), strict=True):
        assert result.episodes == other.episodes
    assert all(np.array_equal(array, told.get_state()[name]) for name, array in plain.get_state().items())


@pytest.mark.parametrize(("name", "value"), [("decay", 0.3), ("birth_energy", 6.5), ("initial_count", 3)])
def test_a_changed_parameter_is_the_same_as_another_config_from_the_next_reset_on(name, value):
    changed, configured = started(2), started(2, species={"prey": {name: value}})
    changed.set_parameters("prey", {name: value})
    changed.reset(7), configured.reset(7)
    for result, other in zip(play(changed, 150), play(configured, 150), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(result.rewards, other.rewards, strict=True))
        assert result.episodes == other.episodes
    assert changed.rows() == configured.rows()


def test_what_living_costs_and_what_a_birth_takes_change_at_once():
    worlds = started(1, **BARREN)
    before = worlds.get_state()["energy"][0, PREDATOR, 0]
    worlds.set_parameters("predator", {"decay": 0.5})
    stay(worlds)
    assert worlds.get_state()["energy"][0, PREDATOR, 0] == before - 0.5

    worlds.set_parameters("prey", {"birth_energy": 3.0})
    put(worlds, PREY, 8, 8, 4.0)
    rewards = stay(worlds).rewards[PREY]
    assert rewards[0] == 10.0
    assert worlds.get_state()["traits"][0, PREY, PARENT].max() == 0


def test_founders_are_counted_in_each_worlds_next_episode():
    worlds = started(2, max_steps=4)
    worlds.set_parameters("predator", {"initial_count": 2})
    alive = [worlds.rows()[PREDATOR]]
    for _ in range(4):
        stay(worlds)
        alive.append(worlds.rows()[PREDATOR])
    assert alive == [6 + 6, 6 + 6, 6 + 2, 6 + 2, 2 + 2]


def test_the_mean_return_per_individual_counts_the_founders_that_there_were():
    worlds, seen = started(2, **CROWDED), 0
    worlds.set_parameters("prey", {"initial_count": 2})
    worlds.reset(0)
    for result in play(worlds, 200):
        for episode in result.episodes:
            births = episode.metrics["prey/births"]
            assert episode.metrics["prey/return_per_individual"] == births * 10 / (2 + births)
            seen += births > 0
    assert seen


def test_energy_is_neither_made_nor_lost_while_parameters_change():
    worlds, draws, errors = started(4, max_steps=60), np.random.default_rng(1), []
    for result in play(worlds, 200):
        values = {"decay": float(draws.uniform(0, 0.3)), "birth_energy": float(draws.uniform(5, 15))}
        worlds.set_parameters("predator", values | {"initial_count": int(draws.integers(1, 12))})
        errors += [episode.metrics["energy_error"] for episode in result.episodes]
    assert len(errors) > 5
    assert np.abs(errors).max() < 1e-8


def test_parameters_travel_with_the_state_and_by_pickle():
    """D19: what goes on, goes on under the same rules."""
    worlds, fresh = started(2, **CROWDED), parallel_env(**CROWDED).batched(2)
    worlds.set_parameters("prey", {"decay": 0.4, "initial_count": 3})
    fresh.set_state(worlds.get_state())
    travelled = pickle.loads(pickle.dumps(worlds))
    for results in zip(*(play(each, 80) for each in (worlds, fresh, travelled)), strict=True):
        assert results[0].episodes == results[1].episodes == results[2].episodes
    assert fresh.rows() == travelled.rows() == worlds.rows()


@pytest.mark.parametrize(
    ("species", "values", "told"),
    [
        ("owl", {"decay": 0.1}, "species: must be one of predator, prey, got 'owl'"),
        ("prey", {"slots": 3}, "prey.slots: unknown parameter; must be one of initial_count, decay, birth_energy"),
        ("prey", {"decay": -0.1}, r"prey.decay: must be in \[0, 1e\+06\], got -0.1"),
        ("prey", {"decay": float("nan")}, "prey.decay: must be in .* got nan"),
        ("prey", {"birth_energy": 2.9}, r"prey.birth_energy: must be in \[3, 1e\+06\], got 2.9"),
        ("prey", {"initial_count": 101}, r"prey.initial_count: must be in \[1, 100\], whole, got 101"),
        ("prey", {"decay": 0.1, "initial_count": 2.5}, r"prey.initial_count: must be in .* whole, got 2.5"),
    ],
)
def test_a_parameter_that_is_none_or_out_of_bounds_is_refused_and_nothing_changes(species, values, told):
    worlds = started()
    before = worlds.get_state()["parameters"]
    with pytest.raises(ValueError, match=told):
        worlds.set_parameters(species, values)
    assert np.array_equal(worlds.get_state()["parameters"], before)


def test_a_state_with_illegal_parameters_is_refused():
    worlds = started()
    state = worlds.get_state()
    state["parameters"][DECAY, PREY] = -1.0
    with pytest.raises(ValueError, match=r"prey\.decay"):
        worlds.set_state(state)


@pytest.mark.parametrize("config", CONFIGS)
def test_founders_find_a_cell_each_however_many_they_may_become(config):
    worlds = started(2, **CONFIGS[config])
    for species, own in worlds.parameters.items():
        worlds.set_parameters(species, {"initial_count": int(own["initial_count"].high)})
    worlds.reset(3)
    state = worlds.get_state()
    for b in range(2):
        places = [
            (state["traits"][b, s, X, k], state["traits"][b, s, Y, k])
            for s in range(2)
            for k in range(state["population"][b, s])
        ]
        assert len(set(places)) == len(places)
    list(play(worlds, 20))
