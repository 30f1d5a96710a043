"""Settings that could not be written into the files of policies, or not be read again, refused before a run starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marl_pbt.config import LoadedConfig
from marl_pbt.config.faults import printable
from marl_pbt.policy_files import IN_SETTINGS, fault_of_text
from marl_pbt.protocols import UserError
from marl_pbt.shared_board import METADATA_BYTES
from marl_pbt.snapshot import Snapshot, SnapshotError, encode, header_bytes

MOST_BYTES = METADATA_BYTES // 2
"""Of what has room on the board; the rest is for names and shapes of tensors, clocks, values and the score."""


def check_card(loaded: LoadedConfig, card: Mapping[str, Any]) -> None:
    """See that what every policy's file says of a species can be written and read again.

    Args:
        loaded: The config, which knows where its keys stand.
        card: As of `marl_pbt.policy_files.PolicyCard`: architecture, environment and what else is always the same.

    Raises:
        UserError: A setting is nested too deep, is no JSON, cannot be shown, or all are too large; with the key.
    """
    settings: Mapping[str, Any] = (card["environment"] or {}).get("config", {})
    for key, value in settings.items():
        fault = fault_of_text([key]) or _fault({"environment": {"config": {key: value}}})
        fault = fault or fault_of_text(value, IN_SETTINGS)
        if fault is not None:
            raise loaded.placed("environment.config", _refusal(key, fault))
    fault = _fault({"architecture": card["architecture"]}) or fault_of_text(card["architecture"])
    if fault is not None:
        own = loaded.config.learner.settings
        at_fault = (key for key in own if _fault({"architecture": {key: own[key]}}) or fault_of_text(own[key]))
        raise loaded.placed("learner", _refusal(".".join(["settings", *at_fault][:2]), fault))
    fault = _fault(card)
    if fault is not None:
        raise loaded.placed("environment", _refusal("config", fault))


def _fault(card: Mapping[str, Any]) -> str | None:
    """What keeps it out of a checkpoint, where it lies the deepest."""
    try:
        data = encode(Snapshot({"published": {"species": card}}, {}))
    except (SnapshotError, ValueError, TypeError) as fault:
        return printable(str(fault))
    has = header_bytes(data)
    return None if has <= MOST_BYTES else f"metadata must have at most {MOST_BYTES} bytes, has {has}"


def _refusal(key: str, fault: str) -> UserError:
    return UserError(f"{key}: cannot go into the files of policies: {fault}")
