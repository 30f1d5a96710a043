"""The toy learner, in processes that are killed where they stand: `tests.marl_pbt.mortal_learner:kind`.

Its settings name a function, with its callers before it: `PolicyState.replace_by`, or `DoubleBuffer.write > _crc`. The
process that comes there for the n-th time is killed at once, with SIGKILL, and is the only one: it leaves a file that
says so.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from tests.marl_pbt.toy_learner import ToyKind


class MortalKind(ToyKind):
    """`LearnerKind`; in the supervisor it is asked to describe, in the workers to build."""

    def describe(self, settings, interface):
        return super().describe(mortal(settings, "supervisor"), interface)

    def build(self, settings, interface, worlds, seed):
        return super().build(mortal(settings, "worker"), interface, worlds, seed)


def mortal(settings, process):
    """From now on this process dies where the settings say so, if it is the one that they mean and none has died yet.

    Returns:
        The settings of the toy.
    """
    own = dict(settings)
    where, times, died = own.pop("dies_in").split(" > "), own.pop("dies_at"), Path(own.pop("died"))
    if own.pop("process") != process or died.exists():
        return own  # and is spared the profiler, which makes everything slow
    came = 0

    def watch(frame, event, _):
        nonlocal came
        if event != "call" or not is_there(frame, where):
            return
        came += 1
        if came >= times and not died.exists():
            died.touch()
            leave_a_torn_line(frame.f_locals.get("self"))
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)
    threading.setprofile(watch)  # of threads to come, too: ready points are written down in one
    return own


def is_there(frame, where):
    """Whether it is the last function of the chain, called by the one before, and so on."""
    for name in reversed(where):
        if frame is None or frame.f_code.co_qualname != name:
            return False
        frame = frame.f_back
    return True


def leave_a_torn_line(store):
    """Of a lineage that is being written: what the disk had taken when the power went."""
    waiting = getattr(store, "_unwritten", b"")
    if waiting:
        store._file.write(bytes(waiting[:-9]))


kind = MortalKind()
