"""What the commands' command lines have in common: types of arguments, and how the user's mistakes are told."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_LINE = 2000


@dataclass
class Outcome:
    """How a command ends.

    Attributes:
        code: The exit code.
    """

    code: int = 0


@contextlib.contextmanager
def told(stopped: str = "stopped") -> Iterator[Outcome]:
    """Say a mistake of the user's in one line each, without a traceback.

    Exit code 2 then, and where the disk refuses something; 130 after Ctrl-C, 1 after a broken pipe.

    Args:
        stopped: What is said after Ctrl-C.
    """
    from marl_pbt.protocols import UserError

    outcome = Outcome()
    try:
        yield outcome
    except UserError as fault:
        sys.stderr.writelines(f"error: {_shown(line)}\n" for line in fault.faults)
        outcome.code = 2
    except BrokenPipeError:  # whoever read what we print is gone, as `head` is after ten lines
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it flushes
        outcome.code = 1
    except OSError as fault:
        sys.stderr.write(f"error: {_shown(str(fault.filename or fault))}: {fault.strerror or 'failed'}\n")
        outcome.code = 2
    except KeyboardInterrupt:
        sys.stderr.write(f"{stopped}\n")
        outcome.code = 130


def show(lines: Iterable[str]) -> None:
    """Write lines to standard output; what its encoding does not have becomes `?`."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    for line in lines:
        told = "\n".join(_printable(each) for each in line.split("\n"))
        sys.stdout.write(told.encode(encoding, errors="replace").decode(encoding) + "\n")


def _shown(line: str) -> str:
    """Fit for a terminal, whatever a stranger's file or its name put into it."""
    return _printable(line[:MAX_LINE])


def _printable(line: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def natural(text: str) -> int:
    """A whole number of at least 0, such as a seed, for argparse."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0, got {text!r}")
    return int(text)


def settings(texts: Sequence[str], option: str, base: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`KEY=VALUE`, values as in YAML, dotted keys nested.

    Args:
        texts: As they were typed.
        option: What they stood behind, for the errors.
        base: What they change; None: nothing is there yet.

    Raises:
        UserError: One of them is not of that form.
    """
    from marl_pbt.config.overrides import OverrideError, overridden, parse_override
    from marl_pbt.protocols import UserError

    found: dict[str, Any] = dict(base or {})
    for text in texts:
        try:
            for override in parse_override(text):
                found = overridden(found, override)
        except OverrideError as fault:
            raise UserError(f"{option} {fault.fault.key}: {fault.fault.message}") from None
    return found
