"""The classifier in torch: layers that learn by Adam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from agents.quick_start import spare_compiler, step_without_compiler
from agents.widening import Dense

if TYPE_CHECKING:
    from agents.digits.examples import Examples
    from marl_pbt.protocols import Tensors

_MOMENTS = {"first": "exp_avg", "second": "exp_avg_sq"}


class Network:
    """Dense layers with ReLU between them, and AdamW (Loshchilov and Hutter 2019) without moments yet.

    Args:
        layers: What it begins with; copied.
    """

    def __init__(self, layers: Sequence[Dense]) -> None:
        self._parameters = {
            f"layer_{index}/{name}": torch.nn.Parameter(torch.tensor(array))
            for index, layer in enumerate(layers)
            for name, array in (("weight", layer.weight), ("bias", layer.bias))
        }
        spare_compiler()
        self._optimizer = torch.optim.AdamW(self._parameters.values())
        step_without_compiler(self._optimizer)

    def layers(self) -> list[Dense]:
        """As they are now, as copies."""
        arrays = [parameter.detach().numpy().copy() for parameter in self._parameters.values()]
        return [Dense(weight, bias) for weight, bias in zip(arrays[::2], arrays[1::2], strict=True)]

    def fit(self, batch: Examples, learning_rate: float, weight_decay: float) -> float:
        """One step of the optimiser; the cross-entropy before it."""
        for group in self._optimizer.param_groups:
            group.update(lr=learning_rate, weight_decay=weight_decay)
        self._optimizer.zero_grad()
        loss = functional.cross_entropy(self._logits(batch), torch.from_numpy(batch.labels))
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        self._optimizer.step()
        return float(loss.item())

    def accuracy(self, examples: Examples) -> float:
        """The share of the examples that it classifies right."""
        with torch.no_grad():
            said = self._logits(examples).argmax(dim=1).numpy()
        return float(np.mean(said == examples.labels))

    def moments(self) -> Tensors:
        """Adam's, and its number of steps: `optimizer/…`, as copies; zeros before the first step."""
        tensors: Tensors = {"optimizer/steps": np.zeros((), np.int64)}
        for name, parameter in self._parameters.items():
            state = self._optimizer.state.get(parameter, {})
            for moment, key in _MOMENTS.items():
                array = state[key].numpy().copy() if state else np.zeros(tuple(parameter.shape), np.float32)
                tensors[f"optimizer/{name}/{moment}"] = array
            if state:
                tensors["optimizer/steps"] = np.array(int(state["step"]), np.int64)
        return tensors

    def set_moments(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `moments` of a network of the same widths.

        Raises:
            ValueError: A tensor is missing or does not fit; nothing has changed.
        """
        for name, own in self.moments().items():
            given = tensors.get(name)
            if given is None or given.shape != own.shape or given.dtype != own.dtype or not np.isfinite(given).all():
                raise ValueError(f"{name}: must be finite {own.dtype} of shape {own.shape}")
        self._optimizer.state.clear()
        steps = int(tensors["optimizer/steps"])
        for name, parameter in self._parameters.items() if steps else ():
            moments = {key: torch.tensor(tensors[f"optimizer/{name}/{moment}"]) for moment, key in _MOMENTS.items()}
            self._optimizer.state[parameter] = {"step": torch.tensor(float(steps)), **moments}

    def _logits(self, examples: Examples) -> torch.Tensor:
        outputs = torch.from_numpy(examples.inputs)
        parameters = list(self._parameters.values())
        for index in range(0, len(parameters), 2):
            if index:
                outputs = outputs.relu()
            outputs = functional.linear(outputs, parameters[index], parameters[index + 1])
        return outputs
