"""Synchronous mode with real workers."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.config import load_config
from marl_pbt.lineage_store import read_lineage
from marl_pbt.protocols import UserError
from marl_pbt.reports import MemberDone, MemberStopped, ReadyPassed, UpdateDone
from marl_pbt.run_directory import RunDirectory
from marl_pbt.worker_pipe import Stop
from tests.marl_pbt.command import count_ready, toy_config, train
from tests.marl_pbt.command_here import trained
from tests.marl_pbt.hosted_worker import HostedWorker
from tests.marl_pbt.toy_population import evolution

READY_POINTS = 4


def meeting_worker(folder: Path, timeout_s: float) -> HostedWorker:
    """Members 0 and 2 of three: the other one never comes."""
    return HostedWorker(folder, (0, 2), evolution(3, meeting_timeout_s=timeout_s, stop=3.0 * READY_POINTS))


def wait_until_all_wait(worker: HostedWorker) -> None:
    deadline = time.monotonic() + 20.0
    while any(worker.row(member).stage != "waiting" for member in (0, 2)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def test_a_member_that_never_comes_is_left_out_after_the_timeout_and_the_others_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """R30: none hangs; the timeout is waited for once, not at each meeting."""
    began = time.monotonic()
    worker = meeting_worker(tmp_path, timeout_s=0.5)
    reports = worker.reports_until(MemberDone, 2)
    took = time.monotonic() - began
    worker.end()
    ready = [(each.member, each.rows["fox"].generation) for each in reports if isinstance(each, ReadyPassed)]
    assert ready == [(member, generation) for generation in range(1, READY_POINTS + 1) for member in (0, 2)]
    assert caplog.text.count("member_01: no sign of life for 0.5 s") == 1
    assert took >= 0.5


def test_stopped_while_all_wait_the_members_have_written_where_they_stand(tmp_path: Path) -> None:
    """D21: and nothing is lost."""
    worker = meeting_worker(tmp_path, timeout_s=600.0)
    wait_until_all_wait(worker)
    worker.pipe.send(Stop())
    reports = worker.reports_until(MemberStopped, 2)
    worker.end()
    assert sum(isinstance(each, UpdateDone) for each in reports) == 2 * 3
    for member in (0, 2):
        checkpoint = MemberCheckpoints(RunDirectory(tmp_path).member(member), Retention()).newest()
        assert checkpoint is not None
        assert checkpoint.metadata["generation"] == 1
        assert "waiting" in checkpoint.metadata


def test_a_worker_whose_members_all_wait_rests(tmp_path: Path) -> None:
    """It looks at the board now and then, and costs next to nothing."""
    worker = meeting_worker(tmp_path, timeout_s=600.0)
    wait_until_all_wait(worker)
    cpu, wall = time.process_time(), time.monotonic()
    assert not worker.thread.join(0.5)
    share = (time.process_time() - cpu) / (time.monotonic() - wall)
    worker.pipe.send(Stop())
    worker.end()
    assert share < 0.25


# ------------------------------------------------------------------------------------ the command


def synchronous_config(folder: Path, settings: str = "{noise: 20.0}") -> str:
    config = toy_config(folder, stop=2400, settings=settings)
    config.write_text(config.read_text().replace("pbt:\n", "pbt:\n  synchronous: true\n"))
    return str(config)


def finished(folder: Path, *arguments: str) -> Path:
    code, _, err = trained(*arguments, "--runs-dir", str(folder), "--name", "run")
    assert code == 0, err
    return folder / "run"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two workers to which nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return finished(folder, synchronous_config(folder))


def states(run: Path) -> list[dict[str, bytes]]:
    """Per member: the tensors of its newest checkpoint."""
    found = []
    for folder in sorted((run / "members").iterdir()):
        newest = MemberCheckpoints(folder, Retention()).newest()
        assert newest is not None
        found.append({name: array.tobytes() for name, array in newest.tensors.items()})
    return found


def decisions(run: Path) -> list[str]:
    """What was decided everywhere, whenever it was."""
    lived = (event for event in read_lineage(run / "lineage.jsonl") if event.kind in ("ready", "exploit", "explore"))
    return sorted(
        f"{event.event_id} {event.parent} {dict(event.hyperparameters)} {dict(event.why)} {event.score}"
        for event in lived
    )


def assert_alike(one: Path, other: Path) -> None:
    assert decisions(one) == decisions(other)
    assert states(one) == states(other)


def test_all_copies_are_of_the_ready_point_at_which_they_are_made(undisturbed: Path) -> None:
    """R29."""
    copies = [event for event in read_lineage(undisturbed / "lineage.jsonl") if event.kind == "exploit"]
    assert copies
    assert all(event.parent is not None and event.parent.generation == event.generation for event in copies)


def test_one_worker_in_deterministic_mode_decides_as_two_that_wait_for_each_other(
    tmp_path: Path, undisturbed: Path
) -> None:
    """R29, D17: who is fast makes no difference where all meet."""
    alone = ("--set", "workers=1", "--set", "deterministic=true")
    assert_alike(finished(tmp_path, synchronous_config(tmp_path), *alone), undisturbed)


def test_a_worker_that_is_killed_comes_back_and_is_waited_for(tmp_path: Path, undisturbed: Path) -> None:
    """R30: what it had not decided yet is decided as if nothing had happened."""
    settings = {"noise": 20.0, "kill_at": 25, "only_once": str(tmp_path / "killed")}
    run = finished(tmp_path, synchronous_config(tmp_path, settings=json.dumps(settings)))
    assert (tmp_path / "killed").exists()
    assert_alike(run, undisturbed)


def test_a_signal_stops_the_run_and_resume_ends_where_it_would_have(tmp_path: Path, undisturbed: Path) -> None:
    """D19, D21: exploits included."""
    config, run = synchronous_config(tmp_path, settings="{noise: 20.0, update_seconds: 0.01}"), tmp_path / "run"
    with train(config, "--runs-dir", str(tmp_path), "--name", "run") as command:
        command.wait_until(lambda: count_ready(run) >= 8)
        os.kill(command.process.pid, signal.SIGTERM)
        code, _, err = command.finish(timeout_s=20)
        command.assert_nothing_is_left()
    assert (code, err) == (128 + signal.SIGTERM, "")
    assert trained("--resume", str(run))[0] == 0
    assert_alike(run, undisturbed)


def test_ray_tunes_name_is_known(tmp_path: Path) -> None:
    assert load_config(toy_config(tmp_path), ["pbt.synch=true"]).config.pbt.synchronous


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("pbt.synchronous=1", "pbt.synchronous: must be true or false, got 1"),
        ("pbt.meeting_timeout_s=0", "pbt.meeting_timeout_s: must be a number above 0, got 0"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, change: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        load_config(toy_config(tmp_path), [change])
