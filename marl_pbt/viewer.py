"""A window in which episodes are watched as they are played."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from marl_pbt.films import Picture, Shot
from marl_pbt.protocols import UserError

NO_DISPLAY = "no display; give --gif FILE or --mp4 FILE"
SLOWEST_FPS, FASTEST_FPS = 1.0, 240.0
SHARE_OF_SCREEN = 0.92
"""The rest is for the window's frame and the desktop's bars."""

IDLE_S = 0.25
"""How long to wait for a key at most: Ctrl-C is heard in between."""

Episodes = Callable[[int], Generator[Shot, None, None]]
"""By seed, one episode; closed when it has been watched."""


@dataclass(frozen=True)
class Playback:
    """What the spectator has asked for so far.

    Attributes:
        seed: Of the episode.
        fps: Pictures per second.
        is_paused: Only single steps.
        is_stepping: One more picture, though paused.
        is_over: The episode has no more pictures.
        has_quit: Enough.
    """

    seed: int
    fps: float
    is_paused: bool = False
    is_stepping: bool = False
    is_over: bool = False
    has_quit: bool = False

    @property
    def is_running(self) -> bool:
        """Whether a next picture is to come, now or when its time has come."""
        return not self.is_over and (self.is_stepping or not self.is_paused)


def pressed(playback: Playback, key: str) -> Playback:
    """What a key changes.

    Args:
        playback: Before.
        key: `space` pauses and goes on, `right` shows one more picture and pauses, `+` and `-` double and halve the
            speed, `r` starts the next episode, `q` and `escape` end; others change nothing.
    """
    if key == "space":
        return replace(playback, is_paused=not playback.is_paused, is_stepping=False)
    if key == "right":
        return replace(playback, is_paused=True, is_stepping=True)
    if key == "+":
        return replace(playback, fps=min(playback.fps * 2, FASTEST_FPS))
    if key == "-":
        return replace(playback, fps=max(playback.fps / 2, SLOWEST_FPS))
    if key == "r":
        return replace(playback, seed=playback.seed + 1, is_stepping=playback.is_paused, is_over=False)
    if key in ("q", "escape"):
        return replace(playback, has_quit=True)
    return playback


def fitted(size: tuple[int, int], screen: tuple[int, int]) -> tuple[int, int]:
    """The size of a window for a picture: as large as the picture, but no larger than a screen has room for.

    Args:
        size: Width and height of the picture, in pixels.
        screen: Width and height of the screen.
    """
    share = min(1.0, *(SHARE_OF_SCREEN * there / wanted for wanted, there in zip(size, screen, strict=True)))
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def title_of(who: str, playback: Playback, step: int) -> str:
    """What stands above the picture: who plays, which episode, how far it is, and what is unusual."""
    state = (
        "over, r plays the next" if playback.is_over else "paused" if playback.is_paused else f"{playback.fps:g} fps"
    )
    return f"{who} · seed {playback.seed} · step {step} · {state}"


def watch(episodes: Episodes, who: str, seed: int, fps: float) -> None:
    """Show episodes until the spectator has had enough; `pressed` says which keys there are.

    Args:
        episodes: What is shown, by seed; `r` asks for the next seed.
        who: Plays, for the title.
        seed: Of the first episode.
        fps: Pictures per second at first.

    Raises:
        UserError: pygame is missing, there is no display, or what an episode's shots raise.
    """
    window = _Window()
    try:
        playback = Playback(seed, fps)
        while not playback.has_quit:
            with closing(episodes(playback.seed)) as shots:
                playback = _show_episode(window, shots, who, playback)
    finally:
        window.close()


def _show_episode(window: _Window, shots: Iterator[Shot], who: str, playback: Playback) -> Playback:
    """Until another episode is asked for, or none."""
    seed, step, due = playback.seed, 0, time.monotonic()
    while playback.seed == seed and not playback.has_quit:
        if playback.is_running and (playback.is_stepping or time.monotonic() >= due):
            shot = next(shots, None)
            if shot is not None:
                window.show(shot.picture)
                step = shot.step
            playback = replace(playback, is_stepping=False, is_over=shot is None)
            due = max(due + 1 / playback.fps, time.monotonic() - 1 / playback.fps)  # a little late is caught up with
        window.entitle(title_of(who, playback, step))
        for key in window.keys(due - time.monotonic() if playback.is_running else IDLE_S):
            playback = pressed(playback, key)
    return playback


class _Window:
    """pygame's: opened by the first picture, in its size or scaled down to the screen's.

    Raises:
        UserError: pygame is missing, or there is no display.
    """

    def __init__(self) -> None:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        try:
            import pygame
        except ImportError:
            raise UserError("watch: needs the package pygame, `pip install marl-pbt[window]`") from None
        self._pygame = pygame
        self._surface: Any = None
        self._title = ""
        try:
            pygame.display.init()
        except pygame.error:
            raise UserError(NO_DISPLAY) from None
        if pygame.display.get_driver() == "offscreen" and os.environ.get("SDL_VIDEODRIVER") != "offscreen":
            self.close()
            raise UserError(NO_DISPLAY)  # SDL's last resort, where nobody sees anything
        self._names = {
            pygame.K_SPACE: "space",
            pygame.K_RIGHT: "right",
            pygame.K_EQUALS: "+",  # where + is its shifted side
            pygame.K_KP_PLUS: "+",
            pygame.K_KP_MINUS: "-",
            pygame.K_ESCAPE: "escape",
        }

    def show(self, picture: Picture) -> None:
        """Put a picture on the screen."""
        pygame = self._pygame
        height, width = picture.shape[:2]
        if self._surface is None:
            screen = pygame.display.get_desktop_sizes()[0]
            self._surface = pygame.display.set_mode(fitted((width, height), screen))
        whole = pygame.image.frombuffer(picture.tobytes(), (width, height), "RGB")
        if whole.get_size() != self._surface.get_size():
            whole = pygame.transform.smoothscale(whole.convert(self._surface), self._surface.get_size())
        self._surface.blit(whole, (0, 0))
        pygame.display.flip()

    def entitle(self, title: str) -> None:
        """Write above the picture."""
        if title != self._title:
            self._pygame.display.set_caption(title)
            self._title = title

    def keys(self, patience_s: float) -> list[str]:
        """The keys pressed meanwhile, as `pressed` names them; waits so long for the first."""
        pygame = self._pygame
        events = [pygame.event.wait(max(1, round(patience_s * 1000))), *pygame.event.get()]
        if any(event.type == pygame.VIDEOEXPOSE for event in events):
            pygame.display.flip()  # another window lay over it
        return [key for key in map(self._key, events) if key]

    def close(self) -> None:
        """Take the window off the screen."""
        self._pygame.display.quit()

    def _key(self, event: Any) -> str:
        if event.type == self._pygame.QUIT:
            return "q"
        if event.type != self._pygame.KEYDOWN:
            return ""
        return self._names.get(event.key) or str(event.unicode).lower()
