"""Faults of a config: where each one stands, said in one line."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
_SHORT.maxlevel = 3
_LONGEST_KEY = 200


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        key: Dotted path of the key; empty for the config as a whole.
        message: The rule and the value.
    """

    key: str
    message: str


@dataclass(frozen=True)
class Source:
    """Where the keys of a config were written.

    Attributes:
        name: The file, as the user named it.
        places: Dotted path → `configs/ppg.yaml:14`, or the `--set` that gave it.
    """

    name: str
    places: Mapping[str, str]

    def where(self, key: str) -> str:
        """The place of a key, or of the nearest section around it that was written."""
        while key and key not in self.places:
            key = key.rpartition(".")[0]
        return self.places.get(key, self.name)

    def line(self, fault: Fault) -> str:
        """The fault as the user reads it, without line breaks."""
        key = shown(fault.key)[1:-1] if len(fault.key) > _LONGEST_KEY else fault.key
        return f"{printable(key) or 'config'}: {fault.message} ({self.where(fault.key)})"


def printable(text: str) -> str:
    """The text on one line, whatever is in it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(value: object) -> str:
    """A value in an error: as Python writes it, cut where it is long."""
    return _SHORT.repr(value)


def joined(parts: Iterable[str | int]) -> str:
    """The dotted path of a key."""
    return ".".join(str(part) for part in parts)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'interval'?`, or nothing where nothing is near."""
    near = difflib.get_close_matches(word[:100], list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
