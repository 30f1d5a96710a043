"""Hyperparameters that the worlds bring along: weights of their shaping terms, parameters of their own.

`reward_weight.<term>` is what the learner adds to the reward for each unit of a term; `environment.<name>` is a
parameter of the worlds that it trains in. A species has those that its worlds offer for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from agents.checks import is_legal, range_of, unknown
from marl_pbt.protocols import HyperparameterSpec

if TYPE_CHECKING:
    from marl_pbt.protocols import HyperparameterValue, OffersParameters, OffersShaping, Worlds

Values = Mapping[str, "HyperparameterValue"]

WEIGHT, PARAMETER = "reward_weight.", "environment."
_WEIGHT_SPEC = HyperparameterSpec(0.0, "float", low=-1000.0, high=1000.0)
_NUMBER_SPEC = HyperparameterSpec(0.0, "float")


def weight_faults(path: str, given: Any, terms: Collection[str]) -> list[str]:
    """The faults of what stands under a `reward_weight`.

    Args:
        path: Where it stands.
        given: What was written there.
        terms: Names that the worlds offer.
    """
    if not isinstance(given, Mapping):
        return [f"{path}: must map shaping terms to weights, got {given!r}"]
    if given and not terms:
        return [f"{path}: must be empty where the environment offers no shaping terms, got {dict(given)!r}"]
    faults = []
    for term, weight in given.items():
        if term not in terms:
            faults.append(unknown(f"{path}.{term}", str(term), terms, "shaping term"))
        elif not is_legal(weight, _WEIGHT_SPEC):
            faults.append(f"{path}.{term}: must be {range_of(_WEIGHT_SPEC)}, got {weight!r}")
    return faults


def offered_specs(
    terms: Iterable[str], weights: Mapping[str, float], parameters: Mapping[str, HyperparameterSpec]
) -> dict[str, HyperparameterSpec]:
    """The hyperparameters of one species.

    Args:
        terms: That the worlds offer for it.
        weights: By term, to start with; 0 for those that are left out.
        parameters: As in `Interface.parameters`.
    """
    specs = {WEIGHT + term: dataclasses.replace(_WEIGHT_SPEC, default=float(weights.get(term, 0))) for term in terms}
    return specs | {PARAMETER + name: spec for name, spec in parameters.items()}


def specs_for(names: Iterable[str]) -> dict[str, HyperparameterSpec]:
    """What is legal for those of the names that are such, whatever worlds have offered them."""
    specs = {WEIGHT: _WEIGHT_SPEC, PARAMETER: _NUMBER_SPEC}
    return {name: spec for name in names for start, spec in specs.items() if name.startswith(start)}


def weights_in(values: Values) -> NDArray[np.float32] | None:
    """The weights in force, `(terms,)` float32; None where all are 0: nobody need look at the terms then."""
    weights = [float(value) for name, value in values.items() if name.startswith(WEIGHT)]
    return np.array(weights, np.float32) if any(weights) else None


def terms_of(worlds: Worlds, species: int, own: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    """`(own rows, terms)`: what a species' rows that acted in the last step earned beside their rewards.

    Args:
        worlds: That have just stepped, and offer terms.
        species: Index.
        own: `(rows,)` bool: which rows are asked about; None: all of them.
    """
    terms = cast("OffersShaping", worlds).shaping(species)
    return terms if own is None else terms[own]


def change_worlds(worlds: Worlds, species: str, values: Values) -> None:
    """Put in force what the values of a species say of the worlds."""
    own = {name.removeprefix(PARAMETER): value for name, value in values.items() if name.startswith(PARAMETER)}
    if own:
        cast("OffersParameters", worlds).set_parameters(species, own)
