"""The paths of a run: `runs/<name>/` and everything in it."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import time
from pathlib import Path

import filelock

from marl_pbt.durable import (
    FILE_MODE,
    FOLDER_MODE,
    flush_folder,
    identity,
    is_alive,
    make_folder,
    sweep,
    write_durably,
)
from marl_pbt.protocols import UserError

if sys.platform != "win32":
    import fcntl

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
"""Of runs and species: what becomes part of a path, and must lead nowhere else."""
NAME_RULE = "must be 1 to 64 of A-Z a-z 0-9 . _ - without a leading dot"
GLANCE_S = 0.1
"""Whoever looks whether a run is held holds its lock himself for a moment: to go on with it takes a second try."""
_HOLDER = re.compile(r"pid (\d+) ")
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def member_name(member: int) -> str:
    """`member_03`: what people read of a member."""
    return f"member_{member:02d}"


class RunDirectory:
    """One run's folder. Every path of a run comes from here."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "config.yaml"
        self.command = root / "command.txt"
        self.versions = root / "versions.json"
        self.lineage = root / "lineage.jsonl"
        self.members = root / "members"
        self.archived = root / "archived"
        self.best = root / "best"
        self.archive = root / "archive"
        self.tensorboard = root / "tb"
        self.log = root / "log.txt"
        self.troubles = root / "troubles"
        self.judgement = root / "judgement.json"
        self._lock = filelock.FileLock(str(root / "lock"), blocking=False, mode=FILE_MODE)
        self._holder = root / "lock.txt"
        self._locked: tuple[tuple[int, int] | None, ...] | None = None

    @property
    def name(self) -> str:
        """The run's name."""
        return self.root.name

    def member(self, member: int) -> Path:
        """Where the member's checkpoints lie."""
        return self.members / member_name(member)

    def best_policy(self, species: str) -> Path:
        """The best policy of a species so far; replaced atomically."""
        return self.best / f"{species}.safetensors"

    def lineage_picture(self, species: str) -> Path:
        """Who copied whom, as a picture."""
        return self.root / f"lineage_{species}.png"

    def payoffs_picture(self, species: str) -> Path:
        """Who does how well against whom, as a picture."""
        return self.root / f"payoffs_{species}.png"

    def create(self) -> None:
        """Make the folders of a new run.

        Raises:
            UserError: It is there already, or cannot be written.
        """
        if os.path.lexists(self.root):
            raise UserError(
                f"{self.root}: this run is there already; give another --name, or go on with --resume {self.root}"
            )
        try:
            self.root.parent.mkdir(parents=True, exist_ok=True)
            self.root.mkdir(mode=FOLDER_MODE)
            flush_folder(self.root.parent)
            self._make_folders()
        except OSError as fault:
            raise UserError(f"{self.root}: cannot be written ({fault.strerror})") from None

    def open_existing(self) -> None:
        """Check that this is a run that can be gone on from.

        Raises:
            UserError: There is no such run, or it cannot be written.
        """
        if not self.config.is_file():
            raise UserError(f"{self.root}: no run to resume here (it has no {self.config.name})")
        try:
            self._make_folders()
        except OSError as fault:
            raise UserError(f"{self.root}: cannot be written ({fault.strerror})") from None

    def lock(self, pid: int) -> None:
        """Hold the run for this process; the lock dies with it.

        Raises:
            UserError: Another process holds it; or the folder cannot be written.
        """
        try:
            self._lock.acquire(timeout=GLANCE_S, poll_interval=GLANCE_S / 10, blocking=True)
        except filelock.Timeout:
            holder = self._holder.read_text().strip() if self._holder.is_file() else "another process"
            raise UserError(f"{self.root}: in use by {holder}; wait for it, or stop it first") from None
        except OSError as fault:
            raise UserError(f"{self.root}: cannot be written ({fault.strerror})") from None
        try:
            write_durably(self._holder, f"pid {pid} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
        except OSError as fault:
            self._lock.release()
            raise UserError(f"{self.root}: cannot be written ({fault.strerror})") from None
        self._locked = self._identities()
        sweep(self.root)  # nobody else writes here now

    def unlock(self) -> None:
        """Let go of the run."""
        with contextlib.suppress(OSError):
            if self.is_mine:
                self._holder.unlink(missing_ok=True)
        self._lock.release()
        self._locked = None

    @property
    def is_held(self) -> bool:
        """Whether a process holds the run, as far as can be told without writing anything.

        The lock itself tells. Where systems have none that can be looked at, a file says which process took it.
        """
        try:
            descriptor = os.open(self._lock.lock_file, os.O_RDONLY | _NO_LINK)
        except FileNotFoundError:
            return False
        except OSError:
            return self._is_said_to_be_held()
        try:
            return _is_locked(descriptor)
        except OSError:  # a file system without locks
            return self._is_said_to_be_held()
        finally:
            os.close(descriptor)

    @property
    def is_mine(self) -> bool:
        """False once the folder that this process holds, or the lock in it, was deleted or replaced."""
        return self._locked is not None and self._identities() == self._locked

    def _is_said_to_be_held(self) -> bool:
        try:
            holder = _HOLDER.match(self._holder.read_text())
        except (OSError, UnicodeDecodeError):
            return False
        return holder is not None and is_alive(int(holder[1]))

    def _identities(self) -> tuple[tuple[int, int] | None, ...]:
        return identity(self.root), identity(Path(self._lock.lock_file))

    def _make_folders(self) -> None:
        for folder in (self.members, self.best, self.tensorboard):
            make_folder(folder)


def new_run(runs: Path, name: str | None, prefix: str) -> RunDirectory:
    """The directory of a run to come; nothing is made yet.

    Args:
        runs: Where runs lie.
        name: The user's, or None for `<prefix>-<date>-<time>`.
        prefix: The config's name.

    Raises:
        UserError: The name cannot be a folder's.
    """
    chosen = name or f"{prefix}-{time.strftime('%Y%m%d-%H%M%S')}"
    if not NAME.fullmatch(chosen):
        raise UserError(f"--name: {NAME_RULE}, got {chosen!r}")
    return RunDirectory(runs / chosen)


def existing_run(runs: Path, run: str) -> RunDirectory:
    """The directory of a run by its path, or by its name under `runs`."""
    return RunDirectory(Path(run) if Path(run).is_dir() else runs / run)


def _is_locked(descriptor: int) -> bool:
    """Whether somebody holds the lock on an open file.

    Raises:
        OSError: It cannot be told here.
    """
    if sys.platform == "win32":
        raise OSError(errno.ENOSYS, "no lock that can be shared")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # let go of as the file is closed
    except BlockingIOError:
        return True
    return False
