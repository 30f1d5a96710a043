"""Whether a run can still be written down: its folder is watched, and so are checkpoints that cannot be written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from marl_pbt.disk_probe import fault_of
from marl_pbt.figures import counted, duration
from marl_pbt.reports import CheckpointFailed
from marl_pbt.run_directory import RunDirectory

LOOK_EVERY_S = 1.0
SAY_EVERY_S = 60.0


@dataclass(frozen=True)
class Trouble:
    """Why a run cannot go on.

    Attributes:
        line: For the user.
        is_gone: Whether the run's folder is not there any more: nothing may be written, workers end at once.
    """

    line: str
    is_gone: bool = False


class FolderGoneError(Exception):
    """The run's folder is not there any more; the message is for the user."""


class RunWatch:
    """Looks after a run's files, once a second; of all it has to say, one line a minute.

    Args:
        run: Locked.
        patience_s: How long members train on without a checkpoint. The time counts from the first that could not be
            written until one can be: of any member, or the watch's own small one, which it tries every minute.

    Attributes:
        trouble: Set once the run has to stop.
        unwritten: Members whose latest checkpoint could not be written.
    """

    def __init__(self, run: RunDirectory, patience_s: float) -> None:
        self._run = run
        self._patience_s = patience_s
        self._looked_at = self._said_at = float("-inf")
        self._failing_since: float | None = None
        self._reason = ""
        self.trouble: Trouble | None = None
        self.unwritten: set[int] = set()

    def failed(self, report: CheckpointFailed, now: float) -> None:
        """A checkpoint could not be written."""
        self.unwritten.add(report.member)
        self._reason = report.reason
        if self._failing_since is None:
            self._failing_since = now
            self._said_at = float("-inf")

    def written(self, member: int) -> None:
        """A member's checkpoint is on the disk."""
        self.unwritten.discard(member)
        self._failing_since = None

    def look(self, now: float) -> Iterator[str]:
        """See how things stand.

        Args:
            now: Monotonic seconds.

        Yields:
            Lines for the user.
        """
        if now - self._looked_at < LOOK_EVERY_S or self.trouble is not None:
            return
        self._looked_at = now
        if not self._run.is_mine:
            root = self._run.root
            self.trouble = Trouble(f"{root}: was deleted or replaced while the run was on; it ends here", is_gone=True)
        elif self._failing_since is not None:
            yield from self._tell_of_failures(now, self._failing_since)

    def _tell_of_failures(self, now: float, since: float) -> Iterator[str]:
        where, whose = self._run.members, counted(len(self.unwritten), "member")
        if now - since >= self._patience_s:
            past = duration(now - since)
            self.trouble = Trouble(f"{where}: no checkpoint could be written for {past} ({self._reason}); stopping")
        elif now - self._said_at >= SAY_EVERY_S:
            is_first, self._said_at = self._said_at == float("-inf"), now
            if not is_first and self._is_well():
                self._failing_since = None
                yield f"{where}: can be written again; the next ready points' checkpoints will be"
                return
            left = duration(self._patience_s - (now - since))
            yield (
                f"warning: {where}: cannot be written ({self._reason}): {whose} trained on without a checkpoint; "
                f"the run stops in {left} unless that changes"
            )

    def _is_well(self) -> bool:
        fault = fault_of(self._run.members)
        self._reason = self._reason if fault is None else fault.strerror or str(fault)
        return fault is None
