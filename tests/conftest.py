"""What holds for all tests: one thread each, and no process left behind."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator

import pytest

# Before numpy and torch are imported: two test processes with two threads each are slower than with one.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

pytest.register_assert_rewrite("tests.contracts")


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    left = multiprocessing.active_children()
    for process in left:
        process.kill()
        process.join()
    assert left == [], "the test left processes behind"
