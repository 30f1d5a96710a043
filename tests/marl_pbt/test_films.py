"""Episodes as pictures, whatever environment they are played in."""

import io
import sys
from typing import ClassVar

import numpy as np
import pytest
from gymnasium.spaces import Box, MultiDiscrete
from pettingzoo import ParallelEnv
from PIL import Image

from marl_pbt.environments import EnvironmentSource
from marl_pbt.films import gif_bytes, shots, write_mp4
from marl_pbt.protocols import UserError
from marl_pbt.seats import Baseline
from marl_pbt.tasks import FilmTask

LENGTH = 10


class Lamps(ParallelEnv):
    """Two lamps that take colours; a picture shows the actions of the last step. After ten steps they go out."""

    metadata: ClassVar = {"name": "lamps", "render_modes": ["rgb_array"]}
    closed: ClassVar = []

    def __init__(self, render_mode=None, height=7):
        self.render_mode, self.height = render_mode, height
        self.possible_agents, self.agents = ["lamp_0", "lamp_1"], []

    def observation_space(self, agent):
        return Box(0, 1, (2,), np.float32)

    def action_space(self, agent):
        return MultiDiscrete([256, 4])

    def reset(self, seed=None, options=None):
        self.draws, self.clock, self.agents, self.lit = np.random.default_rng(seed), 0, list(self.possible_agents), 0
        return self.see(), {agent: {} for agent in self.agents}

    def step(self, actions):
        assert all(self.action_space(agent).contains(action) for agent, action in actions.items())
        self.clock += 1
        acted, self.lit = self.agents, actions["lamp_0"][0]
        over = dict.fromkeys(acted, self.clock == LENGTH)
        self.agents = [] if self.clock == LENGTH else acted
        told = {agent: {} for agent in acted}
        return self.see(), dict.fromkeys(acted, 0.0), dict.fromkeys(acted, False), over, told

    def see(self):
        return {agent: self.draws.random(2) for agent in self.possible_agents}  # float64, though its space says float32

    def render(self):
        return np.full((5, self.height, 3), self.lit, np.uint8).swapaxes(0, 1)  # no contiguous array

    def close(self):
        self.closed.append(self.clock)


class Unseen(Lamps):
    def __init__(self):
        super().__init__()


class Wordy(Lamps):
    def render(self):
        return "lamps"


class Grey(Lamps):
    def render(self):
        return np.zeros((7, 5), np.uint8)


class Broken(Lamps):
    def render(self):
        raise NotImplementedError("no pictures here")


class Colours:
    """As an observation says, and a draw."""

    def act(self, observations, rng, greedy=False):
        assert observations.dtype == np.float32
        drawn = rng.integers(4, size=len(observations))
        return np.stack([(observations[:, 0] * 255).astype(np.int64), drawn], axis=1)


def source(name="Lamps", **config):
    return EnvironmentSource(f"test_films:{name}", config)


def played(name="Lamps", seed=0, **options):
    return list(shots(source(name), {"lamp": Colours()}, seed, **options))


def gradients(count, height=16, width=24):
    ramp = np.linspace(0, 200, width)[None, :, None] + np.zeros((height, 1, 3))
    return [(ramp + 4 * nth).astype(np.uint8) for nth in range(count)]


def read_back(path):
    """Size, and the pictures."""
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    frames = ffmpeg.read_frames(str(path))
    about = next(frames)
    width, height = about["size"]
    return about, [np.frombuffer(each, np.uint8).reshape(height, width, 3) for each in frames]


def test_an_episode_is_shown_from_its_beginning_to_its_end():
    seen = played()
    assert [shot.step for shot in seen] == list(range(LENGTH + 1))
    assert all((shot.picture.shape, shot.picture.dtype) == ((7, 5, 3), np.uint8) for shot in seen)
    assert len({int(shot.picture[0, 0, 0]) for shot in seen}) > 5


def test_the_same_seed_shows_the_same_episode_and_another_one_another():
    first, again, other = (np.stack([shot.picture for shot in played(seed=seed)]) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_steps_are_left_out_but_the_end_is_not():
    assert [shot.step for shot in played(stride=4)] == [0, 4, 8, 10]
    assert [shot.step for shot in played(stride=4, steps=8)] == [0, 4, 8]
    assert [shot.step for shot in played(steps=0)] == [0]


def test_the_environment_is_closed_also_when_nobody_watches_to_the_end():
    Lamps.closed.clear()
    played()
    watched = shots(source(), {"lamp": Colours()}, 0)
    next(watched), next(watched)
    watched.close()
    assert Lamps.closed == [LENGTH, 1]


def test_a_picture_is_not_overwritten_by_the_next_one():
    seen = played()
    assert len({shot.picture.ctypes.data for shot in seen}) == len(seen)
    assert all(shot.picture.flags.c_contiguous for shot in seen)


def test_births_and_deaths_are_played_by_their_species_policies():
    ours = EnvironmentSource("envs.predator_prey_grass:parallel_env", {"max_steps": 40})
    environment = ours.open()
    policies = {species: environment.baseline("greedy", species) for species in environment.species}
    seen = list(shots(ours, policies, seed=1))
    assert [shot.step for shot in seen] == list(range(41))
    assert len({shot.picture.shape for shot in seen}) == 1


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (
            "Unseen",
            r"must take render_mode='rgb_array' to be filmed, test_films:Unseen raised TypeError: .*render_mode",
        ),
        ("Wordy", r"test_films:Wordy must render \(height, width, 3\) uint8 pictures to be filmed, got str"),
        ("Grey", r"test_films:Grey must render .* to be filmed, got uint8 of shape \(7, 5\)"),
        ("Broken", r"test_films:Broken must render .* raised NotImplementedError: no pictures here"),
    ],
)
def test_an_environment_that_makes_no_pictures_is_refused(name, fault):
    with pytest.raises(UserError, match=f"^environment.make: {fault}"):
        played(name)


def test_a_fault_of_the_config_is_told_as_such():
    with pytest.raises(UserError, match=r"^environment\.config\.width: must be in"):
        list(shots(EnvironmentSource("envs.predator_prey_grass:parallel_env", {"width": 0}), {}, 0))


def test_a_gif_holds_every_picture():
    with Image.open(io.BytesIO(gif_bytes(gradients(5), frame_ms=70))) as gif:
        assert (gif.n_frames, gif.size, gif.info["duration"]) == (5, (24, 16), 70)


@pytest.mark.parametrize(("steps", "frames", "at_most"), [(10, 100, 11), (10, 4, 4), (10, 2, 2), (9, 5, 5)])
def test_a_film_task_has_no_more_frames_than_it_may(steps, frames, at_most):
    ours = EnvironmentSource("envs.predator_prey_grass:parallel_env", {"max_steps": 10})
    seats = {"predator": Baseline("random"), "prey": Baseline("random")}
    film = FilmTask("film", ours, seats, steps, seed=0, frames=frames).run()
    with Image.open(io.BytesIO(film)) as gif:
        assert 1 < gif.n_frames <= at_most


@pytest.mark.parametrize(("height", "width"), [(16, 24), (17, 24), (16, 25), (17, 25)])
def test_an_mp4_holds_every_picture_with_even_sides(tmp_path, height, width):
    path = tmp_path / "film.mp4"
    pictures = gradients(12, height, width)
    assert write_mp4(path, iter(pictures), fps=20) == 12
    about, frames = read_back(path)
    assert (about["codec"], about["pix_fmt"].partition("(")[0], about["fps"]) == ("h264", "yuv420p", 20)
    assert about["size"] == (width + width % 2, height + height % 2)
    assert len(frames) == 12
    shown = frames[7][:height, :width].astype(int)
    assert np.abs(shown - pictures[7]).mean() < 6


def test_an_mp4_is_encoded_while_the_episode_is_played(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    alive = []

    def pictures():
        for each in gradients(6):
            alive.append(len(list(tmp_path.iterdir())))
            yield each

    write_mp4(tmp_path / "film.mp4", pictures(), fps=10)
    assert alive[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


@pytest.mark.parametrize("fault", [ValueError("the episode broke"), KeyboardInterrupt()])
def test_an_mp4_that_is_not_finished_leaves_the_old_one(tmp_path, fault):
    pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "film.mp4"
    path.write_bytes(b"old")

    def pictures():
        yield from gradients(3)
        raise fault

    with pytest.raises(type(fault)):
        write_mp4(path, pictures(), fps=10)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("pictures", "fault"),
    [
        ([], "pictures: must be at least one, got none"),
        ([*gradients(1), *gradients(1, 18)], r"pictures: must all be of shape \(16, 24, 3\), got \(18, 24, 3\)"),
    ],
)
def test_pictures_that_are_no_film_are_refused(tmp_path, pictures, fault):
    pytest.importorskip("imageio_ffmpeg")
    with pytest.raises(ValueError, match=fault):
        write_mp4(tmp_path / "film.mp4", pictures, fps=10)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_leaves_the_old_mp4(tmp_path):
    """A limit on the size of files stands for the disk; it ends the encoder's process."""
    pytest.importorskip("imageio_ffmpeg")
    resource = pytest.importorskip("resource")
    noise = np.random.default_rng(0).integers(0, 256, (30, 64, 64, 3), np.uint8)
    path = tmp_path / "film.mp4"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match=r"film\.mp4.*could not be written"):
            write_mp4(path, noise, fps=10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_not_there_is_told(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    with pytest.raises(UserError, match=r"^--mp4: .*nowhere is no folder$"):
        write_mp4(tmp_path / "nowhere" / "film.mp4", gradients(2), fps=10)


def test_an_mp4_without_its_package_is_refused_before_anything_is_played(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    begun = []
    with pytest.raises(UserError, match=r"^--mp4: needs the package imageio-ffmpeg, `pip install marl-pbt\[video\]`$"):
        write_mp4(tmp_path / "film.mp4", (begun.append(each) for each in gradients(2)), fps=10)
    assert not begun
