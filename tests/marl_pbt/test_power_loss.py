"""A disk that keeps only what was flushed: after a loss of power every file is the old one or the new one, never half.

What a run does to its disk is written down operation by operation, then every moment of it is looked at as if the power
had gone there. The model: the content of a file that was not flushed since it was written may be missing or half;
names that were given, taken or replaced since their folder was flushed may be as before, or as they were at any moment
since. (A journal keeps the order of names within a folder; ext4, XFS, Btrfs and APFS do.)
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from marl_pbt.snapshot import decode
from tests.marl_pbt.sittings import Sitting, all_lived, generations

LIVED = 4


@dataclass
class Disk:
    """Records what reaches it."""

    root: Path
    done: list = field(default_factory=list)
    folders: set = field(default_factory=set)
    freed: dict = field(default_factory=dict)

    def identity(self, path):
        """Of a file, also against those that had its inode before it."""
        inode = Path(path).stat().st_ino
        return inode, self.freed.get(inode, 0)

    def free(self, inode):
        self.freed[inode] = self.freed.get(inode, 0) + 1

    def fsync(self, descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_dir():
            self.done.append(("flushed folder", str(path)))
        else:
            self.done.append(("flushed", self.identity(path), path.read_bytes()))

    def replace(self, source, target, real=os.replace):
        own = self.identity(source)
        replaced = Path(target).stat().st_ino if Path(target).exists() else None
        real(source, target)
        self.done.append(("named", str(target), own))
        if replaced is not None:
            self.free(replaced)

    def mkdir(self, path, mode=0o777, real=os.mkdir):
        real(path, mode)
        self.done.append(("named", str(path), self.identity(path)))
        self.folders.add(str(path))

    def unlink(self, path, real=os.unlink):
        inode = Path(path).stat().st_ino
        real(path)
        self.done.append(("deleted", str(path)))
        self.free(inode)

    def promise(self, member, generation):
        self.done.append(("promised", member, generation))


def states(done, folders=frozenset()):
    """What may be found after a loss of power at each moment: `(names with contents, generations promised)`."""
    contents, flushed, pending, promised = {}, {}, [], {}
    for operation in done:
        kind, *what = operation
        if kind == "flushed":
            contents[what[0]] = what[1]
        elif kind == "flushed folder":
            settled = [each for each in pending if str(Path(each[1]).parent) == what[0]]
            pending = [each for each in pending if each not in settled]
            apply(flushed, settled)
        elif kind == "promised":
            promised[what[0]] = what[1]
        else:
            pending.append(operation)
        for lasted in range(len(pending) + 1):
            names = dict(flushed)
            apply(names, pending[:lasted])
            lost = [folder for folder in folders if folder not in names]
            there = [path for path in names if path not in folders and not any(map(path.startswith, lost))]
            yield {path: contents.get(names[path], b"") for path in there}, dict(promised)


def apply(names, operations):
    for kind, path, *inode in operations:
        if kind == "named":
            names[path] = inode[0]
        else:
            names.pop(path, None)


@pytest.fixture
def disk(tmp_path, monkeypatch):
    recorded = Disk(tmp_path)
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("fsync", "replace", "unlink", "mkdir"):
        monkeypatch.setattr(os, name, getattr(recorded, name))
    sitting = Sitting(folder)

    def note_promises():
        for member in sitting.population.members:
            recorded.promise(member.index, member.told_generation)

    sitting.watch = note_promises
    sitting.live(LIVED).close()
    monkeypatch.undo()
    return recorded


def newest(found, member):
    """The generation of its newest checkpoint, all of which must be whole."""
    own = [data for path, data in found.items() if f"/member_{member:02d}/" in path and path.endswith(".safetensors")]
    return max((decode(data).metadata["generation"] for data in own), default=0)


def test_after_power_loss_at_any_moment_every_file_is_old_or_new_and_never_half(disk):
    """Section 2, power loss; section 4, with a shim that keeps only what was fsynced."""
    looked_at = 0
    for found, promised in states(disk.done, disk.folders):
        for member in range(2):
            assert newest(found, member) >= promised.get(member, 0)
        assert not any(path.endswith(".writing") for path in found)
        looked_at += 1
    assert looked_at > 100


def test_after_power_loss_a_run_goes_on_and_its_lineage_is_whole(disk, tmp_path, monkeypatch):
    """The lineage is flushed once a second: its end may be missing, or half a line; members tell it again."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    lines = next(data for kind, *rest in disk.done[::-1] if kind == "flushed" for data in rest[1:] if b'"kind"' in data)
    everything = list(states(disk.done, disk.folders))
    for number, (found, promised) in enumerate(everything[5 :: len(everything) // 8]):
        folder = tmp_path / f"after-{number}"
        for path, data in found.items():
            place = folder / Path(path).relative_to(tmp_path / "run")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        folder.mkdir(exist_ok=True)
        told = [line for line in lines.splitlines(keepends=True) if _was_before(line, promised)]
        (folder / "lineage.jsonl").write_bytes(b"".join(told)[:-20])
        again = Sitting(folder).live(LIVED + 1)
        again.close()
        assert generations(folder) == all_lived(LIVED + 1)


def _was_before(line, promised):
    from marl_pbt.ancestry import LineageEvent

    event = LineageEvent.from_line(line.decode())
    return event.generation < max(1, promised.get(event.member, 0) - 1)


def test_the_model_finds_a_writer_that_does_not_flush(tmp_path):
    """A check is tested by making it fire: renamed without a flush, a file may be empty afterwards."""
    done = [("named", "/run/file", 7), ("flushed folder", "/run")]
    assert {found.get("/run/file") for found, _ in states(done)} == {None, b""}
    done = [("flushed", 7, b"whole"), *done]
    assert {found.get("/run/file") for found, _ in states(done)} == {None, b"whole"}
