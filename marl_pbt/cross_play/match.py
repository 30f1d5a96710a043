"""What a policy's score is made of where it is scored by cross-play. Pure.

Returns are averaged per opponent first and then over opponents, so that nobody gains by match a weak one often.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marl_pbt.run_directory import member_name
from marl_pbt.standings import Score

ENOUGH_FREEDOM = 8
"""Degrees of freedom from which a variance is known well enough: its error is about 1 / √(2 · 8), a quarter, then."""


@dataclass(frozen=True, order=True)
class Opponent:
    """Who played the other species: one member's policies of all of them.

    Attributes:
        member: Whose they are.
        generation: The ready point at which they were published.
        is_past: True for those out of the archive.
    """

    member: int
    generation: int
    is_past: bool = False

    def __str__(self) -> str:
        return f"{member_name(self.member)}@{self.generation}"

    @property
    def key(self) -> tuple[int, int]:
        """What is one opponent: a member in whatever version, but every past version by itself."""
        return self.member, self.generation if self.is_past else -1


@dataclass(frozen=True)
class Match:
    """The episodes of one policy against one opponent at one ready point.

    Attributes:
        generation: The policy's own, at which they were played.
        opponent: Whom it met.
        returns: Its own, one per episode.
        others: Per other species: the opponent's mean return.
    """

    generation: int
    opponent: Opponent
    returns: tuple[float, ...]
    others: Mapping[str, float]

    @property
    def mean(self) -> float:
        """Its own mean return."""
        return math.fsum(self.returns) / len(self.returns)

    def to_json(self) -> dict[str, Any]:
        """Strict JSON; what is not finite becomes null."""
        return {
            "generation": self.generation,
            "opponent": [self.opponent.member, self.opponent.generation, self.opponent.is_past],
            "returns": [value if math.isfinite(value) else None for value in self.returns],
            "others": {name: value if math.isfinite(value) else None for name, value in self.others.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Match:
        """The inverse of `to_json`; null becomes NaN."""
        member, generation, is_past = data["opponent"]
        return cls(
            int(data["generation"]),
            Opponent(int(member), int(generation), bool(is_past)),
            tuple(_number(value) for value in data["returns"]),
            {name: _number(value) for name, value in data["others"].items()},
        )


def score_of(matches: Sequence[Match], least_opponents: int) -> Score | None:
    """The score that matches make.

    The opponents are taken as they are, not as a sample: the standard error is that of the episodes within opponents,
    their variance pooled over all of them. Where there are too few episodes to tell that, the spread between opponents
    stands in for it, which is larger.

    Args:
        matches: Of one policy.
        least_opponents: With fewer it is pending.

    Returns:
        The mean over opponents of the mean over episodes; None while pending; NaN where a return is not finite.
    """
    by_opponent: dict[tuple[int, int], list[float]] = {}
    for match in matches:
        by_opponent.setdefault(match.opponent.key, []).extend(match.returns)
    groups = list(by_opponent.values())
    if len(groups) < max(least_opponents, 1):
        return None
    episodes = sum(map(len, groups))
    try:
        means = [math.fsum(group) / len(group) for group in groups]
        mean = math.fsum(means) / len(means)
        error = math.sqrt(_variance(groups, means, mean)) / len(groups)
    except (OverflowError, ValueError):  # too large to be summed, or infinities of both signs
        mean = error = math.nan
    return Score(mean, error, episodes)


def _variance(groups: Sequence[Sequence[float]], means: Sequence[float], mean: float) -> float:
    """Of the sum of the groups' means."""
    freedom = sum(len(group) - 1 for group in groups)
    if freedom >= ENOUGH_FREEDOM or len(groups) == 1 < len(groups[0]):
        within = math.fsum((value - own) ** 2 for group, own in zip(groups, means, strict=True) for value in group)
        return within / freedom * math.fsum(1 / len(group) for group in groups)
    if len(groups) == 1:
        return 0.0
    return len(groups) * math.fsum((own - mean) ** 2 for own in means) / (len(groups) - 1)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
