"""Scripted policies of predator, prey, grass: what they do by hand-made sights, and how they fare."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from envs.predator_prey_grass import parallel_env, scripted
from envs.predator_prey_grass.batched import Worlds
from envs.predator_prey_grass.parallel import PredatorPreyGrass
from envs.predator_prey_grass.rules import PRESETS, Rules
from marl_pbt.protocols import OffersBaselines

WALL, PREDATOR, PREY, GRASS = range(4)
STAY = 4
WINDOWS = {"predator": 7, "prey": 9}


def sight(window, *things, dtype=np.uint8):
    """What one sees: things as (channel, dx, dy, brightness); oneself is among them where it matters."""
    view = np.zeros((1, window, window, 4), dtype)
    for channel, dx, dy, brightness in things:
        view[0, window // 2 + dx, window // 2 + dy, channel] = brightness
    return view


def action(dx, dy):
    return 3 * (dx + 1) + dy + 1


def greedy(species):
    return parallel_env().baseline("greedy", species)


def actions_taken(policy, view, times=200):
    """All that it does, over many draws."""
    return set(policy.act(np.repeat(view, times, axis=0), np.random.default_rng(0)).tolist())


class Random:
    def act(self, observations, rng, greedy=False):
        return rng.integers(9, size=len(observations))


def fast_and_slow() -> Rules:
    """Two species per role."""
    base = PRESETS["base"]
    return replace(
        base, species=tuple(replace(s, name=f"{n}_{s.name}") for s in base.species for n in ("swift", "slow"))
    )


def episodes(predator, prey, worlds=20, **rules):
    """Means over one episode in each world: length and counts."""
    face = parallel_env(**rules)
    policies = [
        Random() if name == "random" else face.baseline(name, s) for name, s in ((predator, "predator"), (prey, "prey"))
    ]
    batch, finished, rng = face.batched(worlds), {}, np.random.default_rng(0)
    batch.reset(0, in_phase=True)
    sights = [
        np.empty((rows, *batch.observation_spaces[name].shape), np.uint8)
        for rows, name in zip(batch.max_rows, batch.species, strict=True)
    ]
    while len(finished) < worlds:
        seen = [sights[s][: batch.observe(s, sights[s])] for s in range(2)]
        actions = [policy.act(each, rng) for policy, each in zip(policies, seen, strict=True)]
        for episode in batch.step(actions).episodes:
            finished.setdefault(episode.world, {"length": episode.length, **episode.metrics})
    return {tag: float(np.mean([each[tag] for each in finished.values()])) for tag in finished[0]}


@pytest.mark.parametrize(("dx", "dy"), [(3, 3), (2, -2), (-1, 1), (-3, 0), (0, 2), (1, 0)])
def test_a_hunter_goes_straight_for_the_prey_it_sees(dx, dy):
    assert actions_taken(greedy("predator"), sight(7, (PREY, dx, dy, 30))) == {action(np.sign(dx), np.sign(dy))}


def test_a_hunter_takes_the_nearest_then_the_fattest_then_any():
    nearer = sight(7, (PREY, 2, 0, 10), (PREY, -3, 0, 255))
    fatter = sight(7, (PREY, 2, 0, 30), (PREY, -2, 0, 31))
    alike = sight(7, (PREY, 2, 0, 30), (PREY, -2, 0, 30))
    assert actions_taken(greedy("predator"), nearer) == {action(1, 0)}
    assert actions_taken(greedy("predator"), fatter) == {action(-1, 0)}
    assert actions_taken(greedy("predator"), alike) == {action(1, 0), action(-1, 0)}


def test_a_hunter_walks_around_its_own_kind():
    taken = actions_taken(greedy("predator"), sight(7, (PREDATOR, 0, 0, 50), (PREDATOR, 1, 0, 50), (PREY, 3, 0, 30)))
    assert taken == {action(1, 1), action(1, -1)}


@pytest.mark.parametrize("species", ["predator", "prey"])
def test_who_sees_nothing_takes_any_move_that_is_not_into_a_wall(species):
    walls = [(WALL, 1, dy, 255) for dy in (-1, 0, 1)]
    assert actions_taken(greedy(species), sight(WINDOWS[species], *walls)) == set(range(6)) - {STAY}


@pytest.mark.parametrize("species", ["predator", "prey"])
def test_who_is_walled_in_stays(species):
    walls = [(WALL, dx, dy, 255) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy]
    assert actions_taken(greedy(species), sight(WINDOWS[species], *walls, (PREDATOR, 0, 2, 50), (PREY, 2, 0, 50))) == {
        STAY
    }


def test_a_forager_runs_from_a_near_predator_though_there_is_grass():
    view = sight(9, (PREY, 0, 0, 30), (PREDATOR, 2, 0, 50), (GRASS, 1, 0, 200), (GRASS, 0, 0, 200))
    assert actions_taken(greedy("prey"), view) == {action(-1, 1), action(-1, -1)}


def test_a_forager_runs_along_the_wall_when_its_back_is_to_it():
    walls = [(WALL, -1, dy, 255) for dy in (-1, 0, 1)]
    assert actions_taken(greedy("prey"), sight(9, *walls, (PREDATOR, 1, 1, 50))) == {action(0, -1)}


def test_a_forager_runs_from_all_that_are_near():
    beside = sight(9, (PREDATOR, 1, 1, 50), (PREDATOR, 1, -1, 50))
    gap = sight(9, (PREDATOR, 0, 1, 50), (PREDATOR, -2, -2, 50), (PREDATOR, 2, -2, 50))
    assert actions_taken(greedy("prey"), beside) == {action(-1, 1), action(-1, -1)}
    assert actions_taken(greedy("prey"), gap) == {action(0, -1)}


def test_a_forager_minds_no_predator_far_away():
    assert actions_taken(greedy("prey"), sight(9, (PREDATOR, 4, 0, 50), (GRASS, 2, 0, 200))) == {action(1, 0)}


def test_a_forager_weighs_energy_against_the_way():
    near, rich = (GRASS, 1, 0, 100), (GRASS, -3, 0, 200)
    assert actions_taken(greedy("prey"), sight(9, near, rich)) == {action(-1, 0)}
    assert actions_taken(greedy("prey"), sight(9, near, (GRASS, -4, 0, 150))) == {action(1, 0)}
    assert actions_taken(greedy("prey"), sight(9, (GRASS, 0, 0, 100), near)) == {STAY}


def test_a_forager_leaves_grass_to_whoever_stands_on_it():
    view = sight(9, (PREY, 0, 0, 30), (PREY, 2, 0, 30), (GRASS, 2, 0, 200), (GRASS, 0, 3, 40))
    assert actions_taken(greedy("prey"), view) == {action(0, 1)}


@pytest.mark.parametrize("species", ["predator", "prey"])
def test_stay_never_moves(species):
    policy = parallel_env().baseline("stay", species)
    assert actions_taken(policy, sight(WINDOWS[species], (PREDATOR, 1, 0, 50), (PREY, -1, 0, 50))) == {STAY}


def crowd(window, rows, seed, dtype=np.uint8):
    """Sights with a lot in them, in steps of the fixed point."""
    draws = np.random.default_rng(seed)
    view = draws.integers(0, 256, (rows, window, window, 4)) * (draws.random((rows, window, window, 4)) < 0.08)
    view[..., WALL] = np.where(view[..., WALL] > 0, 255, 0)
    if dtype == np.uint8:
        return view.astype(np.uint8)
    return (view / np.array([255.0, 10.0, 10.0, 100.0])).astype(np.float32)


@pytest.mark.parametrize("species", ["predator", "prey"])
@pytest.mark.parametrize("window", [1, 3, 7, 9])
def test_both_dtypes_lead_to_the_same_legal_actions(species, window):
    policy = parallel_env(species={species: {"window": window}}).baseline("greedy", species)
    as_bytes, as_energies = (
        policy.act(crowd(window, 500, 1, dtype), np.random.default_rng(2)) for dtype in (np.uint8, np.float32)
    )
    assert np.array_equal(as_bytes, as_energies)
    assert (as_bytes.dtype, as_bytes.shape) == (np.int64, (500,))
    assert set(as_bytes.tolist()) <= set(range(9))


@pytest.mark.parametrize("species", ["predator", "prey"])
def test_a_row_is_decided_by_itself_and_its_own_draws(species):
    view, policy = crowd(9, 64, 3), parallel_env(species={"predator": {"window": 9}}).baseline("greedy", species)
    whole, rng = policy.act(view, np.random.default_rng(5)), np.random.default_rng(5)
    parts = [policy.act(part, rng) for part in (view[:1], view[1:1], view[1:20], view[20:])]
    assert np.array_equal(np.concatenate(parts), whole)
    others = np.concatenate([view[:10], crowd(9, 54, 4)])
    assert np.array_equal(policy.act(others, np.random.default_rng(5))[:10], whole[:10])


def test_sights_are_left_as_they_are():
    view = crowd(9, 20, 6, np.float32)
    before = view.copy()
    greedy("prey").act(view, np.random.default_rng(0))
    assert np.array_equal(view, before)


def test_the_world_offers_them_for_every_species():
    face = PredatorPreyGrass(fast_and_slow())
    assert isinstance(face, OffersBaselines)
    worlds = Worlds(face.rules, 3)
    worlds.reset(0)
    for name in face.baselines:
        policies = [face.baseline(name, species) for species in face.species]
        for _ in range(5):
            actions = []
            for s, policy in enumerate(policies):
                out = np.empty((worlds.rows()[s], *worlds.observation_spaces[face.species[s]].shape), np.uint8)
                worlds.observe(s, out)
                actions.append(policy.act(out, np.random.default_rng(0)))
            worlds.step(actions)


def test_an_unknown_baseline_or_species_is_refused_with_what_there_is():
    with pytest.raises(ValueError, match="baseline: must be one of greedy, stay, got 'gredy'"):
        parallel_env().baseline("gredy", "prey")
    with pytest.raises(ValueError, match="species: must be one of predator, prey, got 'fox'"):
        parallel_env().baseline("greedy", "fox")


def test_foragers_outlive_random_prey_and_hunters_eat_more_than_random_ones():
    random, foraging, hunting = episodes("random", "random"), episodes("random", "greedy"), episodes("greedy", "random")
    eaten = {
        name: each["prey/eaten"] / each["length"] for name, each in (("r", random), ("f", foraging), ("h", hunting))
    }
    starts_with = 8
    assert eaten["f"] < 0.1 * eaten["r"]
    assert foraging["prey/population_max"] > 3 * starts_with
    assert eaten["h"] / hunting["prey/population_mean"] > 2 * eaten["r"] / random["prey/population_mean"]


def test_hunters_and_foragers_live_together():
    together = episodes("greedy", "greedy", worlds=8, max_steps=400)
    assert together["length"] > 350
    assert together["predator/births"] > 20
    assert together["prey/births"] > 80


def test_they_know_nothing_of_the_framework():
    modules = {
        node.module
        for node in ast.walk(ast.parse(Path(scripted.__file__).read_text()))
        if isinstance(node, ast.ImportFrom)
    }
    assert not [name for name in modules if name.startswith(("marl_pbt", "agents"))]
