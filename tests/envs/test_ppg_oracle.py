"""The kernel against the oracle: the same bits."""

import numpy as np
import pytest
from oracle import OracleWorld
from ppg_configs import CONFIGS

from envs.predator_prey_grass import parallel_env
from envs.predator_prey_grass.batched import Worlds
from envs.predator_prey_grass.layout import BORN, ID, PARENT, X, Y
from envs.predator_prey_grass.rules import make_rules

STEPS = {"base": 50, "crowded": 150, "few_ids": 100, "tiny_steps": 20, "raw": 80, "one_line": 80}
NUM_WORLDS = 3


def start_both(config, seed):
    rules = make_rules(**CONFIGS[config])
    worlds = Worlds(rules, NUM_WORLDS)
    worlds.reset(seed)
    seeds = np.random.SeedSequence(seed).generate_state(NUM_WORLDS, np.uint64).tolist()
    return worlds, [OracleWorld(rules, seeds[b], b * rules.max_steps // NUM_WORLDS) for b in range(NUM_WORLDS)]


def assert_same_state(worlds, oracles):
    state = worlds.get_state()
    for b, oracle in enumerate(oracles):
        assert int(state["generator"][b]) == oracle.random.state
        height = oracle.rules.height
        assert state["grass_cells"][b].tolist() == [x * height + y for x, y in oracle.grass]
        assert state["grass_energy"][b].tolist() == list(oracle.grass.values())
        for s, animals in enumerate(oracle.animals.values()):
            traits, alive = state["traits"][b, s], int(state["population"][b, s])
            expected = [(a.place[0], a.place[1], a.number, a.parent, a.born) for a in animals]
            assert traits[[X, Y, ID, PARENT, BORN], :alive].T.tolist() == [list(row) for row in expected]
            assert state["energy"][b, s, :alive].tolist() == [a.energy for a in animals]


def assert_same_observations(worlds, oracles):
    for s, space in enumerate(worlds.observation_spaces.values()):
        expected = [o.observe(a.species, a.place) for o in oracles for a in list(o.animals.values())[s]]
        out = np.full((worlds.rows()[s] + 1, *space.shape), 7, space.dtype)
        assert worlds.observe(s, out) == len(expected) == worlds.rows()[s]
        assert np.array_equal(out[:-1], np.array(expected, space.dtype).reshape(-1, *space.shape))
        assert (out[-1] == 7).all()


def assert_same_outcome(outcome, oracles, verdicts, last_seen):
    for s in range(len(outcome.rewards)):
        acted = [(animal, v) for o, v in zip(oracles, verdicts, strict=True) for animal in list(o.acted.values())[s]]
        assert outcome.rewards[s].tolist() == [animal.reward for animal, _ in acted]
        assert outcome.ended[s].tolist() == [1 if animal.cause else verdict for animal, verdict in acted]
        assert np.array_equal(outcome.truncated_observations[s], last_seen[s])


def assert_same_terms(worlds, oracles):
    for s, (name, terms) in enumerate(worlds.shaping_terms.items()):
        expected = [
            {
                "catch": float(animal.meal > 0),
                "graze": float(animal.meal > 0),
                "energy": np.float32(animal.meal),
                "survive": float(animal.cause is None),
                "starved": float(animal.cause == "starved"),
                "eaten": float(animal.cause == "eaten"),
            }
            for oracle in oracles
            for animal in oracle.acted[name]
        ]
        told = worlds.shaping(s)
        assert told.dtype == np.float32
        assert told.tolist() == [[row[term] for term in terms] for row in expected]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("config", CONFIGS)
def test_the_kernel_does_what_the_oracle_does_bit_for_bit(config, seed):
    worlds, oracles = start_both(config, seed)
    draws = np.random.default_rng(seed)
    for _ in range(STEPS[config]):
        assert_same_state(worlds, oracles)
        assert_same_observations(worlds, oracles)
        actions = [draws.integers(0, 9, rows) for rows in worlds.rows()]
        outcome = worlds.step(actions)
        offsets, verdicts, last_seen = [0] * len(actions), [], [[] for _ in actions]
        for oracle in oracles:
            mine = {}
            for s, (name, animals) in enumerate(oracle.animals.items()):
                mine[name] = actions[s][offsets[s] : offsets[s] + len(animals)]
                offsets[s] += len(animals)
            verdicts.append(oracle.step(mine))
            if verdicts[-1] == 2:
                for s, animals in enumerate(oracle.acted.values()):
                    last_seen[s] += [oracle.observe(a.species, a.place) for a in animals if a.cause is None]
        shapes = [(-1, *space.shape) for space in worlds.observation_spaces.values()]
        dtype = worlds.rules.observation_dtype
        expected = [np.array(rows, dtype).reshape(shape) for rows, shape in zip(last_seen, shapes, strict=True)]
        assert_same_outcome(outcome, oracles, verdicts, expected)
        assert_same_terms(worlds, oracles)
        ended = [oracle for oracle, verdict in zip(oracles, verdicts, strict=True) if verdict]
        assert_same_episodes(outcome.episodes, ended)
        for oracle in ended:
            oracle.clock = 0
            oracle.reset()


def assert_same_episodes(episodes, oracles):
    assert len(episodes) == len(oracles)
    for episode, oracle in zip(episodes, oracles, strict=True):
        assert episode.length == oracle.clock - oracle.started
        assert episode.counted == (oracle.started == 0)
        for name, counts in oracle.counts.items():
            metrics = episode.metrics
            meals = metrics[f"{name}/kills"] if name == "predator" else metrics[f"{name}/grazed"]
            assert meals == counts["meals"]
            for tag in ("births", "births_blocked", "eaten", "starved"):
                assert metrics[f"{name}/{tag}"] == counts[tag]
            deaths = counts["eaten"] + counts["starved"]
            assert metrics[f"{name}/age_at_death_mean"] == (counts["ages"] / deaths if deaths else 0)
            assert episode.returns[name] == 10 * counts["births"]
            assert abs(metrics["energy_error"]) < 1e-8


@pytest.mark.parametrize("config", CONFIGS)
def test_the_pettingzoo_face_shows_what_the_oracle_sees_to_the_dead_and_the_newborn_too(config):
    face, draws, dead, newborn = parallel_env(**CONFIGS[config]), np.random.default_rng(0), 0, 0
    for seed in range(3):
        face.reset(seed=seed)
        oracle = OracleWorld(face.rules, int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]))
        for _ in range(60 if face.agents else 0):
            actions = {name: int(draws.integers(9)) for name in face.agents}
            grouped = {s: [a for name, a in actions.items() if face.species_of(name) == s] for s in face.species}
            observations, rewards, terminations, truncations, infos = face.step(actions)
            verdict = oracle.step(grouped)
            acted = {f"{a.species.name}_{a.number}": a for each in oracle.acted.values() for a in each}
            here = {f"{a.species.name}_{a.number}": a for each in oracle.animals.values() for a in each}
            told = acted if verdict else acted | here
            assert set(observations) == set(told)
            assert face.agents == ([] if verdict else list(here))
            for name, animal in told.items():
                assert np.array_equal(observations[name], oracle.observe(animal.species, animal.place))
                assert rewards[name] == animal.reward
                assert terminations[name] == (animal.cause is not None or verdict == 1)
                assert truncations[name] == (animal.cause is None and verdict == 2)
                assert infos[name]["age"] == oracle.clock - animal.born
                assert infos[name]["cause"] == (animal.cause or ("extinction" if verdict == 1 else None))
            dead += sum(animal.cause is not None for animal in acted.values())
            newborn += len(told) - len(acted)
            if verdict:
                break
    assert config == "tiny_steps" or (dead and newborn), "nobody died or was born: the test saw nothing"
