"""The stationary distribution of a Markov chain, right also where the chain hardly ever leaves a set of states.

State reduction (Grassmann, Taksar & Heyman, "Regenerative analysis and steady state distributions for Markov chains",
Operations Research 33, 1985): states are taken out one after the other, and the rates between those left are raised by
the ways through the one that went. Nothing is ever subtracted, so every probability keeps its leading digits however
small the rates that join parts of the chain (O'Cinneide, Numerische Mathematik 65, 1993), where an eigensolver finds
several eigenvalues equal to 1. States go in blocks, so that most of the work is matrix products (O'Leary & Wu, SIAM
J. Matrix Anal. Appl. 17, 1996).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 48


def stationary_distribution(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(states,)` probabilities, summing to 1.

    Args:
        rates: `(states, states)` float64, from row to column, none negative, the diagonal ignored; overwritten. Rows
            need not sum to 1. Every state but the first must have a positive rate to one of a lower number, and the
            chain must be irreducible.
    """
    escapes = np.ones(len(rates))
    for stop in range(len(rates), 1, -_BLOCK):
        start = max(stop - _BLOCK, 1)
        _take_out(rates, escapes, start, stop)
        rates[:start, :start] += (rates[:start, start:stop] / escapes[start:stop]) @ rates[start:stop, :start]
    return _put_back(rates, escapes)


def _take_out(rates: NDArray[np.float64], escapes: NDArray[np.float64], start: int, stop: int) -> None:
    """Takes the states of a block out, last first; among the states before the block rates stay as they were."""
    for state in range(stop - 1, start - 1, -1):
        escapes[state] = rates[state, :state].sum()
        onward = rates[state, :state] / escapes[state]
        rates[start:state, :state] += rates[start:state, state, None] * onward
        rates[:start, start:state] += rates[:start, state, None] * onward[start:]


def _put_back(rates: NDArray[np.float64], escapes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each state's probability from those before it."""
    mass = np.zeros(len(rates))
    mass[0] = 1.0
    for state in range(1, len(rates)):
        mass[state] = mass[:state] @ rates[:state, state] / escapes[state]
        # At once, not at the end: states that are hardly ever left would carry the sum beyond the largest float.
        mass[: state + 1] /= mass[: state + 1].sum()
    return mass
