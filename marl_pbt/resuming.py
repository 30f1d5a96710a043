"""Going on with a run: what its members have, who joins, who is archived; refused before anything is touched."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from marl_pbt.checkpoints import DAMAGED_SUFFIX, MemberCheckpoints, Retention
from marl_pbt.config import RunConfig
from marl_pbt.config.resuming import Change
from marl_pbt.durable import make_folder, move_durably
from marl_pbt.lineage_store import read_lineage
from marl_pbt.plan import RunPlan
from marl_pbt.protocols import UserError
from marl_pbt.provenance import population_at_first
from marl_pbt.run_directory import RunDirectory, member_name
from marl_pbt.worker import LearnerSource

_MEMBER = re.compile(r"member_(\d{2,})")


@dataclass
class Resumption:
    """How a run is gone on with.

    Attributes:
        steps: Per member the agent steps that it goes on from.
        joining: Members that begin as copies: the run had them not before, or they have lost their checkpoints.
        lines: What the user should know.
    """

    steps: dict[int, int] = field(default_factory=dict)
    joining: set[int] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)


def survey(run: RunDirectory, plan: RunPlan) -> Resumption:
    """See where every member of the run to come stands; nothing is touched.

    Raises:
        UserError: A member's checkpoints cannot be read now, which says nothing about them; or members have lost
            theirs, and there is none to copy.
    """
    found, told, first = Resumption(), _ready_points(run), population_at_first(run)
    has_come_far, lost = False, []
    for member in range(plan.population):
        folder = _folder_of(run, member)
        checkpoints = MemberCheckpoints(folder, Retention())
        newest = next(checkpoints.whole(), None)
        if newest is not None:
            found.steps[member] = int(newest.metadata["clocks"]["agent_steps"])
            has_come_far |= newest.metadata["generation"] > 0
            continue
        _check_readable(checkpoints)
        found.steps[member] = told.get(member, 0)
        if told.get(member) or any(folder.glob("*.safetensors")) or any(folder.glob(f"*{DAMAGED_SUFFIX}")):
            lost.append(member)
        elif member not in told and (first is None or member >= first):  # else it had not begun yet, and begins
            found.joining.add(member)
    if lost and not has_come_far:
        names = ", ".join(str(_folder_of(run, member)) for member in lost)
        raise UserError(
            f"{names}: no whole checkpoint is left, nor is any other member's; there is nothing to go on from"
        )
    _tell_of_members(found, lost, has_come_far and plan.evolution.exploits)
    return found


def check_checkpoints_fit(run: RunDirectory, plan: RunPlan, changes: list[Change]) -> None:
    """Where the user has forced another world or learner: see that a learner built now takes a checkpoint from then.

    Raises:
        UserError: It does not; nothing has been touched.
    """
    forced = [each for each in changes if each.key.startswith(("environment.", "learner."))]
    if not forced:
        return
    source: LearnerSource = plan.job(run.root).learner
    for member in range(plan.population):
        newest = next(MemberCheckpoints(_folder_of(run, member), Retention()).whole(), None)
        if newest is None:
            continue
        try:
            source.build(plan.config.seed, member).set_state(newest.tensors)
        except (ValueError, KeyError) as fault:
            told = "; ".join(map(str, forced))
            raise UserError(f"{told}: the checkpoints do not fit any more ({member_name(member)}: {fault})") from None
        return


def place_members(run: RunDirectory, population: int) -> list[str]:
    """Archive those that the population has no place for, fetch back those of the archive that it has one for.

    Returns:
        What was done, one line each.

    Raises:
        UserError: The archive has one of the name already; nothing has been touched.
    """
    here, there = _numbers(run.members), _numbers(run.archived)
    leaving = [number for number in here if number >= population]
    coming = [number for number in there if number < population and number not in here]
    for number in leaving:
        if number in there:
            raise UserError(f"{run.archived / member_name(number)}: is there already; move it elsewhere first")
    if leaving:
        make_folder(run.archived)
    for number in leaving:
        move_durably(run.member(number), run.archived / member_name(number))
    for number in coming:
        move_durably(run.archived / member_name(number), run.member(number))
    return [
        *(
            f"{member_name(number)} is archived in {run.archived}; a larger pbt.population fetches it back"
            for number in leaving
        ),
        *(f"{member_name(number)} is back from {run.archived}" for number in coming),
    ]


def missing_bytes(run: RunDirectory, plan: RunPlan) -> int:
    """What the checkpoints of a run take on the disk at least, without those that lie there already."""
    kept: RunConfig = plan.config
    files = kept.checkpoints.keep_last + kept.checkpoints.keep_best * len(plan.species) + 1
    each = files * sum(plan.description.snapshot_bytes.values())
    there = (_bytes_of(_folder_of(run, member)) for member in range(plan.population))
    return sum(max(each - size, 0) for size in there)


def _check_readable(checkpoints: MemberCheckpoints) -> None:
    try:
        checkpoints.check_readable()
    except OSError as fault:
        where, cure = fault.filename or checkpoints.folder, "mend that, or delete the file: then another one is taken"
        raise UserError(f"{where}: cannot be read ({fault.strerror}); {cure}") from None


def _tell_of_members(found: Resumption, lost: list[int], can_join: bool) -> None:
    if lost:
        names = ", ".join(map(member_name, lost))
        found.lines.append(f"warning: {names}: no whole checkpoint is left; a copy of the best member takes the place")
    if found.joining:
        names = ", ".join(map(member_name, sorted(found.joining)))
        found.lines.append(f"{names}: new; each begins {'as a copy of a good one' if can_join else 'from nothing'}")
    found.joining = {*lost, *(found.joining if can_join else ())}


def _ready_points(run: RunDirectory) -> dict[int, int]:
    """Per member that the lineage tells of: its agent steps at the latest ready point, 0 before the first."""
    told: dict[int, int] = {}
    for event in read_lineage(run.lineage):
        told[event.member] = max(told.get(event.member, 0), event.clocks.agent_steps if event.kind == "ready" else 0)
    return told


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _folder_of(run: RunDirectory, member: int) -> Path:
    """Where its checkpoints lie, archived or not."""
    folder = run.member(member)
    archived = run.archived / folder.name
    return archived if archived.is_dir() and not folder.is_dir() else folder


def _numbers(folder: Path) -> list[int]:
    """Members that have a folder there."""
    if not folder.is_dir():
        return []
    names = (_MEMBER.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(name[1]) for name in names if name)
