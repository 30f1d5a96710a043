"""Policies by name, as people type them: a file, a folder, a run, a member, a generation, a baseline.

`[SPECIES=]WHERE`, with WHERE one of

- `hunter.safetensors`: a policy's file, or a checkpoint, which holds one policy per species;
- `some/folder`: all policy files in it;
- `runs/a`, or `a`: the best policy of each species in a run;
- `runs/a:member_03`: a member's newest checkpoint, `runs/a:member_03@12` the one of generation 12; with wildcards
  several at once (`runs/a:member_*`, `runs/a:member_03@*`);
- `panel`: the reference policies that are installed with marl_pbt;
- any other word is a baseline: `random`, or one that the environment offers.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.imports import bundled_panels
from marl_pbt.policy_files import PolicyFileError, SavedPolicy, read_policies
from marl_pbt.protocols import UserError
from marl_pbt.run_directory import RunDirectory, existing_run

PANEL = "panel"
POLICY_FILES = "*.safetensors"
_FORM = re.compile(r"(?:(?P<species>[^=/\\:]+)=)?(?P<where>.+)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*")
_TRIES = 3


@dataclass(frozen=True)
class Found:
    """What an address leads to.

    Attributes:
        address: As it was typed.
        label: Short, for tables.
        species: The one that was asked for; None: all that there are.
        policies: By species; empty for a baseline, which goes by its label.
        run: The run it belongs to; None where there is none.
        is_panel: Whether it is a reference policy.
    """

    address: str
    label: str
    species: str | None
    policies: Mapping[str, SavedPolicy] = field(default_factory=dict)
    run: RunDirectory | None = None
    is_panel: bool = False

    @property
    def is_baseline(self) -> bool:
        """Whether it is the name of a scripted policy."""
        return not self.policies


def find(text: str, runs: Path) -> list[Found]:
    """Read what an address leads to, now: in a run that goes on, the files will be others in a minute.

    Args:
        text: As above.
        runs: Where runs lie that are named without a folder.

    Raises:
        UserError: It leads nowhere; the message says what there is.
    """
    try:
        species, where = split_species(text)
        found = _found(text, where, runs)
    except OSError as fault:  # a name that is too long, a folder that must not be looked into
        raise UserError(f"{text}: cannot be read ({fault.strerror})") from None
    if species is None:
        return found
    if len(found) > 1:  # of a folder, those that there are
        found = [each for each in found if species in each.policies] or found
    return [_only(species, each) for each in found]


def split_species(text: str) -> tuple[str | None, str]:
    """`SPECIES=WHERE` as both; the species is None where none was given.

    Raises:
        UserError: There is nothing in it.
        OSError: It cannot be a path.
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise UserError("an address of a policy must not be empty")
    if Path(text).exists():  # a path that happens to look like SPECIES=WHERE
        return None, text
    return form["species"], form["where"]


def split_member(where: str) -> tuple[str, str | None, str]:
    """`RUN:MEMBER@GENERATION` as its three; the member is None where none was given, the generation empty.

    Raises:
        OSError: It cannot be a path.
    """
    place, colon, member = where.rpartition(":")
    if not colon or Path(where).exists():
        return where, None, ""
    name, _, generation = member.partition("@")
    return place, name, generation


def is_generation(generation: int, pattern: str) -> bool:
    """Whether it is the one that was typed, or fits its wildcards."""
    return str(generation) == pattern.lstrip("0") or fnmatch.fnmatchcase(str(generation), pattern)


def _found(text: str, where: str, runs: Path) -> list[Found]:
    path = Path(where)
    if path.is_file() or (path.is_symlink() and not path.is_dir()):
        return [Found(text, _label(path), None, read_policies(path))]
    place, member, generation = split_member(where)
    run = existing_run(runs, place)
    if member is not None:
        return _members(text, run, member, generation)
    if run.config.is_file():
        return [_best(text, run)]
    if path.is_dir():
        return _folder(text, path)
    if where == PANEL:
        return _panel(text)
    if _NAME.fullmatch(where):
        return [Found(text, where, None)]
    raise UserError(f"{text}: no such file, run or folder")


def _best(text: str, run: RunDirectory) -> Found:
    policies: dict[str, SavedPolicy] = {}
    for path in sorted(run.best.glob(POLICY_FILES)):
        policies |= read_policies(path)
    if not policies:
        raise UserError(f"{text}: this run has no best policy yet; name a member: {text}:member_00")
    return Found(text, run_label(run), None, policies, run)


def _folder(text: str, folder: Path) -> list[Found]:
    paths = sorted(folder.glob(POLICY_FILES))
    if not paths:
        raise UserError(f"{text}: no policy files (*.safetensors) in this folder")
    return [Found(text, _label(path), None, read_policies(path)) for path in paths]


def _panel(text: str) -> list[Found]:
    """Of every environment that has one; which of them can play is seen later."""
    paths = [path for folder in bundled_panels() for path in sorted(folder.glob(POLICY_FILES))]
    if not paths:
        raise UserError(f"{text}: no reference policies are installed with this marl_pbt")
    return [Found(text, f"{PANEL}:{_label(path)}", None, read_policies(path), is_panel=True) for path in paths]


def _members(text: str, run: RunDirectory, member: str, generation: str) -> list[Found]:
    """Those of a run whose name and generation fit the patterns; without a generation each member's newest."""
    if not run.config.is_file():
        raise UserError(f"{text}: no run at {run.root} (it has no {run.config.name})")
    folders = sorted(path for path in run.members.glob("*") if path.is_dir())
    chosen = [folder for folder in folders if fnmatch.fnmatchcase(folder.name, member)]
    if not chosen:
        raise UserError(f"{text}: no member {member!r}; there are {_listed([folder.name for folder in folders])}")
    found = [each for folder in chosen for each in _generations(text, run, folder, generation)]
    if not found:
        there = {folder.name: MemberCheckpoints(folder, Retention()).generations() for folder in chosen}
        kept = "; ".join(f"{name}: {_listed(map(str, at))}" for name, at in there.items())
        raise UserError(f"{text}: no checkpoint of this generation is kept; there are {kept}")
    return found


def _generations(text: str, run: RunDirectory, folder: Path, pattern: str) -> list[Found]:
    checkpoints = MemberCheckpoints(folder, Retention())
    for attempt in range(_TRIES):  # a member that trains on deletes its old checkpoints
        at = checkpoints.generations()
        wanted = [each for each in at if is_generation(each, pattern)] if pattern else at[-1:]
        try:
            return [
                Found(text, f"{run_label(run)}:{folder.name}@{each}", None, read_policies(checkpoints.path(each)), run)
                for each in wanted
            ]
        except PolicyFileError:
            if attempt == _TRIES - 1 or all(checkpoints.path(each).is_file() for each in wanted):
                raise
    return []


def _only(species: str, found: Found) -> Found:
    if found.policies and species not in found.policies:
        raise UserError(f"{found.address}: has no policy of {species}; there are {_listed(found.policies)}")
    policies = {species: found.policies[species]} if found.policies else {}
    return replace(found, species=species, policies=policies)


def _label(path: Path) -> str:
    """A file's name for tables; whoever named it may have put anything into it."""
    return "".join(letter if letter.isprintable() else "?" for letter in path.stem)


def run_label(run: RunDirectory) -> str:
    """A run's name also where it goes by `.`, from inside."""
    return run.root.name or run.root.absolute().name


def _listed(names: Sequence[str] | Mapping[str, object] | map[str]) -> str:
    return ", ".join(names) or "none"
