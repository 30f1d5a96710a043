"""What a check is called, and what it found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from marl_pbt.environment_checks.play import PlayError, told_briefly

KNOWN = "reset gives exactly the agents; ids and spaces are those declared"
KEYS = "the five dictionaries of a step hold those that acted and the newborn"
LIVES = "an id lives once: the dead leave, the newborn start clean"
VALUES = "observations lie in their spaces; rewards, flags and infos have their types"
SAME = "the same seed and actions give the same play, another seed another one"
KEPT = "observations that were handed out stay as they were"
ORDER = "the order in the dictionary of actions does not matter"
ELSEWHERE = "a spawned process builds the same environment and plays the same"
SILENT = "nothing is written to the screen"
PICTURE = "rgb_array gives a picture without a display"
CLOSE = "close can be called twice"
BATCHED = "the batched face keeps the promises of worlds"
TURNS = "rewards add up to the same by turns (AEC)"


@dataclass(frozen=True)
class Verdict:
    """What one check found.

    Attributes:
        check: The check, one of the sentences above.
        failed: One line per fault: where, what, and what would be right.
        warned: One line for each thing that is allowed and yet worth knowing.
        skipped: Why it was not done; None where it was.
    """

    check: str
    failed: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    skipped: str | None = None


def collected(faults: Iterator[str]) -> tuple[str, ...]:
    """All that are found, an exception of the environment's being the last."""
    found: list[str] = []
    try:
        for fault in faults:
            found.append(fault)  # noqa: PERF402  # what was found before an exception counts
    except PlayError as fault:
        found.append(str(fault))
    except Exception as fault:
        found.append(f"raised {told_briefly(fault)}")
    return tuple(found)
