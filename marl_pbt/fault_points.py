"""Places where a run can be made to fail on purpose, for tests: `MARL_PBT_FAULT="checkpoint:3:kill,env:120:hang"`.

A fault is `point:count:action`: when a process comes to the point for the count-th time (`*`: every time), this happens
there. `point@worker_1` is meant for this process alone (`supervisor` is one, too). With a folder in
`MARL_PBT_FAULT_FIRED` every fault happens once in a run, however often its processes are replaced, and tests see there
which have; a fault with `*` happens always. `a:1:kill;b:2:kill`: what stands after a semicolon is for processes that
start once all before it has happened. Without the variable a point costs one look at an empty table.
"""

from __future__ import annotations

import ctypes
import errno
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from marl_pbt.protocols import UserError

VARIABLE = "MARL_PBT_FAULT"
FIRED_VARIABLE = "MARL_PBT_FAULT_FIRED"
SPOILED = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "huge": 1e308}
_ERRORS = {"full": errno.ENOSPC, "io": errno.EIO, "readonly": errno.EROFS, "denied": errno.EACCES}


@dataclass
class Fault:
    """What shall go wrong where.

    Attributes:
        name: Of the file that says that it has happened.
        point: Where.
        process: In which process; empty for any.
        count: At the how many-th time; 0 for every time.
        action: What.
        came: How often this process has been there.
    """

    name: str
    point: str
    process: str
    count: int
    action: str
    came: int = 0

    def is_due(self) -> bool:
        """Count a visit, and say whether it is the one."""
        if self.process not in ("", _own_name()):
            return False
        self.came += 1
        return self.count in (0, self.came) and (self.count == 0 or _is_first(self.name))


@dataclass
class _Armed:
    faults: dict[str, list[Fault]] = field(default_factory=dict)


_armed = _Armed()


def arm(environment: Mapping[str, str] = os.environ) -> None:
    """Take up the faults that the variable names; in every process of a run, as it begins.

    Raises:
        UserError: It names something else.
    """
    _armed.faults = {}
    groups = [
        [_read(f"{number:04d}_{text.replace(':', '_')}", text) for text in group.split(",")]
        for number, group in enumerate(environment.get(VARIABLE, "").split(";"))
        if group
    ]
    due = ([fault for fault in group if not _has_happened(fault)] for group in groups)
    for fault in next(filter(None, due), []):
        _armed.faults.setdefault(fault.point, []).append(fault)


def is_armed(*points: str) -> bool:
    """Whether any of these points has a fault."""
    return any(point in _armed.faults for point in points)


def reach(point: str) -> float | None:
    """Say that this process comes to a point.

    Returns:
        What a number is to be spoiled with here; None for nothing.

    Raises:
        OSError: Where a fault wants one: a full disk, for example.
        RuntimeError: Likewise.
        MemoryError: Likewise.
    """
    if point not in _armed.faults:
        return None
    for fault in _armed.faults[point]:
        if fault.is_due():
            if fault.action in SPOILED:
                return SPOILED[fault.action]
            _fail(fault)
    return None


def _own_name() -> str:
    is_worker = multiprocessing.parent_process() is not None
    return multiprocessing.current_process().name if is_worker else "supervisor"


def _fail(fault: Fault) -> None:
    number = _ERRORS.get(fault.action)
    if number is not None:
        raise OSError(number, f"{os.strerror(number)}, as a test wants it")
    _ACTIONS[fault.action]()


def _raise() -> None:
    raise RuntimeError("raised because a test wants it")


def _run_out_of_memory() -> None:
    raise MemoryError


def _sleep() -> None:
    while True:
        time.sleep(3600.0)


def _spin() -> None:
    while True:
        pass


def _hold_the_interpreter() -> None:
    while True:
        ctypes.PyDLL(None).sleep(3600)  # unlike CDLL it keeps Python's lock: no other thread runs


_ACTIONS: dict[str, Callable[[], None]] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "exit": lambda: os._exit(3),
    "raise": _raise,
    "memory": _run_out_of_memory,
    "hang": _sleep,
    "spin": _spin,
    "hold": _hold_the_interpreter,
}


def _read(name: str, text: str) -> Fault:
    point, count, action = _parts(text)
    where, _, process = point.partition("@")
    return Fault(name, where, process, 0 if count == "*" else int(count), action)


def _parts(text: str) -> Sequence[str]:
    parts = text.split(":")
    known = [*_ACTIONS, *SPOILED, *_ERRORS]
    if len(parts) != 3 or not parts[0] or not (parts[1] == "*" or parts[1].isdecimal()) or parts[2] not in known:
        raise UserError(f"{VARIABLE}: must be point:count:action with one of {', '.join(known)}, got {text!r}")
    return parts


def _has_happened(fault: Fault) -> bool:
    folder = os.environ.get(FIRED_VARIABLE)
    return folder is not None and (Path(folder) / fault.name).exists()


def _is_first(name: str) -> bool:
    """Whether no process of the run has had this fault yet; from now on one has."""
    folder = os.environ.get(FIRED_VARIABLE)
    if folder is None:
        return True
    try:
        (Path(folder) / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
