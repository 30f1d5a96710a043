"""The decision that a member takes at its ready point: copy somebody, or go on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from marl_pbt.selection import DonorChoice, Ranking, Selection, uniform_donor
from marl_pbt.standings import BoardRow, Score

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Rules:
    """What decides over an exploit; the config's `pbt` section in the form that decides.

    Attributes:
        selection: Whom a member may copy.
        population: N.
        burn_in: Agent steps (or what the clock counts) before the first exploit.
        quorum: More than this share of the members must be ranked; 1 for all of them.
        min_gap: Absolute gap that a donor must exceed.
        min_gap_standard_errors: The same in pooled standard errors.
        maximize: True when a larger score is better.
        compare: At the same ready point, or everyone's newest.
        donor: Which of those that a member may copy it does copy.
        rescue_top: From this share of the ranked a member whose score is not finite takes its donor.
    """

    selection: Selection
    population: int
    burn_in: float = 0.0
    quorum: float = 0.5
    min_gap: float = 0.0
    min_gap_standard_errors: float = 1.0
    maximize: bool = True
    compare: Literal["equal_progress", "latest"] = "equal_progress"
    donor: DonorChoice = uniform_donor
    rescue_top: float = 0.25


@dataclass(frozen=True)
class Question:
    """What a member knows when it decides.

    Attributes:
        own: Its own row, this ready point's score included.
        others: The rows of the other members that could be read.
        progress: Its own clock, in the unit of `Rules.burn_in`.
        compared_at: The last generation whose comparison it has already taken part in; no comparison is made twice.
    """

    own: BoardRow
    others: Sequence[BoardRow]
    progress: float
    compared_at: int = 0


@dataclass(frozen=True)
class Decision:
    """What came of it.

    Attributes:
        donor: The donor's row as it was read, or None: go on.
        reason: `exploit`, `not_finite` (an exploit too), or why not: `burn_in`, `pending`, `no_quorum`,
            `not_selected`, `no_donor`, `gap_too_small`, `caught_up`, `alone`; the member adds `control`,
            `finished`, `donor_unreadable` and `donor_does_not_fit`.
        compared_at: The generation at which scores were compared; 0 for none.
        why: Rank, gap, quorum, for the lineage.
    """

    donor: BoardRow | None
    reason: str
    compared_at: int = 0
    why: dict[str, Any] = field(default_factory=dict)


def decide(question: Question, rules: Rules, rng: np.random.Generator) -> Decision:
    """Decide for one member and species; pure: the same question and generator give the same decision."""
    own = question.own
    if rules.population < 2:
        return Decision(None, "alone")
    score = own.newest
    if score is not None and not score.is_finite:
        return _any_sound_donor(question, rules, rng)
    if question.progress < rules.burn_in:
        # What was earned in it is never compared, not even later.
        return Decision(None, "burn_in", own.generation)
    if score is None:
        return Decision(None, "pending")
    generation, scores = _comparable(question, rules)
    if not generation:
        return Decision(None, "no_quorum", why={"ranked": len(scores), "quorum": rules.quorum})
    return _among_ranked(question, rules, generation, Ranking.of(scores, rules.maximize, rng), rng)


def _among_ranked(
    question: Question, rules: Rules, generation: int, ranking: Ranking, rng: np.random.Generator
) -> Decision:
    own = question.own.member
    why: dict[str, Any] = {
        "compared_at": generation,
        "rank": ranking.order.index(own) + 1,
        "ranked": len(ranking.order),
        "quorum": rules.quorum,
    }
    selected = rules.selection.donors(own, ranking, rng)
    if not selected:
        return Decision(None, "not_selected", generation, why)
    donors = _copyable(question, selected)
    if rules.compare == "equal_progress":  # a copy made since then is not what earned the score of then
        donors = [row for row in donors if row.last_exploit < generation]
    if not donors:
        return Decision(None, "no_donor", generation, why)
    better = [row for row in donors if ranking.gap(row.member, own) > _required_gap(ranking, rules, row.member, own)]
    if not better:
        return Decision(None, "gap_too_small", generation, why | _gaps(ranking, rules, donors[0].member, own))
    still_better = [row for row in better if _is_better_now(row, question.own, rules)]
    if not still_better:
        return Decision(None, "caught_up", generation, why | _gaps(ranking, rules, better[0].member, own))
    donor = _chosen(still_better, rules, ranking, rng)
    return Decision(donor, "exploit", generation, why | _gaps(ranking, rules, donor.member, own))


def _any_sound_donor(question: Question, rules: Rules, rng: np.random.Generator) -> Decision:
    """For a member whose score is not finite: one of the best that there are, without quorum or gap."""
    sound = {row.member: row.newest for row in question.others if row.newest is not None and row.newest.is_finite}
    ranking = Ranking.of(sound, rules.maximize, rng)
    top = ranking.best(rules.rescue_top) or ranking.order[:1]
    donors = _copyable(question, top) or _copyable(question, ranking.order)
    if not donors:
        return Decision(None, "no_donor", why={"ranked": len(ranking.order), "score": "not finite"})
    donor = _chosen(donors, rules, ranking, rng)
    return Decision(donor, "not_finite", question.own.generation, {"ranked": len(ranking.order), "score": "not finite"})


def _chosen(donors: Sequence[BoardRow], rules: Rules, ranking: Ranking, rng: np.random.Generator) -> BoardRow:
    chosen = rules.donor([row.member for row in donors], ranking, rng)
    return next(row for row in donors if row.member == chosen)


def _comparable(question: Question, rules: Rules) -> tuple[int, dict[int, Score]]:
    """The newest generation not compared yet that has a quorum of finite scores, with those; (0, …) for none."""
    own = question.own
    rows = (own, *(row for row in question.others if not row.is_retired))
    population = rules.population - sum(row.is_retired for row in question.others)
    needed = min(math.floor(rules.quorum * population) + 1, population)
    if rules.compare == "latest":
        scores = {row.member: row.newest for row in rows if row.newest is not None and row.newest.is_finite}
        return (own.generation if len(scores) >= needed else 0), scores
    scores = {}
    for generation in range(own.generation, max(own.last_exploit, question.compared_at), -1):
        found = {row.member: row.score_at(generation) for row in rows}
        scores = {member: score for member, score in found.items() if score is not None and score.is_finite}
        if own.member in scores and len(scores) >= needed:
            return generation, scores
    return 0, scores


def _copyable(question: Question, members: Sequence[int]) -> list[BoardRow]:
    """Those whose snapshot can be copied and is not the very version that the member runs already."""
    rows = {row.member: row for row in question.others}
    parent = question.own.parent
    return [
        rows[member]
        for member in members
        if member in rows
        and rows[member].can_be_donor
        and (parent is None or (parent.member, parent.generation) != (member, rows[member].snapshot_generation))
    ]


def _is_better_now(donor: BoardRow, own: BoardRow, rules: Rules) -> bool:
    """Whether the version that would be copied has a better score than the one that would be lost.

    The comparison may be of an earlier ready point, from where the member may have come far.
    """
    assert donor.newest is not None
    assert own.newest is not None
    return donor.newest.mean > own.newest.mean if rules.maximize else donor.newest.mean < own.newest.mean


def _gaps(ranking: Ranking, rules: Rules, donor: int, loser: int) -> dict[str, float | None]:
    """For the lineage; null where the difference of two finite scores is not finite."""
    gaps = {"gap": ranking.gap(donor, loser), "required_gap": _required_gap(ranking, rules, donor, loser)}
    return {name: gap if math.isfinite(gap) else None for name, gap in gaps.items()}


def _required_gap(ranking: Ranking, rules: Rules, donor: int, loser: int) -> float:
    return max(rules.min_gap, rules.min_gap_standard_errors * ranking.pooled_error(donor, loser))
