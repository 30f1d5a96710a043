"""Policies of all members as they were at their ready points, on disk: whom others meet.

`<folder>/<species>/member_03@12.safetensors`. A member alone writes and deletes its own. The newest few versions are
those that others meet at about the same time; of the older ones some stay, so that nobody forgets how to meet them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from marl_pbt.durable import make_folder, write_durably
from marl_pbt.run_directory import member_name
from marl_pbt.snapshot import Snapshot, encode

RECENT = 4
"""Newest versions that stay: whoever is behind by less than so many ready points finds the version that it wants."""
_FILE = re.compile(r"member_(\d+)@(\d+)\.safetensors")


class Archive:
    """The archive of a run.

    Args:
        folder: Where it lies; made at the first `add`.
        kept: Older versions of each member that stay.
    """

    def __init__(self, folder: Path, kept: int) -> None:
        self._folder = folder
        self._kept = kept

    def add(self, member: int, generation: int, policies: Mapping[str, Snapshot]) -> None:
        """Keep these, then let those go that are one too many.

        Args:
            member: Whose.
            generation: Their ready point.
            policies: Per species; what is not a `policy/…` array is left out.

        Raises:
            OSError: The disk would not have it.
        """
        for species, policy in policies.items():
            acting = {name: array for name, array in policy.tensors.items() if name.startswith("policy/")}
            path = self._path(species, member, generation)
            make_folder(path.parent, parents=True)
            write_durably(path, encode(Snapshot(policy.metadata, acting)))
        own = [kept for holder, kept in self.entries(list(policies)) if holder == member]
        for old in superfluous(own, self._kept):
            for species in policies:
                self._path(species, member, old).unlink(missing_ok=True)

    def entries(self, species: Sequence[str]) -> list[tuple[int, int]]:
        """Members and generations of which there is a policy of each of these species."""
        found = [self._found(name) for name in species]
        return sorted(set.intersection(*found)) if found else []

    def read(self, species: str, member: int, generation: int) -> bytes:
        """A policy's file.

        Raises:
            OSError: It is not there any more.
        """
        return self._path(species, member, generation).read_bytes()

    def _found(self, species: str) -> set[tuple[int, int]]:
        names = (_FILE.fullmatch(path.name) for path in (self._folder / species).glob("*.safetensors"))
        return {(int(name[1]), int(name[2])) for name in names if name}

    def _path(self, species: str, member: int, generation: int) -> Path:
        return self._folder / species / f"{member_name(member)}@{generation}.safetensors"


def superfluous(generations: list[int], kept: int) -> list[int]:
    """Which to let go: all but the `RECENT` newest and so many of the older ones, evenly over the run.

    The untrained generation 0 is nobody's opponent for longer than it is recent.
    """
    ordered = sorted(generations)
    older, recent = ordered[:-RECENT], ordered[-RECENT:]
    gone = [generation for generation in older if generation == 0]
    older = older[len(gone) :]
    while len(older) > kept:
        gaps = [after - before for before, after in zip(older, [*older[2:], recent[0]], strict=False)]
        gone.append(older.pop(1 + gaps.index(min(gaps)) if kept > 1 else 0))  # the first stays
    return gone
