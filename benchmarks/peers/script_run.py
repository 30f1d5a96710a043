"""Runs one script of a peer in its virtual environment, within a time limit, and leaves no process behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.installation import ROOT
from benchmarks.peers.scripts.stopwatch import RUN_VARIABLE, processes_of

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS")
NO_CALLS_HOME = {"RAY_USAGE_STATS_ENABLED": "0", "WANDB_MODE": "disabled", "HF_HUB_OFFLINE": "1"}
_KILL_ROUNDS = 1000
_MESSAGE_LENGTH = 300


@dataclass(frozen=True)
class Outcome:
    """What a script printed, or why it did not.

    Attributes:
        result: Its last line, parsed; None where it failed.
        reason: One line; None where it did not fail.
    """

    result: Mapping[str, Any] | None
    reason: str | None = None


def run_script(command: Sequence[str], cores: int, timeout_s: float, cache: Path | None = None) -> Outcome:
    """Run until the end or the limit, then kill whatever of it still lives.

    Args:
        command: Interpreter, `-m`, module, arguments; run from the repository's root.
        cores: How many of this machine's it is pinned to.
        timeout_s: The limit.
        cache: Where numba keeps what it compiled, one for each version of it.
    """
    run = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="peer", ignore_cleanup_errors=True) as folder:
        printed, complained = Path(folder) / "printed", Path(folder) / "complained"
        with printed.open("w") as stdout, complained.open("w") as stderr:  # files: a pipe waits for all who hold it
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=_environment(run, folder, cache),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=lambda: _pin(cores),
            )
            try:
                returncode = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                return Outcome(None, f"no result within {timeout_s:g} s")
            finally:
                _end_all(run, process)
        return _read(returncode, printed.read_text(errors="replace"), complained.read_text(errors="replace"))


def _read(returncode: int, printed: str, complained: str) -> Outcome:
    for line in reversed(printed.splitlines()):
        if line.startswith("{"):
            return Outcome(json.loads(line))
    lines = [line.strip() for line in complained.splitlines() if line.strip()]
    last = lines[-1] if lines else "it printed nothing"
    return Outcome(None, f"exit code {returncode}: {last}"[:_MESSAGE_LENGTH])


def _environment(run: str, folder: str, cache: Path | None) -> dict[str, str]:
    """One thread, no accelerator, no words to anyone outside, and a home that goes away with the run."""
    own = dict.fromkeys(ONE_THREAD, "1") | NO_CALLS_HOME | {RUN_VARIABLE: run, "PYTHONPATH": str(ROOT)}
    own |= {
        "HOME": folder,
        "TMPDIR": folder,
        "RAY_TMPDIR": folder,
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONWARNINGS": "ignore",
    }
    return {**os.environ, **own, **({"NUMBA_CACHE_DIR": str(cache)} if cache else {})}


def _pin(cores: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def _end_all(run: str, process: subprocess.Popen[bytes]) -> None:
    """Kill what is left, again and again: one that is just being started is seen the next time."""
    for _ in range(_KILL_ROUNDS):
        alive = processes_of(run, process.pid)
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if process.poll() is not None and not alive:
            return
