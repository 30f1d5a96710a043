"""What holds for all tests: one thread each, and no process or shared memory left behind."""

from __future__ import annotations

import compileall
import contextlib
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before numpy and torch are imported: two test processes with two threads each are slower than with one.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# Where PYTHONDONTWRITEBYTECODE is set, each test process would rewrite the asserts of all tests anew: ten seconds.
sys.dont_write_bytecode = False

pytest.register_assert_rewrite("tests.contracts")


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    left = multiprocessing.active_children()
    for process in left:
        process.kill()
        process.join()
    assert left == [], "the test left processes behind"


SHARED_MEMORY = Path("/dev/shm")
_before: set[Path] = set()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Once, before the test processes start."""
    if hasattr(session.config, "workerinput"):
        return
    _before.update(_multiprocessing_files())
    # Nor is each of hundreds of processes that tests start to compile our sources.
    for room in ("marl_pbt", "envs", "agents", "tests"):
        compileall.compile_dir(session.config.rootpath / room, quiet=2)
    is_whole = session.config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if is_whole and not session.config.option.collectonly:
        _compile_kernels(session.config.rootpath)


def _compile_kernels(root: Path) -> None:
    """In processes of their own, at once; where one fails, the tests that need a kernel tell what is wrong with it."""
    commands = [[sys.executable, "-m", "tests.compiled_first", dtype] for dtype in ("bytes", "floats")]
    for process in [subprocess.Popen(command, cwd=root) for command in commands]:
        process.wait()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Once all test processes have ended: what they left in shared memory fails the run."""
    left = set() if hasattr(session.config, "workerinput") else _multiprocessing_files() - _before
    left = {path for path in left if not _is_used(path)} if left else left
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nleft in shared memory: {', '.join(sorted(path.name for path in left))}")


def _multiprocessing_files() -> set[Path]:
    return {path for pattern in ("sem.mp-*", "pym-*", "psm_*") for path in SHARED_MEMORY.glob(pattern)}


def _is_used(path: Path) -> bool:
    """Whether a process has it mapped: one of another run on this machine, for none of ours is alive any more."""
    try:
        inode = str(path.stat().st_ino)  # semaphores are mapped under the name that they had as they were made
    except OSError:
        return False
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            mapped = (line.split() for line in maps.read_text().splitlines() if str(SHARED_MEMORY) in line)
            if any(fields[4] == inode for fields in mapped):
                return True
    return False
