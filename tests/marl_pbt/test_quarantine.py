"""Checkpoints that are damaged, lost, or not the member's own any more."""

import errno
import os
from pathlib import Path

import pytest

from marl_pbt.checkpoints import MemberCheckpoints, Retention
from tests.marl_pbt.checkpoint_folders import damage, folder, newest, snapshot


@pytest.mark.parametrize("how", ["corrupt", "truncated", "swapped"])
def test_a_corrupt_truncated_or_swapped_checkpoint_is_quarantined_once_and_the_one_before_is_used(
    tmp_path, caplog, how
):
    """Reliability, section 2."""
    checkpoints = folder(tmp_path, 1.0, 2.0)
    path = checkpoints.path(2)
    data = path.read_bytes()
    other = MemberCheckpoints(tmp_path / "member_01", Retention())
    other.write(2, snapshot(2, member=1), {})
    damaged = {"corrupt": data[:-1] + b"\xff", "truncated": data[:-9], "swapped": other.path(2).read_bytes()}[how]
    path.write_bytes(damaged)
    for _ in range(2):
        assert newest(checkpoints) == 1
    aside = path.with_name(path.name + ".damaged")
    assert aside.read_bytes() == damaged
    assert not path.exists()
    assert [record.getMessage().count("put aside") for record in caplog.records] == [1]
    assert not checkpoints.is_lost


def test_looking_at_anothers_checkpoints_moves_nothing(tmp_path, caplog):
    checkpoints = folder(tmp_path, 1.0, 2.0)
    damage(checkpoints.path(2))
    assert [each.metadata["generation"] for each in checkpoints.whole()] == [1]
    assert checkpoints.path(2).exists()
    assert not caplog.records


def test_where_all_are_damaged_every_file_is_put_aside_and_the_member_knows_that_it_has_lost_them(tmp_path, caplog):
    checkpoints = folder(tmp_path, 1.0, 2.0)
    assert not checkpoints.is_lost
    for generation in (1, 2):
        damage(checkpoints.path(generation))
    assert checkpoints.newest() is None
    assert checkpoints.is_lost
    assert str(checkpoints.path(1)) in caplog.text
    assert str(checkpoints.path(2)) in caplog.text


def test_a_file_that_cannot_be_read_just_now_is_not_put_aside(tmp_path, monkeypatch, caplog):
    """An I/O error may be the disk's, not the file's."""
    checkpoints = folder(tmp_path, 1.0, 2.0)
    real = Path.read_bytes

    def failing(path):
        if path == checkpoints.path(2):
            raise OSError(errno.EIO, "Input/output error")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", failing)
    assert newest(checkpoints) == 1
    assert checkpoints.path(2).exists()
    assert "Input/output error" in caplog.text


def test_nothing_is_written_into_a_folder_that_has_taken_the_place_of_the_runs(tmp_path):
    """Section 2: a directory that was deleted, or replaced, under the lock."""
    members = tmp_path / "run" / "members"
    members.mkdir(parents=True)
    checkpoints = folder(members, 1.0)
    members.rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match="deleted or replaced"):
        checkpoints.write(2, snapshot(2), {})
    members.mkdir()
    with pytest.raises(OSError, match="deleted or replaced"):
        checkpoints.write(2, snapshot(2), {})
    assert list(members.iterdir()) == []


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EACCES, errno.EMFILE])
@pytest.mark.parametrize("is_one_damaged", [False, True])
def test_where_none_can_be_read_just_now_that_is_an_error_and_not_a_member_without_checkpoints(
    tmp_path, monkeypatch, code, is_one_damaged
):
    checkpoints = folder(tmp_path, 1.0, 2.0)
    if is_one_damaged:
        damage(checkpoints.path(2))
    real = Path.read_bytes

    def failing(path):
        if path.name == "000002.safetensors" and is_one_damaged:
            return real(path)
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        with pytest.raises(OSError, match=os.strerror(code)):
            checkpoints.newest()
    assert newest(checkpoints) == (1 if is_one_damaged else 2)


def test_a_folder_whose_checkpoints_were_deleted_was_lived_in_and_one_of_a_failed_first_write_was_not(tmp_path):
    lived, fresh = folder(tmp_path / "lived", 1.0), folder(tmp_path / "fresh")
    lived.path(1).unlink()
    assert lived.is_lost
    fresh.folder.mkdir(parents=True)
    (fresh.folder / "000001.safetensors.4000000.writing").write_bytes(b"half")
    assert not fresh.is_lost
