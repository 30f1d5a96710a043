"""torch without its compiler, which nothing of ours is compiled by."""

from __future__ import annotations

import functools

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
