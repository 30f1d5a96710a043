"""What a worker works with, watched: whatever it calls, the supervisor sees what it is in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from marl_pbt.environments import EnvironmentSource
from marl_pbt.fault_points import is_armed, reach
from marl_pbt.protocols import Worlds
from marl_pbt.supervision.stand_in import stand_in
from marl_pbt.supervision.whereabouts import Doing, Whereabouts

T = TypeVar("T")


def watched(thing: T, whereabouts: Whereabouts, **doings: Doing) -> T:
    """A stand-in that says what the worker is in while some of its methods run.

    Args:
        thing: Any object.
        whereabouts: Of this worker.
        **doings: By method.
    """
    return stand_in(thing, {name: whereabouts.during(doing, getattr(thing, name)) for name, doing in doings.items()})


@dataclass(frozen=True)
class WatchedSource(EnvironmentSource):
    """An environment whose steps and resets are watched, in worlds as in single copies.

    Adapted worlds step such copies, so that slow ones do not look as if they hung. Sent to another process it is an
    `EnvironmentSource`, whose steps nobody watches.
    """

    whereabouts: Whereabouts = field(default_factory=Whereabouts, compare=False, repr=False)

    @classmethod
    def of(cls, source: EnvironmentSource, whereabouts: Whereabouts) -> WatchedSource:
        """The same environment."""
        return cls(source.make, source.config, source.species, whereabouts)

    def open(self, **more: Any) -> Any:
        """As of `EnvironmentSource`."""
        return self._watched(super().open(**more))

    def open_worlds(self, num_worlds: int) -> Worlds:
        """As of `EnvironmentSource`."""
        worlds = super().open_worlds(num_worlds)
        return self._watched(stand_in(worlds, {"step": _failing(worlds.step)}) if is_armed("env") else worlds)

    def _watched(self, game: T) -> T:
        """Anything that has `step(actions)` and `reset(…)`."""
        step, reset = (getattr(game, name) for name in ("step", "reset"))
        noted = {"step": self.whereabouts.stepping(step), "reset": self.whereabouts.during("env.reset", reset)}
        return stand_in(game, noted)

    def __reduce__(self) -> Any:
        return EnvironmentSource, (self.make, self.config, self.species)


def _failing(step: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def failing(actions: Any) -> Any:
        reach("env")
        return step(actions)

    return failing
