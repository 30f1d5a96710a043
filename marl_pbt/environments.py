"""Environments as the config names them: opened one at a time to look at, or as batched worlds to train in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marl_pbt.imports import load_object

from marl_pbt.protocols import Interface, UserError, Worlds


@dataclass(frozen=True)
class EnvironmentSource:
    """Where an environment comes from.

    Attributes:
        make: Import string of a factory of PettingZoo parallel environments.
        config: Its keyword arguments.
    """

    make: str
    config: Mapping[str, Any]

    def changed(self, changes: Mapping[str, Any]) -> EnvironmentSource:
        """The same environment with other settings."""
        return EnvironmentSource(self.make, {**self.config, **changes})

    def open(self, **more: Any) -> Any:
        """One PettingZoo parallel environment.

        Args:
            **more: Further keyword arguments, e.g. `render_mode`.

        Raises:
            UserError: No such factory, or it refuses its arguments.
        """
        factory = load_object(self.make, callable, "environment.make")
        try:
            return factory(**self.config, **more)
        except (TypeError, ValueError) as fault:
            raise UserError(*(f"environment.config.{line}" for line in str(fault).splitlines())) from None

    def open_worlds(self, num_worlds: int) -> Worlds:
        """Copies of it, stepped together.

        Raises:
            UserError: It offers no batched face.
        """
        environment = self.open()
        batched = getattr(environment, "batched", None)
        if batched is None:
            raise UserError(
                f"environment.make: {self.make} offers no batched(num_worlds), many copies stepped together"
            )
        worlds: Worlds = batched(num_worlds)
        return worlds


def interface_of(worlds: Worlds) -> Interface:
    """Who plays, what they see and do."""
    return Interface(worlds.species, worlds.observation_spaces, worlds.action_spaces)


def warm_up(worlds: Worlds) -> None:
    """Step once with the first action of every space, so that what is compiled once per machine is compiled."""
    import numpy as np

    worlds.reset(0)
    for species, name in enumerate(worlds.species):
        space = worlds.observation_spaces[name]
        worlds.observe(species, np.zeros((worlds.max_rows[species], *(space.shape or ())), dtype=space.dtype))
    worlds.step([np.zeros(rows, dtype=np.int64) for rows in worlds.rows()])
