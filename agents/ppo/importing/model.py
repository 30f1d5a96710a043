"""Whether a model that Stable-Baselines3 saved computes what a species' settings describe.

It is judged by the shapes of its weights, and by what the JSON beside them says where shapes say nothing. What that
JSON leaves out is not held against the file, with one exception: an image's order of channels.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from agents.ppo.architecture import NETS, policy_shapes
from agents.ppo.channels import channels_first_shape, is_transposed_by_sb3
from agents.ppo.importing.faults import ForeignFileError
from agents.ppo.settings import ACTIVATIONS

_CLASSES = {f"<class 'torch.nn.modules.activation.{name}'>": key for key, name in ACTIVATIONS.items()}
"""As Stable-Baselines3 writes a class into JSON → name in the config."""
_DEFAULT_CLASS = "<class 'torch.nn.modules.activation.Tanh'>"
_FLATTEN = "<class 'stable_baselines3.common.torch_layers.FlattenExtractor'>"
_REPR = reprlib.Repr()
_REPR.maxstring = 80


def check_what_it_computes(architecture: Mapping[str, Any], attributes: Mapping[str, Any], key: str) -> None:
    """Compare activation and preprocessing, as far as `policy_kwargs` tells; without it the settings are believed.

    Args:
        architecture: What the settings give.
        attributes: Of the model, from JSON.
        key: Of the setting `activation`.

    Raises:
        ForeignFileError: It is known to compute something else.
    """
    kwargs = attributes.get("policy_kwargs")
    if not isinstance(kwargs, Mapping):
        return
    written = kwargs.get("activation_fn", _DEFAULT_CLASS)
    found = _CLASSES.get(written) if isinstance(written, str) else None
    if found is None:
        raise ForeignFileError(f"its activation {_shown(written)} is none of ours: {', '.join(ACTIVATIONS)}")
    if found != architecture["activation"]:
        cure = f"`learner.settings.{key}: {found}` would fit"
        raise ForeignFileError(f"its activation is {found}, that of the settings {architecture['activation']}; {cure}")
    if kwargs.get("features_extractor_class", _FLATTEN) != _FLATTEN:
        extractor = _shown(kwargs["features_extractor_class"])
        raise ForeignFileError(f"its observations pass through {extractor}; only flattened ones can be taken in")
    if architecture["is_image"] and kwargs.get("normalize_images", True) is not True:
        raise ForeignFileError("its images were not divided by 255 (normalize_images), ours are")


def saw_channels_first(architecture: Mapping[str, Any], attributes: Mapping[str, Any]) -> bool:
    """Whether the model saw images with channels first that have them last here; from JSON alone.

    Raises:
        ForeignFileError: It saw observations of another shape, or the file does not say which while it matters.
    """
    space = attributes.get("observation_space")
    said = space if isinstance(space, Mapping) else {}
    seen, own = said.get("_shape"), architecture["observation_shape"]
    if not isinstance(seen, list):
        if is_transposed_by_sb3(architecture):
            cure = "save it again with Stable-Baselines3's PPO.save"
            raise ForeignFileError(
                f"does not say whether its images had channels first (data.observation_space); {cure}"
            )
        return False
    may_be_image = len(seen) == 3 and said.get("dtype") == "uint8"
    if architecture["is_image"] and not may_be_image:
        raise ForeignFileError(
            f"its observations, {_shown(seen)} {_shown(said.get('dtype'))}, were no uint8 images; ours are"
        )
    if is_transposed_by_sb3(architecture) and seen == channels_first_shape(architecture):
        return True
    if seen != own:
        raise ForeignFileError(f"its observations have the shape {_shown(seen)}, those of this species {own}")
    return False


def check_shapes(architecture: Mapping[str, Any], found: Mapping[str, tuple[int, ...]], key: str) -> None:
    """Compare the weights' names and shapes with the architecture's.

    Args:
        architecture: What the settings give.
        found: Shapes of the tensors in `policy.pth`, by name; no length is 0.
        key: Of the setting `net_arch`.

    Raises:
        ForeignFileError: They differ; says which `net_arch` would fit where that is all.
    """
    layers = {net: _widths(found, body) for net, (body, _) in NETS.items()}
    wanted = policy_shapes({**architecture, "net_arch": layers})
    for fault, names in (
        ("no tensor of an MLP for discrete actions", found.keys() - wanted.keys()),
        ("missing", wanted.keys() - found.keys()),
    ):
        if names:
            raise ForeignFileError(f"policy.pth: {_shown(min(names))}: {fault}")
    _check_ends(architecture, found, layers)
    if layers != architecture["net_arch"]:
        cure = f"`learner.settings.{key}: {_net_arch(layers)}` would fit"
        own = _net_arch(architecture["net_arch"])
        raise ForeignFileError(f"its hidden layers have {_net_arch(layers)} units, those of the settings {own}; {cure}")
    for name, shape in wanted.items():
        if found[name] != shape:
            raise ForeignFileError(f"policy.pth: {name}: must have the shape {shape}, has {found[name]}")


def _check_ends(
    architecture: Mapping[str, Any], found: Mapping[str, tuple[int, ...]], layers: Mapping[str, list[int]]
) -> None:
    """Whether it takes in as many numbers and knows as many actions as there are."""
    numbers = math.prod(architecture["observation_shape"])
    for net, (body, head) in NETS.items():
        first = found[f"{body}.0.weight" if layers[net] else f"{head}.weight"]
        if first[-1:] != (numbers,):
            seen = math.prod(first[-1:])
            raise ForeignFileError(f"its observations have {seen} numbers, those of this species {numbers}")
    actions = found["action_net.bias"]
    if actions != (architecture["n_actions"],):
        raise ForeignFileError(f"it has {math.prod(actions)} actions, this species {architecture['n_actions']}")


def _widths(found: Mapping[str, tuple[int, ...]], body: str) -> list[int]:
    """Units of the hidden layers, which stand at the even places of a sequence."""
    widths: list[int] = []
    while len(shape := found.get(f"{body}.{2 * len(widths)}.weight", ())) == 2:
        widths.append(shape[0])
    return widths


def _net_arch(layers: Mapping[str, Sequence[int]]) -> str:
    """As it stands in a config."""
    pi, vf = list(layers["pi"]), list(layers["vf"])
    return str(pi) if pi == vf else f"{{pi: {pi}, vf: {vf}}}"


def _shown(value: Any) -> str:
    """A stranger's word, in ASCII, not too long and not too deep."""
    return f"{_REPR.repr(value).encode('ascii', 'backslashreplace').decode():.80}"
