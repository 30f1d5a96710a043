"""The errors that a seam may raise on purpose."""

from __future__ import annotations


class UserError(Exception):
    """A fault of the user's, told in one line each and without a traceback; the command exits with code 2.

    Args:
        faults: One line per fault: the thing, the rule and the value.
    """

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class DivergedError(FloatingPointError):
    """An update of one species came to numbers that are none; what it holds may be finite, but is not to be copied.

    Args:
        species: Whose.
        fault: What was not finite, in a line.
    """

    def __init__(self, species: str, fault: str) -> None:
        super().__init__(f"{species}: {fault}")
        self.species = species


class NotFiniteError(FloatingPointError, ValueError):
    """A number came in that is none, or too large for a float32; the message says from where."""
