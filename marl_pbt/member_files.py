"""A member as snapshots: what it publishes of one species, and its whole state as a checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from marl_pbt.ancestry import LineageEvent
from marl_pbt.policy_state import PolicyState
from marl_pbt.protocols import Clocks, DivergedError, HyperparameterValue
from marl_pbt.reports import CheckpointFailed, CheckpointWritten
from marl_pbt.snapshot import Snapshot
from marl_pbt.standings import BoardRow

if TYPE_CHECKING:
    from marl_pbt.member import Member

RETOLD = 3
"""Ready points before the latest whose events a checkpoint holds: so many reports may be lost with the supervisor."""
logger = logging.getLogger(__name__)


def checkpoint_of(member: Member) -> Snapshot:
    """Everything that `restore` needs to go on bit for bit, with the events of the latest ready points inside."""
    metadata = {
        "kind": "checkpoint",
        "member": member.index,
        "generation": member.generation,
        "clocks": asdict(member.clocks),
        "clocks_at_ready": asdict(member.clocks_at_ready),
        "policies": {name: policy.to_json() for name, policy in member.policies.items()},
        "published": {name: _policy_metadata(member, name) for name in member.learner.species},
        "events": [event.to_line() for event in member.events],
        "earlier_events": [event.to_line() for event in member.earlier_events],
        "rollbacks": member.rollbacks,
    }
    if member.is_waiting:
        metadata["waiting"] = {
            "species": member.fault.species if isinstance(member.fault, DivergedError) else None,
            "fault": None if member.fault is None else str(member.fault),
        }
    return Snapshot(metadata, member.learner.get_state())


def write_checkpoint(member: Member, checkpoint: Snapshot, rows: Mapping[str, BoardRow]) -> bool:
    """Write down a ready point, before anybody can copy what came to it.

    Args:
        member: Whose.
        checkpoint: The member as it is there.
        rows: Per species its standing.

    Returns:
        False where the disk would not have it: the supervisor is told, and the member goes on. What has happened to it
        is told with its next ready point, whose checkpoint is tried again.
    """
    scores = {name: row.newest for name, row in rows.items()}
    best = {name: score.mean for name, score in scores.items() if score is not None and score.is_finite}
    try:
        member.place.checkpoints.write(member.generation, checkpoint, best)
    except OSError as fault:
        tell_unwritten(member, fault)
        return False
    if member.is_waiting:
        member.place.tell(CheckpointWritten(member.index))  # else `ReadyPassed` says so
    return True


def write_where_stopped(member: Member) -> None:
    """Write down a member in mid-interval, which was told to stop; where the disk would not have it, say so."""
    try:
        member.place.checkpoints.write(member.generation, checkpoint_of(member), {}, in_between=True)
    except OSError as fault:
        tell_unwritten(member, fault)
    else:
        member.place.tell(CheckpointWritten(member.index))


def tell_unwritten(member: Member, fault: OSError) -> None:
    """Let the supervisor know, which tells the user once a minute."""
    logger.info("member %d, generation %d: its checkpoint is not written: %s", member.index, member.generation, fault)
    reason = fault.strerror or str(fault)
    member.place.tell(CheckpointFailed(member.index, member.generation, reason))


def note_events(member: Member, events: Iterable[LineageEvent]) -> None:
    """Take what happened at a ready point as the latest; what is told again after a crash is kept for a while."""
    oldest = min(member.told_generation, member.generation - 1) - RETOLD
    earlier = (*member.earlier_events, *member.events)
    member.earlier_events = tuple(event for event in earlier if event.generation > oldest)
    member.events = tuple(events)


def restore(member: Member, checkpoint: Snapshot) -> None:
    """Bring a fresh member to where the checkpoint was written."""
    metadata = checkpoint.metadata
    as_configured = {name: member.learner.get_hyperparameters(name) for name in member.learner.species}
    member.learner.set_state(checkpoint.tensors)
    for name, values in as_configured.items():
        _put_in_force(member, name, values)
    member.generation = metadata["generation"]
    member.clocks = Clocks(**metadata["clocks"])
    member.clocks_at_ready = Clocks(**metadata["clocks_at_ready"])
    rules = member.evolution.score_rules
    member.policies = {name: PolicyState.from_json(data, rules) for name, data in metadata["policies"].items()}
    member.events = tuple(LineageEvent.from_line(line) for line in metadata["events"])
    member.earlier_events = tuple(LineageEvent.from_line(line) for line in metadata.get("earlier_events", ()))
    member.told_generation = member.generation
    member.rollbacks = metadata.get("rollbacks", 0)
    waiting = metadata.get("waiting")
    member.is_waiting = waiting is not None
    if waiting is not None and waiting["fault"] is not None:
        species, fault = waiting["species"], waiting["fault"]
        diverged = species is not None
        member.fault = (
            DivergedError(species, fault.removeprefix(f"{species}: ")) if diverged else FloatingPointError(fault)
        )


def _put_in_force(member: Member, species: str, settings: Mapping[str, HyperparameterValue]) -> None:
    """What PBT does not move is as the config says: it may have been changed since the checkpoint was written."""
    declared, now = member.evolution.declared_names(species), member.learner.get_hyperparameters(species)
    changed = {name: value for name, value in settings.items() if name not in declared and now.get(name) != value}
    if changed:
        member.learner.set_hyperparameters(species, changed)


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
