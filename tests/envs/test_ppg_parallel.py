"""The PettingZoo faces of predator, prey, grass."""

import multiprocessing
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, render_test, seed_test
from pettingzoo.test.state_test import state_test
from ppg_configs import CONFIGS, CROWDED

from envs.predator_prey_grass import env, parallel_env, predator_prey_grass_v0, raw_env


def random_actions(face, draws):
    return {name: int(draws.integers(9)) for name in face.agents}


def play(face, seed, steps):
    """Yields who was there before, and what the step gave."""
    draws = np.random.default_rng(seed)
    for _ in range(steps):
        if not face.agents:
            return
        before = list(face.agents)
        yield before, face.step(random_actions(face, draws))


@pytest.fixture(autouse=True)
def _without_a_screen(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


@pytest.mark.parametrize("config", CONFIGS)
def test_passes_the_tests_of_pettingzoo(config):
    rules = {**CONFIGS[config], "max_steps": min(CONFIGS[config].get("max_steps", 60), 60)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they speak of spare ids, an infinite bound, two sizes of observation
        parallel_api_test(parallel_env(**rules), num_cycles=100)
        api_test(env(**rules), num_cycles=30)
        state_test(raw_env(**rules), parallel_env(**rules), num_cycles=20)
    parallel_seed_test(lambda: parallel_env(**rules), num_cycles=50)
    seed_test(lambda: env(**rules), num_cycles=20)


def test_passes_the_render_test_of_pettingzoo():
    pytest.importorskip("pygame")
    render_test(lambda render_mode: env(render_mode=render_mode, max_steps=30))


def test_is_named_and_versioned_as_pettingzoo_names_its_own():
    assert str(predator_prey_grass_v0.parallel_env()) == str(predator_prey_grass_v0.env()) == "predator_prey_grass_v0"
    assert predator_prey_grass_v0.raw_env is raw_env


@pytest.mark.parametrize("config", ["base", "crowded", "raw"])
def test_four_hundred_steps_are_a_function_of_the_seed(config):
    faces = [parallel_env(**CONFIGS[config]) for _ in range(2)]
    for seed in range(4):
        assert data_equivalence(faces[0].reset(seed=seed), faces[1].reset(seed=seed))
        for (_, one), (_, other) in zip(play(faces[0], seed, 400), play(faces[1], seed, 400), strict=True):
            assert data_equivalence(one, other)


def test_reset_without_a_seed_goes_on_with_the_generator():
    one, other = parallel_env(), parallel_env()
    for face in (one, other):
        face.reset(seed=1)
    assert data_equivalence(one.reset(), other.reset())
    first, second = one.reset(seed=1), one.reset()
    assert not data_equivalence(first, second)


def test_different_seeds_give_different_worlds():
    face = parallel_env()
    assert not data_equivalence(face.reset(seed=1), face.reset(seed=2))


@pytest.mark.parametrize("config", CONFIGS)
def test_the_five_dictionaries_hold_those_that_acted_and_the_newborn(config):
    face = parallel_env(**CONFIGS[config])
    for seed in range(5):
        face.reset(seed=seed)
        ever = set(face.agents)
        for before, dicts in play(face, seed, 200):
            observations, rewards, terminations, truncations, infos = dicts
            newborn = set(face.agents) - set(before)
            assert all(set(each) == set(before) | newborn for each in dicts)
            assert not newborn & ever, "an id never returns"
            ever |= newborn
            ended = {name for name in before if terminations[name] or truncations[name]}
            assert set(face.agents) == (set(before) - ended) | newborn
            assert all(infos[name]["age"] == 0 and rewards[name] == 0 for name in newborn)
            assert all(infos[name]["parent"] in before for name in newborn)
            for name, seen in observations.items():
                assert face.observation_space(name).contains(seen)
        assert ever <= set(face.possible_agents)


def test_nobody_is_announced_on_the_step_that_ends_the_episode():
    endings = 0
    for seed in range(20):
        face = parallel_env(**CROWDED)
        face.reset(seed=seed)
        for before, (_, rewards, terminations, truncations, _) in play(face, seed, 500):
            if not face.agents:
                endings += sum(rewards.values()) > 0
                assert set(rewards) == set(before)
                assert all(terminations[name] != truncations[name] for name in before)
    assert endings > 0, "no birth fell on a last step: the test saw nothing"


def test_infos_tell_parent_age_and_cause_of_death():
    face, causes = parallel_env(max_steps=300), []
    for seed in range(5):
        face.reset(seed=seed)
        ages = dict.fromkeys(face.agents, 0)
        for before, (_, _, terminations, _, infos) in play(face, seed, 300):
            for name in before:
                ages[name] += 1
                assert infos[name]["age"] == ages[name]
                assert (infos[name]["cause"] is not None) == terminations[name]
                causes.append(infos[name]["cause"])
            ages |= {name: 0 for name in face.agents if name not in ages}
    assert {"eaten", "starved", "extinction", None} == set(causes)


def test_survivors_truncate_on_exactly_the_last_step():
    face = parallel_env(max_steps=7)
    face.reset(seed=0)
    steps = [dicts for _, dicts in play(face, 0, 100)]
    assert len(steps) == 7
    assert not any(any(dicts[3].values()) for dicts in steps[:-1])
    assert all(steps[-1][3].values())
    assert face.step({}) == ({}, {}, {}, {}, {})


def test_survivors_terminate_when_the_other_species_is_extinct():
    face = parallel_env(species={"predator": {"initial_count": 1, "decay": 3.0}})
    face.reset(seed=0)
    *_, (before, (_, _, terminations, truncations, infos)) = play(face, 0, 100)
    assert len(before) > 2
    assert all(terminations.values()) and not any(truncations.values())
    assert {infos[name]["cause"] for name in before if name.startswith("prey")} == {"extinction"}


def test_extinction_on_the_last_step_is_termination():
    face = parallel_env(max_steps=2, species={"predator": {"decay": 2.5}, "prey": {"decay": 0.0}})
    face.reset(seed=0)
    *_, (_, (_, _, terminations, truncations, _)) = play(face, 0, 10)
    assert all(terminations.values()) and not any(truncations.values())


def births_of(face):
    return 10 * float(face.get_state()["counts"][0, :, 0].sum())


@pytest.mark.parametrize("config", CONFIGS)
def test_rewards_are_ten_per_birth_through_both_faces(config):
    rules = {**CONFIGS[config], "max_steps": min(CONFIGS[config].get("max_steps", 150), 150)}
    for seed in range(3):
        face = parallel_env(**rules)
        face.reset(seed=seed)
        assert sum(sum(dicts[1].values()) for _, dicts in play(face, seed, 150)) == births_of(face)
        turns, draws, turned = env(**rules), np.random.default_rng(seed), 0.0
        turns.reset(seed=seed)
        for _ in turns.agent_iter():
            _, reward, terminated, truncated, _ = turns.last()
            turned += reward
            turns.step(None if terminated or truncated else int(draws.integers(9)))
        assert turned == births_of(turns.unwrapped)


def test_the_parallel_face_is_one_world_of_the_batched_face():
    face, worlds = parallel_env(max_steps=200), parallel_env(max_steps=200).batched(1)
    face.reset(seed=9)
    worlds.reset(9)
    draws = np.random.default_rng(9)
    for before, (_, rewards, terminations, _, _) in play(face, 9, 200):
        result = worlds.step([np.array([draws.integers(9) for _ in range(n)]) for n in worlds.rows()])
        assert np.concatenate(result.rewards).tolist() == [rewards[name] for name in before]
        assert (np.concatenate(result.ended) == 1).tolist() == [terminations[name] for name in before]
        if face.agents:
            for s in range(2):
                names = [name for name in face.agents if face.species_of(name) == worlds.species[s]]
                assert [int(name.rpartition("_")[2]) for name in names] == worlds.ids(s).tolist()


@pytest.mark.parametrize("travel", ["state", "pickle"])
def test_goes_on_bit_for_bit_from_a_saved_state(travel):
    face = parallel_env(render_mode="rgb_array")
    face.reset(seed=3)
    list(play(face, 0, 50))
    if travel == "pickle":
        other = pickle.loads(pickle.dumps(face))
    else:
        other = parallel_env(render_mode="rgb_array")
        other.set_state(face.get_state())
    assert other.agents == face.agents
    for (_, one), (_, two) in zip(play(face, 1, 100), play(other, 1, 100), strict=True):
        assert data_equivalence(one, two)
    assert np.array_equal(face.render(), other.render())
    assert data_equivalence(face.reset(), other.reset())


def test_a_pickled_face_that_was_never_reset_still_wants_a_reset():
    face = pickle.loads(pickle.dumps(parallel_env()))
    with pytest.raises(RuntimeError, match="reset"):
        face.step({})


@pytest.mark.parametrize("name", ["is_seeded", "is_over", "history", "energy"])
def test_a_state_with_something_missing_is_refused(name):
    face = parallel_env()
    face.reset(seed=0)
    state = face.get_state()
    del state[name]
    with pytest.raises(ValueError, match=rf"^state\.{name}: [^\n]+$"):
        face.set_state(state)


def test_observations_stay_what_they_were_when_the_world_goes_on():
    face = parallel_env()
    observations, _ = face.reset(seed=0)
    kept = {name: seen.copy() for name, seen in observations.items()}
    list(play(face, 0, 20))
    assert data_equivalence(observations, kept)


def test_the_state_is_the_whole_grid():
    face = parallel_env()
    observations, _ = face.reset(seed=0)
    whole = face.state()
    assert face.state_space.contains(whole)
    assert whole.shape == (25, 25, 4)
    assert np.count_nonzero(whole[..., 1]) == 6
    assert np.count_nonzero(whole[..., 2]) == 8
    assert np.count_nonzero(whole[..., 3]) == 100
    inside = observations["prey_0"][observations["prey_0"][..., 0] == 0]
    assert set(map(tuple, inside.tolist())) <= set(map(tuple, whole.reshape(-1, 4).tolist()))


def test_spaces_are_one_object_per_species():
    face = parallel_env()
    assert face.observation_space("prey_3") is face.observation_space("prey_1999")
    assert face.action_space("predator_0") is face.action_space("predator_7")
    assert face.observation_space("prey_0").shape == (9, 9, 4)
    assert face.observation_space("predator_0").shape == (7, 7, 4)
    assert len(face.possible_agents) == 4000


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda actions: actions.pop("prey_3"), "'prey_3' is missing"),
        (lambda actions: actions.update(wolf_1=4), "wolf_1"),
        (lambda actions: actions.update(prey_3=9), "0..8"),
    ],
)
def test_actions_that_do_not_fit_are_refused_before_anything_happens(change, fault):
    face = parallel_env()
    face.reset(seed=0)
    before, actions = face.get_state(), dict.fromkeys(face.agents, 4)
    change(actions)
    with pytest.raises(ValueError, match=r"^actions: ") as caught:
        face.step(actions)
    assert fault in str(caught.value)
    assert data_equivalence(face.get_state(), before)


def test_importing_opens_no_window_and_says_nothing():
    code = "import sys; import envs.predator_prey_grass; sys.exit('pygame' in sys.modules or 'marl_pbt' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def steps_of(face):
    """What a few steps bring; at the top of the module, so that a spawned process finds it."""
    return [dicts for _, dicts in play(face, 0, 5)]


def test_goes_on_in_a_spawned_process_as_it_would_here():
    face = parallel_env()
    face.reset(seed=0)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(steps_of, (face,))
    assert data_equivalence(there, steps_of(face))
