"""Selection: whom a member may copy, and which of those it does. Pure; a selection answers for one member.

Every selection is asked by the same rules, which are not its own: quorum, gap, burn-in, who can be a donor at all (see
marl_pbt.decision). A new one runs the contract in tests/contracts/selection.py by one line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from marl_pbt.standings import Score

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Ranking:
    """Members from best to worst.

    Attributes:
        order: Members, best first; equal means stand in random order.
        scores: Per member.
        maximize: True when larger is better.
    """

    order: tuple[int, ...]
    scores: Mapping[int, Score]
    maximize: bool = True

    @classmethod
    def of(cls, scores: Mapping[int, Score], maximize: bool, rng: np.random.Generator) -> Ranking:
        """Rank finite scores; what is not finite is left out."""
        finite = {member: score for member, score in sorted(scores.items()) if score.is_finite}
        ties = dict(zip(finite, rng.permutation(len(finite)).tolist(), strict=True))
        sign = -1 if maximize else 1
        order = sorted(finite, key=lambda member: (sign * finite[member].mean, ties[member]))
        return cls(tuple(order), finite, maximize)

    def best(self, share: float) -> tuple[int, ...]:
        """The best share of the members: ⌈N·share⌉, at most ⌊N/2⌋."""
        return self.order[: _count(share, len(self.order))]

    def worst(self, share: float) -> tuple[int, ...]:
        """The worst share, counted the same way: it never overlaps with the best."""
        return self.order[len(self.order) - _count(share, len(self.order)) :]

    def others(self, member: int) -> tuple[int, ...]:
        """Everybody else, best first."""
        return tuple(other for other in self.order if other != member)

    def gap(self, donor: int, loser: int) -> float:
        """By how much the donor is better; negative where it is worse."""
        return (self.scores[donor].mean - self.scores[loser].mean) * (1 if self.maximize else -1)

    def pooled_error(self, one: int, other: int) -> float:
        """The standard error of the difference between two members' means."""
        return math.hypot(self.scores[one].standard_error, self.scores[other].standard_error)


DonorChoice: TypeAlias = "Callable[[Sequence[int], Ranking, np.random.Generator], int]"
"""Which of the possible donors, best first and at least one, is copied."""


class Selection(Protocol):
    """Names whom a member may copy."""

    def donors(self, member: int, ranking: Ranking, rng: np.random.Generator) -> Sequence[int]:
        """Whom it may copy.

        Args:
            member: Who asks; it is ranked.
            ranking: Of all whose score counts; there may be nobody else.
            rng: The decision's own.

        Returns:
            Ranked members, best first, none of them worse than the member and never itself; empty: it copies nobody.
        """


@dataclass(frozen=True)
class Truncation:
    """The worst share copies one of the best share (Jaderberg et al. 2017, sec. 4.1, "truncation selection").

    Attributes:
        bottom: Share of losers; ⌈N·bottom⌉ of them, at most ⌊N/2⌋; 0 for none.
        top: Share of possible donors, counted the same way.
    """

    bottom: float = 0.25
    top: float = 0.25

    def donors(self, member: int, ranking: Ranking, rng: np.random.Generator) -> Sequence[int]:
        """The beginning of the ranking for those at its end."""
        del rng
        return ranking.best(self.top) if member in ranking.worst(self.bottom) else ()


@dataclass(frozen=True)
class TTest:
    """Sample another member; copy it if it is better and Welch's t-test says so (Jaderberg et al. 2017, sec. 4.1).

    The paper tests the last ten episodes of both; mean, standard error and number of episodes of the score window are
    all that the test needs. Any member but the best may copy at any ready point.

    Attributes:
        significance: The two-sided p-value must be below it.
    """

    significance: float = 0.05

    def donors(self, member: int, ranking: Ranking, rng: np.random.Generator) -> Sequence[int]:
        """The sampled one, or nobody."""
        rival = _sampled(member, ranking, rng)
        if rival is None or not ranking.gap(rival, member) > 0:
            return ()
        return (rival,) if welch_p(ranking.scores[rival], ranking.scores[member]) < self.significance else ()


@dataclass(frozen=True)
class BinaryTournament:
    """Sample another member; copy it if it is better (Jaderberg et al. 2017, sec. 4.1, "binary tournament").

    Any member but the best may copy at any ready point.
    """

    def donors(self, member: int, ranking: Ranking, rng: np.random.Generator) -> Sequence[int]:
        """The sampled one, or nobody."""
        rival = _sampled(member, ranking, rng)
        return (rival,) if rival is not None and ranking.gap(rival, member) > 0 else ()


def uniform_donor(donors: Sequence[int], ranking: Ranking, rng: np.random.Generator) -> int:
    """All alike (Jaderberg et al. 2017, sec. 4.1)."""
    del ranking
    return donors[int(rng.integers(len(donors)))]


def rank_weighted_donor(donors: Sequence[int], ranking: Ranking, rng: np.random.Generator) -> int:
    """Of k donors the best with weight k, the next with k − 1, the last with 1 (linear ranking: Baker 1985)."""
    del ranking
    weights = [len(donors) - place for place in range(len(donors))]
    return int(rng.choice(donors, p=[weight / sum(weights) for weight in weights]))


def welch_p(one: Score, other: Score) -> float:
    """The two-sided p-value of Welch's t-test (Welch 1947) for a difference of two means.

    1 where it cannot be told: fewer than two episodes on a side, or a difference that is not finite.
    """
    from scipy.special import stdtr  # not before it is needed: it takes longer to import than all else here

    error, gap = math.hypot(one.standard_error, other.standard_error), one.mean - other.mean
    if min(one.episodes, other.episodes) < 2 or not math.isfinite(gap) or not math.isfinite(error):
        return 1.0
    if error == 0:
        return 0.0 if gap else 1.0
    shares = ((one.standard_error / error) ** 4, (other.standard_error / error) ** 4)
    freedom = 1 / (shares[0] / (one.episodes - 1) + shares[1] / (other.episodes - 1))
    return float(2 * stdtr(freedom, -abs(gap / error)))


def _sampled(member: int, ranking: Ranking, rng: np.random.Generator) -> int | None:
    others = ranking.others(member)
    return others[int(rng.integers(len(others)))] if others else None


def _count(share: float, members: int) -> int:
    # 1e-9: 0.2 × 5 is a little more than 1 in floating point and must not become 2.
    return min(math.ceil(members * share - 1e-9), members // 2)
