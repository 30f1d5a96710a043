"""What files of a run mean to whoever reads them: plain data that must not change with the version that reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from marl_pbt.ancestry import LineageEvent, ancestry, schedule
from marl_pbt.config import load_config
from marl_pbt.lineage_store import read_lineage
from marl_pbt.member_files import policy_of
from marl_pbt.policy_files import read_policies
from marl_pbt.policy_state import PolicyState, ScoreRules
from marl_pbt.snapshot import decode


def meaning_of(folder: Path) -> dict[str, Any]:
    """Of the golden files in a folder."""
    events = read_lineage(folder / "lineage.jsonl")
    lines = {
        f"{name} of {member}": [
            [segment.member, segment.first, segment.last] for segment in ancestry(events, name, member, 4)
        ]
        for name in ("fox", "hare")
        for member in range(3)
    }
    rates = schedule(ancestry(events, "fox", 1, 4), "learning_rate")
    return {
        "policy": _policies(folder / "policy.safetensors"),
        "checkpoint": _checkpoint(folder / "checkpoint.safetensors"),
        "ancestries": lines,
        "learning rates": [list(point) for point in rates],
        "kinds": [event.kind for event in events],
        "config": load_config(folder / "config.yaml").config.model_dump(mode="json", by_alias=True)["pbt"]["interval"],
        "declared": sorted(load_config(folder / "config.yaml").config.pbt.hyperparameters),
    }


def _policies(path: Path) -> dict[str, Any]:
    return {
        name: {
            "digest": policy.digest,
            "member": policy.card.member,
            "generation": policy.card.generation,
            "hyperparameters": policy.card.hyperparameters,
            "score": policy.card.score,
            "architecture": policy.card.architecture,
        }
        for name, policy in read_policies(path).items()
    }


def _checkpoint(path: Path) -> dict[str, Any]:
    snapshot = decode(path.read_bytes())
    said, rules = snapshot.metadata, ScoreRules(window=10, min_episodes=4)
    states = {name: PolicyState.from_json(data, rules) for name, data in said["policies"].items()}
    return {
        "policies": _policies(path),
        "clocks": said["clocks"],
        "events": [LineageEvent.from_line(line).event_id for line in said["events"]],
        "scores": {name: [[at, score.mean] for at, score in state.history] for name, state in states.items()},
        "last exploits": {name: state.last_exploit for name, state in states.items()},
        "tensors": {name: sorted(policy_of(snapshot, name).tensors) for name in states},
    }
