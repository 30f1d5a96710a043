"""torch without its compiler, which nothing of ours is compiled by."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch


@functools.cache
def spare_compiler() -> None:
    """Let torch make optimizers without importing its compiler, nearly as slow as all other imports together.

    The methods of `torch.optim.Optimizer` import it the first time they are called, only to be left out of what it
    compiles, and remember with the function what came of that: here, the function as it is. A torch that goes about it
    in another way is left alone.
    """
    for method in vars(torch.optim.Optimizer).values():
        plain, code = getattr(method, "__wrapped__", None), getattr(method, "__code__", None)
        if plain is not None and code is not None and code.co_filename == torch._compile.__file__:
            vars(plain).setdefault("__dynamo_disable", plain)


def step_without_compiler(optimizer: torch.optim.Optimizer) -> None:
    """Let an optimizer step without importing torch's compiler, either.

    `step` is wrapped in a function that imports it, switches gradients off and calls what is within; here that is
    called likewise. Hooks and the profiler, which are outside of it, no longer see the steps.
    """
    plain: Callable[..., Any] = inspect.unwrap(type(optimizer).step)

    def step(closure: Callable[[], float] | None = None) -> float | None:
        with torch.no_grad():
            loss: float | None = plain(optimizer, closure)
        return loss

    optimizer.step = step  # type: ignore[method-assign, assignment]  # of this one alone
