"""Refused files: how tests ask for the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from marl_pbt.policy_files import PolicyFileError, read_policies
from marl_pbt.protocols import UserError
from marl_pbt.seats import Learned


def refusal(path: Path, data: bytes | None = None) -> str:
    """Why a file is refused: one line that begins with its path."""
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(PolicyFileError) as refused:
        read_policies(path)
    (line,) = refused.value.faults
    assert line.startswith(f"{path}: ")
    assert line.isprintable()
    assert len(line) < 600
    return line.removeprefix(f"{path}: ")


def refusal_to_play(plan, path: Path, data: bytes, species: str = "predator") -> str:
    """Why a sound file cannot play."""
    path.write_bytes(data)
    seat = Learned(read_policies(path)[species], "agents.ppo:kind")
    with pytest.raises(UserError) as refused:
        seat.take(species, plan.environment, plan.worlds)
    (line,) = refused.value.faults
    assert line.isprintable()
    assert len(line) < 600
    return line
