"""The train command, with real workers and the toy learner."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.lineage_store import read_lineage
from marl_pbt.snapshot import decode
from tests.marl_pbt.command import toy_config, train


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
    code, out, err = run_to_end(str(toy_config(tmp_path)), "--runs-dir", str(tmp_path), "--name", "a")
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
    """Reliability, section 2, first row; R18."""
    settings = json.dumps({"kill_at": 25, "only_once": str(tmp_path / "killed")})
    config = toy_config(tmp_path, settings=settings)
    code, out, _ = run_to_end(str(config), "--runs-dir", str(tmp_path), "--name", "a")

    assert code == 0
    assert (tmp_path / "killed").exists()
    assert "go on from their last checkpoint" in out
    assert generations(tmp_path / "a") == {member: list(range(1, 11)) for member in range(4)}
    assert any(event.kind == "restart" for event in read_lineage(tmp_path / "a" / "lineage.jsonl"))


def test_workers_killed_from_outside_are_replaced(tmp_path: Path) -> None:
    config = toy_config(tmp_path, settings="{update_seconds: 0.02}")
    with train(str(config), "--runs-dir", str(tmp_path), "--name", "a") as command:
        for kills in range(2):
            command.wait_until(lambda wanted=2 + 2 * kills: count_ready(tmp_path / "a") >= wanted)
            command.wait_until(lambda: len(command.workers) == 2)
            os.kill(command.workers[kills], signal.SIGKILL)
        code, _, _ = command.finish()
        command.assert_nothing_is_left()

    assert code == 0
    assert generations(tmp_path / "a") == {member: list(range(1, 11)) for member in range(4)}


def test_a_member_that_always_fails_is_given_up_and_the_run_says_why(tmp_path: Path) -> None:
    code, out, _ = run_to_end(
        str(toy_config(tmp_path, population=2, settings="{fail_at: 5}")), "--runs-dir", str(tmp_path), "--name", "a"
    )

    assert code == 1
    assert "RuntimeError: the toy fails at update 5" in out
    assert "--resume" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_cleanly_and_resume_ends_where_it_would_have(
    tmp_path: Path, number: signal.Signals
) -> None:
    """D19, D21: without exploits the resumed run ends on the very bytes of the undisturbed one."""
    config = str(toy_config(tmp_path, settings="{update_seconds: 0.01}"))
    alone = ("--runs-dir", str(tmp_path), "--set", "pbt.control=nothing")
    with train(config, *alone, "--name", "stopped") as command:
        command.wait_until(lambda: count_ready(tmp_path / "stopped") >= 6)
        os.kill(command.process.pid, number)
        code, out, err = command.finish(timeout_s=20)
        command.assert_nothing_is_left()

    assert (code, err) == (128 + number, "")
    assert f"--resume {tmp_path / 'stopped'}" in out
    assert run_to_end("--resume", str(tmp_path / "stopped"))[0] == 0
    assert run_to_end(config, *alone, "--name", "undisturbed")[0] == 0
    assert final_states(tmp_path / "stopped") == final_states(tmp_path / "undisturbed")
    assert generations(tmp_path / "stopped") == {member: list(range(1, 11)) for member in range(4)}


def test_no_worker_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    config = str(toy_config(tmp_path, settings="{update_seconds: 0.01}"))
    with train(config, "--runs-dir", str(tmp_path), "--name", "a") as command:
        command.wait_until(lambda: len(command.workers) == 2 and count_ready(tmp_path / "a") >= 1)
        os.kill(command.process.pid, signal.SIGKILL)
        command.process.wait()
        command.assert_nothing_is_left()

    assert run_to_end("--resume", str(tmp_path / "a"))[0] == 0
    assert generations(tmp_path / "a") == {member: list(range(1, 11)) for member in range(4)}


def test_a_live_run_cannot_be_started_again(tmp_path: Path) -> None:
    config = str(toy_config(tmp_path, settings="{update_seconds: 0.01}"))
    with train(config, "--runs-dir", str(tmp_path), "--name", "a") as command:
        command.wait_until(lambda: count_ready(tmp_path / "a") >= 1)
        code, _, err = run_to_end("--resume", str(tmp_path / "a"))
        assert code == 2
        assert f"in use by pid {command.process.pid}" in err
        assert run_to_end(config, "--runs-dir", str(tmp_path), "--name", "a")[0] == 2


def test_a_finished_run_is_resumed_to_more_steps(tmp_path: Path) -> None:
    run_to_end(str(toy_config(tmp_path, stop=800)), "--runs-dir", str(tmp_path), "--name", "a")
    code, _, _ = run_to_end("--resume", str(tmp_path / "a"), "--set", "stop.progress=1600")

    assert code == 0
    assert generations(tmp_path / "a") == {member: [1, 2, 3, 4] for member in range(4)}


def count_ready(run: Path) -> int:
    return sum(1 for event in read_lineage(run / "lineage.jsonl") if event.kind == "ready")


def one_line(result: tuple[int, str, str]) -> str:
    code, _, err = result
    assert code == 2
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    return err


class TestBadInput:
    """One clear line, exit code 2, nothing half-started."""

    @pytest.fixture
    def nothing_started(self, tmp_path: Path):
        yield
        assert not (tmp_path / "runs").exists()

    def refused(self, tmp_path: Path, *more: str) -> str:
        return one_line(run_to_end(str(toy_config(tmp_path)), "--runs-dir", str(tmp_path / "runs"), *more))

    def test_a_wrong_key(self, tmp_path: Path, nothing_started: None) -> None:
        assert "did you mean 'interval'" in self.refused(tmp_path, "--set", "pbt.intervall=3")

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
        assert "no run to resume" in one_line(run_to_end("--resume", str(tmp_path / "nowhere")))

    def test_corrupt_checkpoints(self, tmp_path: Path) -> None:
        run_to_end(str(toy_config(tmp_path, stop=800)), "--runs-dir", str(tmp_path), "--name", "a")
        for path in (tmp_path / "a" / "members" / "member_01").glob("*.safetensors"):
            path.write_bytes(path.read_bytes()[:-3])
        line = one_line(run_to_end("--resume", str(tmp_path / "a"), "--set", "stop.progress=1600"))
        assert "member_01" in line


def test_one_corrupt_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    run_to_end(str(toy_config(tmp_path, stop=800)), "--runs-dir", str(tmp_path), "--name", "a")
    newest = tmp_path / "a" / "members" / "member_01" / "000002.safetensors"
    newest.write_bytes(newest.read_bytes()[:-3])
    code, out, _ = run_to_end("--resume", str(tmp_path / "a"), "--set", "stop.progress=1600")

    assert code == 0
    assert "trying the one before" in out
    assert generations(tmp_path / "a")[1] == [1, 2, 3, 4]
