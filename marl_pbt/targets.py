"""The files that a command is to write: one per species where the name says so, each where it can be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from marl_pbt.protocols import UserError

SPECIES = "{species}"
"""Stands for the species in the name of a file to write."""


def targets(names: Sequence[str], species: Sequence[str]) -> Mapping[Path, tuple[str, str]]:
    """Every file of every species.

    Args:
        names: As they were typed; with several species `{species}` must be in each.
        species: Of which there is something to write.

    Returns:
        Per file whose it is, and the name as it was typed.

    Raises:
        UserError: A folder is missing, or a file would be written twice.
    """
    found: dict[Path, tuple[str, str]] = {}
    for each in species:
        for name in names:
            path = Path(name.replace(SPECIES, each))
            if path in found:
                raise UserError(
                    f"{name}: there are policies of {', '.join(species)}; write {SPECIES} into the file's name, or "
                    f"put one of them before the address: {each}=…"
                )
            check_target(path)
            found[path] = each, name
    return found


def check_target(path: Path) -> None:
    """Look before the work is done.

    Raises:
        UserError: It lies in no folder, or is one.
    """
    if not path.parent.is_dir():
        raise UserError(f"{path}: {path.parent} is no folder")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file")
