"""A run's folder looked through: what is damaged, out of its place, missing or left over. Reads, and never writes."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from marl_pbt.checkpoints import DAMAGED_SUFFIX, FILE, check_origin, origin_of
from marl_pbt.config import load_config
from marl_pbt.durable import is_left_over
from marl_pbt.figures import counted
from marl_pbt.finite import first_not_finite
from marl_pbt.policy_files import PolicyFileError, policies_in, read_policies
from marl_pbt.protocols import UserError
from marl_pbt.run_directory import RunDirectory
from marl_pbt.snapshot import MAX_BYTES, Snapshot, SnapshotError, decode
from marl_pbt.strangers_files import read_whole
from marl_pbt.verified_lineage import Published, findings_of, read_events

_ARCHIVED = re.compile(r"(member_\d+)@(\d+)\.safetensors")
PUT_ASIDE = "resume puts it aside and goes on from the one before, or from another member's"
REPLACED = "the run replaces it by the next better one; until then name a member: RUN:member_00"
NOT_MET = "delete it: whoever would meet it passes it over"
PLURALS = {
    "config": "configs",
    "event": "events",
    "checkpoint": "checkpoints",
    "best policy": "best policies",
    "archived policy": "archived policies",
}
DELETE = "delete it, nothing reads it"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        where: A file, or what of the lineage.
        fault: What is wrong with it.
        cure: What to do.
    """

    where: str
    fault: str
    cure: str

    def __str__(self) -> str:
        return f"{self.where}: {self.fault}; {self.cure}"


@dataclass
class Report:
    """What was found.

    Attributes:
        run: Where.
        is_live: Whether the run goes on meanwhile.
        findings: In the order in which they were found.
        counts: How many there were of what was looked at.
    """

    run: RunDirectory
    is_live: bool
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """One line."""
        looked_at = ", ".join(f"{count} {what if count == 1 else PLURALS[what]}" for what, count in self.counts.items())
        found = counted(len(self.findings), "finding") if self.findings else "nothing is wrong"
        return f"{self.run.root}{' (it goes on)' if self.is_live else ''}: {looked_at}: {found}"

    def find(self, where: object, fault: str, cure: str) -> None:
        """Write down a finding."""
        self.findings.append(Finding(str(where), fault, cure))

    def count(self, what: str, more: int = 1) -> None:
        """Say that so many were looked at."""
        self.counts[what] = self.counts.get(what, 0) + more


def verified(run: RunDirectory) -> Report:
    """Look through a run.

    Raises:
        UserError: There is none.
    """
    if not run.root.is_dir() or not any(os.path.lexists(path) for path in (run.config, run.members, run.lineage)):
        raise UserError(f"{run.root}: no run here (no {run.config.name}, no {run.members.name}, no {run.lineage.name})")
    report = Report(run, run.is_held)
    is_synchronous = _check_config(report)
    # The lineage first: while a run goes on, a checkpoint may be newer than what the lineage told then, never older.
    events, faults = read_events(run.lineage, report.is_live)
    for fault, cure in faults:
        report.find(run.lineage, fault, cure)
    report.count("event", len(events))
    published = Published(is_live=report.is_live, has_shown_first=is_synchronous)
    for folder in [*_folders(run.members), *_folders(run.archived)]:
        _check_member(report, folder, published)
    for where, fault, cure in findings_of(events, published):
        report.find(f"{run.lineage}: {where}", fault, cure)
    _check_policies(report)
    for folder in (run.root, run.best, *_folders(run.archive)):
        _check_left_over(report, folder)
    return report


def _check_config(report: Report) -> bool:
    """Whether members show their scores before they decide; False where nobody can tell."""
    try:
        config = load_config(report.run.config).config
    except UserError as fault:
        for line in fault.faults:
            report.find(report.run.config, line, "put it right, or fetch it from where the run was started")
        return False
    report.count("config")
    return config.pbt.synchronous


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []


def _check_member(report: Report, folder: Path, published: Published) -> None:
    _check_left_over(report, folder)
    named = ((FILE.fullmatch(path.name), path) for path in sorted(folder.iterdir()))
    whole = 0
    for name, path in named:
        snapshot = None if name is None else _checkpoint(report, path, folder.name, int(name[1]))
        if name is not None and snapshot is not None:
            whole += 1
            published.add(snapshot, is_of_ready_point=name[2] is None)
    if not whole:
        cure = "resume begins it anew: as a copy of another member's, if there was a ready point"
        report.find(folder, "no whole checkpoint", cure)


def _checkpoint(report: Report, path: Path, member: str, generation: int) -> Snapshot | None:
    try:
        data = read_whole(path, MAX_BYTES)
        snapshot = decode(data)
        check_origin(snapshot, member, generation)
        policies_in(path, data)
        odd = first_not_finite({n: a for n, a in snapshot.tensors.items() if "/policy/" in n or "/optimizer/" in n})
        if odd is not None:
            raise SnapshotError(f"{odd} is not finite")
    except SnapshotError as fault:
        report.find(path, str(fault), PUT_ASIDE)
    except UserError as fault:
        if path.exists():  # else a member that trains on has deleted it meanwhile
            report.find(path, _without(path, fault), PUT_ASIDE)
    else:
        report.count("checkpoint")
        return snapshot
    return None


def _check_policies(report: Report) -> None:
    """In `best/` and in the archive."""
    for path in sorted(report.run.best.glob("*.safetensors")):
        _check_policy(report, path, "best policy", path.stem, None, REPLACED)
    for folder in _folders(report.run.archive):
        for path in sorted(folder.glob("*.safetensors")):
            name = _ARCHIVED.fullmatch(path.name)
            if name is None:
                report.find(path, "is not named as a policy of the archive is", DELETE)
            else:
                _check_policy(report, path, "archived policy", folder.name, f"{name[1]}@{int(name[2])}", NOT_MET)


def _check_policy(report: Report, path: Path, what: str, species: str, origin: str | None, cure: str) -> None:
    try:
        policies = read_policies(path)
    except PolicyFileError as fault:
        if path.exists():
            report.find(path, _without(path, fault), cure)
        return
    report.count(what)
    if list(policies) != [species]:
        report.find(path, f"holds {', '.join(policies)}, which belongs elsewhere", cure)
        return
    card = policies[species].card
    holds = f"{origin_of(card.member)}@{card.generation}"
    odd = first_not_finite(policies[species].tensors)
    if odd is not None:
        report.find(path, f"{odd} is not finite", cure)
    elif origin is not None and holds != origin:
        report.find(path, f"holds {holds}, which belongs elsewhere", cure)


def _check_left_over(report: Report, folder: Path) -> None:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        # A run that goes on sweeps for itself, and its processes cannot be seen from another container.
        if not report.is_live and is_left_over(path):
            report.find(path, "was left by a writer that was killed", DELETE)
        elif path.name.endswith(DAMAGED_SUFFIX):
            report.find(path, "is damaged and was put aside", f"{DELETE}; if many are, look at the disk")


def _without(path: Path, fault: UserError) -> str:
    return " ".join(line.removeprefix(f"{path}: ") for line in fault.faults)
