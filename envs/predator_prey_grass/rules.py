"""The rules as data: frozen records, named presets, and the one function that checks what a user changes in them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

BIRTH_REWARD = 10.0
"""What a parent earns for a child; the only reward there is."""

Record = TypeVar("Record", "Species", "Grass", "Rules")


def _within(low: float, high: float) -> dict[str, float]:
    return {"low": low, "high": high}


@dataclass(frozen=True)
class Species:
    """What one species is and can do; energies in units of energy, times in env steps.

    Attributes:
        name: Also the prefix of its agent ids.
        role: Predators eat prey, prey eat grass.
        initial_count: Alive at the start of an episode.
        initial_energy: Of founders; a child gets as much from its parent.
        decay: Energy paid per step for living.
        birth_energy: From this energy on one has a child.
        window: Side of the square observation, odd.
        slots: How many can be alive at once in one world.
        ids: How many can be born in one episode, founders included.
    """

    name: str
    role: Literal["predator", "prey"]
    initial_count: int = field(metadata=_within(1, 10_000))
    initial_energy: float = field(metadata=_within(0.01, 1e6))
    decay: float = field(metadata=_within(0.0, 1e6))
    birth_energy: float = field(metadata=_within(0.01, 1e6))
    window: int = field(metadata=_within(1, 99))
    slots: int = field(metadata=_within(1, 10_000))
    ids: int = field(metadata=_within(1, 1_000_000))


@dataclass(frozen=True)
class Grass:
    """The cells that grow food; which cells is drawn anew for every episode.

    Attributes:
        count: Number of cells.
        initial_energy: Of each cell at the start.
        max_energy: Growth stops here.
        growth: Energy per cell and step.
    """

    count: int = field(metadata=_within(0, 1_000_000))
    initial_energy: float = field(metadata=_within(0.0, 1e6))
    max_energy: float = field(metadata=_within(0.0, 1e6))
    growth: float = field(metadata=_within(0.0, 1e6))


@dataclass(frozen=True)
class Rules:
    """Everything that decides how worlds of one kind go on.

    Attributes:
        width: Cells along x.
        height: Cells along y.
        max_steps: The step on which survivors are truncated.
        observation_dtype: `uint8` fixed point (animals × 10, grass × 100, rounded, saturating) or `float32` raw energy.
        grass: What grows.
        species: Who lives, predators first.
    """

    width: int = field(metadata=_within(1, 1000))
    height: int = field(metadata=_within(1, 1000))
    max_steps: int = field(metadata=_within(1, 1_000_000_000))
    observation_dtype: Literal["uint8", "float32"]
    grass: Grass
    species: tuple[Species, ...]


PRESETS: Mapping[str, Rules] = {
    "base": Rules(
        width=25,
        height=25,
        max_steps=1000,
        observation_dtype="uint8",
        grass=Grass(count=100, initial_energy=2.0, max_energy=2.0, growth=0.04),
        species=(
            Species("predator", "predator", 6, 5.0, 0.15, 12.0, 7, 40, 2000),
            Species("prey", "prey", 8, 3.0, 0.05, 8.0, 9, 100, 2000),
        ),
    ),
}
"""Whole sets of rules by name. `base`: numbers as in the newest environment of the public project PredPreyGrass."""


def limits_of(name: str) -> tuple[float, float]:
    """The smallest and the largest legal value of a number of `Species`, whatever the others are."""
    limits = next(each.metadata for each in fields(Species) if each.name == name)
    return limits["low"], limits["high"]


def make_rules(preset: str = "base", **changes: Any) -> Rules:
    """Take a preset and change what the caller names.

    Args:
        preset: A key of `PRESETS`.
        **changes: Fields of `Rules`; `grass` and `species` take mappings of their own fields, the latter by name of the
            species: `make_rules(max_steps=500, species={"prey": {"initial_count": 12}})`.

    Raises:
        ValueError: Unknown keys, wrong types, values out of range or at odds with each other: all, one line each.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset: must be one of {', '.join(PRESETS)}, got {preset!r}")
    faults: list[str] = []
    rules = PRESETS[preset]
    whole = {name: change for name, change in changes.items() if name not in ("grass", "species")}
    flat = _changed(rules, whole, "", faults)
    grass = _changed(rules.grass, changes.get("grass", {}), "grass", faults)
    by_name = changes.get("species", {})
    if not isinstance(by_name, Mapping):
        faults.append(f"species: must be a mapping, got {by_name!r}")
        by_name = {}
    known = [each.name for each in rules.species]
    faults += [_unknown(f"species.{name}", str(name), known) for name in by_name if name not in known]
    species = tuple(
        _changed(each, by_name.get(each.name, {}), f"species.{each.name}", faults) for each in rules.species
    )
    if not faults:
        flat = replace(flat, grass=grass, species=species)
        faults += _contradictions(flat)
    if faults:
        raise ValueError("\n".join(faults))
    return flat


def _unknown(path: str, name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"{path}: unknown key; " + (f"did you mean '{near[0]}'?" if near else f"must be one of {', '.join(known)}")


def _changed(record: Record, changes: object, path: str, faults: list[str]) -> Record:
    """The record with the changes that are legal; a line in `faults` for each that is not."""
    if not isinstance(changes, Mapping):
        faults.append(f"{path}: must be a mapping, got {changes!r}")
        return record
    legal: dict[str, Any] = {}
    changeable: dict[str, Field[Any]] = {
        each.name: each for each in fields(record) if each.name not in ("name", "role")
    }
    for name, value in changes.items():
        where = f"{path}.{name}" if path else str(name)
        if name not in changeable:
            faults.append(_unknown(where, str(name), [*changeable, *(["preset"] if path == "" else [])]))
        elif name == "observation_dtype":
            if value not in ("uint8", "float32"):
                faults.append(f"{where}: must be one of uint8, float32, got {value!r}")
            legal[name] = value
        else:
            fault = _number_fault(value, changeable[name].type == "int", changeable[name].metadata)
            if fault:
                faults.append(f"{where}: {fault}")
            else:
                legal[name] = value if changeable[name].type == "int" else float(value)
    return replace(record, **legal)


def _number_fault(value: object, whole: bool, limits: Mapping[str, float]) -> str:
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        return f"must be {'a whole number' if whole else 'a number'}, got {value!r}"
    if not limits["low"] <= value <= limits["high"]:
        return f"must be in [{limits['low']:g}, {limits['high']:g}], got {value}"
    return ""


def _contradictions(rules: Rules) -> list[str]:
    """What is legal alone and not together."""
    cells = rules.width * rules.height
    faults = []
    if rules.grass.count > cells:
        faults.append(f"grass.count: must be at most width × height = {cells}, got {rules.grass.count}")
    if rules.grass.initial_energy > rules.grass.max_energy:
        faults.append(
            f"grass.initial_energy: must be at most grass.max_energy = {rules.grass.max_energy:g}, "
            f"got {rules.grass.initial_energy:g}"
        )
    founders = sum(each.initial_count for each in rules.species)
    if founders > cells:
        faults.append(f"species: initial counts must fit on width × height = {cells} cells, got {founders}")
    for each in rules.species:
        where = f"species.{each.name}"
        if each.window % 2 == 0:
            faults.append(f"{where}.window: must be odd, got {each.window}")
        if each.initial_count > min(each.slots, each.ids):
            limit = min(each.slots, each.ids)
            faults.append(f"{where}.initial_count: must be at most slots and ids = {limit}, got {each.initial_count}")
        if each.birth_energy < each.initial_energy:
            faults.append(
                f"{where}.birth_energy: must be at least initial_energy = {each.initial_energy:g}, "
                f"got {each.birth_energy:g}"
            )
    return faults
