"""Whom a member's policies meet at a ready point. Pure.

Everybody meets the same opponents: the other members as they were one ready point earlier. Were they met in their
newest versions, who is ready early would meet weaker ones than who is late, and with members that take turns on a
worker that would always be the same members. Who is ahead by more than a ready point still meets what there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from marl_pbt.cross_play.match import Opponent
from marl_pbt.streams import stream


@dataclass(frozen=True)
class CrossPlayRules:
    """How policies are scored by cross-play.

    Attributes:
        opponents: How many are met at a ready point, as far as there are so many.
        episodes: With each.
        past: Share of them that is older than the others, once there is somebody older.
        ready_points: The latest this many, since the last exploit, make the score.
        kept: Older versions that every member leaves in the archive.
        guest_worlds: Share of the training worlds in which one species trains and guests play the others.
        population: N.
    """

    opponents: int = 6
    episodes: int = 1
    past: float = 0.25
    ready_points: int = 2
    kept: int = 4
    guest_worlds: float = 0.0
    population: int = 8

    @property
    def least_opponents(self) -> int:
        """With fewer a policy is pending: half of those that there can be."""
        return -(-min(self.opponents, self.population - 1) // 2)


def drawn(
    rules: CrossPlayRules, seed: int, member: int, generation: int, entries: Sequence[tuple[int, int]]
) -> list[Opponent]:
    """Choose opponents: all members choose alike at the same generation; who would be his own has the next instead.

    Args:
        rules: How many, of what age.
        seed: The run's.
        member: Who asks.
        generation: Its ready point.
        entries: Members and generations in the archive.
    """
    rng = stream(seed, "opponents", generation=generation)
    versions: dict[int, list[int]] = {}
    for holder, at in sorted(entries):
        versions.setdefault(holder, []).append(at)
    present, past = (rng.permutation(1 + max(versions, default=-1)).tolist() for _ in range(2))
    wanted_ages = rng.random(rules.opponents)
    contemporary = {each: _nearest(own, generation - 1) for each, own in versions.items() if each != member}
    older = {each: [at for at in versions[each] if at < now] for each, now in contemporary.items()}
    old = _past([each for each in past if older.get(each)], older, generation, wanted_ages)
    old = old[: round(rules.opponents * rules.past)]
    now = [Opponent(each, contemporary[each]) for each in present if each in contemporary]
    return now[: rules.opponents - len(old)] + old


def _past(
    holders: Sequence[int], older: Mapping[int, Sequence[int]], generation: int, ages: Sequence[float] | np.ndarray
) -> list[Opponent]:
    """One older version of each holder, near to where a draw in [0, 1) points between the run's beginning and now."""
    return [
        Opponent(holder, _nearest(older[holder], age * generation), is_past=True)
        for holder, age in zip(holders, ages, strict=False)
    ]


def _nearest(generations: Sequence[int], wanted: float) -> int:
    """Of two equally near ones the older."""
    return min(generations, key=lambda at: (abs(at - wanted), at))
