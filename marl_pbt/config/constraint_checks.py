"""Constraints that could not be kept are refused before a run starts, not discovered in a worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from marl_pbt.config.distributions import RANGES, Declaration
from marl_pbt.config.faults import Fault, did_you_mean, shown
from marl_pbt.constraints import Constraint
from marl_pbt.protocols import HyperparameterSpec

Specs = Mapping[str, Mapping[str, HyperparameterSpec]]
Declared = Mapping[tuple[str, str], Declaration]


@dataclass(frozen=True)
class _Extent:
    """The values that one side of a constraint may have."""

    low: float
    high: float
    values: tuple[float, ...] = ()


def constraint_faults(constraints: Sequence[Constraint], declared: Declared, specs: Specs) -> Iterator[Fault]:
    """Unknown names, sides that are no numbers, and left sides that cannot give way.

    Args:
        constraints: As parsed.
        declared: Per (species, name).
        specs: The learner's, per species and name.
    """
    for place, constraint in enumerate(constraints):
        key = f"pbt.constraints.{place}"
        offered = sorted({name for own in specs.values() for name in own})
        unknown = [name for name in constraint.names if name not in offered]
        yield from (Fault(key, f"unknown hyperparameter {name!r}{did_you_mean(name, offered)}") for name in unknown)
        for species, own in specs.items():
            if not unknown and all(name in own for name in constraint.names):
                problem = _problem(constraint, species, own, declared)
                if problem:
                    yield Fault(key, f"{problem}, got {_written(constraint)!r}")


def _problem(
    constraint: Constraint, species: str, specs: Mapping[str, HyperparameterSpec], declared: Declared
) -> str | None:
    """What is wrong with a constraint for one species."""
    wanted = ("int",) if constraint.relation == "divides" else ("int", "float")
    for name in constraint.names:
        if specs[name].kind not in wanted:
            return f"{name} must be {' or '.join(wanted)} in {constraint.relation!r}, is {specs[name].kind}"
    left = _extent(constraint.left, species, specs, declared)
    if len(constraint.names) == 2:
        declaration = declared.get((species, constraint.right))
        default = float(specs[constraint.right].default)
        right = _extent(constraint.right, species, specs, declared) if declaration else _Extent(default, default)
    else:
        right = _Extent(float(constraint.right), float(constraint.right))
    keeps = _can_divide if constraint.relation == "divides" else _can_stay_below
    rule = keeps(left, right)
    return None if rule is None else f"{species}.{constraint.left} could not be repaired: {rule}"


def _extent(name: str, species: str, specs: Mapping[str, HyperparameterSpec], declared: Declared) -> _Extent:
    declaration = declared.get((species, name))
    if declaration is None:
        return _Extent(specs[name].low, specs[name].high)
    numbers = tuple(float(value) for value in declaration.arguments)
    return _Extent(min(numbers), max(numbers), () if declaration.kind in RANGES else numbers)


def _can_stay_below(left: _Extent, right: _Extent) -> str | None:
    if left.values:
        return None if left.high <= right.low else f"all its listed values must be at most {right.low:g}"
    return None if left.low <= right.low else f"its lower bound must be at most {right.low:g}"


def _can_divide(left: _Extent, right: _Extent) -> str | None:
    """Repair moves to the largest divisor that is not larger, so the lower bound must be one for all right sides."""
    if right.low < 1 or right.low != int(right.low):
        return f"what it divides must be a whole number of at least 1, is {right.low:g}"
    if left.values:
        sound = right.low == right.high and all(right.low % value == 0 for value in left.values)
        return None if sound else "a listed value must divide as it is"
    if left.low >= 1 and (left.low == 1 or (right.low == right.high and right.low % left.low == 0)):
        return None
    return f"its lower bound must divide {right.low:g}" if right.low == right.high else "its lower bound must be 1"


def _written(constraint: Constraint) -> str:
    return shown(f"{constraint.left} {constraint.relation} {constraint.right}")[1:-1]
