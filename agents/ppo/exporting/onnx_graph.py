"""The ONNX graph of an actor-critic MLP, put together node by node.

    observations (batch, *shape) → Cast → Div by 255 (images) → Flatten → Gemm, activation, … → logits, action, value

Written in opset 17 and IR version 8 (ONNX 1.12), which onnxruntime opens since 1.13. GELU and SiLU are spelled out:
the former became an operator with opset 20 only, the latter none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from marl_pbt.protocols import PortablePolicy

OPSET, IR_VERSION = 17, 8
BATCH = "batch"
_OPERATORS: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "elu": ("Elu", {"alpha": 1.0}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.01}),
    "relu": ("Relu", {}),
    "selu": ("Selu", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
}
"""Activations that are one operator, with torch's defaults; the others are in `_SPELLED_OUT`."""


def model_of(policy: PortablePolicy) -> onnx.ModelProto:
    """The model; the tensors must fit the architecture.

    Input: `observations`, `(batch, *shape)` in the space's dtype. Outputs: `logits` `(batch, n_actions)` float32,
    `action` `(batch,)` int64, the first of the largest logits, `value` `(batch,)` float32.
    """
    graph = _Graph()
    features = _features(graph, policy.architecture)
    logits = _network(graph, policy, features, "policy_net", "action_net", "logits")
    graph.add("ArgMax", [logits], "action", axis=1, keepdims=0)
    value = _network(graph, policy, features, "value_net", "value_net", "value_column")
    graph.add("Squeeze", [value, graph.constant("axis_1", np.array([1], np.int64))], "value")
    model = helper.make_model(
        helper.make_graph(
            graph.nodes, "policy", [_input(policy.architecture)], _outputs(policy.architecture), graph.constants
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="marl_pbt",
    )
    helper.set_model_props(model, _properties(policy))
    return model


class _Graph:
    """Nodes and constants so far; every node has one output, by whose name it goes."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, array: NDArray[Any]) -> str:
        if all(name != constant.name for constant in self.constants):
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def scalar(self, name: str, value: float) -> str:
        return self.constant(name, np.array(value, np.float32))


def _features(graph: _Graph, architecture: Mapping[str, Any]) -> str:
    """Flat float32, images scaled to [0, 1]."""
    numbers = graph.add("Cast", ["observations"], "numbers", to=TensorProto.FLOAT)
    if architecture["is_image"]:
        numbers = graph.add("Div", [numbers, graph.scalar("full_brightness", 255.0)], "scaled")
    return graph.add("Flatten", [numbers], "features", axis=1)


def _network(graph: _Graph, policy: PortablePolicy, features: str, body: str, head: str, output: str) -> str:
    """Hidden layers with activations and the head's linear layer, under Stable-Baselines3's names."""
    layers = policy.architecture["net_arch"]["pi" if body == "policy_net" else "vf"]
    hidden = features
    for place in range(len(layers)):
        name = f"mlp_extractor.{body}.{2 * place}"
        linear = _linear(graph, policy, hidden, name, f"{name}.linear")
        hidden = _activation(graph, policy.architecture["activation"], linear, f"{name}.active")
    return _linear(graph, policy, hidden, head, output)


def _linear(graph: _Graph, policy: PortablePolicy, features: str, name: str, output: str) -> str:
    weights = [graph.constant(f"{name}.{part}", policy.tensors[f"policy/{name}.{part}"]) for part in ("weight", "bias")]
    return graph.add("Gemm", [features, *weights], output, transB=1)


def _activation(graph: _Graph, name: str, x: str, output: str) -> str:
    if name in _SPELLED_OUT:
        return _SPELLED_OUT[name](graph, x, output)
    operator, attributes = _OPERATORS[name]
    return graph.add(operator, [x], output, **attributes)


def _gelu(graph: _Graph, x: str, output: str) -> str:
    """0.5 x (1 + erf(x / √2)), as `torch.nn.GELU` computes it by default."""
    inner = graph.add("Mul", [x, graph.scalar("root_of_half", math.sqrt(0.5))], f"{output}.inner")
    erf = graph.add("Erf", [inner], f"{output}.erf")
    share = graph.add("Add", [erf, graph.scalar("one", 1.0)], f"{output}.share")
    half = graph.add("Mul", [x, graph.scalar("half", 0.5)], f"{output}.half")
    return graph.add("Mul", [half, share], output)


def _silu(graph: _Graph, x: str, output: str) -> str:
    """X times its sigmoid."""
    return graph.add("Mul", [x, graph.add("Sigmoid", [x], f"{output}.sigmoid")], output)


_SPELLED_OUT: Mapping[str, Callable[[_Graph, str, str], str]] = {"gelu": _gelu, "silu": _silu}


def _input(architecture: Mapping[str, Any]) -> onnx.ValueInfoProto:
    dtype = helper.np_dtype_to_tensor_dtype(np.dtype(architecture["observation_dtype"]))
    return helper.make_tensor_value_info("observations", dtype, [BATCH, *architecture["observation_shape"]])


def _outputs(architecture: Mapping[str, Any]) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, [BATCH, architecture["n_actions"]]),
        helper.make_tensor_value_info("action", TensorProto.INT64, [BATCH]),
        helper.make_tensor_value_info("value", TensorProto.FLOAT, [BATCH]),
    ]


def _properties(policy: PortablePolicy) -> dict[str, str]:
    """What the file says of itself."""
    return {
        "what": "PPO's policy for one agent, discrete actions; actor and critic",
        "observations": f"{policy.observation_space}, raw: scaling is part of the graph",
        "action": "the greedy one; to sample, draw from softmax(logits)",
        "value": "expected discounted sum of rewards times hyperparameters.reward_scale",
        "architecture": json.dumps(policy.architecture, sort_keys=True),
        "hyperparameters": json.dumps(dict(policy.hyperparameters), sort_keys=True),
    }
