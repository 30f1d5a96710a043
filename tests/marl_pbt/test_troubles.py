"""Why workers end, how often that is put up with, and how it is said."""

import errno
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from marl_pbt.protocols import Clocks
from marl_pbt.reports import MemberFailed, MemberUp
from marl_pbt.run_state import RunState
from marl_pbt.standings import BoardRow
from marl_pbt.supervision.memory_figures import memory_figures, memory_kills
from marl_pbt.supervision.posts import Post
from marl_pbt.supervision.trouble_book import TroubleBook
from marl_pbt.supervision.trouble_files import MOST_FILES, TroubleFiles
from marl_pbt.supervision.troubles import (
    BUDGET,
    MemoryFigures,
    backoff_s,
    cause_of_end,
    failure_lines,
    is_out_of_memory,
    over_budget,
)

PLENTY = MemoryFigures(worker=3_000_000_000, free=9_000_000_000, total=16_000_000_000, kills=4)
SCARCE = MemoryFigures(worker=3_000_000_000, free=100_000_000, total=16_000_000_000, kills=4)


class TestCauses:
    @pytest.mark.parametrize(
        ("code", "told"),
        [
            (-signal.SIGSEGV, "killed by SIGSEGV"),
            (-signal.SIGKILL, "killed by SIGKILL"),
            (-50, "killed by signal 50"),
            (3, "exit code 3"),
            (0, "it ended by itself, without being told to"),
            (None, "it does not end, not even by SIGKILL (the disk or the network may not answer)"),
        ],
    )
    def test_how_a_worker_ended_is_told_in_words(self, code, told):
        cause = cause_of_end(code, "", PLENTY, kills=4)
        assert (cause.kind, cause.text) == ("death", told)

    @pytest.mark.parametrize(("memory", "kills"), [(PLENTY, 5), (SCARCE, 4)])
    def test_out_of_memory_killed_by_the_kernel_is_told_as_such_with_the_last_figure(self, memory, kills):
        cause = cause_of_end(-signal.SIGKILL, "", memory, kills)
        assert cause.kind == "memory"
        assert cause.text.startswith("out of memory, killed by the system; when last looked at, it had 3.00 GB, ")
        assert cause.text.endswith(" of 16.00 GB were free")

    def test_who_was_killed_because_it_hung_has_hung(self):
        assert cause_of_end(-signal.SIGKILL, "hung in env.step for 61 s", SCARCE, 5).kind == "hang"

    def test_who_was_killed_because_nobody_could_read_what_it_told_has_failed(self):
        cause = cause_of_end(-signal.SIGKILL, "", SCARCE, 5, "ModuleNotFoundError: No module named 'own'")
        assert (cause.kind, "cannot be read (ModuleNotFoundError: No" in cause.text) == ("failure", True)

    def test_a_crash_is_no_want_of_memory_whatever_the_kernel_counts(self):
        assert cause_of_end(-signal.SIGSEGV, "", SCARCE, 5).kind == "death"

    @pytest.mark.parametrize(
        ("fault", "is_memory"),
        [
            (MemoryError(), True),
            (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
            (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), True),
            (type("OutOfMemoryError", (RuntimeError,), {})("CUDA"), True),
            (OSError(errno.ENOSPC, "No space left on device"), False),
            (ValueError("out of memory"), False),
            (RuntimeError("shapes do not fit"), False),
        ],
    )
    def test_what_was_raised_for_want_of_memory_is_recognised(self, fault, is_memory):
        assert is_out_of_memory(fault) is is_memory


class TestBudgets:
    def test_each_kind_has_a_budget_of_its_own(self):
        assert dict(BUDGET) == {"failure": 3, "hang": 3, "memory": 2, "death": 6}
        assert not over_budget(Counter(failure=2, hang=2, memory=1, death=5))
        assert over_budget(Counter(failure=2, memory=2)) == "2 times out of memory without a new generation"

    def test_failures_wait_from_one_second_to_thirty_and_a_first_death_not_at_all(self):
        assert [backoff_s("failure", count) for count in (1, 2, 3, 4)] == [1.0, 5.0, 30.0, 30.0]
        assert [backoff_s("death", count) for count in (1, 2)] == [0.0, 1.0]


def failed(member, error="RuntimeError: the game is over", **more):
    return MemberFailed(member, 4, error, f"Traceback of member {member}", **more)


class TestBook:
    @pytest.fixture
    def state(self):
        return RunState(8, started_at=0.0)

    @pytest.fixture
    def book(self, state, tmp_path):
        return TroubleBook(state, TroubleFiles(tmp_path / "troubles"), seed=11)

    def test_the_same_failure_eight_times_is_told_once(self, book, tmp_path, caplog):
        for member in range(8):
            book.member_failed(Post(0, tuple(range(8))), failed(member))
        told = [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
        assert len(told) == 1
        assert len(list((tmp_path / "troubles").iterdir())) == 1

    def test_type_message_trace_seed_and_generation_are_kept_in_a_file(self, book, tmp_path):
        book.member_failed(Post(0, (3,)), failed(3))
        (path,) = (tmp_path / "troubles").iterdir()
        assert path.name == "001_member_03_failure.txt"
        for each in ("member_03, generation 4: RuntimeError: the game is over", "seed of the run 11", "Traceback of"):
            assert each in path.read_text()

    def test_three_failures_without_a_new_generation_and_a_member_is_given_up(self, book, state):
        post = Post(0, (2, 3))
        for count in range(1, 4):
            assert not book.given_up(post)
            book.member_failed(post, failed(3))
            assert state.members[3].troubles["failure"] == count
        assert [member.index for member in book.given_up(post)] == [3]
        assert state.members[3].fault == "3 failures without a new generation: RuntimeError: the game is over"

    def test_out_of_memory_has_one_retry_and_then_its_member_failed(self, book, state):
        post = Post(0, (3,), memory=PLENTY)
        book.member_failed(post, failed(3, "MemoryError", is_out_of_memory=True))
        assert not book.given_up(post)
        book.member_failed(post, failed(3, "MemoryError", is_out_of_memory=True))
        assert [member.index for member in book.given_up(post)] == [3]
        assert "out of memory: MemoryError (it had 3.00 GB, 9.00 GB of 16.00 GB were free)" in state.members[3].fault

    def test_a_worker_that_dies_counts_against_the_member_that_it_trained_alone(self, book, state):
        post = Post(0, (2, 3), trained=3)
        book.worker_ended(post, cause_of_end(-signal.SIGSEGV, "", None, 0), stacks="")
        assert [state.members[index].troubles["death"] for index in (2, 3)] == [0, 1]

    def test_a_ready_point_that_a_successor_tells_of_counts_as_one_too(self, book, state):
        """Found by chaos: workers died between the checkpoint and its telling, six times, at six ready points."""
        post = Post(0, (5,), trained=5)
        for generation in range(1, 2 * BUDGET["death"]):
            book.worker_ended(post, cause_of_end(-signal.SIGKILL, "", None, 0), "")
            assert book.given_up(post) == []
            state.take(MemberUp(5, Clocks(), {"fox": BoardRow(5, generation)}, ()), 0.0)
        for _ in range(BUDGET["death"]):  # and now at one and the same
            book.worker_ended(post, cause_of_end(-signal.SIGKILL, "", None, 0), "")
            state.take(MemberUp(5, Clocks(), {"fox": BoardRow(5, generation)}, ()), 0.0)
        assert book.given_up(post) == [state.members[5]]

    def test_workers_that_die_before_they_train_anybody_cost_all_their_members_the_run_in_the_end(self, book):
        post = Post(0, (2, 3))
        for _ in range(BUDGET["death"]):
            assert not book.given_up(post)
            book.worker_ended(post, cause_of_end(1, "", None, 0), stacks="")
        assert [member.index for member in book.given_up(post)] == [2, 3]

    def test_a_worker_that_cannot_be_started_is_tried_again_later_and_costs_its_members_the_run_in_the_end(
        self, book, caplog
    ):
        post = Post(0, (2, 3))
        for _ in range(BUDGET["death"]):
            assert not book.given_up(post)
            book.not_started(post, OSError(errno.EAGAIN, "Resource temporarily unavailable"))
        assert post.restart_at > time.monotonic() + 20.0
        assert "worker_0 could not be started: [Errno 11] Resource temporarily unavailable" in caplog.text
        assert [member.index for member in book.given_up(post)] == [2, 3]

    def test_an_end_after_a_failure_that_was_told_is_no_second_trouble(self, book, state):
        post = Post(0, (3,), trained=3)
        book.member_failed(post, failed(3))
        book.worker_ended(post, cause_of_end(1, "", None, 0), stacks="")
        assert dict(state.members[3].troubles) == {"failure": 1}

    def test_a_crash_leaves_its_stacks_in_a_file(self, book, tmp_path):
        book.worker_ended(Post(1, (3,), trained=3), cause_of_end(-signal.SIGSEGV, "", None, 0), "Fatal Python error")
        (path,) = (tmp_path / "troubles").iterdir()
        assert path.name == "001_worker_1_death.txt"
        assert path.read_text() == "killed by SIGSEGV\n\nFatal Python error"


def test_files_of_troubles_do_not_fill_the_disk(tmp_path):
    files = TroubleFiles(tmp_path)
    assert all(files.write("worker_1_hang", "stacks") for _ in range(MOST_FILES))
    assert files.write("worker_1_hang", "stacks") is None
    assert TroubleFiles(tmp_path).write("worker_1_hang", "stacks") is None


def test_members_that_failed_alike_share_a_line_of_the_summary():
    lines = list(failure_lines({0: "no such port", 2: "no such port", 3: "out of memory"}))
    assert lines == ["member_00, member_02 failed: no such port", "member_03 failed: out of memory"]


class TestMemoryFigures:
    """Read from a made-up /proc and /sys."""

    @pytest.fixture
    def machine(self, tmp_path) -> Path:
        for path, text in {
            "proc/7/statm": "900 500 20 1 0 80 0",
            "proc/meminfo": "MemTotal: 2000 kB\nMemFree: 1 kB\nMemAvailable: 1500 kB\n",
            "proc/vmstat": "pgfault 3\noom_kill 6\n",
            "proc/self/cgroup": "0::/job\n",
        }.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return tmp_path

    def limit(self, machine: Path, limit: str) -> None:
        group = machine / "sys/fs/cgroup/job"
        group.mkdir(parents=True)
        (group / "memory.max").write_text(limit)
        (group / "memory.current").write_text("900000")
        (group / "memory.stat").write_text("anon 700000\ninactive_file 100000\n")
        (group / "memory.events").write_text("low 0\noom 2\noom_kill 1\n")

    def test_of_the_machine_where_there_is_no_container(self, machine):
        assert memory_figures(7, machine) == MemoryFigures(500 * 4096, 1500 * 1024, 2000 * 1024, 6)

    def test_of_the_container_where_it_has_a_limit(self, machine):
        self.limit(machine, "1000000")
        assert memory_figures(7, machine) == MemoryFigures(500 * 4096, 200_000, 1_000_000, 1)

    def test_of_the_machine_where_the_container_has_none(self, machine):
        self.limit(machine, "max")
        assert memory_figures(7, machine) == MemoryFigures(500 * 4096, 1500 * 1024, 2000 * 1024, 1)

    def test_nothing_is_known_of_a_process_that_is_gone_or_of_another_system(self, machine, tmp_path):
        assert memory_figures(8, machine) is None
        assert memory_kills(tmp_path / "nowhere") == 0
