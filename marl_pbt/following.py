"""How a member follows another at its ready point: it decides from the board, copies one version, explores."""

from __future__ import annotations

import logging
import zlib
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from marl_pbt.ancestry import LineageEvent
from marl_pbt.decision import Decision, Question, decide
from marl_pbt.explore import Change, Experience, Values
from marl_pbt.run_directory import member_name
from marl_pbt.snapshot import Snapshot, decode
from marl_pbt.standings import BoardRow, Source
from marl_pbt.streams import stream

if TYPE_CHECKING:
    from marl_pbt.member import Member

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copied:
    """The version that was copied.

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
    question = Question(member.row(species), others_of(member, species), progress, policy.compared_at)
    rng = stream(evolution.seed, f"decide/{species}", member.index, member.generation)
    decision = decide(question, evolution.rules, rng)
    policy.compared_at = max(policy.compared_at, decision.compared_at)
    return decision


def copy_donor(member: Member, species: str, decision: Decision) -> tuple[Decision, Copied | None]:
    """Copy one whole published version of the donor, where there is one that fits; its weights, if weights are copied.

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
    if member.evolution.copies_weights:
        try:
            member.learner.adopt(species, snapshot.tensors, member.evolution.optimizer_state)
        except ValueError as fault:
            logger.warning("%s: donor %s does not fit (%s); passed over", own, donor, fault)
            return replace(decision, donor=None, reason="donor_does_not_fit"), None
    own_values = member.evolution.copies_weights and decision.teacher is not None
    why = {**decision.why, "copied": "weights" if own_values else member.evolution.copied}
    return replace(decision, why=why), Copied(snapshot, f"{zlib.crc32(data):08x}")


def go_on(member: Member, species: str, decision: Decision, copied: Copied | None) -> list[LineageEvent]:
    """Put the hyperparameters in force that the next interval is trained with.

    An `exploit` is told where weights were copied, and only there: it is what ancestry follows. Where hyperparameters
    alone were copied, or moved without a copy, that is an `explore`, and its operations say what was copied; so where
    they are a teacher's and not those of the donor of the weights.

    Returns:
        What happened, for the lineage.
    """
    evolution, events = member.evolution, []
    if copied is not None and evolution.copies_weights:
        events.append(_exploit(member, species, decision, copied))
    moves = evolution.explores and decision.explores and (copied is not None or _explores_alone(member))
    taken = None if copied is None else _taken(member, decision, copied)
    if moves or taken is not None:
        events.append(_change(member, species, taken, moves))
    return events


def _taken(member: Member, decision: Decision, copied: Copied) -> tuple[Source, Values] | None:
    """Whose hyperparameters are taken without that one's weights, and the hyperparameters."""
    evolution, teacher, said = member.evolution, decision.teacher, copied.snapshot.metadata
    if evolution.copies_hyperparameters and not evolution.copies_weights:
        return Source(said["member"], said["generation"]), said["hyperparameters"]
    if teacher is None or teacher.member == member.index:
        return None
    return Source(teacher.member, teacher.generation), teacher.hyperparameters


def _exploit(member: Member, species: str, decision: Decision, copied: Copied) -> LineageEvent:
    """Go on as the donor's version, whose weights have been copied, with its hyperparameters or one's own."""
    said, policy = copied.snapshot.metadata, member.policies[species]
    source = Source(said["member"], said["generation"])
    if member.evolution.copies_hyperparameters and decision.teacher is None:
        member.learner.set_hyperparameters(species, said["hyperparameters"])
    score = None if said["score"] is None else said["score"]["mean"]
    policy.replace_by(source, said["founder"], member.generation, score)
    return member.event("exploit", species, parent=source, checksum=copied.checksum, why=decision.why)


def _change(member: Member, species: str, taken: tuple[Source, Values] | None, moves: bool) -> LineageEvent:
    """Take somebody's hyperparameters, move them, or both; in force before the next optimiser step."""
    evolution, policy = member.evolution, member.policies[species]
    values, why, changes = member.learner.get_hyperparameters(species), {}, {}
    if taken is not None:
        why = {"hyperparameters_of": asdict(taken[0])}
        changes = {name: Change(values[name], value, "copied") for name, value in taken[1].items()}
    if moves:
        rng = stream(evolution.seed, f"explore/{species}", member.index, member.generation)
        begin = {**values, **{name: change.new for name, change in changes.items()}}
        for name, change in evolution.explore(species, begin, rng, _experience(member, species)).items():
            copied = f"{changes[name].operation} " if name in changes else ""
            changes[name] = Change(values[name], change.new, copied + change.operation)
    member.learner.set_hyperparameters(species, {name: change.new for name, change in changes.items()})
    policy.change_hyperparameters(member.generation, None if taken is None or moves else taken[0])
    return member.event("explore", species, parent=policy.parent, changes=changes, why=why)


def _explores_alone(member: Member) -> bool:
    """Whether values move now though nobody is copied: control `explore_only`, after burn-in and before the end."""
    evolution = member.evolution
    progress = evolution.progress(member.clocks)
    return not evolution.exploits and evolution.rules.burn_in <= progress < evolution.stop


def _experience(member: Member, species: str) -> Experience | None:
    if not member.evolution.explorer.proposal.learns:
        return None
    others = others_of(member, species)
    gains = [*member.policies[species].gains, *(gain for row in others for gain in row.gains)]
    return Experience(member.generation, gains, [row.hyperparameters for row in others if not row.is_retired])


def others_of(member: Member, species: str) -> list[BoardRow]:
    """The standings of the other members that can be read."""
    members = (other for other in range(member.evolution.rules.population) if other != member.index)
    found = (member.place.board.row(other, member.slot(species)) for other in members)
    return [BoardRow.from_bytes(data) for data in found if data is not None]
