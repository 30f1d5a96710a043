"""How a member follows another at its ready point: it decides from the board, copies one version, explores."""

from __future__ import annotations

import logging
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marl_pbt.decision import Decision, Question, decide
from marl_pbt.lineage import LineageEvent
from marl_pbt.run_directory import member_name
from marl_pbt.snapshot import Snapshot, decode
from marl_pbt.standings import BoardRow, Source
from marl_pbt.streams import stream

if TYPE_CHECKING:
    from marl_pbt.member import Member

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copied:
    """The version whose weights were copied.

    Attributes:
        snapshot: Whole.
        checksum: CRC-32 of its bytes, hexadecimal.
    """

    snapshot: Snapshot
    checksum: str


def decide_whom_to_follow(member: Member, species: str) -> Decision:
    """Look at the board and decide, with draws that depend on nothing but the run's seed, the member and the moment."""
    evolution, policy = member.evolution, member.policies[species]
    if not evolution.exploits:
        return Decision(None, "control")
    progress = evolution.progress(member.clocks)
    if progress >= evolution.stop:
        return Decision(None, "finished")
    question = Question(member.row(species), _others(member, species), progress, policy.compared_at)
    rng = stream(evolution.seed, f"decide/{species}", member.index, member.generation)
    decision = decide(question, evolution.rules, rng)
    policy.compared_at = max(policy.compared_at, decision.compared_at)
    return decision


def copy_donor(member: Member, species: str, decision: Decision) -> tuple[Decision, Copied | None]:
    """Copy the weights of one whole published version of the donor, where there is one that fits.

    Returns:
        The decision, without a donor where it was passed over; and what was copied.
    """
    if decision.donor is None:
        return decision, None
    own, donor = member_name(member.index), member_name(decision.donor.member)
    data = member.place.board.snapshot(decision.donor.member, member.slot(species))
    if data is None:
        logger.warning("%s: donor %s could not be read; passed over", own, donor)
        return replace(decision, donor=None, reason="donor_unreadable"), None
    snapshot = decode(data, verify=False)
    try:
        member.learner.adopt(species, snapshot.tensors, member.evolution.optimizer_state)
    except ValueError as fault:
        logger.warning("%s: donor %s does not fit (%s); passed over", own, donor, fault)
        return replace(decision, donor=None, reason="donor_does_not_fit"), None
    return decision, Copied(snapshot, f"{zlib.crc32(data):08x}")


def exploit(member: Member, species: str, decision: Decision, copied: Copied) -> LineageEvent:
    """Go on as the donor's version, whose weights have been copied, with its hyperparameters."""
    said = copied.snapshot.metadata
    source = Source(said["member"], said["generation"])
    member.learner.set_hyperparameters(species, said["hyperparameters"])
    member.policies[species].replace_by(source, said["founder"], member.generation)
    return member.event("exploit", species, parent=source, checksum=copied.checksum, why=decision.why)


def explore(member: Member, species: str) -> LineageEvent:
    """Move away from the donor's hyperparameters; in force before the next optimiser step."""
    evolution = member.evolution
    rng = stream(evolution.seed, f"explore/{species}", member.index, member.generation)
    changes = evolution.explore(species, member.learner.get_hyperparameters(species), rng)
    member.learner.set_hyperparameters(species, {name: change.new for name, change in changes.items()})
    return member.event("explore", species, parent=member.policies[species].parent, changes=changes)


def _others(member: Member, species: str) -> list[BoardRow]:
    members = (other for other in range(member.evolution.rules.population) if other != member.index)
    found = (member.place.board.row(other, member.slot(species)) for other in members)
    return [BoardRow.from_bytes(data) for data in found if data is not None]
