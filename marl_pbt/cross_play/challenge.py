"""Which policy is the best so far, where scores depend on who is met and opponents learn.

A score of an hour ago was earned against others than those of now, so it is no yardstick. The leader of a ready point
challenges the best so far: both meet the same opponents, in episodes that nobody was selected by. Who leads now has
trained for longer, so the challenge asks only whether that shows to have made it worse. (Asked to be better by a
standard error, which so few episodes hardly ever tell, challengers left an early policy in place for whole runs.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marl_pbt.cross_play.match import Match
from marl_pbt.standings import BoardRow, Score, Source


@dataclass(frozen=True)
class Challenge:
    """What came of it.

    Attributes:
        incumbent: The best so far; None where there is none, and nobody was challenged.
        score: The challenger's mean return, averaged per opponent first.
        incumbent_score: The other one's, against the same opponents; None without an incumbent.
        standard_error: Of their difference, over opponents; None likewise.
    """

    incumbent: Source | None
    score: float
    incumbent_score: float | None = None
    standard_error: float | None = None

    @classmethod
    def between(cls, incumbent: Source, own: Sequence[Match], theirs: Sequence[Match]) -> Challenge:
        """From their matches with the same opponents, at least one, in the same order."""
        gaps = [mine.mean - other.mean for mine, other in zip(own, theirs, strict=True)]
        count, mean = len(gaps), math.fsum(gaps) / len(gaps)
        spread = math.sqrt(math.fsum((gap - mean) ** 2 for gap in gaps) / (count - 1)) if count > 1 else 0.0
        score = math.fsum(match.mean for match in own) / count
        return cls(incumbent, score, score - mean, spread / math.sqrt(count))

    def is_won(self, maximize: bool) -> bool:
        """Whether the challenger is not worse by more than a standard error; always where nobody was challenged."""
        if self.incumbent_score is None or self.standard_error is None:
            return True
        gap = self.score - self.incumbent_score
        return (gap if maximize else -gap) >= -self.standard_error

    @property
    def is_finite(self) -> bool:
        """False where a return was not."""
        known = [value for value in (self.score, self.incumbent_score, self.standard_error) if value is not None]
        return all(math.isfinite(value) for value in known)

    def to_json(self) -> dict[str, Any]:
        """For the lineage."""
        incumbent = self.incumbent and {"member": self.incumbent.member, "generation": self.incumbent.generation}
        return {
            "incumbent": incumbent,
            "score": self.score,
            "incumbent_score": self.incumbent_score,
            "standard_error": self.standard_error,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Challenge:
        """The inverse of `to_json`."""
        incumbent = data["incumbent"]
        source = None if incumbent is None else Source(**incumbent)
        return cls(source, data["score"], data["incumbent_score"], data["standard_error"])


def leads(score: Score | None, others: Sequence[BoardRow], maximize: bool) -> bool:
    """Whether nobody else who still trains has a better newest score."""
    if score is None or not score.is_finite:
        return False
    sign = 1 if maximize else -1
    newest = [row.newest for row in others if not row.is_retired]
    theirs = [sign * each.mean for each in newest if each is not None and each.is_finite]
    return sign * score.mean >= max(theirs, default=sign * score.mean)
