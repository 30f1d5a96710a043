"""A worker's first moments: the guard against living on without the supervisor is armed before any heavy import.

Imports nothing but what is small: importing torch takes seconds, in which an unguarded worker would be an orphan.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

UNHEEDED_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
"""The supervisor answers these for everybody; workers end when it tells them to, or with it."""
_PR_SET_PDEATHSIG = 1
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_KILL_ME_FIRST = "300"
"""Where memory runs out the system is to take a worker, which is replaced, and not the supervisor."""


def start_worker(
    pipe: Connection, memory: Any, log_queue: Any, name: str, whereabouts: Any, stacks: Connection | None
) -> None:
    """The target of a worker process.

    Args:
        pipe: The worker's own; the job comes as its first message.
        memory: The board's.
        log_queue: Where log records go.
        name: For the log.
        whereabouts: Of `Whereabouts`: what the supervisor sees of it.
        stacks: A file for the stacks of all threads, when the supervisor asks for them, and when the process crashes;
            None where the system has none.
    """
    _lead_a_group()
    arm_pool_process()
    _tell_stacks(stacks)

    from marl_pbt.fault_points import arm, reach

    multiprocessing.current_process().name = name
    arm()
    reach("start")

    from marl_pbt.logs import arm_worker_log
    from marl_pbt.worker import run_worker
    from marl_pbt.worker_pipe import SupervisorGone

    arm_worker_log(log_queue, name)
    with contextlib.suppress(SupervisorGone):
        run_worker(pipe, memory, whereabouts)


def arm_pool_process() -> None:
    """What every process of ours begins with: the guard, and one thread."""
    arm_guard()
    for variable in _THREAD_VARIABLES:  # two threads in each worker would be ten times slower on shared cores
        os.environ[variable] = "1"


def arm_guard() -> None:
    """Do not heed the terminal's signals, and die with the supervisor however it dies."""
    for name in UNHEEDED_SIGNALS:
        if hasattr(signal, name):
            _leave_unheeded(getattr(signal, name))
    if hasattr(signal, "pthread_sigmask"):  # blocked by the supervisor while it started us
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent.pid:  # it died before the line above
            os._exit(1)
    threading.Thread(target=_end_with, args=(parent.sentinel,), name="orphan-guard", daemon=True).start()


def _leave_unheeded(number: int) -> None:
    """By a function that does nothing, and not by ignoring it: that would be inherited by what environments start.

    A game that ignores SIGTERM could not be ended by its environment, which would wait for it for ever.
    """
    signal.signal(number, _do_nothing)
    if hasattr(signal, "siginterrupt"):
        signal.siginterrupt(number, False)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: signal.signal(number, signal.SIG_DFL))


def _do_nothing(number: int, frame: object) -> None:
    del number, frame


def _lead_a_group() -> None:
    """What is started from here on belongs to this process, and ends with it."""
    if hasattr(os, "setpgid"):
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        # Not in the terminal's foreground now: whatever read from it would be stopped.
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
    with contextlib.suppress(OSError):  # Linux alone has it
        Path("/proc/self/oom_score_adj").write_text(_KILL_ME_FIRST)


def _tell_stacks(stacks: Connection | None) -> None:
    """Written in C, from the signal's handler: also while something holds Python's lock."""
    if stacks is None:
        return
    faulthandler.enable(stacks.fileno())
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, stacks.fileno(), all_threads=True)


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    if hasattr(os, "killpg") and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
