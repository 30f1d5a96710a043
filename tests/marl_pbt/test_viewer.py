"""The window in which episodes are watched: its keys, and the window itself on SDL's dummy screen."""

import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from marl_pbt.films import Shot
from marl_pbt.protocols import UserError
from marl_pbt.viewer import FASTEST_FPS, SLOWEST_FPS, Playback, fitted, pressed, title_of, watch

START = Playback(seed=7, fps=20.0)


def after(*keys, playback=START):
    for key in keys:
        playback = pressed(playback, key)
    return playback


def test_space_pauses_and_goes_on():
    assert not after("space").is_running
    assert after("space", "space") == START


def test_right_shows_one_more_picture_and_stays_paused():
    stepping = after("right")
    assert stepping.is_running
    shown = replace(stepping, is_stepping=False)
    assert not shown.is_running
    assert after("space", playback=shown).is_running


def test_plus_and_minus_change_the_speed_within_limits():
    assert (after("+").fps, after("-").fps, after("+", "-")) == (40.0, 10.0, START)
    assert after(*["+"] * 20).fps == FASTEST_FPS
    assert after(*["-"] * 20).fps == SLOWEST_FPS


def test_r_starts_the_next_episode_at_the_same_speed():
    over = replace(after("+"), is_over=True)
    assert not over.is_running
    assert after("r", playback=over) == Playback(seed=8, fps=40.0)


def test_r_in_a_pause_shows_how_the_next_episode_begins():
    begun = after("space", "r")
    assert (begun.seed, begun.is_paused, begun.is_running) == (8, True, True)


def test_an_episode_that_is_over_cannot_be_stepped():
    assert not after("right", playback=replace(START, is_over=True)).is_running


@pytest.mark.parametrize("key", ["q", "escape"])
def test_q_and_escape_end(key):
    assert after(key).has_quit


@pytest.mark.parametrize("key", ["x", "", "left", "f1"])
def test_other_keys_change_nothing(key):
    assert after(key) == START


@pytest.mark.parametrize(
    ("size", "screen", "window"),
    [
        ((900, 560), (1920, 1080), (900, 560)),
        ((2000, 500), (1000, 800), (920, 230)),
        ((900, 560), (800, 400), (591, 368)),
        ((3000, 1), (1000, 800), (920, 1)),
    ],
)
def test_a_picture_is_scaled_down_to_the_screen_and_never_up(size, screen, window):
    assert fitted(size, screen) == window


def test_the_title_says_who_plays_and_how():
    assert (
        title_of("predator: best · prey: greedy", START, 12)
        == "predator: best · prey: greedy · seed 7 · step 12 · 20 fps"
    )
    assert title_of("x", after("space"), 3) == "x · seed 7 · step 3 · paused"
    assert title_of("x", replace(START, is_over=True), 90) == "x · seed 7 · step 90 · over, r plays the next"


class Screening:
    """Episodes of four pictures that press keys by themselves; what was shown, asked for and closed.

    `keys` says per (seed, step) what is pressed after the picture before that step's; after the last one, step 4.
    """

    def __init__(self, keys, width=30, height=20):
        self.pygame = pytest.importorskip("pygame")
        self.keys, self.size = keys, (height, width)
        self.seeds, self.closed, self.titles, self.windows, self.colours = [], [], [], [], []

    def __call__(self, seed):
        self.seeds.append(seed)
        try:
            for step in range(5):
                self.look()
                self.press(self.keys.get((seed, step), ()))
                if step < 4:
                    yield Shot(step, np.full((*self.size, 3), 10 * step + 5, np.uint8))
        finally:
            self.closed.append(seed)

    def look(self):
        surface = self.pygame.display.get_surface()
        if surface is not None:
            self.titles.append(self.pygame.display.get_caption()[0])
            self.windows.append(surface.get_size())
            self.colours.append(surface.get_at((3, 3))[:3])

    def press(self, keys):
        for key in keys:
            if key == "close":
                self.pygame.event.post(self.pygame.event.Event(self.pygame.QUIT))
            elif key == "close soon":
                self.pygame.time.set_timer(self.pygame.QUIT, 100, loops=1)
            else:
                code = {"right": self.pygame.K_RIGHT, "space": self.pygame.K_SPACE}.get(key, 0)
                self.pygame.event.post(self.pygame.event.Event(self.pygame.KEYDOWN, key=code, unicode=key[:1]))


@pytest.fixture(autouse=True)
def dummy_screen(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def watched(keys, fps=240.0, **size):
    screening = Screening(keys, **size)
    watch(screening, "predator: best", 7, fps)
    assert not screening.pygame.display.get_init()
    return screening


def test_an_episode_is_shown_picture_by_picture_until_the_window_is_closed():
    screening = watched({(7, 4): ["close"]})
    assert screening.colours == [(5,) * 3, (15,) * 3, (25,) * 3, (35,) * 3]
    assert screening.titles[0] == "predator: best · seed 7 · step 0 · 240 fps"
    assert (screening.seeds, screening.closed) == ([7], [7])


def test_r_goes_to_the_next_seed_and_closes_the_episode_before():
    screening = watched({(7, 2): ["r"], (8, 4): ["r"], (9, 1): ["q"]})
    assert (screening.seeds, screening.closed) == ([7, 8, 9], [7, 8, 9])


def test_a_paused_episode_shows_nothing_but_single_steps():
    screening = watched({(7, 1): ["right"], (7, 2): ["close soon"]})
    assert screening.colours == [(5,) * 3, (15,) * 3]  # in that time, 20 more pictures would have been due
    assert watched({(7, 1): ["right"], (7, 2): ["right"], (7, 3): ["q"]}).titles[2].endswith("step 2 · paused")


def test_pictures_keep_to_their_pace():
    began = time.monotonic()
    watched({(7, 4): ["q"]}, fps=20.0)
    assert time.monotonic() - began > 0.15


def test_a_picture_wider_than_the_screen_is_scaled_down():
    screening = watched({(7, 2): ["q"]}, width=3001, height=1201)
    width, height = screening.windows[-1]
    assert 500 < width < 1100
    assert width / height == pytest.approx(3001 / 1201, rel=0.01)
    assert screening.colours[-1] == pytest.approx((15, 15, 15), abs=3)


def test_the_window_is_closed_when_an_episode_breaks():
    def broken(seed):
        yield Shot(0, np.zeros((4, 4, 3), np.uint8))
        raise UserError("it broke")

    pygame = pytest.importorskip("pygame")
    with pytest.raises(UserError, match="it broke"):
        watch(broken, "x", 0, 240.0)
    assert not pygame.display.get_init()


def test_without_pygame_the_user_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(UserError, match=r"^watch: needs the package pygame, `pip install marl-pbt\[window\]`$"):
        watch(Screening.__call__, "x", 0, 20.0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is always a screen")
@pytest.mark.parametrize("driver", [None, "nonsense"])
def test_without_a_display_the_user_is_told_what_else_there_is(driver):
    pytest.importorskip("pygame")
    code = (
        "from marl_pbt.protocols import UserError\n"
        "from marl_pbt.viewer import watch\n"
        "try:\n    watch(lambda seed: iter(()), 'x', 0, 20.0)\n"
        "except UserError as fault:\n    print(fault)\n"
    )
    hidden = {"SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"}
    blind = {name: value for name, value in os.environ.items() if name not in hidden}
    blind |= {} if driver is None else {"SDL_VIDEODRIVER": driver}
    done = subprocess.run([sys.executable, "-c", code], env=blind, check=True, capture_output=True, text=True)
    assert done.stdout == "no display; give --gif FILE or --mp4 FILE\n"
