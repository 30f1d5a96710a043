"""Settings in one flat level, and what learners that play in no environment make of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agents.checks import is_legal, range_of, typed, unknown
from marl_pbt.protocols import UserError

if TYPE_CHECKING:
    from marl_pbt.protocols import HyperparameterSpec, HyperparameterValue, Interface


def setting_faults(settings: Mapping[str, Any], specs: Mapping[str, HyperparameterSpec]) -> list[str]:
    """One line for each key that there is not and each value that is not legal."""
    faults = [unknown(str(key), str(key), specs, "key") for key in settings if key not in specs]
    for name, spec in specs.items():
        if name in settings and not is_legal(settings[name], spec):
            faults.append(f"{name}: must be {range_of(spec)}, got {settings[name]!r}")
    return faults


def read_settings(
    settings: Mapping[str, Any], specs: Mapping[str, HyperparameterSpec], interface: Interface
) -> dict[str, HyperparameterValue]:
    """All settings in their declared types, defaults where they are not given.

    Raises:
        UserError: One line per fault: a key that there is not, a value that is not legal, an environment that nobody
            would play in.
    """
    faults = setting_faults(settings, specs)
    if interface.species:
        faults.append(f"environment.make: must be null, this learner plays nowhere, got {', '.join(interface.species)}")
    if faults:
        raise UserError(*faults)
    return {name: typed(settings.get(name, spec.default), spec) for name, spec in specs.items()}


def with_defaults(
    specs: Mapping[str, HyperparameterSpec], values: Mapping[str, HyperparameterValue]
) -> dict[str, HyperparameterSpec]:
    """The specs with these values as defaults."""
    return {name: replace(spec, default=values[name]) for name, spec in specs.items()}
