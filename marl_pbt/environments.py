"""Environments as the config names them: opened one at a time to look at, or as batched worlds to train in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marl_pbt.imports import load_object
from marl_pbt.protocols import Environment, Interface, UserError, Worlds

_BEGINS_WITH_KEY = re.compile(r"[A-Za-z_][\w.\[\]]*: ")


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
        except Exception as fault:  # whatever a stranger's factory raises, it is told in a line
            raise UserError(*(self._told(fault, line) for line in str(fault).splitlines() or [""])) from fault

    def open_worlds(self, num_worlds: int) -> Worlds:
        """Copies of it, stepped together.

        Raises:
            UserError: It offers no batched face.
        """
        environment = self.open()
        if not isinstance(environment, Environment):
            missing = [name for name in ("species", "species_of", "batched") if not hasattr(environment, name)]
            raise UserError(
                f"environment.make: {self.make} gives an environment without {', '.join(missing)}; "
                "see Environment in marl_pbt/protocols.py"
            )
        return environment.batched(num_worlds)

    def _told(self, fault: Exception, line: str) -> str:
        """A line of the factory's fault; one that begins with a key is about the config."""
        if isinstance(fault, ValueError) and _BEGINS_WITH_KEY.match(line):
            return f"environment.config.{line}"
        return f"environment.make: {self.make} raised {type(fault).__name__}: {line}"


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
