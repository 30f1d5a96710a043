"""How much of a payoff table depends on who meets whom, so that no single number per policy can say it.

The additive fit, an effect per policy plus an effect per opponent, is what a rating can express. On the bipartite graph
of who met whom it is the gradient part of the Hodge decomposition (Jiang, Lim, Yao & Ye, "Statistical ranking and
combinatorial Hodge theory", Mathematical Programming 127, 2011), here of agents against tasks (Balduzzi et al.,
"Re-evaluating evaluation", NeurIPS 2018). The rest is cyclic: around any four cells i, i' × j, j' it need not sum to 0.
Not every cycle is a reversal: "the better predator gains more from the slower prey" is cyclic, yet changes no order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from marl_pbt.league.ratings import unfold
from marl_pbt.league.statistics import Cells

Floats = NDArray[np.float64]

CLEAR = 2.0  # standard errors on both sides from which a reversal is named
_FLIPS = 999
_NEGLIGIBLE = 1e-9  # of a table's range: differences below come from rounding


@dataclass(frozen=True)
class Reversal:
    """One policy is better than another in one company, worse in another.

    Attributes:
        better: The policy that is better `here` and worse `there`.
        worse: The policy that it is compared with.
        here: What the other species play where `better` is better: a policy per other species, in their order.
        there: Where it is worse.
        gap_here: Payoff of `better` minus that of `worse`, positive.
        gap_there: The same, negative.
        standard_errors: Of the less clear gap, from 0 over episodes with common seeds; at least 2. An error below
            1e-9 of the table's range counts as that, so it is finite also where nothing is random.
        chance: At most this likely one so clear would appear in a table without any (Bonferroni over pairs of
            policies and opponents, t distribution). The larger the table, the clearer the clearest by luck alone.
    """

    better: int
    worse: int
    here: tuple[int, ...]
    there: tuple[int, ...]
    gap_here: float
    gap_there: float
    standard_errors: float
    chance: float


@dataclass(frozen=True)
class Intransitivity:
    """Of one species' payoffs.

    Attributes:
        raw: In [0, 1], residual sum of squares of the additive fit as a share of the sum about the mean. Noise alone
            makes it positive. 0 where all cells are equal.
        corrected: In [0, 1], after both sums have lost what noise is expected to add. NaN where that cannot be said:
            a cell has a single episode, or noise is expected to make up more than half of the sum about the mean.
        chance: How likely noise alone gives a residual so large: the share of 1000 tables with episodes' residuals at
            random signs (the table itself among them) in which it is. At least 2^(1 − episodes), about; NaN with one.
        reversal: The clearest; None where none is clear.
    """

    raw: float
    corrected: float
    chance: float
    reversal: Reversal | None


def intransitivity(episodes: ArrayLike, species: int, rng: np.random.Generator) -> Intransitivity:
    """Whether the order of a species' policies depends on whom they meet.

    With more than two species the table is unfolded: a policy's opponents are the profiles of all others, so what is
    asked stays the same. The noise of cells is estimated with its correlations, which common seeds bring about.

    Args:
        episodes: `(n_1, …, n_K, episodes)`, payoffs of `species`; NaN where an episode has no value or a profile was
            not played, which leaves it out.
        species: Whose, 0 … K − 1.
        rng: For the signs.
    """
    table = unfold(episodes, species)
    others = tuple(n for axis, n in enumerate(np.shape(episodes)[:-1]) if axis != species)
    parts = _Parts.of(table)
    return Intransitivity(parts.raw, parts.corrected, parts.chance(rng), _clearest(table, others))


@dataclass(frozen=True, eq=False)
class _Parts:
    """The two parts of a table about its mean: column 0 of the means, further ones of each episode's influence.

    Attributes:
        cyclic: `(cells, 1 + episodes)`, cells that were played.
        additive: The same shape.
        cells: What they are parts of.
    """

    cyclic: Floats
    additive: Floats
    cells: Cells

    @classmethod
    def of(cls, table: Floats) -> _Parts:
        rows, columns = np.nonzero(~np.isnan(table).all(axis=-1))
        cells = Cells.of(table[rows, columns])
        count = len(rows)
        tables = np.column_stack([cells.means, cells.influences])
        centred = tables - tables.sum(axis=0) / max(count, 1)
        design = np.zeros((count, table.shape[0] + table.shape[1]))
        design[np.arange(count), rows] = design[np.arange(count), table.shape[0] + columns] = 1.0
        additive = design @ np.linalg.lstsq(design, centred, rcond=None)[0] if count else centred
        return cls(centred - additive, additive, cells)

    def is_nothing(self, *parts: Floats) -> bool:
        """The parts of the means come from rounding."""
        scale = np.abs(self.cells.means).max(initial=0.0)
        squares = sum(float((part[:, 0] ** 2).sum()) for part in parts)
        return bool(squares <= len(self.cyclic) * (_NEGLIGIBLE * scale) ** 2)

    @property
    def raw(self) -> float:
        cyclic, additive = (float((part[:, 0] ** 2).sum()) for part in (self.cyclic, self.additive))
        return 0.0 if self.is_nothing(self.cyclic, self.additive) else cyclic / (cyclic + additive)

    @property
    def corrected(self) -> float:
        n = self.cells.n
        if (n < 2).any():
            return float("nan")
        if self.is_nothing(self.cyclic, self.additive):
            return 0.0
        widened = float((n / (n - 1)).mean())
        sums = [(part**2).sum(axis=0) for part in (self.cyclic, self.additive)]
        cyclic, additive = (float(each[0]) for each in sums)
        cyclic_noise, additive_noise = (widened * float(each[1:].sum()) for each in sums)
        total, noise = cyclic + additive, cyclic_noise + additive_noise
        if noise > total / 2:
            return float("nan")
        return min(max(cyclic - cyclic_noise, 0.0) / (total - noise), 1.0)

    def chance(self, rng: np.random.Generator) -> float:
        """By turning the signs of whole episodes, which under noise alone changes nothing that one could expect."""
        count = self.cyclic.shape[1] - 1
        if count < 2:
            return float("nan")
        if self.is_nothing(self.cyclic):
            return 1.0
        each = self.cyclic[:, :1] / count + self.cyclic[:, 1:]
        products = each.T @ each
        signs = np.vstack([np.ones(count), rng.choice([-1.0, 1.0], size=(_FLIPS, count))])
        sums = ((signs @ products) * signs).sum(axis=1)
        return float((sums >= sums[0] * (1 - _NEGLIGIBLE)).mean())


def _clearest(table: Floats, others: tuple[int, ...]) -> Reversal | None:
    """The reversal whose less clear gap is the most standard errors from 0."""
    policies, profiles, _ = table.shape
    values = table[~np.isnan(table)]
    smallest_error = _NEGLIGIBLE * float(np.ptp(values)) if values.size else 0.0
    best: Reversal | None = None
    for one in range(policies - 1):
        gaps, errors, n = _paired(table[one] - table[one + 1 :])
        floored = np.where(n > 1, np.maximum(errors, smallest_error), np.inf)
        clear = np.divide(gaps, floored, out=np.zeros_like(gaps), where=floored > 0)
        strength = np.minimum(clear.max(axis=1), -clear.min(axis=1))
        other = int(strength.argmax())
        if strength[other] < (best.standard_errors if best else CLEAR):
            continue
        here, there = int(clear[other].argmax()), int(clear[other].argmin())
        chance = _chance(float(strength[other]), int(n[other, [here, there]].min()))
        best = Reversal(
            better=one,
            worse=one + 1 + other,
            here=_profile(here, others),
            there=_profile(there, others),
            gap_here=float(gaps[other, here]),
            gap_there=float(gaps[other, there]),
            standard_errors=float(strength[other]),
            chance=min(1.0, chance * profiles * policies * (policies - 1) / 2),
        )
    return best


def _paired(differences: Floats) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Means, their standard errors (0 with fewer than two episodes) and n, of differences per episode."""
    is_there = ~np.isnan(differences)
    n = is_there.sum(axis=-1)
    means = np.where(is_there, differences, 0.0).sum(axis=-1) / np.maximum(n, 1)
    squares = np.where(is_there, differences - means[..., None], 0.0) ** 2
    return means, np.sqrt(squares.sum(axis=-1) / np.maximum(n * (n - 1), 1)), n


def _chance(standard_errors: float, n: int) -> float:
    """That a t statistic of n episodes exceeds so many standard errors."""
    from scipy.special import stdtr

    return float(stdtr(n - 1, -standard_errors))


def _profile(index: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(policy) for policy in np.unravel_index(index, shape)) if shape else ()
