"""Where a worker's members meet others: the arena, with the policies that lie in the run's folders."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import filelock

from marl_pbt.cross_play.archive import Archive
from marl_pbt.cross_play.arena import Arena, Team
from marl_pbt.cross_play.draw import CrossPlayRules, drawn
from marl_pbt.cross_play.match import Opponent
from marl_pbt.durable import FILE_MODE, make_folder, write_durably
from marl_pbt.protocols import Policy
from marl_pbt.run_directory import RunDirectory
from marl_pbt.snapshot import Snapshot, SnapshotError, decode, encode
from marl_pbt.standings import Source

if TYPE_CHECKING:
    from marl_pbt.member import Member

logger = logging.getLogger(__name__)

CROWNING_S = 5.0
"""How long to wait for somebody else who is just about to replace the best so far; it takes milliseconds."""


@dataclass(frozen=True)
class Hall:
    """What a worker's members share.

    Attributes:
        rules: How policies are scored.
        arena: Where matches are played.
        run: Where past policies and the best ones lie.
    """

    rules: CrossPlayRules
    arena: Arena
    run: RunDirectory

    @property
    def archive(self) -> Archive:
        """Of the run."""
        return Archive(self.run.archive, self.rules.kept)

    def teams(self, member: Member, ready_point: int) -> list[Team]:
        """Whom its policies meet at a ready point of its; without those that cannot be read or cannot play."""
        species = member.learner.species
        entries = self.archive.entries(species)
        found = []
        for opponent in drawn(self.rules, member.evolution.seed, member.index, ready_point, entries):
            snapshots = self._read(species, opponent)
            team = self.arena.team(opponent, snapshots) if snapshots is not None else None
            if team is not None:
                found.append(team)
        return found

    def own(self, member: Member, species: str) -> Policy:
        """The policy as it is now; ValueError where what it makes of an observation is not finite."""
        return self.arena.policy(species, member.card(species), member.learner.snapshot(species))

    def incumbent(self, species: str) -> tuple[Source, Policy] | None:
        """The best policy so far; None where there is none, or none that can be read."""
        snapshot = self._best(species)
        if snapshot is None:
            return None
        try:
            return _source(snapshot), self.arena.policy(species, snapshot.metadata, snapshot.tensors)
        except ValueError as fault:
            logger.warning("%s: %s; it is replaced", self.run.best_policy(species), fault)
            return None

    def crown(self, species: str, beaten: Source | None, policy: Snapshot) -> None:
        """Make a policy the best so far, unless somebody else has replaced the one that it has beaten.

        Args:
            species: Which.
            beaten: Whom it has beaten; None: there was nobody.
            policy: As it lies in the checkpoint that has just been written.

        Raises:
            OSError: The disk would not have it.
        """
        path = self.run.best_policy(species)
        make_folder(path.parent, parents=True)
        try:
            # For the moment between looking and writing; a lock of the system's, which dies with its holder.
            with filelock.FileLock(str(path.parent / f".{species}.lock"), timeout=CROWNING_S, mode=FILE_MODE):
                now = self._best(species)
                if (None if now is None else _source(now)) == beaten:
                    write_durably(path, encode(policy))
        except filelock.Timeout:
            logger.warning("%s is locked; it is not replaced", path)

    def _best(self, species: str) -> Snapshot | None:
        path = self.run.best_policy(species)
        try:
            snapshot = decode(path.read_bytes())
            _source(snapshot)
            return snapshot
        except FileNotFoundError:
            return None
        except (OSError, SnapshotError, KeyError) as fault:
            logger.warning("%s: %s; it is replaced", path, fault)
            return None

    def _read(self, species: Sequence[str], opponent: Opponent) -> dict[str, bytes] | None:
        try:
            return {name: self.archive.read(name, opponent.member, opponent.generation) for name in species}
        except OSError as fault:  # its member has let it go just now
            logger.info("%s cannot be met: %s", opponent, fault)
            return None


def _source(snapshot: Snapshot) -> Source:
    return Source(snapshot.metadata["member"], snapshot.metadata["generation"])
