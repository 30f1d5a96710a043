"""How a member follows another at its ready point: it decides from the board, copies one version, explores."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from marl_pbt.ancestry import LineageEvent
from marl_pbt.decision import Decision, Question, decide
from marl_pbt.exploit_unit import combined
from marl_pbt.explore import Change, Experience, Values
from marl_pbt.finite import first_not_finite
from marl_pbt.run_directory import member_name
from marl_pbt.snapshot import Snapshot, SnapshotError, decode
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


def decide_whom_to_follow(member: Member, unit: Sequence[str]) -> Decision:
    """Look at the board and decide, with draws that depend on nothing but the run's seed, the member and the moment.

    Args:
        member: Who decides.
        unit: The species that it decides for as one.
    """
    evolution, policies = member.evolution, [member.policies[name] for name in unit]
    if not evolution.exploits:
        return Decision(None, "control")
    progress = evolution.progress(member.clocks)
    if progress >= evolution.stop:
        return Decision(None, "finished")
    own = combined([member.row(name) for name in unit])
    compared_at = max(policy.compared_at for policy in policies)
    question = Question(own, _others_as_one(member, unit), progress, compared_at)
    rng = stream(evolution.seed, f"decide/{'+'.join(unit)}", member.index, member.generation)
    decision = decide(question, evolution.rules, rng)
    for policy in policies:
        policy.compared_at = max(policy.compared_at, decision.compared_at)
    return decision if len(unit) == 1 else replace(decision, why={"exploit_unit": "member", **decision.why})


def copy_donor(member: Member, unit: Sequence[str], decision: Decision) -> tuple[Decision, dict[str, Copied]]:
    """Copy one whole published version of the donor, where there is one that fits; its weights, if weights are copied.

    Returns:
        The decision, without a donor where it was passed over; and what was copied, per species.
    """
    if decision.donor is None:
        return decision, {}
    own, donor = member_name(member.index), member_name(decision.donor.member)
    copied = _read(member, unit, decision.donor.member)
    if copied is None:
        logger.warning("%s: donor %s could not be read; passed over", own, donor)
        return replace(decision, donor=None, reason="donor_unreadable"), {}
    if member.evolution.copies_weights:
        try:
            _adopt(member, copied)
        except ValueError as fault:
            logger.warning("%s: donor %s does not fit (%s); passed over", own, donor, fault)
            return replace(decision, donor=None, reason="donor_does_not_fit"), {}
    own_values = member.evolution.copies_weights and decision.teacher is not None
    why = {**decision.why, "copied": "weights" if own_values else member.evolution.copied}
    return replace(decision, why=why), copied


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


def _read(member: Member, unit: Sequence[str], donor: int) -> dict[str, Copied] | None:
    """The donor's newest version, of one and the same ready point for all species of the unit; None: not to be had."""
    copied = {}
    for name in unit:
        data = member.place.board.snapshot(donor, member.slot(name))
        if data is None:
            return None
        try:
            copied[name] = Copied(decode(data, verify=False), f"{zlib.crc32(data):08x}")
        except SnapshotError:
            return None
        if first_not_finite(copied[name].snapshot.tensors) is not None:
            return None
    return copied if len({each.snapshot.metadata["generation"] for each in copied.values()}) == 1 else None


def _adopt(member: Member, copied: Mapping[str, Copied]) -> None:
    """Take over the weights, of all species or of none.

    Raises:
        ValueError: They do not fit.
    """
    before = member.learner.get_state() if len(copied) > 1 else {}
    for number, (name, each) in enumerate(copied.items()):
        try:
            member.learner.adopt(name, each.snapshot.tensors, member.evolution.optimizer_state)
        except ValueError:
            if number:
                member.learner.set_state(before)
            raise


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
    return Experience(member.generation, gains, [row.in_force for row in others if not row.is_retired])


def _others_as_one(member: Member, unit: Sequence[str]) -> list[BoardRow]:
    """Per other member that can be read whole: its standing with a unit."""
    rows: dict[int, list[BoardRow]] = {}
    for name in unit:
        for row in others_of(member, name):
            rows.setdefault(row.member, []).append(row)
    return [combined(each) for each in rows.values() if len(each) == len(unit)]


def others_of(member: Member, species: str) -> list[BoardRow]:
    """The standings of the other members that can be read."""
    members = (other for other in range(member.evolution.rules.population) if other != member.index)
    found = (member.place.board.row(other, member.slot(species)) for other in members)
    return [BoardRow.from_bytes(data) for data in found if data is not None]
