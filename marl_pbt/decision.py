"""The decision that a member takes at its ready point: copy somebody, or go on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

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
        every: Scores are compared only at ready points whose number is a multiple of this.
        sub_populations: What each part of a divided population does; None: all members compare with all.
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
    every: int = 1
    sub_populations: SubPopulations | None = None


class SubPopulations(Protocol):
    """A divided population; to which part a member belongs follows from its index alone."""

    def decide(self, question: Question, rules: Rules, rng: np.random.Generator) -> Decision:
        """Decide for one member and species, in the place of `decide`; pure as well."""


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
        reason: `exploit`, `not_finite` (an exploit too), or why not: `burn_in`, `pending`, `not_due`, `no_quorum`,
            `not_selected`, `no_donor`, `gap_too_small`, `caught_up`, `alone`; sub-populations have more, exploits too:
            `migration` (marl_pbt.mf_pbt), `promotion` and `evaluation` (marl_pbt.fire); the member adds `control`,
            `finished`, `donor_unreadable` and `donor_does_not_fit`.
        compared_at: The generation at which scores were compared; 0 for none.
        why: Rank, gap, quorum, for the lineage.
        teacher: Whose hyperparameters are put in force, where the donor's are not taken though the run copies them; the
            member's own row: it keeps its own.
        explores: False where values do not move after this copy.
    """

    donor: BoardRow | None
    reason: str
    compared_at: int = 0
    why: dict[str, Any] = field(default_factory=dict)
    teacher: BoardRow | None = None
    explores: bool = True


@dataclass(frozen=True)
class Comparison:
    """What members were compared by.

    Attributes:
        generation: The ready point.
        ranking: Who was compared.
        by_score: False where another figure ranks than the score: then the donor's need not be the better one now, and
            the figure is of the policy that the donor still has.
    """

    generation: int
    ranking: Ranking
    by_score: bool = True


def decide(question: Question, rules: Rules, rng: np.random.Generator) -> Decision:
    """Decide for one member and species; pure: the same question and generator give the same decision."""
    if rules.sub_populations is not None:
        return rules.sub_populations.decide(question, rules, rng)
    early = decide_early(question, rules, rng)
    if early is not None:
        return early
    comparison, ranked = compare(question, rules, rng)
    if comparison is None:
        return Decision(None, "no_quorum", why={"ranked": ranked, "quorum": rules.quorum})
    return decide_among(question, rules, comparison, rng)


def decide_early(question: Question, rules: Rules, rng: np.random.Generator) -> Decision | None:
    """What is decided before anybody is compared; None: compare."""
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
    since = max(own.last_exploit, question.compared_at)
    if rules.every > 1 and own.generation // rules.every <= since // rules.every:
        return Decision(None, "not_due", why={"every": rules.every})
    return None


def compare(question: Question, rules: Rules, rng: np.random.Generator) -> tuple[Comparison | None, int]:
    """The comparison that the member takes part in, None while there is no quorum; and how many have a score for it."""
    generation, scores = _comparable(question, rules)
    if not generation:
        return None, len(scores)
    return Comparison(generation, Ranking.of(scores, rules.maximize, rng)), len(scores)


def decide_among(question: Question, rules: Rules, comparison: Comparison, rng: np.random.Generator) -> Decision:
    """Copy one of those whom the selection names, or say why not."""
    own, ranking = question.own.member, comparison.ranking
    why: dict[str, Any] = {
        "compared_at": comparison.generation,
        "rank": ranking.order.index(own) + 1,
        "ranked": len(ranking.order),
        "quorum": rules.quorum,
    }
    selected = rules.selection.donors(own, ranking, rng)
    if not selected:
        return Decision(None, "not_selected", comparison.generation, why)
    return decide_which(question, rules, comparison, selected, why, rng)


def decide_which(
    question: Question,
    rules: Rules,
    comparison: Comparison,
    selected: Sequence[int],
    why: Mapping[str, Any],
    rng: np.random.Generator,
) -> Decision:
    """Copy one of these, best first, that can be copied and is better by enough, or say why not."""
    own, generation, ranking = question.own.member, comparison.generation, comparison.ranking
    donors = copyable(question, selected)
    if rules.compare == "equal_progress" and comparison.by_score:
        # a copy made since then is not what earned the score of then
        donors = [row for row in donors if row.last_exploit < generation]
    if not donors:
        return Decision(None, "no_donor", generation, dict(why))
    better = [row for row in donors if ranking.gap(row.member, own) > _required_gap(ranking, rules, row.member, own)]
    if not better:
        return Decision(None, "gap_too_small", generation, {**why, **_gaps(ranking, rules, donors[0].member, own)})
    still = [row for row in better if not comparison.by_score or _is_better_now(row, question.own, rules)]
    if not still:
        return Decision(None, "caught_up", generation, {**why, **_gaps(ranking, rules, better[0].member, own)})
    donor = _chosen(still, rules, ranking, rng)
    return Decision(donor, "exploit", generation, {**why, **_gaps(ranking, rules, donor.member, own)})


def _any_sound_donor(question: Question, rules: Rules, rng: np.random.Generator) -> Decision:
    """For a member whose score is not finite: one of the best that there are, without quorum or gap."""
    sound = {row.member: row.newest for row in question.others if row.newest is not None and row.newest.is_finite}
    ranking = Ranking.of(sound, rules.maximize, rng)
    top = ranking.best(rules.rescue_top) or ranking.order[:1]
    donors = copyable(question, top) or copyable(question, ranking.order)
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
    rows = (own, *question.others)
    needed = members_needed(rules.quorum, rules.population - sum(row.is_retired for row in question.others))
    if rules.compare == "latest":
        scores = scores_of(rows, rules, own.generation)
        return (own.generation if len(scores) >= needed else 0), scores
    scores = {}
    newest = own.generation - own.generation % rules.every
    for generation in range(newest, max(own.last_exploit, question.compared_at), -rules.every):
        scores = scores_of(rows, rules, generation)
        if own.member in scores and len(scores) >= needed:
            return generation, scores
    return 0, scores


def scores_of(rows: Iterable[BoardRow], rules: Rules, generation: int) -> dict[int, Score]:
    """The finite scores, by member, that count in a comparison at a ready point; of those that have not failed."""
    is_at = rules.compare == "equal_progress"
    found = {row.member: row.score_at(generation) if is_at else row.newest for row in rows if not row.is_retired}
    return {member: score for member, score in found.items() if score is not None and score.is_finite}


def members_needed(quorum: float, members: int) -> int:
    """How many of these must have a score before anyone copies."""
    return min(math.floor(quorum * members) + 1, members)


def copyable(question: Question, members: Sequence[int]) -> list[BoardRow]:
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
