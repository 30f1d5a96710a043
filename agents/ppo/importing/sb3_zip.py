"""Weights from a zip that Stable-Baselines3 saved, as a policy of ours has them.

The settings say what the policy must be made of; the file says what it is made of, and where the two differ the
error names what would fit. Read `archive` for what a file must pass, `model` for what it must say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from agents.checks import unknown
from agents.ppo.architecture import check_tensors, describe_architecture, policy_shapes
from agents.ppo.channels import to_channels_last
from agents.ppo.importing.archive import read_sb3_archive
from agents.ppo.importing.faults import ForeignFileError
from agents.ppo.importing.model import check_shapes, check_what_it_computes, saw_channels_first
from agents.ppo.settings import parse_settings
from marl_pbt.protocols import Interface, Tensors, UserError

SLACK_BYTES = 16 * 2**20
"""That a file's weights may have beyond the settings' own, so that a larger network can be told which would fit."""


def import_sb3_zip(content: bytes, settings: Mapping[str, Any], interface: Interface, species: str) -> Tensors:
    """Read the `policy/…` tensors of a species, float32 as in `agents.ppo.architecture`.

    Nothing in the file is run, and its own size apart, it costs as much memory as the settings' weights and
    `SLACK_BYTES`, a few times over. Observations of images with channels last: where the file's model saw them with
    channels first, as Stable-Baselines3 wraps them, the columns of the first layers are put into our order.

    Args:
        content: What `PPO.save` (or `A2C.save`) wrote, with an MLP policy.
        settings: As in `PPOKind.describe`.
        interface: Of the worlds that it is to play in.
        species: Whose policy it becomes.

    Raises:
        UserError: The settings are at fault.
        ValueError: It is no such zip, could do harm, or does not fit; one line that says what would.
    """
    if species not in interface.species:
        raise UserError(unknown("species", species, interface.species, f"species {species!r}"))
    own = parse_settings(settings, interface).species[species]
    spaces = (interface.observation_spaces[species], interface.action_spaces[species])
    architecture = describe_architecture(*spaces, own)
    overrides = (settings.get("species") or {}).get(species) or {}
    keys = {key: f"species.{species}.{key}" if key in overrides else key for key in ("net_arch", "activation")}
    try:
        return _taken_in(content, architecture, keys)
    except ForeignFileError as fault:
        raise ValueError(str(fault)) from None


def _taken_in(content: bytes, architecture: Mapping[str, Any], keys: Mapping[str, str]) -> Tensors:
    """Compare all that the file says before its numbers are unpacked."""
    weights_bytes = sum(4 * math.prod(shape) for shape in policy_shapes(architecture).values())
    archive = read_sb3_archive(content, weights_bytes + SLACK_BYTES)
    check_what_it_computes(architecture, archive.attributes, keys["activation"])
    is_channels_first = saw_channels_first(architecture, archive.attributes)
    check_shapes(architecture, {name: each.shape for name, each in archive.tensors.items()}, keys["net_arch"])
    arrays = archive.arrays()
    tensors = {f"policy/{name}": arrays[name] for name in policy_shapes(architecture)}
    if is_channels_first:
        tensors = to_channels_last(architecture, tensors)
    check_tensors(architecture, tensors, levels=("policy",))
    return tensors
