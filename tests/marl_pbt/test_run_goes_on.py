"""Runs whose disk, folder or reader goes away, and runs that are gone on with by other means: with real workers."""

import contextlib
import fcntl
import re
import subprocess

import pytest

from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.lineage_store import read_lineage
from tests.marl_pbt.command import toy_config, train
from tests.marl_pbt.command_here import trained

SLOW = "{update_seconds: 0.01}"


def ready(run):
    return sum(event.kind == "ready" for event in read_lineage(run / "lineage.jsonl"))


def generations(run, members):
    return [MemberCheckpoints(run / "members" / f"member_{index:02d}", Retention()).generations() for index in members]


def lived_once(run, until, members):
    lived = {}
    for event in read_lineage(run / "lineage.jsonl"):
        if event.kind == "ready":
            lived.setdefault((event.member, event.policy), []).append(event.generation)
    return all(lived[member, "fox"][-1] == until for member in members) and all(
        len(set(each)) == len(each) for each in lived.values()
    )


def test_members_join_are_archived_and_come_back_on_other_numbers_of_workers(tmp_path):
    """Section 2, resume with another config: by a changed file and by --set; nothing is lost."""
    path, run = toy_config(tmp_path, stop=800, population=3), tmp_path / "a"
    assert trained(str(path), "--runs-dir", str(tmp_path), "--name", "a")[0] == 0
    path.write_text(
        path.read_text().replace("population: 3", "population: 4").replace("progress: 800", "progress: 1200")
    )
    code, out, _ = trained(str(path), "--resume", str(run), "--set=workers=1")
    assert code == 0
    assert "pbt.population: 3 → 4\n" in out
    assert "workers: 2 → 1\n" in out
    assert "member_03: new; each begins as a copy of a good one" in out
    assert "exploit: fox of member_03@2 ← " in out
    assert lived_once(run, 3, range(4))

    code, out, _ = trained("--resume", str(run), "--set=pbt.population=2", "--set=stop.progress=1600")
    assert code == 0
    assert "member_03 is archived in" in out
    assert sorted(path.name for path in (run / "archived").iterdir()) == ["member_02", "member_03"]
    assert lived_once(run, 4, range(2))

    code, out, _ = trained("--resume", str(run), "--set=pbt.population=4", "--set=stop.progress=1600")
    assert code == 0
    assert "member_02 is back from" in out
    assert lived_once(run, 4, range(4))
    assert list((run / "archived").iterdir()) == []
    assert {path.stat().st_mode & 0o777 for path in run.rglob("*") if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in run.rglob("*") if path.is_dir()} == {0o700}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB, or skip where nobody may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(disk):
    with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(bytes(512)):
            pass


def test_a_disk_that_stays_full_stops_the_run_cleanly_with_the_command_to_resume(tmp_path, small_disk):
    """Section 2, disk full in training: no good checkpoint is lost, the run stops and can be gone on with."""
    config, run = str(toy_config(tmp_path, stop=4000, settings="{update_seconds: 0.03}")), small_disk / "a"
    patience = "--set=checkpoints.patience_minutes=0.03"
    with train(config, "--runs-dir", str(small_disk), "--name", "a", patience) as command:
        command.wait_until(lambda: ready(run) >= 16)
        fill(small_disk)
        before = generations(run, range(4))
        code, out, err = command.finish()
        command.assert_nothing_is_left()
    assert (code, err) == (74, "")
    assert out.count("trained on without a checkpoint; the run stops in") == 1
    assert re.search(r"no checkpoint could be written for 0:0\d \(No space left on device\)", out)
    assert f"stopped; go on with: python -m marl_pbt.train --resume {run}" in out
    assert all(now[-1] >= then[-1] for now, then in zip(generations(run, range(4)), before, strict=True))
    (small_disk / "filler").unlink()
    assert trained("--resume", str(run), "--set=learner.settings={}", "--force")[0] == 0
    assert lived_once(run, 10, range(4))


def test_a_folder_deleted_under_a_run_ends_it_cleanly_and_nothing_is_made_anew(tmp_path):
    """Section 2, two runs, one directory."""
    run = tmp_path / "a"
    with train(str(toy_config(tmp_path, settings=SLOW)), "--runs-dir", str(tmp_path), "--name", "a") as command:
        command.wait_until(lambda: ready(run) >= 4)
        run.rename(tmp_path / "gone")  # at once: a deletion file by file may leave what is written meanwhile
        code, out, err = command.finish(timeout_s=20)
        command.assert_nothing_is_left()
    assert (code, err) == (74, "")
    assert f"{run}: was deleted or replaced while the run was on; it ends here" in out
    assert not run.exists()


def test_a_reader_of_standard_output_that_does_not_read_holds_nobody_up(tmp_path):
    """A pager, a terminal that Ctrl-S has stopped: what it is late for it reads, or does not."""
    run, most = tmp_path / "a", 4096
    with train(str(toy_config(tmp_path, stop=24_000)), "--runs-dir", str(tmp_path), "--name", "a") as command:
        assert fcntl.fcntl(command.process.stdout, fcntl.F_SETPIPE_SZ, most) == most
        command.wait_until(lambda: ready(run) >= 2 * 4 * 60)  # all of them, told by the supervisor
        code, out, _ = command.finish()
    assert code == 0
    assert len(out) > 2 * most
    assert "train on: python -m marl_pbt.train --resume" in out


def test_a_reader_of_standard_output_that_is_gone_ends_nothing(tmp_path):
    """Section 2, broken pipe."""
    run = tmp_path / "a"
    config = str(toy_config(tmp_path, stop=1600, settings=SLOW))
    with train(config, "--runs-dir", str(tmp_path), "--name", "a") as command:
        command.wait_until(lambda: ready(run) >= 2)
        command.process.stdout.close()
        assert command.process.wait(60) == 0
        assert command.process.stderr.read() == ""
        command.assert_nothing_is_left()
    assert lived_once(run, 4, range(4))
