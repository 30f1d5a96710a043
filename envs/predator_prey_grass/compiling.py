"""How functions over the worlds' arrays are compiled, and when an earlier process's work may be used.

The kernels of agents/ppo are compiled likewise; environments know nothing of learners, nor learners of environments, so
each has its own few lines for it.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from filelock import FileLock

Function = TypeVar("Function", bound=Callable[..., Any])

_SOURCES = [Path(__file__).with_name(name) for name in ("compiling.py", "layout.py", "step.py", "kernel.py")]
_DIGEST = zlib.crc32(b"".join(each.read_bytes() for each in _SOURCES))
PATIENCE_S = 600.0
"""For another process that compiles the same kernel; it takes it half a minute."""
logger = logging.getLogger(__name__)


def compiled(function: Function) -> Function:
    """Compile as part of the entry that calls it."""
    options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast(Function, numba.njit(error_model="numpy", **options)(function))


def entry(function: Function) -> Function:
    """Compile at the first call, or load what an earlier process compiled from the very same sources.

    numba's cache notices a change in the file of an entry, not in the files of the functions it calls; so the name
    under which it files the entry carries a digest of them all. Where no folder can be written to, nothing is kept.
    """
    function.__qualname__ = f"{function.__name__}_{_DIGEST:08x}"
    try:
        dispatcher = numba.njit(cache=True, error_model="numpy")(function)
    except RuntimeError as fault:  # numba found no folder for its cache
        logger.warning("kernels are compiled anew in every process: %s", fault)
        return cast(Function, numba.njit(error_model="numpy")(function))
    _one_process_at_a_time(dispatcher)
    return cast(Function, dispatcher)


def _one_process_at_a_time(dispatcher: Any) -> None:
    """Let the others that want the same kernel wait, and find what one has compiled.

    Two processes that compile it for different types at once would give their results the same file name, and one
    would later run what was made for the other's types.
    """
    compile_for = dispatcher.compile

    def compile_locked(signature: Any) -> Any:
        folder = Path(dispatcher.stats.cache_path)
        lock = FileLock(folder / f"{dispatcher.py_func.__qualname__}.lock")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=PATIENCE_S)
        except (OSError, NotImplementedError):  # read-only, without locks, or held by a process that stands still
            return compile_for(signature)
        try:
            return compile_for(signature)
        finally:
            lock.release()

    dispatcher.compile = compile_locked
