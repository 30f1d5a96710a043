"""Which policy is the best so far, where scores depend on who is met and opponents learn.

A score of an hour ago was earned against others than those of now, so it is no yardstick. The leader of a ready point
challenges the best so far: both meet the same opponents, in episodes that nobody was selected by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marl_pbt.standings import BoardRow, Score, Source


@dataclass(frozen=True)
class Challenge:
    """What came of it.

    Attributes:
        incumbent: The best so far; None where there is none.
        score: The challenger's mean return, averaged per opponent first.
        incumbent_score: The other one's, against the same opponents; None without an incumbent.
    """

    incumbent: Source | None
    score: float
    incumbent_score: float | None

    def is_won(self, maximize: bool) -> bool:
        """Whether the challenger is the better one; always where nobody was challenged."""
        if self.incumbent_score is None:
            return True
        return self.score > self.incumbent_score if maximize else self.score < self.incumbent_score

    def to_json(self) -> dict[str, Any]:
        """For the lineage."""
        incumbent = self.incumbent and {"member": self.incumbent.member, "generation": self.incumbent.generation}
        return {"incumbent": incumbent, "score": self.score, "incumbent_score": self.incumbent_score}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Challenge:
        """The inverse of `to_json`."""
        incumbent = data["incumbent"]
        return cls(None if incumbent is None else Source(**incumbent), data["score"], data["incumbent_score"])


def leads(score: Score | None, others: list[BoardRow], maximize: bool) -> bool:
    """Whether nobody else has a better newest score."""
    if score is None or not score.is_finite:
        return False
    sign = 1 if maximize else -1
    theirs = [sign * row.newest.mean for row in others if row.newest is not None and row.newest.is_finite]
    return sign * score.mean >= max(theirs, default=sign * score.mean)
