"""Sub-populations: which members are together in one; what all divided populations do alike. Pure.

What a sub-population is for and what it does says its strategy: marl_pbt.mf_pbt, marl_pbt.fire.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from marl_pbt.decision import Comparison, Decision, Question, Rules, compare, decide_among, decide_early
from marl_pbt.selection import Ranking

if TYPE_CHECKING:
    import numpy as np

SMALLEST = 4
"""Members of a sub-population at least: with fewer there are no four quarters, nor a quorum worth the name."""


def place_of(member: int, sizes: Sequence[int]) -> int:
    """Which sub-population a member belongs to, where they lie one behind the other in the order of the members."""
    return next(place for place, end in enumerate(accumulate(sizes)) if member < end)


def members_of(place: int, sizes: Sequence[int]) -> range:
    """Who belongs to a sub-population."""
    begin = sum(sizes[:place])
    return range(begin, begin + sizes[place])


def within(question: Question, members: Container[int]) -> Question:
    """The same question as if these were all members."""
    return replace(question, others=[row for row in question.others if row.member in members])


def decide_apart(
    question: Question, rules: Rules, members: range, rng: np.random.Generator
) -> tuple[Decision, Comparison | None]:
    """Decide as if these were all members: quorum, ranking, gap among them alone; beside it what they were compared by.

    A member whose score is not finite copies one of them, or where none of them is sound anybody who is.
    """
    apart, by = within(question, members), replace(rules, population=len(members), sub_populations=None)
    early = decide_early(apart, by, rng)
    if early is not None and early.reason == "no_donor":
        early = decide_early(question, by, rng)
    if early is not None:
        return early, None
    comparison, ranked = compare(apart, by, rng)
    if comparison is None:
        return Decision(None, "no_quorum", why={"ranked": ranked, "quorum": rules.quorum}), None
    return decide_among(apart, by, comparison, rng), comparison


def best_donor(donors: Sequence[int], ranking: Ranking, rng: np.random.Generator) -> int:
    """A `DonorChoice`: the best."""
    del ranking, rng
    return donors[0]


def telling(decision: Decision, **why: Any) -> Decision:
    """The decision with more of its reasons, these first."""
    return replace(decision, why={**why, **decision.why})
