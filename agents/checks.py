"""Checks of settings that every kind of learner needs: one line for each fault."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gymnasium import spaces

if TYPE_CHECKING:
    from marl_pbt.protocols import HyperparameterSpec, HyperparameterValue, Interface

NO_WORLDS = "environment: this learner needs one, the config names none"
# Names that mean something else where a species' name stands: in state (`worlds/…`) or in metrics (`time/…`).
_RESERVED = ("ecology", "episodes", "guests", "rates", "time", "worlds")


def unknown(path: str, name: str, known: Iterable[str], what: str) -> str:
    """The fault of a name that there is not, with the nearest one that there is."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    cure = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"{path}: unknown {what}; {cure}"


def range_of(spec: HyperparameterSpec) -> str:
    """The legal range in words, e.g. `a float > 0`."""
    if spec.kind in ("bool", "str"):
        return f"a {spec.kind}"
    words = [f"{'>' if spec.low_is_open else '≥'} {spec.low:g}"] if math.isfinite(spec.low) else []
    words += [f"≤ {spec.high:g}"] if math.isfinite(spec.high) else []
    return f"{'an' if spec.kind == 'int' else 'a finite'} {spec.kind} {' and '.join(words)}".strip()


def is_legal(value: Any, spec: HyperparameterSpec) -> bool:
    """Whether the value is of the declared type (an int passes for a float) within the declared range."""
    if spec.kind == "bool" or spec.kind == "str":
        return isinstance(value, bool if spec.kind == "bool" else str)
    if isinstance(value, bool) or not isinstance(value, int if spec.kind == "int" else (int, float)):
        return False
    try:
        is_finite = math.isfinite(value)
    except OverflowError:  # an int that no float can hold
        is_finite = False
    return is_finite and (value > spec.low if spec.low_is_open else value >= spec.low) and value <= spec.high


def typed(value: Any, spec: HyperparameterSpec) -> HyperparameterValue:
    """A legal value in its declared type: 1 becomes 1.0 where a float is declared."""
    return float(value) if spec.kind == "float" else value


def checked_values(
    species: str, values: Mapping[str, Any], specs: Mapping[str, HyperparameterSpec]
) -> dict[str, HyperparameterValue]:
    """Hyperparameters in their declared types; numpy scalars become Python's.

    Raises:
        ValueError: A name is unknown or a value is not legal; nothing has been put in force.
    """
    checked: dict[str, HyperparameterValue] = {}
    for name, given in values.items():
        if name not in specs:
            raise ValueError(unknown(f"{species}.{name}", name, specs, "hyperparameter"))
        value = given.item() if hasattr(given, "item") else given
        if not is_legal(value, specs[name]):
            raise ValueError(f"{species}.{name}: must be {range_of(specs[name])}, got {value!r:.40}")
        checked[name] = typed(value, specs[name])
    return checked


def interface_faults(interface: Interface) -> list[str]:
    """One line for each species whose name or spaces a learner with discrete actions cannot deal with."""
    if not interface.species:
        return [NO_WORLDS]
    faults = []
    for name in interface.species:
        observation, action = interface.observation_spaces[name], interface.action_spaces[name]
        if "/" in name or name in _RESERVED:
            faults.append(f"{name}: not a name for a species: reserved ({', '.join(_RESERVED)}) or with a slash")
        if not isinstance(observation, spaces.Box) or not observation.shape:
            faults.append(f"{name}: observations must be a Box (flat or an image), got {observation}")
        if not isinstance(action, spaces.Discrete) or action.start != 0:
            faults.append(f"{name}: actions must be Discrete from 0, got {action}")
    return faults
