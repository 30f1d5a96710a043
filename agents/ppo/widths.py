"""Widths of hidden layers that PBT changes: read off a policy's tensors, and the tensors brought to other ones.

Tensors are called as in `agents.ppo.architecture`, without `policy/`; a `net_arch` is `{pi: [...], vf: [...]}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.ppo.architecture import NETS
from agents.ppo.settings import SpeciesSettings
from agents.widening import Activation, Dense, resized
from marl_pbt.protocols import HyperparameterSpec

if TYPE_CHECKING:
    from marl_pbt.protocols import HyperparameterValue, Tensors

NetArch = dict[str, list[int]]


def with_widths(
    net_arch: Mapping[str, Sequence[int]], settings: SpeciesSettings, values: Mapping[str, HyperparameterValue]
) -> NetArch:
    """The `net_arch` with those of the values, legal ones, that are widths."""
    changed = {net: list(layers) for net, layers in net_arch.items()}
    for name, layers in settings.layers_by_width().items():
        for net, place in layers if name in values else ():
            changed[net][place] = int(values[name])
    return changed


def widths_in(tensors: Mapping[str, NDArray[Any]], settings: SpeciesSettings) -> dict[str, int]:
    """The hyperparameters that are widths, as tensors of as many layers have them; bounds are not looked at.

    Raises:
        ValueError: A layer is missing or none, or actor and critic differ that must not.
    """
    widths: dict[str, int] = {}
    for hyperparameter, layers in settings.layers_by_width().items():
        for net, place in layers:
            name = f"{NETS[net][0]}.{2 * place}.weight"
            if name not in tensors:
                raise ValueError(f"policy/{name}: tensor is missing")
            shape = tensors[name].shape
            expected = widths.setdefault(hyperparameter, shape[0] if len(shape) == 2 else 0)
            if len(shape) != 2 or shape[0] != expected:
                raise ValueError(f"policy/{name}: must have {expected} units, as in the actor, its shape is {shape}")
    return widths


def fixed_widths(net_arch: Mapping[str, Sequence[int]]) -> dict[str, HyperparameterSpec]:
    """The hyperparameters that are widths, by any name that they may have; legal is the policy's own value alone."""
    specs: dict[str, HyperparameterSpec] = {}
    for are_twins in (True, False) if net_arch["pi"] == net_arch["vf"] else (False,):
        layers = {net: tuple(units) for net, units in net_arch.items()}
        settings = SpeciesSettings({}, layers, has_twin_nets=are_twins)
        for name, ((net, place), *_) in settings.layers_by_width().items():
            units = net_arch[net][place]
            specs[name] = HyperparameterSpec(units, "int", low=units, high=units)
    return specs


def resized_policy(
    tensors: Mapping[str, NDArray[Any]], net_arch: NetArch, rng: np.random.Generator, activation: Activation | None
) -> tuple[Tensors, float]:
    """Bring both towers to these widths; see `agents.widening.resized`.

    Args:
        tensors: Of a policy with as many layers.
        net_arch: Widths to come to.
        rng: As there; the actor's draws come first.
        activation: As there.

    Returns:
        The tensors, and the largest loss of a layer that was narrowed; 0 where none was.
    """
    resized_tensors: Tensors = dict(tensors)
    greatest = 0.0
    for net, widths in net_arch.items():
        body, head = NETS[net]
        names = [*(f"{body}.{2 * place}" for place in range(len(widths))), head]
        layers = [Dense(tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in names]
        layers, loss = resized(layers, widths, rng, activation)
        greatest = max(greatest, loss)
        for name, layer in zip(names, layers, strict=True):
            resized_tensors |= {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}
    return resized_tensors, greatest
