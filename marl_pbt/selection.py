"""Selection: who among the ranked is a loser, and who may be copied."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

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

    def gap(self, donor: int, loser: int) -> float:
        """By how much the donor is better; negative where it is worse."""
        return (self.scores[donor].mean - self.scores[loser].mean) * (1 if self.maximize else -1)

    def pooled_error(self, one: int, other: int) -> float:
        """The standard error of the difference between two members' means."""
        return math.hypot(self.scores[one].standard_error, self.scores[other].standard_error)


class Selection(Protocol):
    """Splits a ranking into those who copy and those who may be copied."""

    def losers(self, ranking: Ranking) -> Sequence[int]:
        """Who copies somebody."""

    def donors(self, ranking: Ranking) -> Sequence[int]:
        """Who may be copied, best first; never one of the losers."""


@dataclass(frozen=True)
class Truncation:
    """The worst share copies one of the best share (Jaderberg et al. 2017, sec. 4.1, "truncation selection").

    Attributes:
        bottom: Share of losers; ⌈N·bottom⌉ of them, at most ⌊N/2⌋; 0 for none.
        top: Share of possible donors, counted the same way.
    """

    bottom: float = 0.25
    top: float = 0.25

    def losers(self, ranking: Ranking) -> Sequence[int]:
        """The end of the ranking."""
        return ranking.order[len(ranking.order) - _share(self.bottom, len(ranking.order)) :]

    def donors(self, ranking: Ranking) -> Sequence[int]:
        """The beginning of the ranking."""
        return ranking.order[: _share(self.top, len(ranking.order))]


def _share(share: float, members: int) -> int:
    # 1e-9: 0.2 × 5 is a little more than 1 in floating point and must not become 2.
    return min(math.ceil(members * share - 1e-9), members // 2)
