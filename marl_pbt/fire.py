"""FIRE PBT: sub-populations judged by how fast their weights would improve, and the evaluators that find it out. Pure.

Dalibard and Jaderberg 2021 (arXiv 2109.13800), "Faster Improvement Rate PBT": of two policies that are equally good and
train with like hyperparameters, the one that improves faster ends better. The population is divided into
sub-populations P1, P2, … and evaluators:

- P1 is plain PBT by score, greedy.
- An evaluator copies the weights of a member of P2 (its parent) and the hyperparameters of the best of P1 (its child),
  and trains with these: its curve says what the parent's weights are good for, once they are trained as P1 trains.
- P2 is PBT as well, but a parent's fitness is by how much its evaluator's curve gets higher than the other evaluators',
  each pair compared from equal scores on (`marl_pbt.curves`). So a parent whose learning rate is too high to score well
  now survives, if its weights are the better ones underneath.
- An evaluator whose curve gets higher than the child's, in so many points that chance (a sign test) is below `p_value`,
  has succeeded: the child copies its weights. It gives up where the chance is above `p_value + max(0, 1 − intervals /
  max_intervals)`, where the curves do not overlap after `max_intervals`, and where parent or child have copied somebody
  since. Then it takes another parent.
- P3 is to P2 what P2 is to P1, and so on.

What is different, since everybody decides for himself, from rows alone:

- Nobody assigns evaluators. One that is free looks at whom the others evaluate, and draws one of the parents whom
  nobody does; the paper takes the one whose last evaluation is the longest ago. Two may take the same one at the same
  time: the longer curve counts. Where all are being evaluated it takes any of them, for a member never idles.
- A success is the child's to see: it copies at its own ready point. The evaluator must then have the better score
  *now*, by the gap of all copies; in the paper the faster one may still be the worse one. So P1 never gets worse by it.
  One that is ahead by less than the gap would wait for ever: one interval after `max_intervals` it gives up, too.
- An evaluator whose whole curve is above the child's has succeeded too, whichever of them is the steeper: at equal
  hyperparameters there is nothing that the child could do better. In the paper it must get higher there, too.
- The evaluator's curve does not become the child's: that begins anew, as after any copy.
- A curve has one point per ready point; the paper's are evaluated more often. So `max_intervals`, and the log₂(1 /
  p_value) points of overlap that a success needs at least, are in intervals. Curves are smoothed by local linear
  regression before their overlap and their tops are looked for; the sign test is on what was measured.
- Fitness is the mean over the others and not their sum, so that it has the unit of the score and the gap means the same
  as everywhere. The quorum counts those parents that can be evaluated at the same time.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from marl_pbt.decision import (
    Comparison,
    Decision,
    Question,
    Rules,
    copyable,
    decide_among,
    decide_early,
    decide_which,
    members_needed,
)
from marl_pbt.evaluations import Roles, Rows, Verdict, child_of, fitness_of, has_succeeded, parent_of, verdict
from marl_pbt.selection import Ranking
from marl_pbt.standings import BoardRow
from marl_pbt.sub_populations import best_donor, decide_apart, members_of, telling, within

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class FIRE:
    """`SubPopulations`.

    Attributes:
        roles: Who is what.
        max_intervals: After so many an evaluator that is not clearly better gives up, and one interval later whoever
            nobody has copied.
        p_value: Below it chance is ruled out.
    """

    roles: Roles
    max_intervals: int = 10
    p_value: float = 0.05

    def decide(self, question: Question, rules: Rules, rng: np.random.Generator) -> Decision:
        """Decide as what the member is: one of P1, one of P2, P3, …, or an evaluator."""
        own = question.own.member
        rows = {row.member: row for row in (question.own, *question.others) if not row.is_retired}
        place = self.roles.place(own)
        if self.roles.is_evaluator(own):
            decision = self._as_evaluator(question, rows, rules, rng)
            return telling(decision, sub_population="evaluators", of=f"P{place + 1}")
        if place == 0:
            decision, _ = decide_apart(question, rules, members_of(0, self.roles.sizes), rng)
        else:
            decision = self._as_parent(question, rows, rules, rng)
        if decision.donor is None and question.progress >= rules.burn_in:
            decision = self._promoted(question, rows, rules, rng) or decision
        return telling(decision, sub_population=f"P{place + 1}")

    def _as_parent(self, question: Question, rows: Rows, rules: Rules, rng: np.random.Generator) -> Decision:
        """PBT by the fitness that evaluators have found, in the place of the score."""
        place = self.roles.place(question.own.member)
        apart = within(question, members_of(place, self.roles.sizes))
        early = decide_early(apart, rules, rng)
        if early is not None:
            return decide_early(question, rules, rng) or early if early.reason == "no_donor" else early
        evaluators = self.roles.evaluators_of(place, rows)
        fitness = fitness_of(evaluators, rows, rules.maximize)
        if question.own.member not in fitness:
            return Decision(None, "not_evaluated", why={"ranked": len(fitness)})
        at_once = min(len(self.roles.members(place, rows)), len(evaluators))
        if len(fitness) < members_needed(rules.quorum, at_once):
            return Decision(None, "no_quorum", why={"ranked": len(fitness), "quorum": rules.quorum})
        comparison = Comparison(question.own.generation, Ranking.of(fitness, True, rng), by_score=False)
        return telling(decide_among(apart, rules, comparison, rng), improvement=fitness[question.own.member].mean)

    def _promoted(self, question: Question, rows: Rows, rules: Rules, rng: np.random.Generator) -> Decision | None:
        """Copy the weights of an evaluator that has succeeded with this member's hyperparameters; None: none has."""
        own = question.own
        if own.newest is None or not own.newest.is_finite:
            return None
        scores = {
            row.member: row.newest
            for row in self.roles.evaluators_of(self.roles.place(own.member) + 1, rows)
            if child_of(row, rows) is own
            and row.newest is not None
            and row.newest.is_finite
            and has_succeeded(row, own, rules.maximize, self.p_value)
        }
        if not scores:
            return None
        ranking = Ranking.of({own.member: own.newest, **scores}, rules.maximize, rng)
        by = replace(rules, compare="latest", donor=best_donor)
        found = decide_which(question, by, Comparison(own.generation, ranking), ranking.others(own.member), {}, rng)
        if found.donor is None or found.donor.parent is None:
            return None
        stands = self._verdict(found.donor, rows, rules)
        why = {"evaluated": asdict(found.donor.parent), **stands.why, **found.why}
        return replace(found, reason="promotion", teacher=own, explores=False, why=why)

    def _as_evaluator(self, question: Question, rows: Rows, rules: Rules, rng: np.random.Generator) -> Decision:
        """Go on with the evaluation, or begin another."""
        own = question.own
        is_sound = own.newest is None or own.newest.is_finite
        if question.progress < rules.burn_in and is_sound:
            return Decision(None, "burn_in", own.generation)
        stands = self._verdict(own, rows, rules)
        if stands.word == "evaluating":
            return Decision(None, stands.word, why=stands.why)
        why = {"last": stands.word, **stands.why}
        child, parents = self._best_child(question, rows, rules, rng), self._free_parents(question, rows)
        if child is None or not parents:
            return Decision(None, "no_donor", why=why)
        parent = parents[int(rng.integers(len(parents)))]
        return Decision(parent, "evaluation", own.generation, why, teacher=child, explores=False)

    def _verdict(self, evaluator: BoardRow, rows: Rows, rules: Rules) -> Verdict:
        return verdict(evaluator, rows, rules.maximize, self.max_intervals, self.p_value)

    def _best_child(self, question: Question, rows: Rows, rules: Rules, rng: np.random.Generator) -> BoardRow | None:
        """The best of the sub-population below: by score in P1; in others by fitness, where that is known."""
        place = self.roles.place(question.own.member) - 1
        members = {row.member: row for row in self.roles.members(place, rows) if row.can_be_donor}
        fitness = fitness_of(self.roles.evaluators_of(place, rows), rows, rules.maximize)
        ranked = {member: score for member, score in fitness.items() if member in members}
        if ranked:
            return members[Ranking.of(ranked, True, rng).order[0]]
        scores = {member: row.newest for member, row in members.items() if row.newest is not None}
        order = Ranking.of(scores, rules.maximize, rng).order
        return members[order[0]] if order else None

    def _free_parents(self, question: Question, rows: Rows) -> list[BoardRow]:
        """Parents whom no other evaluator is at; all of them where there is no such one."""
        place = self.roles.place(question.own.member)
        others = [row for row in self.roles.evaluators_of(place, rows) if row is not question.own]
        taken = {parent.member for row in others if (parent := parent_of(row, rows)) is not None}
        members = [row.member for row in self.roles.members(place, rows)]
        return copyable(question, [each for each in members if each not in taken]) or copyable(question, members)
