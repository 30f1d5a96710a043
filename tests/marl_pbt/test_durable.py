"""Files are the old one or the new one, whole."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import marl_pbt
from marl_pbt.durable import TEMPORARY_SUFFIX, write_durably


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_made_and_replaced(tmp_path):
    path = tmp_path / "file"
    for data in (b"first", b"", b"x" * 100_000):
        write_durably(path, data)
        assert path.read_bytes() == data
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("kind", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("fault_at", range(1, 4))
def test_a_fault_at_any_step_leaves_a_whole_file_and_nothing_beside_it(tmp_path, monkeypatch, fault_at, kind):
    """Section 2 of reliability: fsync of the file, rename, fsync of the folder fail in turn."""
    path = tmp_path / "file"
    write_durably(path, b"old")
    calls = []

    def failing(real):
        def call(*args, **kwargs):
            calls.append(real.__name__)
            if len(calls) == fault_at:
                raise kind
            return real(*args, **kwargs)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, failing(getattr(os, name)))
    with pytest.raises(type(kind)):
        write_durably(path, b"new")
    assert calls == ["fsync", "replace", "fsync"][:fault_at]
    assert path.read_bytes() == (b"old" if fault_at < 3 else b"new")
    assert names(tmp_path) == ["file"]


def test_the_data_is_on_the_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    order = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, real=real, name=name: (order.append(name), real(*args))[1])
    write_durably(tmp_path / "file", b"data")
    assert order == ["fsync", "replace", "fsync"]


def test_a_folder_that_is_not_there_is_an_error_and_nothing_is_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_durably(tmp_path / "none" / "file", b"data")
    assert names(tmp_path) == []


def test_the_temporary_name_is_no_finished_file(tmp_path, monkeypatch):
    seen = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (seen.extend(names(tmp_path)), real(fd))[1])
    write_durably(tmp_path / "000001.safetensors", b"data")
    assert seen[0].endswith(TEMPORARY_SUFFIX)
    assert not Path(seen[0]).match("*.safetensors")


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from marl_pbt.durable import write_durably
def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, sys.argv[3], die)
write_durably(Path(sys.argv[2]), b"new" * 1000)
"""


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_writer_killed_in_the_middle_leaves_the_old_file(tmp_path, step):
    path = tmp_path / "file"
    write_durably(path, b"old")
    root = Path(marl_pbt.__file__).parents[1]
    ended = subprocess.run([sys.executable, "-c", KILLED, str(root), str(path), step], check=False)
    assert ended.returncode == -9
    assert path.read_bytes() == b"old"
