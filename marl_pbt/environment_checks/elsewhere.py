"""A play in a spawned process, with all that it wrote to the screen."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection

from marl_pbt.environment_checks.play import Frame, PlayError, frame_of, play, told_briefly
from marl_pbt.environments import EnvironmentSource
from marl_pbt.imports import ensure_rooms_on_path, load_object
from marl_pbt.protocols import UserError

_TIMEOUT_S = 600.0
_END_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Elsewhere:
    """What a spawned process tells.

    Attributes:
        tape: Its play, as far as it came.
        fault: What went wrong; None where nothing did.
        written: What reached its standard output and error, one line for each moment that wrote.
        warned: Python's warnings, one line each.
    """

    tape: tuple[Frame, ...] = ()
    fault: str | None = None
    written: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()


def play_elsewhere(source: EnvironmentSource, seed: int, steps: int) -> Elsewhere:
    """Import, build and play the environment in a process that is spawned for it and has ended afterwards."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_play_here, args=(theirs, source, seed, steps), name="check_env")
    process.start()
    theirs.close()
    try:
        silent = Elsewhere(fault=f"the process has told nothing for {_TIMEOUT_S:g} s")
        told: Elsewhere = ours.recv() if ours.poll(_TIMEOUT_S) else silent
        process.join(_END_TIMEOUT_S)
    except EOFError:
        process.join(_END_TIMEOUT_S)
        told = Elsewhere(fault=f"the process ended in the middle of it, with exit code {process.exitcode}")
    finally:
        process.kill()
        process.join()
        ours.close()
    return told


class _Outlet:
    """Takes the place of standard output and error, for C code too."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._read = 0
        self.written: list[str] = []
        for stream in (1, 2):
            os.dup2(descriptor, stream)

    def mark(self, where: str) -> None:
        """Put down what has been written since the last mark."""
        sys.stdout.flush()
        sys.stderr.flush()
        size = os.fstat(self._descriptor).st_size
        if size > self._read:
            text = os.pread(self._descriptor, 100, self._read).decode(errors="replace")
            self.written.append(f"{where}: wrote {text.strip()!r}; must be silent")
            self._read = size


def _play_here(pipe: Connection, source: EnvironmentSource, seed: int, steps: int) -> None:
    """What the spawned process does."""
    tape: list[Frame] = []
    fault = None
    with tempfile.TemporaryFile() as file, warnings.catch_warnings(record=True) as warned:
        outlet = _Outlet(file.fileno())
        try:
            ensure_rooms_on_path()
            load_object(source.make, callable, "environment.make")
            outlet.mark("import")
            environment = source.open()
            outlet.mark("construction")
            for moment in play(environment, seed, steps):
                tape.append(frame_of(moment))
                outlet.mark(moment.where())
        except (UserError, PlayError) as told:
            fault = str(told)
        except Exception as told:
            fault = f"raised {told_briefly(told)}"
        outlet.mark("afterwards")
        told_warnings = [f"{each.category.__name__}: {' '.join(str(each.message).split())[:200]}" for each in warned]
        pipe.send(Elsewhere(tuple(tape), fault, tuple(outlet.written), tuple(dict.fromkeys(told_warnings))))
