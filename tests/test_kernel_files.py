"""Compiled kernels on the disk, which all processes of this machine share."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import filelock
import pytest

from agents.ppo.fast import compiling as of_agents
from envs.predator_prey_grass import compiling as of_envs


@pytest.fixture(params=[of_agents, of_envs], ids=["agents", "envs"])
def room(request: pytest.FixtureRequest) -> ModuleType:
    return request.param


def doubled(room: ModuleType, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    """A kernel whose files lie in this folder."""
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(folder))

    def double(number: Any) -> Any:
        return 2 * number

    return room.entry(double)


def test_one_process_at_a_time_compiles(room: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two for different types at once: one would run what was compiled for the other's."""
    kernel, results = doubled(room, monkeypatch, tmp_path), []
    folder = Path(kernel.stats.cache_path)
    folder.mkdir(parents=True, exist_ok=True)
    other = threading.Thread(target=lambda: results.append(kernel(21)))
    with filelock.FileLock(folder / f"{kernel.py_func.__qualname__}.lock"):
        other.start()
        other.join(0.3)
        assert results == [] and not list(folder.glob("*.nb?"))
    other.join(20.0)
    assert results == [42]
    assert {path.suffix for path in folder.glob("*.nb?")} == {".nbi", ".nbc"}


def test_where_nothing_can_be_written_kernels_are_compiled_in_every_process(
    room: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kernel = doubled(room, monkeypatch, tmp_path)

    def refused(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(filelock.FileLock, "acquire", refused)
    assert kernel(21) == 42


def test_where_there_is_no_folder_for_them_it_is_said(
    room: ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a machine whose home and whose installed packages are read-only."""

    def double(number: Any) -> Any:
        return 2 * number

    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    assert room.entry(double)(21) == 42
    assert "kernels are compiled anew in every process" in caplog.text
