"""The examples, in three parts: scikit-learn's digits, 8 × 8 pixels each (from NIST's forms, by the UCI repository)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from agents.digits.layers import scaled
from marl_pbt.protocols import UserError

_VALIDATION, _TEST = 400, 400
_SHUFFLE_SEED = 0


@dataclass(frozen=True)
class Examples:
    """Some of them.

    Attributes:
        pixels: `(rows, 64)` float64, from 0 to 16.
        inputs: `(rows, 64)` float32, scaled.
        labels: `(rows,)` int64, from 0 to 9.
    """

    pixels: NDArray[np.float64]
    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, chosen: slice | NDArray[np.int64]) -> Examples:
        """Some of these."""
        return Examples(self.pixels[chosen], self.inputs[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Split:
    """The same three parts for everyone: 997 to learn from, 400 to be scored by, 400 that decide nothing."""

    training: Examples
    validation: Examples
    test: Examples


@cache
def load_split() -> Split:
    """Read them from the installed scikit-learn; nothing is downloaded.

    Raises:
        UserError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UserError("learner.make: agents.digits needs scikit-learn: pip install scikit-learn") from None
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(_SHUFFLE_SEED).permutation(len(labels))
    everything = Examples(pixels[order], scaled(pixels[order]), labels[order].astype(np.int64))
    test, validation = slice(0, _TEST), slice(_TEST, _TEST + _VALIDATION)
    return Split(everything.rows(slice(_TEST + _VALIDATION, None)), everything.rows(validation), everything.rows(test))
