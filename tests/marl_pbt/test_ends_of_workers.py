"""However workers end, and the supervisor: nothing that they have started lives on, and nothing is held any longer."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from marl_pbt.checkpoints import Retention
from marl_pbt.logs import RunLog
from marl_pbt.run_state import RunState
from marl_pbt.shared_board import BoardShape, SharedBoard
from marl_pbt.supervision.crew import Crew
from marl_pbt.supervision.leftovers import VARIABLE, Watcher, end_marked, marked, new_mark, signal_marked
from marl_pbt.supervision.supervisor import SECOND_SIGNAL_AFTER_S
from marl_pbt.worker import LearnerSource, WorkerJob
from tests.marl_pbt.command import REPOSITORY, train
from tests.marl_pbt.stepping_learner import SLEEP, herd_config
from tests.marl_pbt.test_hanging_workers import log_of, ready_points, restarts, the_started
from tests.marl_pbt.toy_population import CONTEXT, evolution

SOON_S = 1.0


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone_soon(pids: list[int], within_s: float = SOON_S) -> bool:
    deadline = time.monotonic() + within_s
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(map(is_alive, pids))


class TestMarks:
    """What a worker starts bears its mark, wherever it hides."""

    @pytest.fixture
    def mark(self) -> Iterator[str]:
        own = new_mark()
        yield own
        end_marked(own)

    @contextlib.contextmanager
    def start(self, mark: str) -> Iterator[subprocess.Popen[bytes]]:
        """A process that bears it; for the moment of its start a process shows nothing."""
        with subprocess.Popen(SLEEP, env=os.environ | {VARIABLE: mark}, start_new_session=True) as process:
            try:
                deadline = time.monotonic() + 10.0
                while process.pid not in marked(mark) and time.monotonic() < deadline:
                    time.sleep(0.01)
                yield process
            finally:
                process.kill()

    def test_processes_are_found_by_the_mark_of_their_worker_and_of_their_run(self, mark: str) -> None:
        with self.start(f"{mark}/1") as one, self.start(f"{mark}/12") as other:
            assert marked(f"{mark}/1") == [one.pid]
            assert marked(mark) == sorted([one.pid, other.pid])
            assert marked(mark[:-1]) == []
            assert signal_marked(mark, signal.SIGKILL, spared=other.pid) == [one.pid]
            one.wait()
            assert end_marked(mark) == 1

    def test_the_watcher_ends_them_as_soon_as_its_supervisor_is_gone_and_then_itself(self, mark: str) -> None:
        watcher = Watcher(mark)
        with self.start(f"{mark}/1") as one:
            assert one.poll() is None
            watcher.close()
            assert one.wait() == -signal.SIGKILL
        assert watcher.pid is not None
        assert not is_alive(watcher.pid)


def children_of(folder: Path) -> list[int]:
    return [int(path.name) for path in folder.iterdir()]


def test_no_child_of_an_environment_survives_its_worker_nor_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    """Reliability, section 2: neither one in a session of its own, nor one that was forked."""
    children, run = tmp_path / "children", tmp_path / "a"
    children.mkdir()
    herd = f"{{make: tests.marl_pbt.stepping_learner:Shepherd, config: {{children: {children}}}, num_worlds: 1}}"
    config = herd_config(tmp_path, herd, population=2, stop=100_000, settings="{update_seconds: 0.01}")
    with train(str(config), "--runs-dir", str(tmp_path), "--name", "a") as command:
        command.wait_until(lambda: min(len(ready_points(run, member)) for member in (0, 1)) >= 1)
        killed = the_started(command, 2)
        mark = next(each for each in Path(f"/proc/{killed}/environ").read_text().split("\0") if VARIABLE in each)
        own = [pid for pid in marked(mark.partition("=")[2]) if pid != killed]
        assert len(own) >= 2
        os.kill(killed, signal.SIGKILL)
        command.wait_until(lambda: restarts(run, 1) == 1)
        assert not any(map(is_alive, own))
        left = [pid for pid in [*children_of(children), *command.session()] if is_alive(pid)]
        assert len(left) >= 6
        os.kill(command.process.pid, signal.SIGKILL)
        command.process.wait()
        assert gone_soon(left)
    assert not any(map(is_alive, children_of(children)))


def handles_and_children(restarts: int, folder: Path) -> tuple[set[str], int]:
    """Start and kill so many workers in this process; what it holds then, and how many zombies."""
    shape = BoardShape(1, (64,))
    job = WorkerJob((), folder, LearnerSource("no:where", {}, None, 1), evolution(1), shape, Retention())
    log = RunLog(folder / "log.txt", lambda line: None)
    crew = Crew(job, 1, SharedBoard.allocate(shape, CONTEXT), log, RunState(1, 0.0))
    (post,) = crew.posts
    try:
        for _ in range(restarts):
            crew.start_due()
            assert post.worker is not None
            post.worker.signal_all(signal.SIGKILL)
            wait(post.worker.waited_for[1:], 10.0)
            assert [report for _, report in crew.listen(5.0, [])][-1] is None
            assert post.worker.close() == -signal.SIGKILL
            post.worker = None
        return open_files(), len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
    finally:
        crew.close()
        log.close()


def open_files() -> set[str]:
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # of the folder itself
            found.add(f"{path.name}: {path.readlink()}")
    return found


@pytest.mark.parametrize("number", [20, pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_handles_and_zombies_are_flat_over_restarts(tmp_path: Path, number: int) -> None:
    """Reliability, section 2."""
    handles_and_children(1, tmp_path)
    few, children = handles_and_children(2, tmp_path)
    many, children_then = handles_and_children(number, tmp_path)
    assert len(many) <= len(few) + 1, many - few
    assert children_then == children


class Terminal:
    """A train command in the foreground of a terminal of its own."""

    def __init__(self, *arguments: str, environment: dict[str, str]) -> None:
        self.pid, self._screen = pty.fork()
        if self.pid == 0:
            os.chdir(REPOSITORY)
            os.environ.update(environment)
            os.execv(sys.executable, [sys.executable, "-m", "marl_pbt.train", *arguments])
        self.shown = b""
        self.code: int | None = None

    def type(self, text: bytes) -> None:
        os.write(self._screen, text)

    def close(self) -> None:
        os.close(self._screen)
        self._screen = -1

    def read(self, timeout_s: float = 0.05) -> None:
        if self._screen >= 0 and wait([self._screen], timeout_s):
            with contextlib.suppress(OSError):
                self.shown += os.read(self._screen, 1 << 16)

    def wait_until(self, condition: object, timeout_s: float = 60.0) -> float:
        """Seconds until it holds."""
        assert callable(condition)
        began = time.monotonic()
        while not condition():
            self.read()
            assert time.monotonic() - began < timeout_s, self.shown.decode(errors="replace")
        return time.monotonic() - began

    def has_ended(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None

    def end(self) -> None:
        for pid in family(self.pid):
            with contextlib.suppress(OSError):
                if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes():  # it cleans up behind them
                    os.kill(pid, signal.SIGKILL)
        self.wait_until(self.has_ended)
        if self._screen >= 0:
            self.close()


def family(leader: int) -> list[int]:
    """Everybody of a session."""
    found = []
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            fields = (path / "stat").read_text().rpartition(")")[2].split() if path.name.isdigit() else []
            if fields and int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(path.name))
    return found


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Terminal]:
    """A run in a terminal, one of whose workers has begun to hang."""
    (tmp_path / "fired").mkdir()
    config = herd_config(tmp_path, population=2, stop=100_000, settings="{update_seconds: 0.01}")
    faults = {"MARL_PBT_FAULT": "env@worker_1:120:hold", "MARL_PBT_FAULT_FIRED": str(tmp_path / "fired")}
    terminal = Terminal(str(config), "--runs-dir", str(tmp_path), "--name", "a", environment=faults)
    try:
        fired = tmp_path / "fired"
        terminal.wait_until(lambda: any(fired.iterdir()) and ready_points(tmp_path / "a", 0))
        yield terminal
    finally:
        terminal.end()


def test_ctrl_c_in_a_terminal_ends_a_run_within_ten_seconds_though_a_worker_hangs(
    hanging: Terminal, tmp_path: Path
) -> None:
    """Reliability, sections 2 and 4: the others write where they stand, and the command to go on is shown."""
    hanging.type(b"\x03")
    assert hanging.wait_until(hanging.has_ended, timeout_s=20.0) <= 10.0
    hanging.read()
    assert hanging.code == 128 + signal.SIGINT
    assert f"--resume {tmp_path / 'a'}" in hanging.shown.decode()
    assert "cut off before it could write where it stands: member_01" in hanging.shown.decode()
    assert gone_soon(family(hanging.pid))


def test_ctrl_z_pauses_the_workers_too_and_ctrl_c_twice_ends_the_run_at_once(hanging: Terminal, tmp_path: Path) -> None:
    own = [pid for pid in family(hanging.pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    hanging.type(b"\x1a")
    hanging.wait_until(lambda: all(map(is_stopped, [hanging.pid, *own])))
    before = len(ready_points(tmp_path / "a", 0))
    os.kill(hanging.pid, signal.SIGCONT)
    hanging.wait_until(lambda: len(ready_points(tmp_path / "a", 0)) > before)
    assert len(own) == 2
    assert not any(map(is_stopped, own))
    hanging.type(b"\x03")
    hanging.wait_until(lambda: b"stopping: every member" in hanging.shown)
    later = time.monotonic() + SECOND_SIGNAL_AFTER_S
    hanging.wait_until(lambda: time.monotonic() > later)
    hanging.type(b"\x03")
    assert hanging.wait_until(hanging.has_ended, timeout_s=20.0) <= 4.0
    assert hanging.code == 128 + signal.SIGINT
    assert gone_soon(family(hanging.pid))


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_a_terminal_that_is_closed_ends_its_run_and_the_others_have_written_where_they_stand(
    hanging: Terminal, tmp_path: Path
) -> None:
    before = len(ready_points(tmp_path / "a", 0))
    hanging.close()
    assert hanging.wait_until(hanging.has_ended, timeout_s=20.0) <= 10.0
    assert hanging.code == 128 + signal.SIGHUP
    assert "Traceback" not in log_of(tmp_path / "a")
    assert gone_soon(family(hanging.pid))
    assert len(ready_points(tmp_path / "a", 0)) >= before
