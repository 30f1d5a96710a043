"""Only regular files of a legal size are opened, whatever a stranger puts in their place."""

import os

import pytest

from marl_pbt.protocols import UserError
from marl_pbt.strangers_files import read_whole


def refusal(path):
    with pytest.raises(UserError) as refused:
        read_whole(path, 100)
    (told,) = refused.value.faults
    assert told.startswith(f"{path}: ")
    return told.removeprefix(f"{path}: ")


def test_a_regular_file_is_read_whole(tmp_path):
    (tmp_path / "file").write_bytes(b"\r\n\x00" * 33)
    assert read_whole(tmp_path / "file", 99) == b"\r\n\x00" * 33


def test_anything_else_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge").write_bytes(b"x" * 101)
    assert refusal(tmp_path / "link") == "is a symbolic link; name the file that it leads to"
    assert refusal(tmp_path / "folder") == "is not a regular file"
    assert refusal(tmp_path / "pipe") == "is not a regular file"
    assert refusal(tmp_path / "huge") == "must have at most 100 bytes, has 101"
    assert refusal(tmp_path / "none") == "cannot be read (No such file or directory)"


def test_a_link_is_not_even_opened(tmp_path, monkeypatch):
    """Not every system can refuse to follow it."""
    (tmp_path / "link").symlink_to(tmp_path)
    opened = []
    monkeypatch.setattr(os, "open", lambda *arguments: opened.append(arguments))
    assert "is a symbolic link" in refusal(tmp_path / "link")
    assert opened == []
