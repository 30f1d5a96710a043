"""Environments as the config names them: opened one at a time to look at, or as batched worlds to train in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from marl_pbt.imports import load_object
from marl_pbt.protocols import (
    Environment,
    HyperparameterSpec,
    Interface,
    OffersParameters,
    OffersShaping,
    Parameter,
    UserError,
    Worlds,
)

_IS_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_BEGINS_WITH_KEY = re.compile(r"[A-Za-z_][\w.\[\]]*: ")


@dataclass(frozen=True)
class EnvironmentSource:
    """Where an environment comes from.

    Attributes:
        make: Import string of a factory of PettingZoo parallel environments.
        config: Its keyword arguments.
        species: Per species the shell patterns that its agent ids fit; None: by the ids' prefixes, or as the
            environment itself says.
    """

    make: str
    config: Mapping[str, Any]
    species: Mapping[str, Sequence[str]] | None = None

    def changed(self, changes: Mapping[str, Any]) -> EnvironmentSource:
        """The same environment with other settings."""
        return replace(self, config={**self.config, **changes})

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
        """Copies of it, stepped together: its own batched face, or the adapter that steps copies of it in Python.

        Raises:
            UserError: It is no parallel environment, or its agents, its spaces and `species` do not fit each other.
        """
        environment = self.open()
        if not self._needs_adapter(environment):
            worlds: Worlds = environment.batched(num_worlds)
            return worlds
        from marl_pbt.adapted import AdaptedWorlds

        return AdaptedWorlds(self.open, num_worlds, self.species)

    def species_in(self, environment: Any) -> Callable[[Any], str]:
        """What tells the species of an agent id of this environment.

        Raises:
            UserError: As in `open_worlds`.
        """
        if not self._needs_adapter(environment):
            of_id: Callable[[Any], str] = environment.species_of
            return of_id
        from marl_pbt.adapted import read_species

        return read_species(environment, self.species).species_of

    def _needs_adapter(self, environment: Any) -> bool:
        if isinstance(environment, Environment):
            if self.species is not None:
                raise UserError(
                    f"environment.species: must not be given, {self.make} says itself which are its species: "
                    f"{', '.join(environment.species)}"
                )
            return False
        if hasattr(environment, "batched"):
            missing = [name for name in ("species", "species_of") if not hasattr(environment, name)]
            raise UserError(
                f"environment.make: {self.make} gives an environment with batched, without {', '.join(missing)}; "
                "see Environment in marl_pbt/protocols/worlds.py"
            )
        obstacle = obstacle_to_adapting(environment)
        if obstacle:
            raise UserError(
                f"environment.make: {self.make} must make a PettingZoo parallel environment, got {obstacle}"
            )
        return True

    def _told(self, fault: Exception, line: str) -> str:
        """A line of the factory's fault; one that begins with a key is about the config."""
        if isinstance(fault, ValueError) and _BEGINS_WITH_KEY.match(line):
            return f"environment.config.{line}"
        return f"environment.make: {self.make} raised {type(fault).__name__}: {line}"


def obstacle_to_adapting(environment: Any) -> str | None:
    """Why it is no PettingZoo parallel environment; None where it looks like one."""
    offers = ("reset", "step", "observation_space", "action_space")
    lacks = [name for name in offers if not callable(getattr(environment, name, None))]
    kind = type(environment).__name__
    if lacks:
        return f"a {kind}, without {', '.join(lacks)}"
    if hasattr(environment, "agent_iter"):
        return f"a {kind}, which is stepped by turns (AEC); give its parallel_env"
    return None


def interface_of(worlds: Worlds) -> Interface:
    """Who plays, what they see and do; what the worlds offer beside.

    Raises:
        UserError: They offer something under a name that is none, or for a species that there is not.
    """
    terms = dict(worlds.shaping_terms) if isinstance(worlds, OffersShaping) else {}
    parameters = dict(worlds.parameters) if isinstance(worlds, OffersParameters) else {}
    faults = [fault for offer in (terms, parameters) for fault in _offer_faults(worlds.species, offer)]
    if faults:
        raise UserError(*faults)
    return Interface(
        worlds.species,
        worlds.observation_spaces,
        worlds.action_spaces,
        {species: tuple(own) for species, own in terms.items()},
        {species: {name: _spec_of(each) for name, each in own.items()} for species, own in parameters.items()},
    )


def _offer_faults(species: Sequence[str], offer: Mapping[str, Iterable[str]]) -> Iterator[str]:
    for owner, names in offer.items():
        if owner not in species:
            yield f"environment.make: offers {', '.join(names)} for {owner!r}, which is no species of its own"
        for name in names:
            if not _IS_WORD.fullmatch(name):
                yield f"environment.make: offers {name!r} for {owner}; must be a word (letters, digits, _)"


def _spec_of(parameter: Parameter) -> HyperparameterSpec:
    return HyperparameterSpec(
        parameter.default, parameter.kind, parameter.low, parameter.high, changes_environment=True
    )


def warm_up(worlds: Worlds) -> None:
    """Step once, with the first action of every space, so that what is compiled once per machine is compiled.

    Adapted worlds are left alone: what their environment does at its first step is not ours to know.
    """
    import numpy as np

    from marl_pbt.adapted import AdaptedWorlds

    if isinstance(worlds, AdaptedWorlds):
        return
    worlds.reset(0)
    for species, name in enumerate(worlds.species):
        space = worlds.observation_spaces[name]
        worlds.observe(species, np.zeros((worlds.max_rows[species], *(space.shape or ())), dtype=space.dtype))
    worlds.step([np.zeros(rows, dtype=np.int64) for rows in worlds.rows()])
