"""How the functions of this package are compiled, and when an earlier process's work may be used."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

# Sums may be reordered and products contracted; never may it be assumed that numbers are finite ("nnan", "ninf"):
# a NaN in the loss must be noticed.
_FAST_MATH = {"reassoc", "contract", "nsz", "arcp"}
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
    return cast(Function, numba.njit(error_model="numpy", **_NO_WRAPPERS)(function))


def entry(function: Function) -> Function:
    """Compile at the first call, or load what an earlier process compiled from the very same sources.

    numba's cache notices a change in the file of an entry, not in the files of the functions that it calls; so the name
    under which it files the entry carries a digest of them all. Of an entry made in a closure it keeps one for each set
    of values closed over, as long as these are plain numbers.
    """
    function.__qualname__ = f"{function.__name__}_{_DIGEST:08x}"
    return cast(Function, numba.njit(fastmath=_FAST_MATH, error_model="numpy", cache=True)(function))
