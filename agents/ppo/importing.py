"""Weights from a zip that Stable-Baselines3 saved, through `set_parameters` only; nothing in it is run.

The settings say what the policy must be made of; the file says what it is made of, and where the two differ the
error names what would fit. Read `sb3_archive` for what a file must pass before this module sees it, `foreign_model`
for what its attributes must say.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import stable_baselines3
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticPolicy
from torch.torch_version import TorchVersion

from agents.checks import unknown
from agents.ppo.architecture import check_tensors, describe_architecture, policy_shapes
from agents.ppo.channels import to_channels_last
from agents.ppo.foreign_model import check_shapes, check_what_it_computes, saw_channels_first
from agents.ppo.plain import plain_ppo
from agents.ppo.sb3_archive import ForeignFileError, read_sb3_archive, with_own_optimizer
from agents.ppo.settings import parse_settings
from marl_pbt.protocols import Interface, Tensors, UserError

LEAST_TORCH = "2.10"
"""Older ones can be made to corrupt memory by a crafted file in spite of `weights_only` (CVE-2026-24747)."""
LEAST_SB3 = "2.8"
"""From 2.3.2 to 2.7.1 `set_parameters` called `torch.load` with `weights_only=False`, which runs code."""


def import_sb3_zip(path: Path, settings: Mapping[str, Any], interface: Interface, species: str) -> Tensors:
    """Read the `policy/…` tensors of a species, float32 as in `agents.ppo.architecture`.

    Observations of images with channels last: where the file's model saw them with channels first, as
    Stable-Baselines3 wraps them, the columns of the first layers are put into our order.

    Args:
        path: What `PPO.save` (or `A2C.save`) wrote, with an MLP policy.
        settings: As in `PPOKind.describe`.
        interface: Of the worlds that it is to play in.
        species: Whose policy it becomes.

    Raises:
        UserError: The file cannot be read, is no such zip, could do harm, or does not fit; one line that says what
            would. Or a package is too old for files of strangers.
    """
    _check_versions(path)
    if species not in interface.species:
        raise UserError(unknown("species", species, interface.species, f"species {species!r}"))
    own = parse_settings(settings, interface).species[species]
    spaces = (interface.observation_spaces[species], interface.action_spaces[species])
    architecture = describe_architecture(*spaces, own)
    overrides = (settings.get("species") or {}).get(species) or {}
    keys = {key: f"species.{species}.{key}" if key in overrides else key for key in ("net_arch", "activation")}
    try:
        archive = read_sb3_archive(path)
        check_what_it_computes(architecture, archive.attributes, keys["activation"])
        is_channels_first = saw_channels_first(architecture, archive.attributes)
        tensors = _loaded(archive.weights, architecture, spaces, keys["net_arch"])
        if is_channels_first:
            tensors = to_channels_last(architecture, tensors)
        check_tensors(architecture, tensors, levels=("policy",))
    except (ForeignFileError, ValueError) as fault:
        raise UserError(f"{path}: {fault}") from None
    return tensors


class _MeasuredPolicy(ActorCriticPolicy):
    """Looks at what it is to load before it does."""

    architecture: Mapping[str, Any]
    net_arch_key: str

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load it.

        Raises:
            ForeignFileError: It is not what the architecture wants.
        """
        check_shapes(self.architecture, state_dict, self.net_arch_key)
        return super().load_state_dict(state_dict, strict=strict, assign=assign)


def _loaded(
    weights: bytes, architecture: Mapping[str, Any], spaces: tuple[Any, Any], net_arch_key: str
) -> dict[str, NDArray[Any]]:
    """What Stable-Baselines3 itself makes of the weights, as copies."""
    model = plain_ppo(architecture, spaces, policy_class=_MeasuredPolicy)
    policy = model.policy
    assert isinstance(policy, _MeasuredPolicy)
    policy.architecture, policy.net_arch_key = architecture, net_arch_key
    optimizer = io.BytesIO()
    torch.save(policy.optimizer.state_dict(), optimizer)
    file = with_own_optimizer(weights, optimizer.getvalue())
    try:
        # mypy: declared as a path or a dict, documented as "path or file-like" too.
        model.set_parameters(file, exact_match=True, device="cpu")  # type: ignore[arg-type]
    except ForeignFileError:
        raise
    except Exception as fault:  # of a dozen kinds, and none of them is ours
        raise ForeignFileError(f"policy.pth: torch cannot read it ({type(fault).__name__})") from None
    state = policy.state_dict()
    return {f"policy/{name}": np.array(state[name].numpy()) for name in policy_shapes(architecture)}


def _check_versions(path: Path) -> None:
    installed = {
        "torch": (str(torch.__version__), LEAST_TORCH),
        "stable-baselines3": (stable_baselines3.__version__, LEAST_SB3),
    }
    for package, (version, least) in installed.items():
        if TorchVersion(version) < least:
            cure = f"`pip install -U {package}`"
            raise UserError(f"{path}: not opened: files of strangers need {package} ≥ {least}, got {version}; {cure}")
