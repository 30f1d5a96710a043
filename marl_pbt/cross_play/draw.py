"""Whom a member's policies meet at a ready point. Pure.

Everybody meets the same opponents: the other members as they were one ready point earlier. Were they met in their
newest versions, who is ready early would meet weaker ones than who is late, and with members that take turns on a
worker that would always be the same members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from marl_pbt.cross_play.meetings import Opponent
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
    """

    opponents: int = 6
    episodes: int = 1
    past: float = 0.25
    ready_points: int = 2
    kept: int = 4
    guest_worlds: float = 0.0

    @property
    def least_opponents(self) -> int:
        """With fewer a policy is pending."""
        return -(-self.opponents // 2)


def drawn(
    rules: CrossPlayRules, seed: int, member: int, generation: int, entries: Sequence[tuple[int, int]]
) -> list[Opponent]:
    """Choose opponents: all members choose alike at the same generation, themselves left out.

    Args:
        rules: How many, of what age.
        seed: The run's.
        member: Who asks.
        generation: Its ready point.
        entries: Members and generations in the archive.
    """
    contemporary = _contemporaries(member, generation, entries)
    older = sorted(
        (at, holder) for holder, at in entries if holder != member and at < contemporary.get(holder, 0)
    )  # the oldest first
    wanted_past = min(round(rules.opponents * rules.past), len(older))
    rng = stream(seed, "opponents", generation=generation)
    order = rng.permutation(1 + max((holder for holder, _ in entries), default=-1)).tolist()  # alike for everybody
    chosen = [each for each in order if each in contemporary][: rules.opponents - wanted_past]
    offset = rng.random()
    past = [older[int((nth + offset) * len(older) / wanted_past)] for nth in range(wanted_past)]
    return [Opponent(each, contemporary[each]) for each in chosen] + [
        Opponent(holder, at, is_past=True) for at, holder in past
    ]


def _contemporaries(member: int, generation: int, entries: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Per other member the version of one ready point earlier, or the nearest to it, of two the older."""
    wanted, found = generation - 1, dict[int, int]()
    for holder, at in sorted(entries):
        if holder != member and (holder not in found or abs(at - wanted) < abs(found[holder] - wanted)):
            found[holder] = at
    return found
