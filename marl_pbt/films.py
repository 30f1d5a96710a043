"""Episodes as pictures: played one at a time, kept as an animated GIF or an MP4."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pbt.durable import publish_file, temporary_beside
from marl_pbt.environments import EnvironmentSource
from marl_pbt.protocols import Policy, UserError

Picture = NDArray[np.uint8]
"""`(height, width, 3)`."""

_PALETTE_PICTURES = 32  # a GIF's colours are chosen from the first ones, in which everything has happened once


@dataclass(frozen=True)
class Shot:
    """What is to be seen of an episode at one moment.

    Attributes:
        step: Env steps since it began.
        picture: `(height, width, 3)` uint8; its own memory.
    """

    step: int
    picture: Picture


def shots(
    environment: EnvironmentSource,
    policies: Mapping[str, Policy],
    seed: int,
    steps: int | None = None,
    stride: int = 1,
    greedy: bool = False,
) -> Generator[Shot, None, None]:
    """Play one episode and show it as it goes: the beginning, every `stride`-th step, the end.

    The environment is opened at the first shot and closed behind the last one.

    Args:
        environment: What is played; its factory must take `render_mode="rgb_array"`.
        policies: Per species.
        seed: Of the environment and of the policies' draws: the same call gives the same shots.
        steps: Env steps at most; None: until it ends by itself.
        stride: Steps from one shot to the next.
        greedy: The likeliest actions instead of sampled ones.

    Raises:
        UserError: The environment cannot be opened, or makes no such pictures.
    """
    opened = _open(environment)
    try:
        cast = _Cast(opened, environment.species_in(opened), policies, np.random.default_rng(seed), greedy)
        observations, _ = opened.reset(seed=seed)
        yield Shot(0, _picture(opened, environment.make))
        step = 0
        while opened.agents and step != steps:
            observations = _stepped(opened, cast.act(observations), environment.make)
            step += 1
            if step % stride == 0 or not opened.agents:
                yield Shot(step, _picture(opened, environment.make))
    finally:
        opened.close()


def gif_bytes(pictures: Iterable[Picture], frame_ms: int = 100) -> bytes:
    """An animated GIF; one palette for all frames, so that colours keep still and it is made six times faster.

    Args:
        pictures: At least one, all of one size; a byte per pixel is kept of each.
        frame_ms: How long each is shown, in milliseconds.
    """
    from PIL import Image

    coming = iter(pictures)
    first = list(itertools.islice(coming, _PALETTE_PICTURES))
    if not first:
        raise ValueError("pictures: must be at least one, got none")
    palette = Image.fromarray(np.concatenate(first[:: max(1, len(first) // 4)])).quantize(128)
    frames = (
        Image.fromarray(each).quantize(palette=palette, dither=Image.Dither.NONE)
        for each in itertools.chain(first, coming)
    )
    file = io.BytesIO()
    next(frames).save(file, format="GIF", save_all=True, append_images=frames, duration=frame_ms, loop=0)
    return file.getvalue()


def write_mp4(path: Path, pictures: Iterable[Picture], fps: float) -> int:
    """Write a film as H.264 (yuv420p, what every player shows), one picture after the other; at no time half a file.

    Args:
        path: Of the file; replaced only by a whole one.
        pictures: All of one size; an odd side is made even by doubling its last line of pixels.
        fps: Pictures per second.

    Returns:
        How many pictures there were.

    Raises:
        UserError: imageio-ffmpeg is missing, or the folder.
        ValueError: There is no picture, or one is of another size.
        OSError: It could not be written.
    """
    ffmpeg = _ffmpeg()
    if not path.parent.is_dir():
        raise UserError(f"--mp4: {path.parent} is no folder")
    aside = temporary_beside(path)
    try:
        count = _encode(ffmpeg, aside, pictures, fps)
        _check(ffmpeg, aside, count)
        publish_file(aside, path)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
    return count


class _Cast:
    """Who acts in an environment, and how.

    Args:
        environment: Opened.
        species_of: What tells an agent id's species.
        policies: Per species.
        rng: Where they draw from.
        greedy: As in `Policy.act`.
    """

    def __init__(
        self,
        environment: Any,
        species_of: Callable[[Any], str],
        policies: Mapping[str, Policy],
        rng: np.random.Generator,
        greedy: bool,
    ) -> None:
        self._environment = environment
        self._species_of = species_of
        self._policies = policies
        self._rng = rng
        self._greedy = greedy

    def act(self, observations: Mapping[Any, Any]) -> dict[Any, Any]:
        """Every living agent's action, one batch per species."""
        groups: dict[str, list[Any]] = {}
        for agent in self._environment.agents:
            groups.setdefault(self._species_of(agent), []).append(agent)
        actions: dict[Any, Any] = {}
        for species, agents in groups.items():
            moves = self._moves(species, agents, [observations[agent] for agent in agents])
            actions.update(zip(agents, moves, strict=True))
        return actions

    def _moves(self, species: str, agents: Sequence[Any], seen: Sequence[Any]) -> list[Any]:
        from marl_pbt.adapted.actions import ActionKind

        observed = self._environment.observation_space(agents[0])
        kind = ActionKind(species, self._environment.action_space(agents[0]))
        rows = np.stack(seen).astype(observed.dtype, copy=False)
        return kind.as_moves(kind.checked(self._policies[species].act(rows, self._rng, self._greedy), len(agents)))


def _open(environment: EnvironmentSource) -> Any:
    try:
        return environment.open(render_mode="rgb_array")
    except UserError as fault:
        environment.open()  # tells whatever else is wrong with it
        why = "; ".join(fault.faults).removeprefix("environment.make: ")
        raise UserError(f"environment.make: must take render_mode='rgb_array' to be filmed, {why}") from fault


def _stepped(opened: Any, actions: Mapping[Any, Any], make: str) -> Any:
    try:
        observations, *_ = opened.step(actions)
    except Exception as fault:  # as above
        raise UserError(f"environment.make: {make} raised in step: {type(fault).__name__}: {fault}") from fault
    return observations


def _picture(opened: Any, make: str) -> Picture:
    rule = f"environment.make: {make} must render (height, width, 3) uint8 pictures to be filmed"
    try:
        picture = opened.render()
    except Exception as fault:  # whatever a stranger's environment raises, it is told in a line
        raise UserError(f"{rule}, raised {type(fault).__name__}: {fault}") from fault
    if not isinstance(picture, np.ndarray):
        raise UserError(f"{rule}, got {'None' if picture is None else type(picture).__name__}")
    if picture.dtype != np.uint8 or picture.shape[2:] != (3,) or 0 in picture.shape:
        raise UserError(f"{rule}, got {picture.dtype} of shape {picture.shape}")
    return np.array(picture, order="C")


def _ffmpeg() -> Any:
    try:
        import imageio_ffmpeg
    except ImportError:
        raise UserError("--mp4: needs the package imageio-ffmpeg, `pip install marl-pbt[video]`") from None
    try:
        imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as fault:
        raise UserError(f"--mp4: {fault}") from None
    return imageio_ffmpeg


def _encode(ffmpeg: Any, path: Path, pictures: Iterable[Picture], fps: float) -> int:
    """Hand the pictures to an encoder's process; how many there were."""
    writer: Generator[None, Picture | None, None] | None = None
    first: tuple[int, ...] = ()
    count = 0
    try:
        for picture in pictures:
            if writer is None:
                first = picture.shape
                writer = _start(ffmpeg, path, first, fps)
            if picture.shape != first:
                raise ValueError(f"pictures: must all be of shape {first}, got {picture.shape}")
            try:
                writer.send(_even(picture))
            except OSError as fault:
                raise OSError(f"{path}: could not be written, ffmpeg stopped") from fault
            count += 1
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise ValueError("pictures: must be at least one, got none")
    return count


def _start(ffmpeg: Any, path: Path, shape: tuple[int, ...], fps: float) -> Generator[None, Picture | None, None]:
    height, width = shape[0] + shape[0] % 2, shape[1] + shape[1] % 2
    writer: Generator[None, Picture | None, None] = ffmpeg.write_frames(
        str(path),
        (width, height),
        fps=fps,
        codec="libx264",
        quality=6,
        macro_block_size=1,  # even sides are enough
        ffmpeg_log_level="error",
        output_params=["-f", "mp4", "-movflags", "+faststart", "-preset", "veryfast"],
    )
    writer.send(None)
    return writer


def _even(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(picture)


def _check(ffmpeg: Any, path: Path, count: int) -> None:
    """The encoder's process does not tell whether it could write all; so its file is read.

    Raises:
        OSError: It holds another number of pictures, or cannot be read.
    """
    try:
        found, _ = ffmpeg.count_frames_and_secs(str(path))
    except (RuntimeError, OSError) as fault:
        raise OSError(f"{path}: could not be written") from fault
    if found != count:
        raise OSError(f"{path}: could not be written whole, {found} of {count} pictures")
