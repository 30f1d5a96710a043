"""The ways a config may be written, brought to one: Ray Tune's names, dotted and nested hyperparameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from marl_pbt.config.distributions import DISTRIBUTIONS
from marl_pbt.config.faults import Fault, did_you_mean
from marl_pbt.config.yaml_file import MAX_DEPTH

ALIASES: Mapping[str, tuple[str, ...]] = {
    "burn_in_period": ("burn_in",),
    "custom_explore_fn": ("after_explore",),
    "hyperparam_mutations": ("hyperparameters",),
    "num_samples": ("population",),
    "perturbation_factors": ("perturb_factors",),
    "perturbation_interval": ("interval",),
    "quantile_fraction": ("quantile_bottom", "quantile_top"),
    "reward_attr": ("metric",),
    "synch": ("synchronous",),
}
"""Ray Tune's name → ours, under `pbt`."""


@dataclass(frozen=True)
class Layout:
    """A config as it was written, in one way of writing.

    Attributes:
        data: Our names only; `pbt.hyperparameters` nested, never dotted.
        moved: `(dotted path as written, dotted path in data)`.
        faults: What was given twice.
    """

    data: Any
    moved: tuple[tuple[str, str], ...] = ()
    faults: tuple[Fault, ...] = ()


def canonical(data: Any) -> Layout:
    """Bring what was written to one form; what is no config at all stays as it is."""
    if not isinstance(data, dict) or not isinstance(data.get("pbt"), dict):
        return Layout(data)
    pbt, moved, faults = dict(data["pbt"]), [], []
    for alias in [key for key in pbt if key in ALIASES]:
        value = pbt.pop(alias)
        for name in ALIASES[alias]:
            moved.append((f"pbt.{alias}", f"pbt.{name}"))
            if name in pbt:
                faults.append(Fault(f"pbt.{alias}", f"means the same as {name!r}, which is given too"))
            pbt[name] = value
    if isinstance(pbt.get("hyperparameters"), dict):
        nested: dict[str, Any] = {}
        for path, value in _leaves(pbt["hyperparameters"], ()):
            if len(path) > MAX_DEPTH:
                faults.append(Fault("pbt.hyperparameters", f"names must have at most {MAX_DEPTH} parts"))
            else:
                faults += _place(nested, path, value)
        pbt["hyperparameters"] = nested
    return Layout({**data, "pbt": pbt}, tuple(moved), tuple(faults))


def canonical_keys(key: str) -> tuple[str, ...]:
    """The keys that a written dotted key stands for: Ray Tune's name for both quantiles is two."""
    head, _, rest = key.partition(".")
    alias, dot, tail = rest.partition(".")
    if head != "pbt" or alias not in ALIASES:
        return (key,)
    return tuple(f"pbt.{name}{dot}{tail}" for name in ALIASES[alias])


def flattened(data: Any) -> Any:
    """The config with every hyperparameter under its dotted name; null takes a declaration away."""
    if not isinstance(data, dict) or not isinstance(data.get("pbt"), dict):
        return data
    hyperparameters = data["pbt"].get("hyperparameters")
    if not isinstance(hyperparameters, dict):
        return data
    flat = {".".join(path): value for path, value in _leaves(hyperparameters, ()) if value is not None}
    return {**data, "pbt": {**data["pbt"], "hyperparameters": flat}}


def _leaves(declared: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The declarations, with the parts of their names."""
    for key, value in declared.items():
        own = (*path, *key.split("."))
        if isinstance(value, dict) and _is_group(value):
            yield from _leaves(value, own)
        else:
            yield own, value


def _is_group(value: dict[str, Any]) -> bool:
    """True for what holds declarations, such as a species, and not for a misspelt distribution."""
    if any(key in (*DISTRIBUTIONS, "initial") for key in value):
        return False
    return any(isinstance(child, dict) for child in value.values()) or not any(
        did_you_mean(key, DISTRIBUTIONS) for key in value
    )


def _place(nested: dict[str, Any], path: tuple[str, ...], value: Any) -> list[Fault]:
    """Put a declaration where it belongs, unless it is there already."""
    section = nested
    for part in path[:-1]:
        section = section.setdefault(part, {})
        if not isinstance(section, dict) or not _is_group(section):
            return [_twice(path)]
    if path[-1] in section:
        return [_twice(path)]
    section[path[-1]] = value
    return []


def _twice(path: tuple[str, ...]) -> Fault:
    return Fault(".".join(("pbt", "hyperparameters", *path)), "is declared twice, nested or with dots")
