"""Rows of observations as the kernels read them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_SPARSE_BELOW = 0.15  # share of inputs that are not zero; lists and products take equally long at 0.17
_SAMPLE = 1024  # rows


class Observations(NamedTuple):
    """All rows of a rollout: as lists of what is not zero, or as features; the other is empty."""

    offsets: Any  # (rows + 1,) int64: where each row's list begins
    indices: Any  # (entries,) uint16: which input
    values: Any  # (entries,) float32
    backgrounds: Any  # (rows,) int64: which background a row lies on; 0 is the empty one
    ground_offsets: Any  # (backgrounds + 1,) int64
    ground_indices: Any  # (ground entries,) uint16
    ground_values: Any  # (ground entries,) float32
    features: Any  # (rows, inputs) uint8 or float32
    divisor: Any  # float32: what features are divided by, 255 for images


def features_dtype(dtype: Any) -> Any:
    """Of features, if observations are of this one: kernels are compiled for two."""
    return np.uint8 if np.dtype(dtype) == np.uint8 else np.float32


def as_features(observations: NDArray[Any], is_image: bool) -> Observations:
    """The observations as they are, flat."""
    rows = np.zeros(1, np.int64)
    indices, values, backgrounds = np.zeros(0, np.uint16), np.zeros(0, np.float32), np.zeros(0, np.int64)
    features = observations.reshape(len(observations), -1).astype(features_dtype(observations.dtype), copy=False)
    divisor = np.float32(255 if is_image else 1)
    return Observations(
        rows, indices, values, backgrounds, rows, indices, values, np.ascontiguousarray(features), divisor
    )


def is_sparse(observations: NDArray[Any]) -> bool:
    """Whether lists are the faster way, by the first rows."""
    sample = observations[:_SAMPLE]
    return bool(np.count_nonzero(sample) < _SPARSE_BELOW * sample.size)
