"""The paths of a run, and who may write to it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import marl_pbt
from marl_pbt.protocols import UserError
from marl_pbt.run_directory import RunDirectory, existing_run, member_name, new_run


def created(tmp_path, name="a_run"):
    run = new_run(tmp_path / "runs", name, "ppg")
    run.create()
    return run


def test_a_new_run_gets_its_folders_and_is_private(tmp_path):
    run = created(tmp_path)
    assert run.members.is_dir() and run.best.is_dir() and run.tensorboard.is_dir()
    assert run.root.stat().st_mode & 0o777 == 0o700


def test_every_path_lies_within_the_run(tmp_path):
    run = created(tmp_path)
    paths = [
        run.config,
        run.command,
        run.lineage,
        run.log,
        run.member(3),
        run.best_policy("fox"),
        run.lineage_picture("fox"),
    ]
    assert all(path.resolve().is_relative_to(run.root.resolve()) for path in paths)
    assert run.member(3).name == member_name(3) == "member_03"
    assert member_name(100) == "member_100"


def test_a_run_that_is_there_already_is_refused_with_the_way_out(tmp_path):
    run = created(tmp_path)
    with pytest.raises(UserError, match=r"is there already.*--resume") as caught:
        RunDirectory(run.root).create()
    assert len(caught.value.faults) == 1


def test_a_runs_folder_that_is_a_file_is_told_as_such(tmp_path):
    (tmp_path / "runs").write_text("not a folder")
    with pytest.raises(UserError, match="cannot be written"):
        new_run(tmp_path / "runs", "name", "ppg").create()
    with pytest.raises(UserError, match="cannot be written"):
        new_run(tmp_path / "runs" / "deeper", "name", "ppg").create()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told_as_such(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written"):
        new_run(tmp_path / "runs", "name", "ppg").create()


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "/etc", "a b", "a\n", "ü", "x" * 65, "a\\b"])
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="--name"):
        new_run(tmp_path, name, "ppg")


@pytest.mark.parametrize("name", ["a", "A-1_b.2", "x" * 64])
def test_a_plain_name_is_taken(tmp_path, name):
    assert new_run(tmp_path, name, "ppg").name == name


def test_without_a_name_the_configs_and_the_time_make_one(tmp_path):
    assert new_run(tmp_path, None, "ppg").name.startswith("ppg-2")


def test_only_a_run_with_a_config_can_be_resumed(tmp_path):
    run = created(tmp_path)
    with pytest.raises(UserError, match="no run to resume"):
        run.open_existing()
    run.config.write_text("pbt: {}")
    run.best.rmdir()
    run.open_existing()
    assert run.best.is_dir()


def test_a_run_is_found_by_its_name_or_its_path(tmp_path):
    run = created(tmp_path)
    assert existing_run(tmp_path / "runs", "a_run").root == run.root
    assert existing_run(tmp_path, str(run.root)).root == run.root


def test_a_second_start_on_a_live_run_is_refused_and_says_who_holds_it(tmp_path):
    run = created(tmp_path)
    run.lock(4711)
    with pytest.raises(UserError, match="in use by pid 4711 since"):
        RunDirectory(run.root).lock(1)
    run.unlock()
    again = RunDirectory(run.root)
    again.lock(2)
    again.unlock()


HOLDER = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from marl_pbt.run_directory import RunDirectory
run = RunDirectory(Path(sys.argv[2]))
run.lock(os.getpid())
print("held", flush=True)
signal.pause()
"""


def test_the_lock_dies_with_its_holder(tmp_path):
    run = created(tmp_path)
    root = str(Path(marl_pbt.__file__).parents[1])
    command = [sys.executable, "-c", HOLDER, root, str(run.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(UserError, match=f"pid {holder.pid}"):
                run.lock(1)
        finally:
            holder.kill()
    run.lock(1)
    run.unlock()
