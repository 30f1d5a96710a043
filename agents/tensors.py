"""Named arrays of one level, put under a name of the level above."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from marl_pbt.protocols import HyperparameterValue, Tensors


def check_names(state: Iterable[str], expected: Iterable[str]) -> None:
    """Make sure that a state holds the names that one's own would have, before anything is taken from it.

    Raises:
        ValueError: Names one that is missing or unknown.
    """
    for problem, names in (("missing", {*expected} - {*state}), ("unknown", {*state} - {*expected})):
        if names:
            raise ValueError(f"state: {min(names)} is {problem}")


def under(name: str, tensors: Mapping[str, NDArray[Any]]) -> Tensors:
    """The same arrays, each called `<name>/<its name>`."""
    return {f"{name}/{key}": array for key, array in tensors.items()}


def within(name: str, tensors: Mapping[str, NDArray[Any]]) -> Tensors:
    """The arrays called `<name>/…`, without that beginning: the inverse of `under`."""
    start = f"{name}/"
    return {key.removeprefix(start): array for key, array in tensors.items() if key.startswith(start)}


def from_values(values: Mapping[str, HyperparameterValue]) -> Tensors:
    """Hyperparameters as arrays `()` called `hyperparameters/<name>`, for a learner's state."""
    return under("hyperparameters", {name: np.array(value) for name, value in values.items()})


def values_in(tensors: Mapping[str, NDArray[Any]]) -> dict[str, HyperparameterValue]:
    """The inverse of `from_values`, from among other arrays."""
    return {name: array.item() for name, array in within("hyperparameters", tensors).items()}
