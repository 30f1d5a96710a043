"""The batched face of predator, prey, grass."""

import numpy as np
import pytest
from ppg_configs import CONFIGS, CROWDED

from envs.predator_prey_grass import parallel_env
from tests.contracts.worlds import ParametersContract, ShapingContract, WorldsContract

SHORT = {"max_steps": 40}


class TestWorlds(ShapingContract, ParametersContract):
    make_worlds = staticmethod(lambda: parallel_env(**SHORT).batched(5))


class TestCrowdedWorlds(ShapingContract):
    make_worlds = staticmethod(lambda: parallel_env(**CROWDED).batched(4))
    num_steps = 150


class TestRawWorlds(WorldsContract):
    make_worlds = staticmethod(lambda: parallel_env(**SHORT, observation_dtype="float32").batched(3))


def started(num_worlds, seed=0, **rules):
    worlds = parallel_env(**rules).batched(num_worlds)
    worlds.reset(seed)
    return worlds


def random_actions(worlds, draws):
    return [draws.integers(0, 9, rows) for rows in worlds.rows()]


@pytest.mark.parametrize("config", CONFIGS)
def test_worlds_stepped_together_are_the_worlds_stepped_alone(config):
    together = started(4, **CONFIGS[config])
    alone = [parallel_env(**CONFIGS[config]).batched(1) for _ in range(4)]
    shared = ("parameters", "totals", "total_steps")
    for b, world in enumerate(alone):
        world.set_state({name: a if name in shared else a[b : b + 1] for name, a in together.get_state().items()})
    draws = np.random.default_rng(1)
    for _ in range(100):
        actions = random_actions(together, draws)
        owners = [together.worlds_of(s) for s in range(2)]
        result = together.step(actions)
        for b, world in enumerate(alone):
            mine = world.step([given[owner == b] for given, owner in zip(actions, owners, strict=True)])
            for s in range(2):
                assert np.array_equal(mine.rewards[s], result.rewards[s][owners[s] == b])
                assert np.array_equal(mine.ended[s], result.ended[s][owners[s] == b])
    for b, world in enumerate(alone):
        for name, array in world.get_state().items():
            assert name in shared or np.array_equal(array[0], together.get_state()[name][b])


def test_next_rows_lead_to_the_same_individual():
    worlds, draws = started(8, max_steps=50), np.random.default_rng(2)
    for _ in range(120):
        before = [(worlds.worlds_of(s), worlds.ids(s)) for s in range(2)]
        result = worlds.step(random_actions(worlds, draws))
        for s, (owners, ids) in enumerate(before):
            lives = result.next_rows[s] >= 0
            links = result.next_rows[s][lives]
            assert np.array_equal(worlds.worlds_of(s)[links], owners[lives])
            assert np.array_equal(worlds.ids(s)[links], ids[lives])


def test_rows_are_ordered_by_world_and_age():
    worlds, draws = started(6, max_steps=80), np.random.default_rng(3)
    for _ in range(100):
        worlds.step(random_actions(worlds, draws))
        for s in range(2):
            keys = worlds.worlds_of(s) * 10_000 + worlds.ids(s)
            assert (np.diff(keys) > 0).all()


def test_worlds_time_out_evenly_spread():
    worlds = started(4, max_steps=40, species={"predator": {"decay": 0.0}})
    draws, ends = np.random.default_rng(0), []
    for step in range(1, 41):
        ends += [(step, e.length, e.counted) for e in worlds.step(random_actions(worlds, draws)).episodes]
    assert ends == [(10, 10, False), (20, 20, False), (30, 30, False), (40, 40, True)]


def test_rewards_are_ten_per_birth():
    worlds, draws, rewards = started(8, max_steps=60), np.random.default_rng(4), np.zeros(2)
    for _ in range(200):
        rewards += [r.sum() for r in worlds.step(random_actions(worlds, draws)).rewards]
    counters = worlds.counters()
    assert rewards.tolist() == [10 * counters["predator/births"], 10 * counters["prey/births"]]
    assert rewards[1] > 0


def test_counters_grow_with_every_step_and_agree_with_the_episodes():
    worlds, draws, episodes = started(6, max_steps=60), np.random.default_rng(5), []
    before = worlds.counters()
    assert set(before.values()) == {0.0}
    for step in range(1, 200):
        episodes += worlds.step(random_actions(worlds, draws)).episodes
        now = worlds.counters()
        assert now["env_steps"] == 6 * step
        assert all(now[tag] >= value for tag, value in before.items())
        before = now
    for counter, tag in (
        ("prey/births", "prey/births"),
        ("prey/deaths_eaten", "prey/eaten"),
        ("predator/deaths_starved", "predator/starved"),
    ):
        assert 0 < sum(each.metrics[tag] for each in episodes) <= before[counter]


def test_energy_is_neither_made_nor_lost():
    worlds, draws, errors = started(6, max_steps=150), np.random.default_rng(6), []
    for _ in range(400):
        errors += [e.metrics["energy_error"] for e in worlds.step(random_actions(worlds, draws)).episodes]
    assert len(errors) > 10
    assert np.abs(errors).max() < 1e-8


@pytest.mark.parametrize("action", [-1, 9, 10**12])
def test_an_action_out_of_range_is_refused_before_anything_happens(action):
    worlds = started(3)
    before = worlds.get_state()
    actions = [np.full(rows, 4) for rows in worlds.rows()]
    actions[1][-1] = action
    with pytest.raises(ValueError, match=rf"actions: must be in 0\.\.8, got {action}"):
        worlds.step(actions)
    assert all(np.array_equal(array, before[name]) for name, array in worlds.get_state().items())


def test_a_position_outside_the_world_is_refused():
    worlds = started(2)
    state = worlds.get_state()
    state["traits"][0, 0, 0, 0] = 1000
    with pytest.raises(ValueError, match=r"state\.traits x: must be in 0\.\.24, got 0\.\.1000"):
        worlds.set_state(state)


def test_acting_before_the_first_reset_is_refused():
    with pytest.raises(RuntimeError, match="reset"):
        parallel_env().batched(2).step([np.zeros(0, np.int64)] * 2)


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((3, 7, 7, 4), np.uint8),
        np.zeros((99, 7, 7, 4), np.float32),
        np.zeros((99, 9, 9, 4), np.uint8),
        np.zeros((99, 7, 7, 8), np.uint8)[..., ::2],
    ],
)
def test_an_array_that_observations_do_not_fit_into_is_refused(out):
    with pytest.raises(ValueError, match="out: must be uint8, C-contiguous"):
        started(2).observe(0, out)


def test_no_worlds_at_all_are_refused():
    with pytest.raises(ValueError, match="num_worlds: must be at least 1, got 0"):
        parallel_env().batched(0)


def test_random_policies_live_as_long_as_they_should():
    """Spec, section 7: 190–235 steps, predators extinct in 85–91 %, 10–15 % reach the end, ~6 predators, 25–32 prey."""
    worlds, draws, alive, first = started(200, seed=7), np.random.default_rng(7), np.zeros(2), {}
    in_phase = worlds.get_state()
    in_phase["clock"][:] = 0
    worlds.set_state(in_phase)
    for _ in range(1000):
        alive += worlds.rows()
        ended = worlds.step(random_actions(worlds, draws)).episodes
        for b, episode in zip(np.flatnonzero(worlds.get_state()["clock"][:, 0] == 0), ended, strict=True):
            first.setdefault(b, episode)
    assert len(first) == 200
    assert 175 < np.mean([e.length for e in first.values()]) < 250
    assert 0.82 < np.mean([e.metrics["extinct/predator"] for e in first.values()]) < 0.93
    assert 0.07 < np.mean([e.metrics["survived"] for e in first.values()]) < 0.18
    predators, prey = alive / 1000 / 200
    assert 4.5 < predators < 7.5
    assert 23 < prey < 34
