"""A member as snapshots: what it publishes of one species, and its whole state as a checkpoint."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from marl_pbt.ancestry import LineageEvent
from marl_pbt.policy_state import PolicyState
from marl_pbt.protocols import Clocks, DivergedError
from marl_pbt.snapshot import Snapshot

if TYPE_CHECKING:
    from marl_pbt.member import Member


def checkpoint_of(member: Member) -> Snapshot:
    """Everything that `restore` needs to go on bit for bit, with the events of the latest ready point inside."""
    metadata = {
        "kind": "checkpoint",
        "member": member.index,
        "generation": member.generation,
        "clocks": asdict(member.clocks),
        "clocks_at_ready": asdict(member.clocks_at_ready),
        "policies": {name: policy.to_json() for name, policy in member.policies.items()},
        "published": {name: _policy_metadata(member, name) for name in member.learner.species},
        "events": [event.to_line() for event in member.events],
    }
    if member.is_waiting:
        metadata["waiting"] = {
            "species": member.fault.species if isinstance(member.fault, DivergedError) else None,
            "fault": None if member.fault is None else str(member.fault),
        }
    return Snapshot(metadata, member.learner.get_state())


def write_checkpoint(member: Member) -> Snapshot:
    """Write down a ready point, before anybody can copy what came to it."""
    scores = {name: member.row(name).newest for name in member.learner.species}
    best = {name: score.mean for name, score in scores.items() if score is not None and score.is_finite}
    checkpoint = checkpoint_of(member)
    member.place.checkpoints.write(member.generation, checkpoint, best)
    return checkpoint


def restore(member: Member, checkpoint: Snapshot) -> None:
    """Bring a fresh member to where the checkpoint was written."""
    metadata = checkpoint.metadata
    member.learner.set_state(checkpoint.tensors)
    member.generation = metadata["generation"]
    member.clocks = Clocks(**metadata["clocks"])
    member.clocks_at_ready = Clocks(**metadata["clocks_at_ready"])
    rules = member.evolution.score_rules
    member.policies = {name: PolicyState.from_json(data, rules) for name, data in metadata["policies"].items()}
    member.events = tuple(LineageEvent.from_line(line) for line in metadata["events"])
    waiting = metadata.get("waiting")
    member.is_waiting = waiting is not None
    if waiting is not None and waiting["fault"] is not None:
        species, fault = waiting["species"], waiting["fault"]
        diverged = species is not None
        member.fault = (
            DivergedError(species, fault.removeprefix(f"{species}: ")) if diverged else FloatingPointError(fault)
        )


def policy_of(checkpoint: Snapshot, species: str) -> Snapshot:
    """The snapshot of one species that lies in a checkpoint, as it goes to the board and to `best/`."""
    levels = (f"{species}/policy/", f"{species}/optimizer/")
    tensors = {
        name.removeprefix(f"{species}/"): array for name, array in checkpoint.tensors.items() if name.startswith(levels)
    }
    return Snapshot(checkpoint.metadata["published"][species], tensors)


def _policy_metadata(member: Member, species: str) -> dict[str, Any]:
    row = member.rows()[species]
    return {
        "kind": "policy",
        "species": species,
        "member": member.index,
        "generation": member.generation,
        "clocks": asdict(member.clocks),
        "founder": row.founder,
        "parent": None if row.parent is None else asdict(row.parent),
        "hyperparameters": dict(row.hyperparameters),
        "score": None if row.newest is None else row.newest.to_json(),
        **member.card(species),
    }
