"""Pictures of predator, prey, grass."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from envs.predator_prey_grass import parallel_env
from envs.predator_prey_grass.parallel import PredatorPreyGrass
from envs.predator_prey_grass.picture import BIRTH, CHART_HEIGHT, CHART_WIDTH, COLOURS, DEATH, FIELD, LUSH, place
from envs.predator_prey_grass.rules import PRESETS


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
    assert all(has(picture, colour) for colour in (COLOURS["predator"][0], COLOURS["prey"][0], LUSH))


def test_marks_births_and_deaths_in_the_step_they_happen_and_not_later():
    face, draws, seen = played(0, seed=1), np.random.default_rng(1), set()
    for _ in range(50):
        names = set(face.agents)
        _, _, _, _, infos = face.step({name: int(draws.integers(9)) for name in face.agents})
        grid, causes = face.render()[place(25, 25).field], {info["cause"] for info in infos.values()}
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


def test_the_populations_stand_beside_the_grid_as_high_as_it():
    places = place(25, 25)
    (grid_rows, grid_columns), (chart_rows, chart_columns) = places.field, places.chart
    assert grid_rows == chart_rows
    assert grid_columns.stop < chart_columns.start
    assert places.width / places.height == pytest.approx(1.6, abs=0.01)


@pytest.mark.parametrize(("columns", "rows"), [(25, 25), (60, 12), (12, 60), (1, 30), (30, 1), (7, 5), (300, 200)])
def test_any_grid_has_room_for_its_chart_and_even_sides(columns, rows):
    places = place(columns, rows)
    (grid_rows, grid_columns), (chart_rows, chart_columns) = places.field, places.chart
    assert (
        (grid_columns.stop - grid_columns.start) / columns == (grid_rows.stop - grid_rows.start) / rows == places.cell
    )
    assert chart_columns.stop - chart_columns.start >= CHART_WIDTH
    assert chart_rows.stop - chart_rows.start >= CHART_HEIGHT
    assert chart_rows.start <= grid_rows.start < grid_rows.stop <= chart_rows.stop <= places.legend[0].start
    assert (places.width % 2, places.height % 2) == (0, 0)


@pytest.mark.parametrize("rules", [{"width": 60, "height": 12}, {"width": 1, "height": 30, "grass": {"count": 9}}])
def test_draws_grids_of_any_shape(rules):
    picture = played(5, **rules).render()
    places = place(rules["width"], rules["height"])
    assert picture.shape == (places.height, places.width, 3)


def test_the_chart_follows_a_long_episode():
    face = played(300, max_steps=300, species={"predator": {"decay": 0.0}})
    chart = face.render()[place(25, 25).chart]
    last_columns = chart[:, -8:]
    assert has(last_columns, COLOURS["prey"][0])
    assert has(last_columns, COLOURS["predator"][0])


def test_a_chart_is_empty_where_the_episode_has_not_come_to_yet():
    chart = played(20).render()[place(25, 25).chart]
    ahead = chart[30:, chart.shape[1] // 2 :]
    assert ((ahead == FIELD).all(axis=-1)).mean() > 0.99
    assert has(chart[:, : chart.shape[1] // 4], COLOURS["prey"][0])


def test_species_of_one_role_are_told_apart():
    base = PRESETS["base"]
    twice = tuple(replace(each, name=f"{name}_{each.name}") for each in base.species for name in ("swift", "slow"))
    face = PredatorPreyGrass(replace(base, species=twice), "rgb_array")
    face.reset(seed=0)
    grid = face.render()[place(25, 25).field]
    assert all(has(grid, colour) for palette in COLOURS.values() for colour in palette)


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
