"""However a run ends, no process of it lives on and nothing of its shared memory is left."""

import os
import re
import signal
from pathlib import Path

import pytest

from tests.marl_pbt.command import toy_config, train

LONG = "{update_seconds: 0.01}"
WAYS = {
    "a normal end": ("{update_seconds: 0.002}", None, 0),
    "an exception": ("{fail_at: 5}", None, 1),
    # A terminal interrupts the workers, too.
    "Ctrl-C": (LONG, lambda pid: os.killpg(pid, signal.SIGINT), 128 + signal.SIGINT),
    "SIGTERM": (LONG, lambda pid: os.kill(pid, signal.SIGTERM), 128 + signal.SIGTERM),
}


def shared_by(pid):
    """Files that a process shares as memory: the board, which has lost its name already, and semaphores."""
    try:
        return set(re.findall(r" rw-s .* (/dev/shm/.*)$", Path(f"/proc/{pid}/maps").read_text(), re.MULTILINE))
    except OSError:
        return set()


@pytest.mark.parametrize("way", WAYS)
def test_no_process_and_no_shared_memory_is_left(tmp_path, way):
    """D21: after a normal end, an exception, Ctrl-C, SIGTERM."""
    settings, end, expected = WAYS[way]
    config = toy_config(tmp_path, stop=4000, population=2, settings=settings)
    shared = set()

    def is_shared_by_all():
        found = [shared_by(pid) for pid in (command.process.pid, *command.workers)]
        shared.update(*found)
        return len(found) == 3 and all(any("(deleted)" in path for path in each) for each in found)

    with train(str(config), "--runs-dir", str(tmp_path)) as command:
        command.wait_until(is_shared_by_all)
        if end is not None:
            end(command.process.pid)
        code, _, err = command.finish(timeout_s=30)
        command.assert_nothing_is_left()
    assert (code, err) == (expected, "")
    named = {Path(path) for path in shared if "(deleted)" not in path}
    assert named, "semaphores have names as long as the run lives"
    assert [path for path in named if path.exists()] == []
