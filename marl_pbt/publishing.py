"""How a member stands on the board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from marl_pbt.fault_points import reach
from marl_pbt.member_files import policy_of
from marl_pbt.snapshot import Snapshot, encode
from marl_pbt.standings import BoardRow, Stage

if TYPE_CHECKING:
    from marl_pbt.member import Member


def row_of(member: Member, species: str) -> BoardRow:
    """Its standing with one species, as of the latest ready point."""
    policy = member.policies[species]
    row = BoardRow(
        member=member.index,
        generation=member.generation,
        agent_steps=member.clocks_at_ready.agent_steps,
        env_steps=member.clocks_at_ready.env_steps,
        history=tuple(policy.history),
        last_exploit=policy.last_exploit,
        hyperparameters=member.hyperparameters(species),
        parent=policy.parent,
        teacher=policy.teacher,
        founder=policy.founder,
        gains=tuple(policy.gains),
        stage=_stage(member),
    )
    return replace(row, snapshot_generation=member.generation) if row.newest is not None else row


def publish(member: Member, at_ready: Snapshot | None, rows: Mapping[str, BoardRow]) -> None:
    """Put each species on the board; the snapshot first, so that a row never speaks of what is not there yet.

    Args:
        member: Whose.
        at_ready: The checkpoint of the latest ready point; None where there is none (any more).
        rows: Per species its standing, in the order of their slots.
    """
    for slot, (name, row) in enumerate(rows.items()):
        shown = row
        if row.can_be_donor and at_ready is None:
            shown = replace(row, snapshot_generation=-1)
        elif row.can_be_donor:
            assert at_ready is not None
            member.place.board.publish_snapshot(member.index, slot, encode(policy_of(at_ready, name)))
        reach("publish")
        member.place.board.publish_row(member.index, slot, shown.to_bytes())
    reach("published")


def publish_decision(member: Member, rows: Mapping[str, BoardRow]) -> None:
    """Say that it has decided, in synchronous mode, and what it has chosen to train with.

    All else stays as it was shown, for those who still decide: its score, and the version that earned it with its
    hyperparameters, which they may copy whomever the member itself has copied since. A lineage means this version, too.

    Args:
        member: Whose.
        rows: Per species its standing, in the order of their slots.
    """
    for slot, now in enumerate(rows.values()):
        data = member.place.board.row(member.index, slot)
        shown = now if data is None else BoardRow.from_bytes(data)
        row = replace(shown, stage=now.stage, chosen=now.hyperparameters)
        member.place.board.publish_row(member.index, slot, row.to_bytes())


def _stage(member: Member) -> Stage:
    if member.is_waiting:
        return "waiting"
    return "done" if member.is_done else "training"
