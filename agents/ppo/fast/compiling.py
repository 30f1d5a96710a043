"""How the functions of this package are compiled, and when an earlier process's work may be used."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from filelock import FileLock

Function = TypeVar("Function", bound=Callable[..., Any])

# Sums may be reordered and products contracted; never may it be assumed that numbers are finite ("nnan", "ninf"):
# a NaN in the loss must be noticed.
_FAST_MATH = {"reassoc", "contract", "nsz", "arcp"}
PATIENCE_S = 600.0
"""For another process that compiles the same kernel; it takes it half a minute."""
logger = logging.getLogger(__name__)
_NO_WRAPPERS: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_DIGEST = zlib.crc32(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))))


def inlined(function: Function) -> Function:
    """Compile as part of every function that calls it."""
    return cast(Function, numba.njit(fastmath=_FAST_MATH, error_model="numpy", forceinline=True)(function))


def compiled(function: Function) -> Function:
    """Compile as a function of its own, for the compiled ones that call it."""
    return cast(Function, numba.njit(fastmath=_FAST_MATH, error_model="numpy", **_NO_WRAPPERS)(function))


def compiled_strictly(function: Function) -> Function:
    """The same, every operation rounded as it is written."""
    # Said, because a function that says nothing gets its caller's flags.
    return cast(Function, numba.njit(fastmath=False, error_model="numpy", **_NO_WRAPPERS)(function))


def entry(function: Function) -> Function:
    """Compile at the first call, or load what an earlier process compiled from the very same sources.

    numba's cache notices a change in the file of an entry, not in the files of the functions that it calls; so the name
    under which it files the entry carries a digest of them all. Where no folder can be written to, nothing is kept.
    """
    function.__qualname__ = f"{function.__name__}_{_DIGEST:08x}"
    options: dict[str, Any] = {"fastmath": _FAST_MATH, "error_model": "numpy"}
    try:
        dispatcher = numba.njit(cache=True, **options)(function)
    except RuntimeError as fault:  # numba found no folder for its cache
        logger.warning("kernels are compiled anew in every process: %s", fault)
        return cast(Function, numba.njit(**options)(function))
    _one_process_at_a_time(dispatcher)
    return cast(Function, dispatcher)


def _one_process_at_a_time(dispatcher: Any) -> None:
    """Let one process at a time compile or load a kernel, so that the others find what it has compiled.

    Two that compile it for different types at once would give their results the same file name.
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
