"""Players of which each does one thing, most of them a wrong one; importable in other processes."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

import numpy as np


class TwoWordsError(Exception):
    """Can be pickled, but not made again from its pickle."""

    def __init__(self, first, second):
        super().__init__(f"{first}\n{second}")


@dataclass(frozen=True)
class Odd:
    """A seat.

    Attributes:
        act: What its policy does.
        number: An argument.
    """

    act: str
    number: int = 0

    def take(self, species, environment, worlds):
        return OddPolicy(self.act, self.number)


class OddPolicy:
    def __init__(self, act, number):
        self._act, self._number = act, number

    def act(self, observations, rng, greedy=False):
        return getattr(self, f"_{self._act}")(len(observations), rng, greedy)

    def _plays(self, rows, rng, greedy):
        """Always the same action."""
        return np.full(rows, self._number)

    def _draws(self, rows, rng, greedy):
        return np.zeros(rows, np.int64) if greedy else rng.integers(3, size=rows)

    def _raises(self, rows, rng, greedy):
        raise IndexError("no  such\nhare")

    def _raises_two_words(self, rows, rng, greedy):
        raise TwoWordsError("no", "hare")

    def _exits(self, rows, rng, greedy):
        raise SystemExit("gone")

    def _kills_its_process(self, rows, rng, greedy):
        os.kill(os.getpid(), signal.SIGKILL)

    def _never_ends(self, rows, rng, greedy):
        while True:
            pass
