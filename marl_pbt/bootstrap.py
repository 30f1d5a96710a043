"""A worker's first moments: the guard against living on without the supervisor is armed before any heavy import.

Imports nothing but what is small: importing torch takes seconds, in which an unguarded worker would be an orphan.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection, wait
from typing import Any

IGNORED_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
"""The supervisor answers these for everybody; workers end when it tells them to, or with it."""
_PR_SET_PDEATHSIG = 1
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def start_worker(pipe: Connection, memory: Any, log_queue: Any, name: str) -> None:
    """The target of a worker process.

    Args:
        pipe: The worker's own; the job comes as its first message.
        memory: The board's.
        log_queue: Where log records go.
        name: For the log.
    """
    arm_pool_process()

    from marl_pbt.logs import arm_worker_log
    from marl_pbt.worker import SupervisorGone, run_worker

    arm_worker_log(log_queue, name)
    with contextlib.suppress(SupervisorGone):
        run_worker(pipe, memory)


def arm_pool_process() -> None:
    """What every process of ours begins with: the guard, and one thread."""
    arm_guard()
    for variable in _THREAD_VARIABLES:  # two threads in each worker would be ten times slower on shared cores
        os.environ[variable] = "1"


def arm_guard() -> None:
    """Ignore the terminal's signals, and die with the supervisor however it dies."""
    for name in IGNORED_SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
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


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
