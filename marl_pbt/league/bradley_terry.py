"""Elo ratings of two species from who won how often.

Bradley and Terry's model (Biometrika 39, 1952) with two sides: rows meet columns only, never each other, and
P(row i beats column j) = 1 / (1 + 10^((column_j − row_i) / 400)). It has one number per policy, so it cannot say cycles
(see `intransitivity.py`), and it needs wins, which a game of returns may not have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

ELO_PER_UNIT = 400 / np.log(10)
ELO_MEAN = 1500.0
_MAX_STEPS = 200


@dataclass(frozen=True, eq=False)
class BradleyTerry:
    """Strengths in Elo points, 400 of them for odds of 10 : 1.

    Attributes:
        rows: `(n,)`, the species whose wins were counted.
        columns: `(m,)`, on the same scale. The mean of all `n + m` is 1500.
    """

    rows: Floats
    columns: Floats


def bradley_terry(wins: ArrayLike, losses: ArrayLike, prior: float = 0.5) -> BradleyTerry:
    """The strengths that make the results most likely.

    Every policy has besides won `prior` games and lost as many against a policy of average strength that is not in the
    table. So strengths stay finite where somebody won all, and a policy that has not played is average.

    Args:
        wins: `(n, m)` games that row i won against column j; a draw is half a win and half a loss; 0 where not played.
        losses: `(n, m)` games that row i lost against column j.
        prior: Positive; the larger, the closer together the strengths.

    Raises:
        ValueError: Shapes differ, a count is negative or not finite, or `prior` is not positive.
    """
    won, lost = np.asarray(wins, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if won.ndim != 2 or won.shape != lost.shape or 0 in won.shape:
        raise ValueError(f"wins, losses: must be two tables of one shape (n, m), got {won.shape} and {lost.shape}")
    for name, table in (("wins", won), ("losses", lost)):
        if not (np.isfinite(table).all() and (table >= 0).all()):
            raise ValueError(
                f"{name}: must be finite and not negative, got {table[~(table >= 0) | np.isinf(table)][0]}"
            )
    if not 0 < prior < np.inf:
        raise ValueError(f"prior: must be a positive number, got {prior}")
    strengths = _most_likely(won, lost, prior)
    elo = ELO_MEAN + ELO_PER_UNIT * (strengths - strengths.mean())
    return BradleyTerry(elo[: len(won)], elo[len(won) :])


def _most_likely(won: Floats, lost: Floats, prior: float) -> Floats:
    """`(n + m,)` natural units, by Newton's method; steps are halved until they improve.

    The likelihood is strictly concave thanks to the prior, so there is one maximum, and every such step leads to it.
    """
    strengths = np.zeros(sum(won.shape))
    value = _log_likelihood(strengths, won, lost, prior)
    for _ in range(_MAX_STEPS):
        gradient, curvature = _derivatives(strengths, won, lost, prior)
        step = np.linalg.solve(curvature, gradient)
        # `gradient @ step` is twice what the step should gain: nothing that a float can tell.
        while gradient @ step > 1e-14 * (1 - value):
            tried = _log_likelihood(strengths + step, won, lost, prior)
            if tried > value:
                break
            step = step / 2
        else:
            return strengths + step
        strengths, value = strengths + step, tried
    raise ArithmeticError(f"bradley_terry: no maximum after {_MAX_STEPS} steps, got to {value}")


def _log_likelihood(strengths: Floats, won: Floats, lost: Floats, prior: float) -> float:
    gaps = strengths[: len(won), None] - strengths[len(won) :]
    games = won * np.logaddexp(0, -gaps) + lost * np.logaddexp(0, gaps)
    imagined = prior * (np.logaddexp(0, -strengths) + np.logaddexp(0, strengths))
    return -float(games.sum() + imagined.sum())


def _derivatives(strengths: Floats, won: Floats, lost: Floats, prior: float) -> tuple[Floats, Floats]:
    """Gradient `(n + m,)` and minus the second derivatives `(n + m, n + m)` of the log-likelihood."""
    n = len(won)
    chance, drawn = _sigmoid(strengths[:n, None] - strengths[n:]), _sigmoid(strengths)
    surplus = won - (won + lost) * chance
    gradient = np.concatenate([surplus.sum(axis=1), -surplus.sum(axis=0)]) + prior * (1 - 2 * drawn)
    weight = (won + lost) * chance * (1 - chance)
    own = np.concatenate([weight.sum(axis=1), weight.sum(axis=0)]) + 2 * prior * drawn * (1 - drawn)
    curvature = np.diag(own)
    curvature[:n, n:] = -weight
    curvature[n:, :n] = -weight.T
    return gradient, curvature


def _sigmoid(values: Floats) -> Floats:
    # Written with tanh, which overflows nowhere.
    return 0.5 * (1 + np.tanh(values / 2))
