"""How a policy's parameters lie in one flat vector, and how they get there and back.

A tower's parameters follow each other, layer by layer, weights as (inputs, units). Layers are padded with units whose
weights are zero to what the kernels need: such a unit gives 0, gets no gradient, and so stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.ppo.fast.emitting import WIDTH_MULTIPLE
from agents.ppo.fast.network import Tower

_LINE = 64  # bytes; a vector that crosses a cache line takes twice as long
_NETS = {"actor": ("mlp_extractor.policy_net", "action_net"), "critic": ("mlp_extractor.value_net", "value_net")}


def aligned(count: int, dtype: Any = np.float32) -> NDArray[Any]:
    """Zeros that begin where a cache line begins: `(count,)`."""
    raw = np.zeros(count * np.dtype(dtype).itemsize + _LINE, np.uint8)
    begin = -raw.ctypes.data % _LINE
    return raw[begin : begin + count * np.dtype(dtype).itemsize].view(dtype)


@dataclass(frozen=True)
class Place:
    """Where a tensor of torch's lies.

    Attributes:
        name: As in `named_parameters`.
        begin: First element.
        shape: Of the padded array: `(inputs, units)`, the other way round than torch has it, or `(units,)`.
    """

    name: str
    begin: int
    shape: tuple[int, ...]

    @property
    def end(self) -> int:
        """Behind the last element."""
        return self.begin + int(np.prod(self.shape))


@dataclass(frozen=True)
class Layout:
    """Of a policy with two hidden layers per tower.

    Attributes:
        places: In the order of `Tower`'s fields, first the actor's.
        size: Of the flat vector, in elements.
        actions: How many outputs of the actor are not padding.
    """

    places: tuple[Place, ...]
    size: int
    actions: int

    def towers(self, flat: NDArray[np.float32]) -> tuple[Tower, Tower]:
        """Views of a flat vector: the actor and the critic."""
        arrays = [flat[place.begin : place.end].reshape(place.shape) for place in self.places]
        return Tower(*arrays[:6]), Tower(*arrays[6:])

    def write(self, flat: NDArray[np.float32], name: str, tensor: NDArray[np.float32]) -> None:
        """Put a tensor of torch's where it belongs."""
        self._unpadded(flat, name, tensor.shape)[...] = tensor

    def read(self, flat: NDArray[np.float32], name: str, shape: Sequence[int]) -> NDArray[np.float32]:
        """A tensor as torch has it: a view."""
        return self._unpadded(flat, name, shape)

    def _unpadded(self, flat: NDArray[np.float32], name: str, shape: Sequence[int]) -> NDArray[np.float32]:
        place = next(place for place in self.places if place.name == name)
        array = flat[place.begin : place.end].reshape(place.shape)
        return array.T[tuple(slice(length) for length in shape)]


def make_layout(inputs: int, actions: int, actor: Sequence[int], critic: Sequence[int]) -> Layout:
    """Lay out a policy.

    Args:
        inputs: Of either tower.
        actions: Outputs of the actor.
        actor: Units of its two hidden layers.
        critic: The same.
    """
    places: list[Place] = []
    at = 0
    for name, widths, outputs in (("actor", actor, actions), ("critic", critic, 1)):
        for tensor, shape in _tensors(name, inputs, [_padded(width) for width in (*widths, outputs)]):
            places.append(Place(tensor, at, shape))
            at = _next_line(places[-1].end)
    return Layout(tuple(places), at, actions)


def _tensors(tower: str, inputs: int, widths: Sequence[int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape in the order of `Tower`'s fields."""
    hidden, last = _NETS[tower]
    names = (f"{hidden}.0", f"{hidden}.2", last)
    for name, begins, ends in zip(names, (inputs, *widths), widths, strict=False):
        yield f"{name}.weight", (begins, ends)
        yield f"{name}.bias", (ends,)


def _padded(width: int) -> int:
    """As wide as the kernels need; they have another way for a single output."""
    return 1 if width == 1 else -(-width // WIDTH_MULTIPLE) * WIDTH_MULTIPLE


def _next_line(element: int) -> int:
    per_line = _LINE // 4
    return -(-element // per_line) * per_line
