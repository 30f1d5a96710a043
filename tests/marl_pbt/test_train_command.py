"""The train command, with real workers and the toy learner."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.lineage_store import read_lineage
from marl_pbt.snapshot import decode
from tests.marl_pbt.command import count_ready, toy_config, train
from tests.marl_pbt.command_here import trained


def run_to_end(*arguments: str) -> tuple[int, str, str]:
    with train(*arguments) as command:
        result = command.finish()
        command.assert_nothing_is_left()
    return result


def final_states(run: Path) -> list[dict[str, bytes]]:
    """Per member: the tensors of its newest checkpoint."""
    found = []
    for folder in sorted((run / "members").iterdir()):
        newest = MemberCheckpoints(folder, Retention()).newest()
        assert newest is not None
        found.append({name: array.tobytes() for name, array in newest.tensors.items()})
    return found


def generations(run: Path) -> dict[int, list[int]]:
    """Per member: the generations of its ready events of one species, in the order of the file."""
    found: dict[int, list[int]] = {}
    for event in read_lineage(run / "lineage.jsonl"):
        if event.kind == "ready" and event.policy == "fox":
            found.setdefault(event.member, []).append(event.generation)
    return found


def test_a_run_leaves_everything_that_it_promises(tmp_path: Path) -> None:
    """D21, normal end."""
    config = str(toy_config(tmp_path))
    code, out, err = run_to_end(config, "--runs-dir", str(tmp_path), "--name", "a", "--set", "pictures={}")
    run = tmp_path / "a"

    assert (code, err) == (0, "")
    assert "tensorboard --logdir" in out
    assert out.count("its schedule: learning_rate") == 2
    assert generations(run) == {member: list(range(1, 11)) for member in range(4)}
    assert any(event.kind == "exploit" for event in read_lineage(run / "lineage.jsonl"))
    assert {"config.yaml", "command.txt", "versions.json", "log.txt", "tb"} <= {path.name for path in run.iterdir()}
    for species in ("fox", "hare"):
        best = decode((run / "best" / f"{species}.safetensors").read_bytes())
        assert best.metadata["species"] == species
        assert best.metadata["score"]["episodes"] >= 2
        assert (run / f"lineage_{species}.png").read_bytes().startswith(b"\x89PNG")
    assert all(len(list((run / "members" / f"member_0{m}").glob("0*.safetensors"))) <= 4 for m in range(4))


def test_a_worker_that_is_killed_is_replaced_and_costs_no_generation(tmp_path: Path) -> None:
    """Reliability, section 2, first row; R18: from outside, and twice."""
    config = toy_config(tmp_path, settings="{update_seconds: 0.02}")
    with train(str(config), "--runs-dir", str(tmp_path), "--name", "a") as command:
        for kills in range(2):
            command.wait_until(lambda wanted=2 + 2 * kills: count_ready(tmp_path / "a") >= wanted)
            command.wait_until(lambda: len(command.workers) == 2)
            os.kill(command.workers[kills], signal.SIGKILL)
        code, out, _ = command.finish()
        command.assert_nothing_is_left()

    assert code == 0
    assert "go on from their last checkpoint" in out
    assert generations(tmp_path / "a") == {member: list(range(1, 11)) for member in range(4)}
    assert any(event.kind == "restart" for event in read_lineage(tmp_path / "a" / "lineage.jsonl"))


def test_a_member_that_always_fails_is_given_up_and_the_run_says_why(tmp_path: Path) -> None:
    config = toy_config(tmp_path, population=2, settings="{fail_at: 5}")
    code, out, _ = trained(str(config), "--runs-dir", str(tmp_path), "--name", "a")

    assert code == 1
    assert "RuntimeError: the toy fails at update 5" in out
    assert "--resume" in out


def test_a_signal_stops_the_run_cleanly_and_resume_ends_where_it_would_have(tmp_path: Path) -> None:
    """D19, D21: without exploits the run that was stopped twice ends on the very bytes of the undisturbed one."""
    config = str(toy_config(tmp_path, settings="{update_seconds: 0.01}"))
    alone = ("--runs-dir", str(tmp_path), "--set", "pbt.control=nothing")
    first, then = (config, *alone, "--name", "stopped"), ("--resume", str(tmp_path / "stopped"))
    for arguments, ready, number in ((first, 6, signal.SIGINT), (then, 30, signal.SIGTERM)):
        with train(*arguments) as command:
            command.wait_until(lambda wanted=ready: count_ready(tmp_path / "stopped") >= wanted)
            os.kill(command.process.pid, number)
            code, out, err = command.finish(timeout_s=20)
            command.assert_nothing_is_left()
        assert (code, err) == (128 + number, "")
        assert f"--resume {tmp_path / 'stopped'}" in out
    assert trained(*then)[0] == 0
    assert trained(config, *alone, "--name", "undisturbed", "--set", "learner.settings={}")[0] == 0
    assert final_states(tmp_path / "stopped") == final_states(tmp_path / "undisturbed")
    assert generations(tmp_path / "stopped") == {member: list(range(1, 11)) for member in range(4)}


def test_no_worker_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    config = str(toy_config(tmp_path, settings="{update_seconds: 0.01}"))
    with train(config, "--runs-dir", str(tmp_path), "--name", "a") as command:
        command.wait_until(lambda: len(command.workers) == 2 and count_ready(tmp_path / "a") >= 1)
        os.kill(command.process.pid, signal.SIGKILL)
        command.process.wait()
        command.assert_nothing_is_left()

    assert trained("--resume", str(tmp_path / "a"))[0] == 0
    assert generations(tmp_path / "a") == {member: list(range(1, 11)) for member in range(4)}


def test_a_live_run_cannot_be_started_again(tmp_path: Path) -> None:
    config = str(toy_config(tmp_path, settings="{update_seconds: 0.01}"))
    with train(config, "--runs-dir", str(tmp_path), "--name", "a") as command:
        command.wait_until(lambda: count_ready(tmp_path / "a") >= 1)
        code, _, err = trained("--resume", str(tmp_path / "a"))
        assert code == 2
        assert f"in use by pid {command.process.pid}" in err
        assert trained(config, "--runs-dir", str(tmp_path), "--name", "a")[0] == 2


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two ready points each; to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    assert trained(str(toy_config(folder, stop=800)), "--runs-dir", str(folder), "--name", "a")[0] == 0
    return folder / "a"


def test_without_pictures_the_tables_are_written_all_the_same(finished: Path) -> None:
    """What tests are trained with is `pictures.every_minutes: null`."""
    tags = EventAccumulator(str(finished / "tb" / "population")).Reload().Tags()
    assert "lineage_table/fox" in tags["tensors"]
    assert list(finished.glob("*.png")) == []


def without_a_trace(run: Path, member: int) -> None:
    """Nothing is told of a member, and nothing left: its worker was the last to come up when the run was killed."""
    told = (run / "lineage.jsonl").read_text().splitlines(True)
    (run / "lineage.jsonl").write_text("".join(line for line in told if f'"member": {member},' not in line))
    shutil.rmtree(run / "members" / f"member_0{member}")


def test_a_member_of_the_first_hour_of_which_nothing_is_told_begins_and_does_not_join(
    finished: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "a")
    without_a_trace(run, 2)
    code, out, _ = trained("--resume", str(run), "--set", "stop.progress=1600")
    assert code == 0
    assert generations(run)[2] == [1, 2, 3, 4]
    assert "member_02: new" not in out


def test_a_member_that_was_to_join_when_its_run_was_killed_joins_once_it_is_resumed(
    finished: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "a")
    grown = ("--resume", str(run), "--set", "pbt.population=5", "--set")
    assert trained(*grown, "stop.progress=1200")[0] == 0
    without_a_trace(run, 4)
    (run / "members" / "member_04").mkdir()  # made right before its first checkpoint, which never came
    code, out, _ = trained("--resume", str(run), "--set", "stop.progress=1600")
    assert code == 0
    assert "member_04: new; each begins as a copy of a good one" in out
    assert generations(run)[4] == [4]


def one_line(result: tuple[int, str, str]) -> str:
    code, _, err = result
    assert code == 2
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    return err


class TestBadInput:
    """One clear line, exit code 2, nothing half-started; the first as a user has it, with Python's own last words."""

    @pytest.fixture
    def nothing_started(self, tmp_path: Path):
        yield
        assert not (tmp_path / "runs").exists()

    def refused(self, tmp_path: Path, *more: str, run: Callable[..., tuple[int, str, str]] = trained) -> str:
        return one_line(run(str(toy_config(tmp_path)), "--runs-dir", str(tmp_path / "runs"), *more))

    def test_a_wrong_key(self, tmp_path: Path, nothing_started: None) -> None:
        assert "did you mean 'interval'" in self.refused(tmp_path, "--set", "pbt.intervall=3", run=run_to_end)

    def test_a_wrong_type(self, tmp_path: Path, nothing_started: None) -> None:
        assert "pbt.population" in self.refused(tmp_path, "--set", "pbt.population=many")

    def test_an_unknown_environment(self, tmp_path: Path, nothing_started: None) -> None:
        line = self.refused(tmp_path, "--set", "environment.make=envs.predator_pray:parallel_env")
        assert "environment.make" in line

    def test_a_range_upside_down(self, tmp_path: Path, nothing_started: None) -> None:
        line = self.refused(tmp_path, "--set", "pbt.hyperparameters.learning_rate={loguniform: [0.1, 0.01]}")
        assert "learning_rate" in line

    def test_a_setting_that_the_learner_does_not_know(self, tmp_path: Path, nothing_started: None) -> None:
        assert "learner.settings.noize" in self.refused(tmp_path, "--set", "learner.settings.noize=1")

    def test_a_hyperparameter_that_the_learner_does_not_know(self, tmp_path: Path, nothing_started: None) -> None:
        assert "gamma" in self.refused(tmp_path, "--set", "pbt.hyperparameters.gamma={uniform: [0.9, 0.99]}")

    def test_a_run_directory_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "runs").write_text("a file, not a folder")
        assert str(tmp_path / "runs") in self.refused(tmp_path)

    def test_a_run_to_resume_that_is_not_there(self, tmp_path: Path) -> None:
        assert "no run to resume" in one_line(trained("--resume", str(tmp_path / "nowhere")))


def test_a_member_whose_checkpoints_are_all_corrupt_goes_on_as_a_copy_of_the_best(
    tmp_path: Path, finished: Path
) -> None:
    """Reliability, section 2: never silently from nothing."""
    run = shutil.copytree(finished, tmp_path / "a")
    for path in (run / "members" / "member_01").glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-3])
    code, out, _ = trained("--resume", str(run), "--set", "stop.progress=1600")
    assert code == 0
    assert "member_01: no whole checkpoint is left; a copy of the best member takes the place" in out
    assert "member_01: none of its checkpoints is whole; it goes on as a copy of member_0" in out
    # From where its donor stood: at the second ready point at least, and at the last where the other worker was faster.
    assert (run / "members" / "member_01" / "000004.safetensors").is_file()
    assert len(list((tmp_path / "a" / "members" / "member_01").glob("*.damaged"))) >= 1


def test_a_finished_run_is_resumed_to_more_steps_and_a_corrupt_checkpoint_is_passed_over_for_the_one_before(
    tmp_path: Path, finished: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "a")
    newest = run / "members" / "member_01" / "000002.safetensors"
    newest.write_bytes(newest.read_bytes()[:-3])
    code, out, _ = trained("--resume", str(run), "--set", "stop.progress=1600")

    assert code == 0
    assert out.count("trying the one before") == 1
    assert generations(run) == {member: [1, 2, 3, 4] for member in range(4)}
