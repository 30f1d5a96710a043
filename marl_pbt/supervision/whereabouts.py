"""What a worker is in, and how much it has done: a few words of shared memory that it alone writes.

This is what is watched, and not a sign of life from a thread: such a thread goes on while the environment hangs.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from typing import Any, Literal, ParamSpec, TypeVar, get_args

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")

Doing = Literal[
    "starting",
    "building",
    "idle",
    "a ready point",
    "learner.update",
    "env.step",
    "env.reset",
    "matches",
    "publishing",
    "writing a checkpoint",
    "a task",
]
DOINGS: tuple[Doing, ...] = get_args(Doing)
"""By number; a worker begins with the first."""


@dataclass(frozen=True)
class Sight:
    """A worker as it was when it was looked at.

    Attributes:
        doing: What it is in.
        done: Per thing that it can be in, how often it has come out of it.
    """

    doing: Doing
    done: tuple[int, ...]

    @property
    def env_steps(self) -> int:
        """Calls of `step` that have come back; of all worlds that it has opened."""
        return self.done[DOINGS.index("env.step")]


class Whereabouts:
    """The words of one worker, written by the thread that makes this.

    What another thread of the worker does is not seen here: where the worker waits for it, that is.

    Args:
        memory: `allocate(context)`, made by the supervisor for one process; None: for nobody to see.
    """

    def __init__(self, memory: Any = None) -> None:
        self._words = memoryview(bytearray(8 * (1 + len(DOINGS))) if memory is None else memory).cast("B").cast("q")
        self._own = self._words.tolist()  # the writer's copy: to look at it is ten times faster
        self._writer = threading.get_ident()

    @staticmethod
    def allocate(context: SpawnContext) -> Any:
        """Zeroed shared memory without a name, to be handed to a process as it starts."""
        return context.RawArray(ctypes.c_int64, 1 + len(DOINGS))

    def during(self, doing: Doing, act: Callable[P, R]) -> Callable[P, R]:
        """The same function, which says while it runs that the worker is in this, and afterwards that it was.

        Words of eight bytes are stored; nothing is locked, and nobody is told.
        """
        words, own, number, writer = self._words, self._own, DOINGS.index(doing), self._writer
        count = 1 + number

        @functools.wraps(act)
        def noted(*args: P.args, **kwargs: P.kwargs) -> R:
            if threading.get_ident() != writer:
                return act(*args, **kwargs)
            before = own[0]
            words[0] = own[0] = number
            try:
                return act(*args, **kwargs)
            finally:
                own[count] += 1
                words[count] = own[count]
                words[0] = own[0] = before

        return noted

    def stepping(self, act: Callable[[A], R]) -> Callable[[A], R]:
        """The same for a `step`, spelled out because it is called thousands of times a second: for some 0.3 µs."""
        words, own, number = self._words, self._own, DOINGS.index("env.step")
        count = 1 + number

        def step(actions: A) -> R:
            before = own[0]
            words[0] = own[0] = number
            try:
                return act(actions)
            finally:
                own[count] += 1
                words[count] = own[count]
                words[0] = own[0] = before

        return step

    def look(self) -> Sight:
        """As it is now."""
        return Sight(DOINGS[self._words[0]], tuple(self._words[1:]))
