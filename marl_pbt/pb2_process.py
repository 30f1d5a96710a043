"""The time-varying Gaussian process of PB2, on scikit-learn's engine: import it no earlier than it is needed."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import (
    Hyperparameter,
    Kernel,
    NormalizedKernelMixin,
    StationaryKernelMixin,
    WhiteKernel,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIPPED_AT = 2.0
"""Standard deviations: one lucky interval must not decide."""
C1, C2 = 0.2, 0.4
"""Of the exploration weight β = c1·log(c2·n), as in Bogunovic et al. 2016, sec. 5, and Parker-Holder et al. 2020."""


class TimeVarying(StationaryKernelMixin, NormalizedKernelMixin, Kernel):  # type: ignore[misc]  # it ships no types
    """k = exp(−|x − x'|² / 2ℓ²) · (1 − ε)^(|t − t'| / 2) (Bogunovic et al. 2016, arXiv 1601.06650, eq. 4).

    Rows are `(t, x…)`: the first column is time, the others are places from 0 to 1. The bounds stand for a prior: few
    points do not say how smooth the function is.

    Args:
        length_scale: ℓ.
        forgetting: ε, per unit of time.
        length_scale_bounds: Where ℓ may be fitted.
        forgetting_bounds: Where ε may be.
    """

    def __init__(
        self,
        length_scale: float = 0.5,
        forgetting: float = 0.1,
        length_scale_bounds: tuple[float, float] = (0.2, 2.0),
        forgetting_bounds: tuple[float, float] = (1e-3, 0.5),
    ) -> None:
        self.length_scale = length_scale
        self.forgetting = forgetting
        self.length_scale_bounds = length_scale_bounds
        self.forgetting_bounds = forgetting_bounds

    @property
    def hyperparameter_forgetting(self) -> Any:
        """For the engine, which finds them by this name and sorts them by it."""
        return Hyperparameter("forgetting", "numeric", self.forgetting_bounds)

    @property
    def hyperparameter_length_scale(self) -> Any:
        """As above."""
        return Hyperparameter("length_scale", "numeric", self.length_scale_bounds)

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:  # noqa: N803  # the engine's names
        """The kernel's matrix, and its gradient in the logarithms of ε and ℓ, `(rows, rows, 2)`."""
        other = X if Y is None else Y
        apart = np.abs(X[:, None, 0] - other[None, :, 0])
        squares = ((X[:, None, 1:] - other[None, :, 1:]) ** 2).sum(axis=-1) / self.length_scale**2
        matrix = np.exp(-0.5 * squares) * (1 - self.forgetting) ** (apart / 2)
        if not eval_gradient:
            return matrix
        by_forgetting = -matrix * apart / 2 * self.forgetting / (1 - self.forgetting)
        return matrix, np.dstack([by_forgetting, matrix * squares])


class Bandit:
    """What has been observed, and how optimistic one may be about other points.

    Args:
        points: `(n, 1 + axes)` float64: time, then places from 0 to 1.
        gains: `(n,)` float64: what was gained there; more is better.
        running: `(m, 1 + axes)`: points that others try out just now: nothing is to be learned there any more.
    """

    def __init__(self, points: NDArray[np.float64], gains: NDArray[np.float64], running: NDArray[np.float64]) -> None:
        gains = gains / (np.abs(gains).max() or 1.0)  # so that their squares are finite
        spread = gains.std() or 1.0
        scaled = np.clip((gains - gains.mean()) / spread, -CLIPPED_AT, CLIPPED_AT)
        kernel = TimeVarying() + WhiteKernel(0.1, (1e-2, 1.0))
        self._fitted = GaussianProcessRegressor(kernel, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # at a bound, which is where the prior is
            self._fitted.fit(points, scaled)
        known = np.concatenate([points, running])
        self._batched = GaussianProcessRegressor(self._fitted.kernel_, optimizer=None).fit(known, np.zeros(len(known)))
        self._noise = float(self._fitted.kernel_.k2.noise_level)
        self.optimism = math.sqrt(C1 * max(math.log(C2 * len(points)), 0.0))

    def upper_bound(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean plus √β standard deviations of the function itself, `(rows,)`; what is running counts as observed.

        (As in GP-BUCB, Desautels et al. 2014, the mean does not need to know what comes out there.)
        """
        mean = self._fitted.predict(points)
        deviation = self._batched.predict(points, return_std=True)[1]
        bound: NDArray[np.float64] = mean + self.optimism * np.sqrt(np.maximum(deviation**2 - self._noise, 0.0))
        return bound
