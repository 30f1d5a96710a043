"""Pictures as files: animated GIFs and MP4s."""

import io
import sys
import weakref

import numpy as np
import pytest
from PIL import Image

from marl_pbt.environments import EnvironmentSource
from marl_pbt.films import gif_bytes, write_mp4
from marl_pbt.protocols import UserError
from marl_pbt.seats import Baseline
from marl_pbt.tasks import FilmTask


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


def test_a_gif_holds_every_picture():
    with Image.open(io.BytesIO(gif_bytes(gradients(5), frame_ms=70))) as gif:
        assert (gif.n_frames, gif.size, gif.info["duration"]) == (5, (24, 16), 70)


def test_a_gif_keeps_no_pictures_while_it_is_made():
    """But the first 32, of which its colours are chosen; a byte per pixel is kept of the others."""
    alive, most = [], []

    def pictures():
        for nth in range(120):
            picture = np.zeros((16, 24, 3), np.uint8)
            picture[nth % 16, nth // 16 :] = 255
            alive.append(nth)
            weakref.finalize(picture, alive.pop)
            most.append(len(alive))
            yield picture

    with Image.open(io.BytesIO(gif_bytes(pictures()))) as gif:
        assert gif.n_frames == 120
    assert 32 <= max(most) <= 32 + 3


def test_a_gif_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"^pictures: must be at least one, got none$"):
        gif_bytes(iter(()))


def test_colours_that_come_with_the_first_pictures_are_kept_by_all():
    """One palette for the film: of pictures spread over the first 32, not of the last ones."""
    red, blue = (np.full((16, 24, 3), colour, np.uint8) for colour in ((200, 0, 0), (0, 0, 200)))
    with Image.open(io.BytesIO(gif_bytes([red] * 8 + [blue] * 8 + [red, blue] * 2))) as gif:
        gif.seek(gif.n_frames - 1)
        last = np.asarray(gif.convert("RGB"))
    assert np.abs(last.astype(int) - blue).max() < 12


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
