"""What goes wrong with members and workers: its kinds, how often each is put up with, how it is said; pure."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from marl_pbt.run_directory import member_name

Kind = Literal["failure", "hang", "memory", "death"]
BUDGET: Mapping[Kind, int] = {"failure": 3, "hang": 3, "memory": 2, "death": 6}
"""So many of a kind, without a new generation in between, and a member is given up. A death may be another's doing."""
BACKOFF_S: Mapping[Kind, tuple[float, ...]] = {
    "failure": (1.0, 5.0, 30.0),
    "hang": (1.0, 5.0, 30.0),
    "memory": (5.0, 30.0),
    "death": (0.0, 1.0, 5.0, 30.0),
}
"""After the first, the second, … of a kind; the last for all that follow. Somebody who is killed is back at once."""
NEARLY_FULL = 0.05
"""Share of the memory; with less of it free a SIGKILL that nobody of ours sent is taken for the system's."""
_SIGKILL = 9  # where there is one; Windows does not name it
_OUT_OF_MEMORY = ("can't allocate memory", "cannot allocate memory", "out of memory")


@dataclass(frozen=True)
class MemoryFigures:
    """Memory as it was last looked at, in bytes.

    Attributes:
        worker: What the worker had.
        free: What was left to the run, by the machine or by its container.
        total: Of the machine, or of the container.
        kills: How many processes the system has killed so far because memory ran out.
    """

    worker: int
    free: int
    total: int
    kills: int

    def __str__(self) -> str:
        return f"it had {_gigabytes(self.worker)}, {_gigabytes(self.free)} of {_gigabytes(self.total)} were free"


@dataclass(frozen=True)
class Cause:
    """Why a worker ended.

    Attributes:
        kind: Which budget it is counted against.
        text: For people, to be read behind "worker_1 ended: ".
    """

    kind: Kind
    text: str


def cause_of_end(
    exit_code: int | None, hung: str, memory: MemoryFigures | None, kills: int, unreadable: str = ""
) -> Cause:
    """Why a worker ended that was not told to.

    Args:
        exit_code: As multiprocessing gives it: minus the signal's number; None: not even SIGKILL ended it.
        hung: How it hung, where it was killed for that; else empty.
        memory: As last seen while it lived.
        kills: By the system for want of memory, until now.
        unreadable: Why what it told could not be read, where it was killed for that; else empty.
    """
    if unreadable:
        return Cause("failure", f"what it told cannot be read ({unreadable})")
    if hung:
        return Cause("hang", hung)
    is_short = memory is not None and (kills > memory.kills or memory.free < NEARLY_FULL * memory.total)
    if exit_code == -_SIGKILL and is_short:
        return Cause("memory", f"out of memory, killed by the system; when last looked at, {memory}")
    if exit_code is None:
        return Cause("death", "it does not end, not even by SIGKILL (the disk or the network may not answer)")
    if exit_code < 0:
        return Cause("death", f"killed by {_signal_name(-exit_code)}")
    return Cause("death", "it ended by itself, without being told to" if exit_code == 0 else f"exit code {exit_code}")


def is_out_of_memory(fault: BaseException) -> bool:
    """Whether what was raised means that there is no memory, on the device that computes or on the host."""
    if isinstance(fault, MemoryError) or type(fault).__name__ == "OutOfMemoryError":
        return True
    if isinstance(fault, OSError):
        return fault.errno == errno.ENOMEM
    return isinstance(fault, RuntimeError) and any(words in str(fault).lower() for words in _OUT_OF_MEMORY)


def backoff_s(kind: Kind, count: int) -> float:
    """How long to wait after the count-th trouble of a kind."""
    waits = BACKOFF_S[kind]
    return waits[min(max(count, 1), len(waits)) - 1]


def over_budget(troubles: Mapping[Kind, int]) -> str:
    """Which budget is spent, in words; empty where none is."""
    words = {"failure": "failures", "hang": "hangs", "memory": "times out of memory", "death": "deaths of its worker"}
    spent = (f"{count} {words[kind]}" for kind, count in troubles.items() if count >= BUDGET[kind])
    return "".join(f"{each} without a new generation" for each in list(spent)[:1])


def failure_lines(failed: Mapping[int, str]) -> Iterator[str]:
    """Who failed, one line per fault, however many members share it.

    Args:
        failed: Per member, what went wrong with it.
    """
    whose: dict[str, list[str]] = {}
    for member, fault in failed.items():
        whose.setdefault(fault, []).append(member_name(member))
    for fault, names in whose.items():
        yield f"{', '.join(names)} failed: {fault}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
