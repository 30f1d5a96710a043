"""What workers do beside training when the supervisor asks: matches for the closing judgement, films."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from marl_pbt.environments import EnvironmentSource
from marl_pbt.films import gif_bytes, shots
from marl_pbt.matches import MatchResult, play
from marl_pbt.seats import Seat, taken

Watch: TypeAlias = Callable[[EnvironmentSource], EnvironmentSource]
"""The same environment, of which somebody sees the steps."""


def unwatched(environment: EnvironmentSource) -> EnvironmentSource:
    """The same environment, of which nobody sees anything."""
    return environment


class Task(Protocol):
    """Something to do in a worker; sent by value."""

    @property
    def name(self) -> str:
        """What the answer goes by."""

    def run(self, watch: Watch) -> object:
        """Do it, in environments that are watched: those of who hangs in one are not to wait for it for ever."""


@dataclass(frozen=True)
class MatchTask:
    """One pairing, a few episodes.

    Attributes:
        name: What the answer goes by.
        environment: Where it is played.
        seats: Who plays, per species.
        episodes: How many, all at once.
        seed: Of the match.
    """

    name: str
    environment: EnvironmentSource
    seats: Mapping[str, Seat]
    episodes: int
    seed: int

    def run(self, watch: Watch = unwatched) -> MatchResult:
        """Play it."""
        environment = watch(self.environment)
        worlds = environment.open_worlds(self.episodes)
        return play(worlds, taken(self.seats, environment, worlds), self.seed).result(worlds.species)


@dataclass(frozen=True)
class FilmTask:
    """An episode as an animated GIF.

    Attributes:
        name: What the answer goes by.
        environment: What is filmed; must offer `render_mode="rgb_array"`.
        seats: As in `MatchTask`.
        steps: Env steps at most.
        seed: Of the episode.
        frames: Pictures at most; steps in between are left out.
    """

    name: str
    environment: EnvironmentSource
    seats: Mapping[str, Seat]
    steps: int
    seed: int
    frames: int = 100

    def run(self, watch: Watch = unwatched) -> bytes:
        """Play and draw it.

        Returns:
            The bytes of a GIF.
        """
        environment = watch(self.environment)
        policies = taken(self.seats, environment, environment.open_worlds(1))
        stride = max(1, math.ceil(self.steps / max(self.frames - 1, 1)))
        played = shots(environment, policies, self.seed, self.steps, stride)
        return gif_bytes([shot.picture for shot in played])
