"""Ends what workers leave behind: processes that their environments started, wherever these have hidden.

A worker is started with a mark in its environment variables, and whatever it starts has it, also in a session of its
own, where killing the worker's process group would not reach it. On Linux the marks are read in /proc.

Run as a program it is the watcher of a supervisor: it waits for the end of its standard input, which comes however the
supervisor ends, and then ends everything that bears the marks of its run. It imports the standard library alone, and
little of it: it is there as long as the run is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

VARIABLE = "MARL_PBT_WORKER"
KILL: int = getattr(signal, "SIGKILL", signal.SIGTERM)
"""What nobody can refuse; on Windows `os.kill` ends a process with any signal."""
_SUPERVISOR = "0"
"""The number of what is started by the supervisor itself: environments that it has opened to look at them."""
ROUNDS = 20
"""How often is looked again: what is being killed may start more."""
END_TIMEOUT_S = 1.0


def new_mark() -> str:
    """A mark for a run; those of its workers are this, a slash and a number."""
    return f"{os.getpid()}-{os.urandom(8).hex()}"


def mark_of_run() -> str:
    """The mark of the run that this process leads, or a new one."""
    mark, _, number = os.environ.get(VARIABLE, "").partition("/")
    return mark if number == _SUPERVISOR else new_mark()


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """Nothing that is started meanwhile, here or in workers, lives on afterwards, however this process ends.

    Where it is killed, what the environments that it has opened itself have forked without starting a program of its
    own (`os.fork` alone) is not found.
    """
    start_tracker()  # before: it bears no mark, and cleans up behind us
    mark = new_mark()
    watcher = Watcher(mark)
    try:
        with bearing(f"{mark}/{_SUPERVISOR}"):
            yield
    finally:
        watcher.close()  # which ends what is left


def start_tracker() -> None:
    """Start Python's own process that cleans up shared memory, where there is such a thing and it does not run yet."""
    if os.name == "posix":
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()


@contextlib.contextmanager
def bearing(mark: str) -> Iterator[None]:
    """What is started meanwhile bears the mark, and all that it starts."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = mark
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def marked(mark: str) -> list[int]:
    """Processes that bear a mark, or one that begins with it and a slash, oldest first."""
    sought = f"\0{VARIABLE}={mark}".encode()
    return [pid for pid in _process_ids() if _bears(pid, sought)]


def signal_marked(mark: str, number: int, spared: int = 0) -> list[int]:
    """Send a signal to all that bear a mark.

    Args:
        mark: As in `marked`.
        number: The signal's.
        spared: A process that is left alone.

    Returns:
        Who was there.
    """
    sought = f"\0{VARIABLE}={mark}".encode()
    found = [pid for pid in marked(mark) if pid not in (spared, os.getpid())]
    for pid in found:
        with contextlib.suppress(OSError):
            _signal_bearer(pid, sought, number)
    return found


def end_marked(mark: str) -> int:
    """Kill all that bear a mark, and what they start meanwhile; how many there were."""
    ended: set[int] = set()
    for _ in range(ROUNDS):
        found = signal_marked(mark, KILL)
        if not found:
            break
        ended.update(found)
        time.sleep(0.005)
    return len(ended)


class Watcher:
    """The program, watching this process.

    Args:
        mark: Of the run.
    """

    def __init__(self, mark: str) -> None:
        import subprocess  # the program itself has no use for it

        self._process: subprocess.Popen[bytes] | None = None
        if sys.platform != "linux" or not sys.executable:
            return  # elsewhere workers notice the end of the supervisor themselves, and end their process groups
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, mark],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )

    @property
    def pid(self) -> int | None:
        """Of the watcher; None where there is none."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """Let it do its work, and end."""
        if self._process is None:
            return
        from subprocess import TimeoutExpired

        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(END_TIMEOUT_S)
        except TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main() -> None:
    """The watcher."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    while os.read(0, 1):
        pass
    end_marked(sys.argv[1] + "/")


def _process_ids() -> Iterator[int]:
    try:
        names = os.listdir("/proc")  # noqa: PTH208  # pathlib would be a third of the watcher
    except OSError:
        return iter(())
    return (int(name) for name in names if name.isdigit())


def _signal_bearer(pid: int, sought: bytes, number: int) -> None:
    """Held fast where the system can: then nobody else gets its number between the look and the signal."""
    try:
        held: int | None = os.pidfd_open(pid)
    except (AttributeError, OSError):  # an older Python, an older kernel, or no handle left
        held = None
    try:
        if not _bears(pid, sought):  # it is another one of the same number by now
            return
        if held is None:
            os.kill(pid, number)
        else:
            signal.pidfd_send_signal(held, number)
    finally:
        if held is not None:
            os.close(held)


def _bears(pid: int, sought: bytes) -> bool:
    try:
        file = os.open(f"/proc/{pid}/environ", os.O_RDONLY)
    except OSError:  # somebody else's, or gone
        return False
    try:
        data = b"\0"
        while block := os.read(file, 1 << 16):
            data += block
    except OSError:
        return False
    finally:
        os.close(file)
    place = data.find(sought)
    return place >= 0 and (sought.endswith(b"/") or data[place + len(sought) : place + len(sought) + 1] in b"/\0")


if __name__ == "__main__":
    main()
