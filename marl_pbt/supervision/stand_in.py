"""Stand-ins: objects that behave as another one, with some of its methods replaced."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, TypeVar

T = TypeVar("T")


def stand_in(thing: T, methods: Mapping[str, Callable[..., Any]]) -> T:
    """An object that passes for `thing`, which itself is not touched.

    It gives what `thing` gives, also to `isinstance` and to the protocols that are checked at run time: up to Python
    3.11 these ask for attributes, since 3.12 they look for them in the class, so they are in both. Copied or pickled
    it is the bare thing. Special methods such as `__len__`, which Python seeks in the class alone, are not passed on.

    Args:
        thing: What it stands for.
        methods: By name, what is called instead.
    """
    found = {name: _passed_on(thing, name) for name in dir(thing) if not _is_special(name)}
    replaced = {name: staticmethod(method) for name, method in methods.items()}
    special = {
        "__class__": property(lambda _: type(thing)),
        "__getattr__": lambda _, name: getattr(thing, name),
        "__setattr__": lambda _, name, value: setattr(thing, name, value),
        "__delattr__": lambda _, name: delattr(thing, name),
        "__dir__": lambda _: dir(thing),
        "__repr__": lambda _: repr(thing),
        "__reduce_ex__": lambda *_: (_itself, (thing,)),
        "__slots__": (),
    }
    made: T = type(f"StandInFor{type(thing).__name__}", (), found | replaced | special)()
    return made


def _passed_on(thing: object, name: str) -> Any:
    """What stands in the class for an attribute; methods cost nothing more than before, all else a call."""
    if isinstance(inspect.getattr_static(thing, name, None), FunctionType | staticmethod):
        return staticmethod(getattr(thing, name))
    return property(lambda _: getattr(thing, name))


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _itself(thing: T) -> T:
    return thing
