"""Multiple-Frequencies PBT: sub-populations that evolve more and less often, with asymmetric migration. Pure.

Doulazmi et al. 2025 (arXiv 2506.03225): choosing by the latest scores prefers what pays soon, the more so the more
often it is done. So sub-population k of equal ones exploits only at every `frequencies[k]`-th ready point, and compares
its members among themselves. At these ready points the worst quarter copies the best quarter and explores, as in PBT;
and the third quarter (from the top) makes room for migrants, the best members of all other sub-populations, where those
are better. What comes with a migrant's weights is what is asymmetric (the part that their sec. 5.2 takes away again):

- from a steadier sub-population (a rarer one) also its hyperparameters, which have stood the longer test;
- from a more dynamic one the weights only, with the hyperparameters of the best member of one's own sub-population, so
  that what pays soon never gets into where the long run is judged.

A migrant's hyperparameters do not move. All that is checked against the authors' own implementation
(github.com/WaelDLZ/MF-PBT, hpo/utils/mf_pbt_genetics.py), of which nothing was taken but the rules.

What is different, since there are no rounds here:

- "every f-th round" is every ready point whose number is a multiple of f, on each member's own clock. Compared are the
  scores of that ready point, as soon as a quorum of the sub-population has one; who was early decides at a later one.
- All members of the bracket would be handed different migrants by one coordinator. Here each one reckons from the same
  rows which place is its own; two that have read at different times may take the same migrant, which does no harm.
- A migrant must be better by the gap that any donor must be better by, still be better now, and not have copied since;
  more than the quorum of the other sub-populations' members must have a score for that ready point.
- A loser draws its donor from the best quarter; the authors' implementation pairs the two quarters place by place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marl_pbt.decision import Comparison, Decision, Question, Rules, decide_which, members_needed, scores_of
from marl_pbt.selection import Ranking
from marl_pbt.sub_populations import best_donor, decide_apart, members_of, place_of, telling

if TYPE_CHECKING:
    import numpy as np

QUARTER = 0.25


@dataclass(frozen=True)
class MFPBT:
    """`SubPopulations`.

    Attributes:
        population: N; a multiple of the number of frequencies.
        frequencies: Per sub-population: exploits happen at every so many-th ready point; rising.
    """

    population: int
    frequencies: tuple[int, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Members per sub-population."""
        return (self.population // len(self.frequencies),) * len(self.frequencies)

    def decide(self, question: Question, rules: Rules, rng: np.random.Generator) -> Decision:
        """Decide within the member's own sub-population; who is in its third quarter may make room for a migrant."""
        place = place_of(question.own.member, self.sizes)
        every = self.frequencies[place]
        decision, comparison = decide_apart(question, replace(rules, every=every), members_of(place, self.sizes), rng)
        if comparison is not None and decision.reason == "not_selected":
            decision = self._make_room(question, rules, comparison, decision, rng)
        return telling(decision, sub_population=place, every=every)

    def _make_room(
        self, question: Question, rules: Rules, inside: Comparison, decision: Decision, rng: np.random.Generator
    ) -> Decision:
        """Copy a migrant, or leave it at the decision."""
        own, members = question.own.member, members_of(place_of(question.own.member, self.sizes), self.sizes)
        bracket = third_quarter(inside.ranking)
        if own not in bracket:
            return decision
        others = [row for row in question.others if row.member not in members]
        scores = scores_of(others, rules, inside.generation)
        living = self.population - len(members) - sum(row.is_retired for row in others)
        if not scores or len(scores) < members_needed(rules.quorum, living):
            # Not compared: it is asked again when there is a quorum of the others.
            return replace(decision, compared_at=0, why={**decision.why, "migrants_ranked": len(scores)})
        everybody = Comparison(inside.generation, Ranking.of({**inside.ranking.scores, **scores}, rules.maximize, rng))
        migrants = migrants_for(own, bracket, [each for each in everybody.ranking.order if each in scores], everybody)
        if not migrants:
            return decision
        found = decide_which(question, replace(rules, donor=best_donor), everybody, migrants, decision.why, rng)
        if found.donor is None:
            return replace(decision, why={**found.why, "migrant": found.reason})
        return self._received(question, inside, found)

    def _received(self, question: Question, inside: Comparison, found: Decision) -> Decision:
        """With whose hyperparameters the migrant's weights are trained."""
        assert found.donor is not None
        mine, theirs = (place_of(each.member, self.sizes) for each in (question.own, found.donor))
        comes_from_steadier = self.frequencies[theirs] > self.frequencies[mine]
        best = next(row for row in question.others if row.member == inside.ranking.order[0])
        why = {**found.why, "migrant_from": theirs}
        return replace(
            found, reason="migration", teacher=None if comes_from_steadier else best, explores=False, why=why
        )


def third_quarter(ranking: Ranking) -> tuple[int, ...]:
    """Those right above the worst quarter, as many as there are in it; never one of the best quarter."""
    count = len(ranking.worst(QUARTER))
    end = len(ranking.order) - count
    return ranking.order[max(count, end - count) : end]


def migrants_for(own: int, bracket: Sequence[int], migrants: Sequence[int], everybody: Comparison) -> Sequence[int]:
    """The migrants that a member of the bracket may take, best first: those that better ones in it leave; empty: none.

    Best first, each member of the bracket takes the best migrant that is left, if that is better than itself.
    """
    taken = 0
    for member in bracket[: bracket.index(own)]:
        taken += taken < len(migrants) and everybody.ranking.gap(migrants[taken], member) > 0
    return [migrant for migrant in migrants[taken:] if everybody.ranking.gap(migrant, own) > 0]
