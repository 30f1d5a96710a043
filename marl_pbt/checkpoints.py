"""A member's checkpoints on disk: one file per generation, the newest few and the best kept, damaged ones put aside."""

from __future__ import annotations

import errno
import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from marl_pbt.durable import identity, make_folder, move_durably, sweep, write_durably
from marl_pbt.fault_points import reach
from marl_pbt.run_directory import member_name
from marl_pbt.snapshot import Snapshot, SnapshotError, decode, encode, shown

DAMAGED_SUFFIX = ".damaged"
"""Behind the name of a file that was put aside; nothing reads it any more."""
FILE = re.compile(r"(\d{6,})(\.stopped)?\.safetensors")
"""A checkpoint's name: its generation; whether the member was stopped in the interval after it."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retention:
    """What is kept.

    Attributes:
        keep_last: The newest this many generations, at least 1.
        keep_best: Per species, the best-scored this many.
    """

    keep_last: int = 2
    keep_best: int = 1


class CheckpointError(Exception):
    """A member has no whole checkpoint left, and nobody to begin from."""


class MemberCheckpoints:
    """The checkpoints of one member.

    Nothing is written into a folder that has taken the place of the one that was there at first.

    Args:
        folder: `members/member_03`; made at the first write.
        retention: What is kept.
        maximize: True when a larger score is better.
    """

    def __init__(self, folder: Path, retention: Retention, maximize: bool = True) -> None:
        self.folder = folder
        self._retention = retention
        self._maximize = maximize
        self._scores_path = folder / "scores.json"
        self._home = identity(folder.parent)

    @property
    def is_lost(self) -> bool:
        """True for a member that had checkpoints, of which none is whole.

        A folder alone does not tell: it is made right before the first write, which may fail.
        """
        had_some = self._scores_path.exists() or any(self.folder.glob(f"*{DAMAGED_SUFFIX}"))
        return had_some and not self._files()

    def path(self, generation: int) -> Path:
        """Where a generation lies."""
        return self.folder / f"{generation:06d}.safetensors"

    def generations(self) -> list[int]:
        """Those on disk, oldest first."""
        return [generation for generation, is_stopped, _ in self._files() if not is_stopped]

    def write(self, generation: int, snapshot: Snapshot, best: Mapping[str, float], in_between: bool = False) -> None:
        """Write a checkpoint durably, then delete what need not be kept.

        Args:
            generation: Which.
            snapshot: The member's whole state.
            best: Per species, what this generation's score was worth; species without a score are absent.
            in_between: The member was stopped in the interval after this generation: the checkpoint lies beside
                those of its generations, until the next of them.

        Raises:
            OSError: It could not be written; whatever was there still is.
        """
        self._make_folder()
        reach("checkpoint")
        if in_between:
            write_durably(self.folder / f"{generation:06d}.stopped.safetensors", encode(snapshot))
        else:
            write_durably(self.path(generation), encode(snapshot))
        reach("checkpointed")
        if not in_between:
            self._tidy(generation, best)

    def read(self, generation: int) -> Snapshot | None:
        """One generation's checkpoint; None where it is not there or not whole."""
        try:
            return self._open(generation, self.path(generation))
        except (OSError, SnapshotError) as fault:
            logger.warning("%s: %s", self.path(generation), fault)
            return None

    def newest(self) -> Snapshot | None:
        """The newest whole checkpoint; None where there is none (any more, see `is_lost`).

        For the member itself: damaged ones are put aside, each with a warning.

        Raises:
            OSError: There are some, and none can be read just now; they may be whole.
        """
        unread = None
        for generation, _, path in self._files()[::-1]:
            try:
                return self._open(generation, path)
            except SnapshotError as fault:
                self._put_aside(path, fault)
            except OSError as fault:
                logger.warning("%s: cannot be read (%s); trying the one before", path, fault.strerror)
                unread = fault
        if unread is not None:
            raise unread
        return None

    def check_readable(self) -> None:
        """See that all files of checkpoints can be read, whatever is in them.

        Raises:
            OSError: One cannot.
        """
        for _, _, path in self._files():
            path.read_bytes()

    def whole(self) -> Iterator[Snapshot]:
        """The checkpoints that are whole, newest first, for others to look at: nothing is moved, nothing said."""
        for generation, _, path in self._files()[::-1]:
            try:
                yield self._open(generation, path)
            except (OSError, SnapshotError):
                continue

    def _open(self, generation: int, path: Path) -> Snapshot:
        """Read a file, which must hold what its place says: files are swapped by hand."""
        snapshot = decode(path.read_bytes())
        check_origin(snapshot, self.folder.name, generation)
        return snapshot

    def _put_aside(self, path: Path, fault: SnapshotError) -> None:
        target = path.with_name(path.name + DAMAGED_SUFFIX)
        try:
            move_durably(path, target)
        except OSError:
            logger.warning("%s: %s; trying the one before", path, fault)
        else:
            logger.warning("%s: %s; put aside as %s, trying the one before", path, fault, target.name)

    def _make_folder(self) -> None:
        if self._home is None:  # nobody has made it yet
            make_folder(self.folder, parents=True)
            self._home = identity(self.folder.parent)
        if identity(self.folder.parent) != self._home:
            gone = errno.ENOENT if identity(self.folder.parent) is None else errno.ESTALE
            raise OSError(gone, "the run's folder was deleted or replaced", str(self.folder.parent))
        make_folder(self.folder)

    def _files(self) -> list[tuple[int, bool, Path]]:
        """`(generation, stopped in the interval after it, path)`, oldest first."""
        if not self.folder.is_dir():
            return []
        found = ((FILE.fullmatch(path.name), path) for path in self.folder.iterdir())
        return sorted((int(match[1]), match[2] is not None, path) for match, path in found if match)

    def _tidy(self, generation: int, best: Mapping[str, float]) -> None:
        """Delete what need not be kept; the checkpoint is safe already, so no fault in this is anybody's concern."""
        try:
            self._note_scores(generation, best)
            keep = self._kept()
            for old, is_stopped, path in self._files():
                if is_stopped or old not in keep:
                    path.unlink(missing_ok=True)
        except OSError as fault:
            logger.info("%s: what need not be kept stays for now (%s)", self.folder, fault.strerror)
        sweep(self.folder)

    def _note_scores(self, generation: int, best: Mapping[str, float]) -> None:
        scores = self._scores() | {generation: dict(best)}
        on_disk = set(self.generations())
        text = json.dumps({at: values for at, values in sorted(scores.items()) if at in on_disk})
        write_durably(self._scores_path, text.encode())

    def _scores(self) -> dict[int, dict[str, float]]:
        try:
            told = json.loads(self._scores_path.read_text())
            return {int(at): values for at, values in told.items() if _are_scores(values)}
        except (OSError, ValueError, AttributeError, RecursionError):
            return {}  # only an index: without it the best of before are not known, and go

    def _kept(self) -> set[int]:
        kept = set(self.generations()[-max(1, self._retention.keep_last) :])
        scores = self._scores()
        for species in {name for values in scores.values() for name in values}:
            ranked = sorted((at for at in scores if species in scores[at]), key=lambda at: scores[at][species])
            if self._retention.keep_best:
                kept.update(
                    ranked[-self._retention.keep_best :] if self._maximize else ranked[: self._retention.keep_best]
                )
        return kept


def check_origin(snapshot: Snapshot, member: str, generation: int) -> None:
    """See that a file holds what its place says: files are swapped by hand.

    Args:
        snapshot: The file's.
        member: `member_03`, whose folder it lies in.
        generation: Of its name.

    Raises:
        SnapshotError: It is no checkpoint, another member's, or of another generation.
    """
    said = snapshot.metadata
    kind, whose, when = said.get("kind"), origin_of(said.get("member")), said.get("generation")
    if kind != "checkpoint" or whose != member or type(when) is not int or when != generation:
        what = kind if kind in ("checkpoint", "policy") else shown(kind)
        raise SnapshotError(f"holds {what} {whose}@{shown(when)}, which belongs elsewhere")


def origin_of(member: object) -> str:
    """Whose a file says that it is: `member_03`, or what it says instead."""
    return member_name(member) if type(member) is int else shown(member)


def _are_scores(values: object) -> bool:
    return isinstance(values, dict) and all(type(value) in (int, float) for value in values.values())
