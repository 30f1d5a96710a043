"""Pictures of predator, prey, grass."""

import os
import subprocess
import sys

import numpy as np
import pytest

from envs.predator_prey_grass import parallel_env
from envs.predator_prey_grass.picture import BIRTH, COLOURS, DEATH, LUSH


def has(picture, colour):
    return bool((np.abs(picture.astype(int) - colour).max(axis=-1) <= 2).any())


def played(steps, seed=0, mode="rgb_array", **rules):
    face = parallel_env(render_mode=mode, **rules)
    face.reset(seed=seed)
    draws = np.random.default_rng(seed)
    for _ in range(steps):
        if face.agents:
            face.step({name: int(draws.integers(9)) for name in face.agents})
    return face


def test_shows_both_species_and_grass():
    picture = played(0).render()
    assert picture.dtype == np.uint8
    assert 480 <= picture.shape[1] <= 640
    assert all(has(picture, colour) for colour in (COLOURS["predator"][0], COLOURS["prey"][0], LUSH))


def test_marks_births_and_deaths_in_the_step_they_happen_and_not_later():
    face, draws, seen = played(0, seed=1), np.random.default_rng(1), set()
    for _ in range(50):
        names = set(face.agents)
        _, _, _, _, infos = face.step({name: int(draws.integers(9)) for name in face.agents})
        grid, causes = face.render()[:540], {info["cause"] for info in infos.values()}
        assert has(grid, BIRTH) == bool(set(infos) - names)
        assert has(grid, DEATH) == ("eaten" in causes)
        seen |= causes | ({"birth"} if set(infos) - names else set())
    assert {"birth", "eaten"} <= seen


def test_energy_shows_in_size():
    colour = np.array(COLOURS["prey"][0])
    thin, fat = (
        (played(0, species={"prey": {"initial_energy": energy}}).render() == colour).all(axis=-1).sum()
        for energy in (0.5, 8.0)
    )
    assert fat > 1.5 * thin


@pytest.mark.parametrize("rules", [{"width": 60, "height": 12}, {"width": 1, "height": 30, "grass": {"count": 9}}])
def test_draws_grids_of_any_shape(rules):
    assert played(5, **rules).render().ndim == 3


def test_the_chart_follows_a_long_episode():
    face = played(300, max_steps=300, species={"predator": {"decay": 0.0}})
    assert has(face.render()[560:], COLOURS["prey"][0])


def test_text_shows_every_animal():
    text = played(0, mode="ansi").render()
    head, *grid = text.splitlines()
    assert head == "step 0/1000 · 6 predator · 8 prey"
    assert len(grid) == 25
    assert (sum(line.count("P") for line in grid), sum(line.count("p") for line in grid)) == (6, 8)


def test_rendering_changes_nothing():
    watched, unwatched = played(30, seed=4), played(30, seed=4, mode=None)
    watched.render()
    watched_state, unwatched_state = watched.get_state(), unwatched.get_state()
    assert all(np.array_equal(array, unwatched_state[name]) for name, array in watched_state.items())


def test_rendering_without_a_mode_is_refused():
    with pytest.raises(ValueError, match="render: needs a render_mode, one of rgb_array, ansi, human"):
        played(0, mode=None).render()


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="render_mode: must be one of rgb_array, ansi, human, got 'movie'"):
        parallel_env(render_mode="movie")


def test_a_window_opens_and_closes():
    pytest.importorskip("pygame")
    code = (
        "from envs.predator_prey_grass import parallel_env\n"
        "face = parallel_env(render_mode='human'); face.reset(seed=0)\n"
        "face.step(dict.fromkeys(face.agents, 4)); assert face.render() is None; face.close(); face.close()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "SDL_VIDEODRIVER": "dummy"})
