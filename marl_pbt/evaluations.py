"""Who evaluates whom in FIRE PBT, and what has come of it: read off the rows of the board. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from marl_pbt.curves import Curve, chance_of_lead, curve_of, lead, overlap
from marl_pbt.standings import BoardRow, Score, Source
from marl_pbt.sub_populations import members_of, place_of

Rows: TypeAlias = "Mapping[int, BoardRow]"
"""By member, of those that have not failed for good."""


@dataclass(frozen=True)
class Roles:
    """Who is what; it follows from a member's index alone.

    Attributes:
        sizes: Members of P1, P2, …, which come in this order; at least two.
        evaluators: How many come behind them; they evaluate P2, P3, … in turn.
    """

    sizes: tuple[int, ...]
    evaluators: int

    def is_evaluator(self, member: int) -> bool:
        """Whether it belongs to no sub-population."""
        return member >= sum(self.sizes)

    def place(self, member: int) -> int:
        """Its sub-population, 0 for P1; an evaluator's: the one that it evaluates, never P1."""
        if self.is_evaluator(member):
            return 1 + (member - sum(self.sizes)) % (len(self.sizes) - 1)
        return place_of(member, self.sizes)

    def members(self, place: int, rows: Rows) -> list[BoardRow]:
        """The rows of a sub-population."""
        return [rows[member] for member in members_of(place, self.sizes) if member in rows]

    def evaluators_of(self, place: int, rows: Rows) -> list[BoardRow]:
        """The rows of a sub-population's evaluators; P1 has none, nor has what is above the last."""
        begin = sum(self.sizes)
        return [
            rows[member]
            for member in range(begin, begin + self.evaluators)
            if member in rows and self.place(member) == place
        ]


@dataclass(frozen=True)
class Verdict:
    """How an evaluation stands.

    Attributes:
        word: `evaluating`; or why it is over: `idle` (there was none), `succeeded`, `parent_lost`, `child_lost`,
            `not_finite`, `not_faster`, `no_overlap`, `not_promoted`.
        why: Intervals, lead and chance, where curves were compared.
    """

    word: str
    why: dict[str, Any]


def parent_of(evaluator: BoardRow, rows: Rows) -> BoardRow | None:
    """The member whose weights it took, None where that one has copied others since."""
    return None if evaluator.teacher is None else _unchanged(evaluator.parent, rows)


def child_of(evaluator: BoardRow, rows: Rows) -> BoardRow | None:
    """The member whose hyperparameters it took, None where that one has copied since."""
    return _unchanged(evaluator.teacher, rows)


def has_succeeded(evaluator: BoardRow, child: BoardRow, maximize: bool, p_value: float) -> bool:
    """Whether the parent's weights do better with the child's hyperparameters than the child, and not by chance.

    They do where they improve faster from equal scores on, and where they have been above all the time.
    """
    theirs, childs = curve_of(evaluator, maximize), curve_of(child, maximize)
    if theirs is None or childs is None:
        return False
    return chance_of_lead(theirs, childs) < p_value and (theirs.is_above(childs) or lead(theirs, childs) > 0)


def verdict(own: BoardRow, rows: Rows, maximize: bool, max_intervals: int, p_value: float) -> Verdict:
    """How an evaluator's own evaluation stands (the stopping criteria of FIRE PBT)."""
    if own.parent is None or own.teacher is None:
        return Verdict("idle", {})
    if own.newest is not None and not own.newest.is_finite:
        return Verdict("not_finite", {})
    child = child_of(own, rows)
    if child is None:
        now = rows.get(own.teacher.member)
        is_mine = now is not None and now.parent is not None and now.parent.member == own.member
        return Verdict("succeeded" if is_mine else "child_lost", {})
    if parent_of(own, rows) is None:
        return Verdict("parent_lost", {})
    return _weighed(own, child, maximize, max_intervals, p_value)


def fitness_of(evaluators: Iterable[BoardRow], rows: Rows, maximize: bool) -> dict[int, Score]:
    """Per parent the mean lead of its evaluator's curve over those of the others; larger is better in either mode.

    Ranked are parents whose evaluator has two points at least, if there are two such; of two evaluators of the same
    parent the longer curve counts. The standard error is that of the evaluator's newest sound score.
    """
    curves: dict[int, tuple[Curve, Score]] = {}
    for evaluator in evaluators:
        parent, curve = parent_of(evaluator, rows), curve_of(evaluator, maximize)
        if parent is None or curve is None or len(curve) < 2:
            continue
        if parent.member not in curves or len(curve) > len(curves[parent.member][0]):
            newest = next(score for _, score in reversed(evaluator.history) if score.is_finite)
            curves[parent.member] = (curve, newest)
    if len(curves) < 2:
        return {}
    fitness = {}
    for member, (curve, newest) in curves.items():
        leads = [lead(curve, other) for rival, (other, _) in curves.items() if rival != member]
        fitness[member] = Score(sum(leads) / len(leads), newest.standard_error, newest.episodes)
    return {member: score for member, score in fitness.items() if score.is_finite}


def _weighed(own: BoardRow, child: BoardRow, maximize: bool, max_intervals: int, p_value: float) -> Verdict:
    intervals = own.generation - own.last_exploit
    mine, childs = curve_of(own, maximize), curve_of(child, maximize)
    if mine is None or childs is None:
        return Verdict("no_overlap" if intervals >= max_intervals else "evaluating", {"intervals": intervals})
    chance, is_overlapping = chance_of_lead(mine, childs), overlap(mine, childs) is not None
    ahead = lead(mine, childs)
    why = {"intervals": intervals, "lead": ahead if math.isfinite(ahead) else None, "chance": chance}
    if is_overlapping and chance > p_value + max(0.0, 1 - intervals / max_intervals):
        return Verdict("not_faster", why)
    if not is_overlapping and intervals >= max_intervals and not mine.is_above(childs):
        return Verdict("no_overlap", why)
    # Who is ahead at the last interval is left one more: it is the child that copies, at a ready point of its own.
    return Verdict("not_promoted" if intervals > max_intervals else "evaluating", why)


def _unchanged(source: Source | None, rows: Rows) -> BoardRow | None:
    row = None if source is None else rows.get(source.member)
    return row if row is not None and source is not None and source.generation > row.last_exploit else None
