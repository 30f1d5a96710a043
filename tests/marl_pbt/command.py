"""Runs the train command as a user does, in a session of its own of which nothing may be left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

TOY = """\
name: toy
seed: {seed}
environment: {{make: null}}
learner:
  make: tests.marl_pbt.toy_learner:kind
  settings: {settings}
pbt:
  population: {population}
  interval: 400
  min_episodes: 2
  score_window: 4
  hyperparameters:
    learning_rate: {{loguniform: [1.0e-4, 0.5]}}
    ent_coef: {{loguniform: [1.0e-4, 0.5]}}
stop: {{progress: {stop}}}
workers: 2
pictures: {{every_minutes: null}}
judge: null
"""


def toy_config(folder: Path, stop: int = 4000, population: int = 4, seed: int = 0, settings: str = "{}") -> Path:
    """A config that is trained in a second or two, plus the processes' start."""
    path = folder / "toy.yaml"
    path.write_text(TOY.format(seed=seed, settings=settings, population=population, stop=stop))
    return path


@dataclass
class Command:
    """A train command that runs."""

    process: subprocess.Popen[str]

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers, oldest first."""
        return [pid for pid in self.session() if pid != self.process.pid and "spawn_main" in _command_line(pid)]

    def session(self) -> list[int]:
        """All living processes of the command's session."""
        return sorted(pid for pid in _process_ids() if self._is_ours(pid))

    def wait_until(self, condition: object, timeout_s: float = 60.0) -> None:
        """Look again and again until the condition, a callable, holds."""
        assert callable(condition)
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert self.process.poll() is None, f"it ended early: {self.process.communicate()}"
            assert time.monotonic() < deadline, "what was waited for did not come"
            time.sleep(0.03)

    def finish(self, timeout_s: float = 90.0) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        out, err = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, out, err

    def assert_nothing_is_left(self) -> None:
        """No process; what it may leave in shared memory is looked for at the end of all tests, in conftest.py."""
        deadline = time.monotonic() + 2.0
        while self.session() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.session() == []

    def kill(self) -> None:
        """Kill the command and its workers, and let Python's resource tracker clean up after them."""
        for pid in self.session():
            if "resource_tracker" not in _command_line(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.communicate()
        deadline = time.monotonic() + 5.0
        while self.session() and time.monotonic() < deadline:
            time.sleep(0.01)

    def _is_ours(self, pid: int) -> bool:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return False
        return int(fields[3]) == self.process.pid and fields[0] != "Z"


def count_ready(run: Path) -> int:
    """How many ready events its lineage holds so far; asked often, so the lines are not read as events."""
    try:
        return (run / "lineage.jsonl").read_bytes().count(b'"kind": "ready"')
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def train(*arguments: str, cwd: Path = REPOSITORY, environment: Mapping[str, str] | None = None) -> Iterator[Command]:
    """`python -m marl_pbt.train …`, with more in its environment; whatever happens, nothing of it lives on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "marl_pbt.train", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), **(environment or {})},
        start_new_session=True,
    )
    command = Command(process)
    try:
        yield command
    finally:
        command.kill()


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _process_ids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
