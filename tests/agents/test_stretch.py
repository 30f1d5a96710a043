import numpy as np
import pytest

from agents.generators import generator_state, restore_generator
from agents.stretch import EpisodeLog, ecology_rates, read_counters
from tests.agents.toy_worlds import ToyEpisode, ToyWorlds


def episode(length, counted=True):
    return ToyEpisode(0, length, counted, {"bird": 1.0, "fish": 2.0}, {})


def test_an_episode_that_began_before_the_adoption_is_not_own():
    log = EpisodeLog(("bird", "fish"))
    for _ in range(5):
        log.after_step([])
    log.mark_adopted("fish")
    for _ in range(3):
        log.after_step([])
    log.after_step([episode(4), episode(5), episode(9)])
    assert [finished.own["fish"] for finished in log.drain()] == [True, False, False]
    assert log.drain() == ()


def test_adoptions_survive_a_restart():
    log, resumed = EpisodeLog(("bird", "fish")), EpisodeLog(("bird", "fish"))
    log.after_step([])
    log.mark_adopted("fish")
    resumed.set_state(log.get_state())
    resumed.after_step([episode(2)])
    assert dict(resumed.drain()[0].own) == {"bird": True, "fish": False}


def test_shortened_first_episodes_are_dropped():
    log = EpisodeLog(("bird", "fish"))
    log.after_step([episode(1, counted=False), episode(1)])
    assert len(log.drain()) == 1


def test_counters_become_rates_and_mean_populations():
    before = {"bird/births": 10.0, "bird/population": 100.0, "env_steps": 0.0}
    after = {"bird/births": 30.0, "bird/population": 700.0, "env_steps": 200.0, "blocked": 1.0}
    assert ecology_rates(before, after, 200) == {
        "rates/bird/births_per_1000_env_steps": 100.0,
        "ecology/bird_population": 3.0,
        "rates/blocked_per_1000_env_steps": 5.0,
    }


def test_worlds_need_not_count_anything():
    assert read_counters(ToyWorlds())["env_steps"] == 0
    assert read_counters(object()) == {}


def test_a_generator_goes_on_from_its_state_also_in_the_middle_of_a_draw():
    rng = np.random.default_rng(3)
    rng.integers(0, 5, dtype=np.uint32)
    state = generator_state(rng)
    expected = rng.random(4).tolist(), rng.integers(0, 5, 4, dtype=np.uint32).tolist()
    other = np.random.default_rng(4)
    restore_generator(other, state)
    assert (other.random(4).tolist(), other.integers(0, 5, 4, dtype=np.uint32).tolist()) == expected


def test_a_state_of_another_kind_of_generator_is_refused():
    with pytest.raises(ValueError, match="PCG64"):
        generator_state(np.random.Generator(np.random.MT19937(0)))
    with pytest.raises(ValueError, match=r"must be \(6,\) uint64"):
        restore_generator(np.random.default_rng(0), np.zeros(5, np.uint64))
