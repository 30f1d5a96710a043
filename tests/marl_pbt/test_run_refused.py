"""What keeps a run from being begun or gone on with is told at once, and nothing has been touched."""

import hashlib
import re
import shutil
import subprocess
import time

import pytest

from marl_pbt.disk_probe import check_can_be_written, check_has_room
from marl_pbt.fault_points import arm
from marl_pbt.protocols import UserError
from marl_pbt.resuming import missing_bytes
from marl_pbt.run_directory import RunDirectory
from tests.marl_pbt.command import toy_config
from tests.marl_pbt.command_here import trained


@pytest.fixture(autouse=True)
def disarmed():
    yield
    arm({})


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 128 KiB, or skip where nobody may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def refused(*arguments):
    """The lines; it has to be quick."""
    began = time.monotonic()
    code, _, err = trained(*arguments)
    assert code == 2
    assert "Traceback" not in err
    return err.strip().splitlines(), time.monotonic() - began


def test_a_start_on_a_full_disk_is_refused_in_two_seconds_with_path_and_reason(tmp_path, small_disk):
    (line,), seconds = refused(str(toy_config(tmp_path)), "--runs-dir", str(small_disk / "runs"))
    assert str(small_disk / "runs") in line
    assert "No space left on device" in line
    assert seconds < 2.0
    assert list(small_disk.iterdir()) == []


def test_a_start_on_a_read_only_disk_is_refused_in_two_seconds_with_path_and_reason(tmp_path, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    (line,), seconds = refused(str(toy_config(tmp_path)), "--runs-dir", str(small_disk))
    assert str(small_disk) in line
    assert "Read-only file system" in line
    assert seconds < 2.0


@pytest.mark.parametrize(
    ("point", "action", "reason"),
    [
        ("write", "full", "No space left on device"),
        ("write", "readonly", "Read-only file system"),
        ("rename", "denied", "Permission denied"),
        ("fsync", "io", "Input/output error"),
    ],
)
def test_a_start_where_a_file_cannot_be_written_flushed_or_renamed_is_refused(
    tmp_path, monkeypatch, point, action, reason
):
    """Tried, not asked: permissions and free space do not tell."""
    monkeypatch.setenv("MARL_PBT_FAULT", f"{point}:1:{action}")
    (line,), _ = refused(str(toy_config(tmp_path)), "--runs-dir", str(tmp_path / "runs"))
    assert f"{tmp_path / 'runs'}: cannot be written ({reason}" in line
    assert {path.name for path in tmp_path.iterdir()} == {"toy.yaml"}


def test_a_disk_without_room_for_the_checkpoints_is_refused_with_both_figures(tmp_path):
    check_can_be_written(tmp_path / "not" / "there")
    with pytest.raises(UserError, match=r"needs at least 1,000,000,000,000\.0 MB for checkpoints, [\d,.]+ MB are free"):
        check_has_room(tmp_path / "not" / "there", 10**18)


def test_what_lies_on_the_disk_already_needs_no_room_on_a_resume(plan, tmp_path):
    """After exit code 74 on a small disk the command that was printed is not refused."""
    run = RunDirectory(tmp_path / "a")
    whole = missing_bytes(run, plan)
    run.create()
    run.member(0).mkdir()
    (run.member(0) / "000003.safetensors").write_bytes(bytes(1000))
    (run.member(0) / "000004.safetensors.damaged").write_bytes(bytes(1000))
    assert missing_bytes(run, plan) == whole - 1000
    (run.member(0) / "000004.safetensors").write_bytes(bytes(2 * whole))
    assert missing_bytes(run, plan) == whole - whole // plan.population


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    assert trained(str(toy_config(folder, stop=800)), "--runs-dir", str(folder), "--name", "a")[0] == 0
    return folder / "a"


def content(folder):
    """Of every file, and when it was written."""
    return {
        path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["seed=3"], "seed: 0 → 3: cannot change on --resume"),
        (["pbt.mode=min", "pbt.population=2"], "pbt.mode: 'max' → 'min': cannot change"),
        (["pbt.min_episodes=3", "pbt.population=6"], "pbt.min_episodes: 2 → 3: needs --force"),
        (["pbt.intervall=3"], "did you mean 'interval'"),
    ],
)
def test_a_resume_that_is_refused_has_changed_nothing(run, overrides, told):
    """Section 2, resume with another config."""
    before = content(run)
    (line,), _ = refused("--resume", str(run), *(f"--set={each}" for each in overrides))
    assert told in line
    assert content(run) == before


def test_a_forced_change_that_does_not_fit_the_checkpoints_is_refused_and_has_changed_nothing(run):
    before = content(run)
    (line,), _ = refused(
        "--resume", str(run), "--force", "--set=learner.settings.parameters=16", "--set=pbt.population=2"
    )
    assert "learner.settings.parameters: null → 16" in line
    assert "the checkpoints do not fit any more (member_00: " in line
    assert content(run) == before


@pytest.fixture
def copy(run, tmp_path):
    """Of the run, to be damaged."""
    return shutil.copytree(run, tmp_path / "copy")


def test_without_any_whole_checkpoint_a_resume_is_refused_and_names_the_members(copy):
    for path in copy.glob("members/*/*.safetensors"):
        path.write_bytes(path.read_bytes()[:-3])
    before = content(copy)
    (line,), _ = refused("--resume", str(copy), "--set=stop.progress=1600")
    assert all(f"member_0{member}" in line for member in range(4))
    assert "no whole checkpoint is left" in line
    assert content(copy) == before


def test_checkpoints_that_cannot_be_read_just_now_are_not_lost_and_the_resume_waits_for_that(copy):
    for path in copy.glob("members/member_02/*.safetensors"):
        path.rename(path.with_suffix(".elsewhere"))
        path.mkdir()  # root may read everything but a folder
    (line,), _ = refused("--resume", str(copy), "--set=stop.progress=1600")
    assert re.search(r"member_02/\d{6}\.safetensors: cannot be read \(Is a directory\); mend that", line)
