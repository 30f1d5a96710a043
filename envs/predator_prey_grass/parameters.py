"""What of a species' rules may change while worlds go on: how many found it, what living costs, what a birth takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from envs.predator_prey_grass.layout import BIRTH_ENERGY, DECAY, INITIAL_COUNT
from envs.predator_prey_grass.rules import Rules, Species, limits_of

_PLACES = {"initial_count": INITIAL_COUNT, "decay": DECAY, "birth_energy": BIRTH_ENERGY}


@dataclass(frozen=True)
class Parameter:
    """A number of a species' rules that may change; whatever others are, any value within the bounds is sound.

    Attributes:
        default: As the rules have it.
        kind: Whether it is whole.
        low: Smallest legal value.
        high: Largest legal value.
    """

    default: float
    kind: Literal["int", "float"]
    low: float
    high: float


def parameters_of(rules: Rules) -> dict[str, dict[str, Parameter]]:
    """Per species: `initial_count`, `decay` and `birth_energy`, as in `rules.Species`."""
    return {each.name: _own(each, rules) for each in rules.species}


def parameters_in(rules: Rules) -> NDArray[np.float64]:
    """`(3, S)`, as in `State.parameters`: what the rules say."""
    return np.array([[getattr(each, name) for each in rules.species] for name in _PLACES], np.float64)


def changed_parameters(
    rules: Rules, in_force: NDArray[np.float64], species: str, values: Mapping[str, Any]
) -> NDArray[np.float64]:
    """A copy of `State.parameters` with other values for one species.

    Raises:
        ValueError: There is no such species or parameter, or a value is not legal.
    """
    own = parameters_of(rules).get(species)
    if own is None:
        raise ValueError(f"species: must be one of {', '.join(each.name for each in rules.species)}, got {species!r}")
    changed, column = in_force.copy(), [each.name for each in rules.species].index(species)
    for name, value in values.items():
        if name not in own:
            raise ValueError(f"{species}.{name}: unknown parameter; must be one of {', '.join(own)}")
        changed[_PLACES[name], column] = value
    check_parameters(rules, changed)
    return changed


def check_parameters(rules: Rules, given: NDArray[np.float64]) -> None:
    """Refuse parameters that the worlds have no room for.

    Raises:
        ValueError: Names the first `(3, S)` value that is out of bounds or not whole where it must be.
    """
    for column, (species, own) in enumerate(parameters_of(rules).items()):
        for name, parameter in own.items():
            value = float(given[_PLACES[name], column])
            if not parameter.low <= value <= parameter.high or (parameter.kind == "int" and not value.is_integer()):
                whole = ", whole" if parameter.kind == "int" else ""
                raise ValueError(
                    f"{species}.{name}: must be in [{parameter.low:g}, {parameter.high:g}]{whole}, got {value:g}"
                )


def _own(species: Species, rules: Rules) -> dict[str, Parameter]:
    # Shared out, so that all species' founders have a cell each, however many they become.
    spare = rules.width * rules.height - sum(each.initial_count for each in rules.species)
    room = min(species.slots, species.ids, species.initial_count + spare // len(rules.species))
    # A parent gives away the energy that its child starts with, which must not kill it.
    return {
        "initial_count": Parameter(species.initial_count, "int", 1, room),
        "decay": Parameter(species.decay, "float", *limits_of("decay")),
        "birth_energy": Parameter(species.birth_energy, "float", species.initial_energy, limits_of("birth_energy")[1]),
    }
