"""Workers that hang, are stopped, raise, or want too much memory: what becomes of them, and of the others."""

from __future__ import annotations

import os
import re
import signal
import statistics
from itertools import pairwise
from pathlib import Path

import pytest

from marl_pbt.lineage_store import read_lineage
from marl_pbt.supervision.leftovers import VARIABLE
from tests.marl_pbt.command import Command, train
from tests.marl_pbt.stepping_learner import herd_config

KINDS = {"sleep": "hang", "busy_loop": "spin", "c_code_that_holds_the_gil": "hold", "stopped_process": "stop"}
"""Each happens to one worker, and so to one member, of the same run."""
TIMEOUT_S = 1.5
"""Imports have five times as much, and on a starved machine four workers at once take three seconds for them."""


def ready_points(run: Path, member: int) -> list[float]:
    """When the member passed each of its ready points."""
    events = read_lineage(run / "lineage.jsonl")
    return [event.time for event in events if (event.kind, event.member, event.policy) == ("ready", member, "cow")]


def restarts(run: Path, member: int) -> int:
    return sum((event.kind, event.member) == ("restart", member) for event in read_lineage(run / "lineage.jsonl"))


def log_of(run: Path) -> str:
    return (run / "log.txt").read_text() if (run / "log.txt").exists() else ""


@pytest.fixture(scope="module")
def hung(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """The exit code and the folder of a run in which every worker hangs once, each in its own way."""
    folder = tmp_path_factory.mktemp("hung")
    (folder / "fired").mkdir()
    faults = ",".join(f"env@worker_{number}:60:{action}" for number, action in enumerate(KINDS.values()))
    config = herd_config(folder, hang_timeout_s=TIMEOUT_S, workers=4, population=4, stop=1200)
    environment = {"MARL_PBT_FAULT": faults, "MARL_PBT_FAULT_FIRED": str(folder / "fired")}
    with train(str(config), "--runs-dir", str(folder), "--name", "a", environment=environment) as command:
        code, _, _ = command.finish()
        command.assert_nothing_is_left()
    return code, folder / "a"


@pytest.mark.parametrize("kind", KINDS)
def test_an_environment_that_hangs_is_noticed_its_stacks_are_saved_and_its_member_goes_on(
    hung: tuple[int, Path], kind: str
) -> None:
    """Reliability, section 2: sleep, busy loop, C code holding the GIL; and a stopped process in the end."""
    code, run = hung
    number = list(KINDS).index(kind)
    how = "stopped by a signal in" if kind == "stopped_process" else "hung in"
    assert code == 0
    told = re.compile(rf"worker_{number} {how} env.step for \d+ s \(member_0{number}, generation \d\); stacks: (.*)")
    (path,) = told.findall(log_of(run))
    assert ("no stacks" if kind == "stopped_process" else 'fault_points.py", line') in Path(path).read_text()
    assert len(ready_points(run, number)) == 3
    assert restarts(run, number) == 1


def the_started(command: Command, number: int) -> int:
    """The process id of the number-th worker that the run has started, counted from 1."""
    command.wait_until(lambda: any(is_the_started(pid, number) for pid in command.workers))
    return next(pid for pid in command.workers if is_the_started(pid, number))


def is_the_started(pid: int, number: int) -> bool:
    try:
        variables = Path(f"/proc/{pid}/environ").read_text().split("\0")
    except OSError:
        return False
    return any(each.startswith(f"{VARIABLE}=") and each.endswith(f"/{number}") for each in variables)


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, int]], int]:
    """A run whose second worker is killed again and again, and then stopped for a while.

    Returns:
        Its folder; how many ready points the other worker's member had passed when a worker was killed, and when its
        member was back; the same for when it was stopped.
    """
    folder = tmp_path_factory.mktemp("disturbed")
    run, outages = folder / "a", []
    settings = "{update_seconds: 0.002}"
    config = herd_config(folder, hang_timeout_s=TIMEOUT_S, population=2, stop=100_000, settings=settings)
    with train(str(config), "--runs-dir", str(folder), "--name", "a") as command:
        command.wait_until(lambda: min(len(ready_points(run, member)) for member in (0, 1)) >= 3)
        for kills in (1, 2):
            before = len(ready_points(run, 0))
            os.kill(the_started(command, 1 + kills), signal.SIGKILL)
            command.wait_until(lambda kills=kills: restarts(run, 1) >= kills)
            outages.append((before, len(ready_points(run, 0))))
            at = len(ready_points(run, 1))
            command.wait_until(lambda at=at: len(ready_points(run, 1)) >= at + 2)
        stopped, before = the_started(command, 4), len(ready_points(run, 0))
        os.kill(stopped, signal.SIGSTOP)
        command.wait_until(lambda: "worker_1 is stale: stopped by a signal in" in log_of(run))
        gained = len(ready_points(run, 0)) - before
        os.kill(stopped, signal.SIGCONT)
        command.wait_until(lambda: "worker_1 moves again" in log_of(run))
        at = len(ready_points(run, 1))
        command.wait_until(lambda: len(ready_points(run, 1)) > at)
    return run, outages, gained


def test_nobody_pauses_while_another_worker_is_killed_and_comes_back(
    disturbed: tuple[Path, list[tuple[int, int]], int],
) -> None:
    """Reliability, section 4: the others' ready points come as before, by number and by the gaps between them."""
    run, outages, _ = disturbed
    times = ready_points(run, 0)
    gaps = [after - before for before, after in pairwise(times)]
    during = [gap for before, after in outages for gap in gaps[before:after]]
    assert all(after > before for before, after in outages)
    assert statistics.median(during) <= 2 * statistics.median(gaps)
    assert restarts(run, 0) == 0


def test_a_stopped_process_is_said_to_be_stale_blocks_nobody_and_goes_on_when_it_may(
    disturbed: tuple[Path, list[tuple[int, int]], int],
) -> None:
    """Reliability, section 2, straggler: it is not replaced."""
    run, outages, gained = disturbed
    assert gained >= 1
    assert restarts(run, 1) == len(outages)


def test_out_of_memory_is_told_as_such_with_one_retry_and_failures_have_a_budget_of_their_own(tmp_path: Path) -> None:
    """Reliability, section 2: the run goes on without those who cannot."""
    faults = "update@worker_0:*:memory,update@worker_1:*:raise"
    config = herd_config(tmp_path, workers=3, population=3, stop=1200)
    with train(
        str(config), "--runs-dir", str(tmp_path), "--name", "a", environment={"MARL_PBT_FAULT": faults}
    ) as command:
        code, out, _ = command.finish()
        command.assert_nothing_is_left()
    run = tmp_path / "a"
    assert code == 0
    assert (
        "member_00 failed: 2 times out of memory without a new generation: out of memory: MemoryError (it had " in out
    )
    assert "member_01 failed: 3 failures without a new generation: RuntimeError: raised because a test wants it" in out
    assert [len(ready_points(run, member)) for member in range(3)] == [0, 0, 3]
    kept = {path.name.partition("_")[2] for path in (run / "troubles").iterdir()}
    assert kept == {"member_00_memory.txt", "member_01_failure.txt"}
