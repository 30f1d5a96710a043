"""Crews whose workers cannot be started, cannot be understood, or live on systems that offer less than Linux does."""

from __future__ import annotations

import contextlib
import errno
import gc
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path

import pytest

from marl_pbt.checkpoints import Retention
from marl_pbt.logs import RunLog
from marl_pbt.reports import UpdateDone, WorkerUp
from marl_pbt.run_state import RunState
from marl_pbt.shared_board import BoardShape, SharedBoard
from marl_pbt.supervision.crew import Crew
from marl_pbt.supervision.hangs import Patience
from marl_pbt.supervision.lookout import KILL_S, STACKS_S, TERM_S, Lookout
from marl_pbt.supervision.mailbox import Mailbox
from marl_pbt.supervision.posts import Post
from marl_pbt.supervision.trouble_files import TroubleFiles
from marl_pbt.tasks import FilmTask
from marl_pbt.worker import LearnerSource, WorkerJob
from tests.marl_pbt.command import REPOSITORY, toy_config
from tests.marl_pbt.command_here import trained
from tests.marl_pbt.stepping_learner import SLEEP
from tests.marl_pbt.test_watched import Odd
from tests.marl_pbt.toy_population import CONTEXT, ToySettings, evolution

SIGKILL = 9
MISSING = {
    "an older Python": [(os, "pidfd_open"), (signal, "pidfd_send_signal")],
    "macOS": [(os, "pidfd_open"), (signal, "pidfd_send_signal"), (os, "memfd_create"), (os, "waitid")],
    "Windows": [
        (os, "pidfd_open"),
        (signal, "pidfd_send_signal"),
        (os, "pread"),
        (os, "waitid"),
        (os, "killpg"),
        (os, "getpgid"),
        (signal, "SIGKILL"),
    ],
}


def crew_of(workers: int, folder: Path, log: RunLog, state: RunState | None = None) -> Crew:
    shape = BoardShape(workers, (64,))
    job = WorkerJob((), folder, LearnerSource("no:where", {}, None, 1), evolution(1), shape, Retention())
    return Crew(job, workers, SharedBoard.allocate(shape, CONTEXT), log, state or RunState(workers, 0.0))


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    """Of one worker."""
    log = RunLog(tmp_path / "log.txt", lambda line: None)
    made = crew_of(1, tmp_path, log)
    yield made
    made.close()
    log.close()


def held() -> int:
    """Files that are open here, of which threads that are ending let go in a moment."""
    return len(list(Path("/proc/self/fd").iterdir()))


def refusing(number: int) -> staticmethod:
    def refuse(*arguments: object, **more: object) -> None:
        raise OSError(number, os.strerror(number))

    return staticmethod(refuse)


@pytest.mark.parametrize(
    ("place", "name", "number"),
    [
        (SpawnProcess, "_Popen", errno.EAGAIN),
        (SpawnContext, "Pipe", errno.EMFILE),
        (os, "memfd_create", errno.ENOMEM),
        (SpawnContext, "Queue", errno.EMFILE),
    ],
)
def test_a_worker_that_cannot_be_started_is_told_and_holds_nothing(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, place: object, name: str, number: int
) -> None:
    monkeypatch.setattr(place, name, refusing(number))
    crew.start_due()
    before = held()
    for _ in range(5):
        ((post, fault),) = crew.start_due()
        assert (post.worker, fault) == (None, f"[Errno {number}] {os.strerror(number)}")
    deadline = time.monotonic() + 2.0
    while held() > before and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert held() <= before


def test_a_worker_that_replaces_one_that_died_is_to_be_careful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until its members have passed ready points: see marl_pbt.worker.WorkerJob."""
    log, state, jobs = RunLog(tmp_path / "log.txt", lambda line: None), RunState(2, 0.0), []

    class Refused:
        def __init__(self, berth: object, job: WorkerJob) -> None:
            jobs.append(job)
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr("marl_pbt.supervision.crew.WorkerProcess", Refused)
    crew = crew_of(2, tmp_path, log, state)
    crew.start_due()
    state.members[1].troubles["death"] += 1
    crew.start_due()
    log.close()
    assert [(job.members, job.is_careful) for job in jobs] == [
        ((0,), False),
        ((1,), False),
        ((0,), False),
        ((1,), True),
    ]


def test_a_run_whose_worker_cannot_be_started_at_first_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start, refused = SpawnProcess._Popen, []

    def refuse_once(process: object) -> object:
        if not refused:
            refused.append(process)
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return start(process)

    monkeypatch.setattr(SpawnProcess, "_Popen", staticmethod(refuse_once))
    code, out, err = trained(
        str(toy_config(tmp_path, stop=400, population=1)), "--runs-dir", str(tmp_path), "--name", "a"
    )
    assert (code, err) == (0, "")
    assert "worker_0 could not be started: [Errno 11] Resource temporarily unavailable" in out


def stopped(crew: Crew) -> Post:
    """The post of its worker, which is up, and which a signal has stopped."""
    crew.start_due()
    (post,) = crew.posts
    assert post.worker is not None
    deadline = time.monotonic() + 30.0
    while not any(isinstance(report, WorkerUp) for _, report in crew.listen(0.1, [])):
        assert time.monotonic() < deadline
    os.kill(post.worker.pid, signal.SIGSTOP)
    return post


def end_by_looking(crew: Crew, folder: Path) -> int | None:
    """Let its worker hang, and end it as the lookout does, on a clock of its own; the exit code."""
    post = stopped(crew)
    assert post.worker is not None
    lookout = Lookout(RunState(1, 0.0), TroubleFiles(folder / "troubles"), Patience(0.0))
    for now in (0.0, 1.0, 1.0 + STACKS_S + 0.5, 1.0 + STACKS_S + TERM_S + 1.0):
        lookout.look(crew.posts, now)
    assert wait(post.worker.waited_for[1:], 10.0)
    assert [report for _, report in crew.listen(5.0, [])][-1] is None
    code = post.worker.close()
    post.worker = None
    return code


@pytest.mark.parametrize("system", MISSING)
def test_a_hang_is_ended_and_a_worker_closed_where_the_system_offers_less(
    crew: Crew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    for place, name in MISSING[system]:
        monkeypatch.delattr(place, name)
    assert end_by_looking(crew, tmp_path) == -SIGKILL
    crew.start_due()
    crew.close()
    assert crew.posts[0].worker is None


def test_modules_of_supervision_are_imported_where_the_system_offers_less() -> None:
    names = {f"{place.__name__}.{name}" for missing in MISSING.values() for place, name in missing}
    code = f"import os, signal; del {', '.join(sorted(names))}; import marl_pbt.supervision.supervisor"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


def test_the_group_of_a_dead_worker_is_ended_without_a_handle_of_it_too(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number stays its own until it is waited for, and with it the group's."""
    monkeypatch.delattr(os, "pidfd_open")
    crew.start_due()
    worker = crew.posts[0].worker
    assert worker is not None
    deadline = time.monotonic() + 10.0
    while os.getpgid(worker.pid) != worker.pid and time.monotonic() < deadline:
        time.sleep(0.01)
    with subprocess.Popen(SLEEP, process_group=worker.pid) as other:
        try:
            os.kill(worker.pid, SIGKILL)
            assert wait(worker.waited_for[1:], 10.0)
            worker.close()
            crew.posts[0].worker = None
            assert other.wait(5.0) == -SIGKILL
        finally:
            other.kill()


def test_a_worker_that_tells_what_nobody_can_read_is_ended_and_its_others_words_count(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew.start_due()
    (post,) = crew.posts
    assert post.worker is not None
    ours, theirs = CONTEXT.Pipe()
    with contextlib.closing(Mailbox(ours)) as mailbox, theirs:
        for message in (WorkerUp(), Odd()):
            theirs.send(message)
        with monkeypatch.context() as patched:
            patched.setattr(post.worker, "_mailbox", mailbox)
            assert [report for _, report in crew.listen(5.0, [])][:1] == [WorkerUp()]
    assert post.worker.unreadable.startswith("ValueError: invalid literal")
    assert wait(post.worker.waited_for[1:], 10.0)
    assert post.worker.close() == -SIGKILL
    post.worker = None


def test_what_a_learner_says_of_an_update_is_plain_numbers_and_words() -> None:
    class Loud(str):
        """A class that the supervisor has not."""

    report = UpdateDone(0, None, {Loud("loss"): ToySettings.read({}).parameters, "on": True}, (), {"kind": Loud("a")})
    assert [(type(tag), type(value)) for tag, value in report.metrics.items()] == [(str, float)] * 2
    assert [(type(tag), type(words)) for tag, words in report.notes.items()] == [(str, str)]
    with pytest.raises(TypeError, match=re.escape("loss must be a number, got [1.0]")):
        UpdateDone(0, None, {"loss": [1.0]}, ())


def test_a_task_is_not_given_to_a_worker_that_stands_still_where_there_is_another(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.txt", lambda line: None)
    crew = crew_of(2, tmp_path, log)
    try:
        crew.start_due()
        crew.posts[0].is_stale = True
        task = FilmTask("film", None, {}, 1, seed=0)
        assert crew.ask(task)
        assert crew.ask(task)
        assert [post.tasks for post in crew.posts] == [[], ["film", "film"]]
        crew.posts[1].is_stopped = True
        assert crew.ask(task)
        assert crew.posts[0].tasks == ["film"]
    finally:
        crew.close()
        log.close()


def test_a_worker_that_nothing_can_end_is_not_waited_for_by_python_as_it_exits(crew: Crew) -> None:
    post = stopped(crew)
    lookout = Lookout(RunState(1, 0.0), TroubleFiles(Path("/nowhere")), Patience(0.0))
    assert post.worker is not None
    pid = post.worker.pid
    assert pid in {child.pid for child in multiprocessing.active_children()}
    for now in (0.0, 1.0, 2.0, 2.0 + TERM_S + 1.0, 4.0 + TERM_S + KILL_S):
        lookout.look(crew.posts, now)
    assert post.worker.is_given_up
    assert pid not in {child.pid for child in multiprocessing.active_children()}
