"""What a policy is made of: the names, shapes and dtypes of its tensors, known before torch is imported.

The tensors are those of Stable-Baselines3's `ActorCriticPolicy` with an MLP (its `state_dict` names) and of Adam's
moments for each of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agents.ppo.settings import ACTIVATIONS, OBSERVATION_DTYPES, is_net_arch

if TYPE_CHECKING:
    import gymnasium

    from agents.ppo.settings import SpeciesSettings

KIND = "sb3-mlp"
MOMENTS = ("exp_avg", "exp_avg_sq")
NETS = {"pi": ("mlp_extractor.policy_net", "action_net"), "vf": ("mlp_extractor.value_net", "value_net")}
"""Actor and critic: their hidden layers, which stand at the even places of a sequence, and the layer behind them."""
_KEYS = {"kind", "observation_shape", "observation_dtype", "is_image", "n_actions", "net_arch", "activation"}


def describe_architecture(
    observation_space: gymnasium.Space[Any], action_space: gymnasium.Space[Any], settings: SpeciesSettings
) -> dict[str, Any]:
    """What rebuilds a policy, JSON-able.

    `is_image` says that observations are divided by 255 on their way in, see `is_image`.
    """
    box = cast("spaces.Box", observation_space)
    return {
        "kind": KIND,
        "observation_shape": [int(length) for length in box.shape],
        "observation_dtype": str(box.dtype),
        "is_image": is_image(box),
        "n_actions": int(cast("spaces.Discrete", action_space).n),
        "net_arch": {net: list(layers) for net, layers in settings.net_arch.items()},
        "activation": settings.activation,
    }


def policy_shapes(architecture: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The policy's tensors by Stable-Baselines3's names, in the order of its `state_dict`; all are float32.

    Raises:
        ValueError: The architecture is not one that `describe_architecture` gives.
    """
    check_architecture(architecture)
    features = math.prod(architecture["observation_shape"])
    nets = architecture["net_arch"]
    shapes: dict[str, tuple[int, ...]] = {}
    for net, (body, _) in NETS.items():
        shapes |= _mlp(body, features, nets[net])
    for (net, (_, head)), outputs in zip(NETS.items(), (architecture["n_actions"], 1), strict=True):
        shapes |= _linear(head, [features, *nets[net]][-1], outputs)
    return shapes


def tensor_shapes(architecture: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """All tensors of a snapshot: `policy/<name>` and `optimizer/<name>/exp_avg|exp_avg_sq|step`; all are float32."""
    policy = policy_shapes(architecture)
    shapes = {f"policy/{name}": shape for name, shape in policy.items()}
    for name, shape in policy.items():
        shapes |= {f"optimizer/{name}/{moment}": shape for moment in MOMENTS}
        shapes[f"optimizer/{name}/step"] = ()
    return shapes


def tensor_bytes(architecture: Mapping[str, Any]) -> int:
    """The size of a snapshot in bytes of array data."""
    return sum(4 * math.prod(shape) for shape in tensor_shapes(architecture).values())


def check_tensors(
    architecture: Mapping[str, Any],
    tensors: Mapping[str, NDArray[Any]],
    levels: Sequence[str] = ("policy", "optimizer"),
) -> None:
    """Make sure that the tensors of these levels are all there, fit the architecture and are finite.

    Raises:
        ValueError: Names the first tensor that is missing, unknown, of another shape or dtype, or not finite.
    """
    wanted = {name: shape for name, shape in tensor_shapes(architecture).items() if name.split("/")[0] in levels}
    unknown = sorted(name for name in tensors if name.split("/")[0] in levels and name not in wanted)
    if unknown:
        raise ValueError(f"{unknown[0]}: no such tensor in this architecture")
    for name, shape in wanted.items():
        if name not in tensors:
            raise ValueError(f"{name}: tensor is missing")
        array = tensors[name]
        if array.shape != shape or array.dtype != np.float32:
            raise ValueError(f"{name}: must be {shape} float32, got {array.shape} {array.dtype}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: must be finite")


def check_spaces(
    architecture: Mapping[str, Any], observation_space: gymnasium.Space[Any], action_space: gymnasium.Space[Any]
) -> None:
    """Make sure that a policy of this architecture sees what there is to see and knows all actions.

    Raises:
        ValueError: It was made for other observations or actions.
    """
    if not isinstance(observation_space, spaces.Box) or not isinstance(action_space, spaces.Discrete):
        raise ValueError(f"spaces: must be Box and Discrete, got {observation_space} and {action_space}")
    here = {
        "observation_shape": list(map(int, observation_space.shape)),
        "observation_dtype": str(observation_space.dtype),
        "is_image": is_image(observation_space),
        "n_actions": int(action_space.n),
    }
    for key, value in here.items():
        if architecture[key] != value:
            raise ValueError(f"architecture.{key}: the policy was made for {architecture[key]}, here it is {value}")


def is_image(box: spaces.Box) -> bool:
    """Whether Stable-Baselines3 divides these observations by 255: three-dimensional uint8 between 0 and 255."""
    return len(box.shape) == 3 and box.dtype == np.uint8 and bool(np.all(box.low == 0) and np.all(box.high == 255))


def check_architecture(architecture: Mapping[str, Any]) -> None:
    """Make sure that it is one that `describe_architecture` gives; it may be a stranger's.

    Raises:
        ValueError: Names what is not legal.
    """
    if architecture.get("kind") != KIND:
        raise ValueError(f"architecture.kind: must be {KIND!r}, got {architecture.get('kind')!r}")
    if set(architecture) != _KEYS:
        raise ValueError(f"architecture: must have the keys {sorted(_KEYS)}, got {sorted(architecture)}")
    legal = {
        "observation_shape": _are_counts(architecture["observation_shape"]),
        "observation_dtype": architecture["observation_dtype"] in OBSERVATION_DTYPES,
        "n_actions": _are_counts([architecture["n_actions"]]),
        "net_arch": isinstance(architecture["net_arch"], Mapping) and is_net_arch(architecture["net_arch"]),
        "activation": architecture["activation"] in list(ACTIVATIONS),
    }
    for key, is_legal in legal.items():
        if not is_legal:
            raise ValueError(f"architecture.{key}: not a legal value: {architecture[key]!r}")


def _are_counts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(type(count) is int and count > 0 for count in value)


def _mlp(name: str, features: int, layers: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Linear layers at the even places of a sequence, activations between them."""
    shapes: dict[str, tuple[int, ...]] = {}
    for place, (inputs, outputs) in enumerate(zip([features, *layers], layers, strict=False)):
        shapes |= _linear(f"{name}.{2 * place}", inputs, outputs)
    return shapes


def _linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
