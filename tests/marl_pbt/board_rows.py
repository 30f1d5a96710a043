"""Rows of a board, and members that decide by them."""

from dataclasses import replace

import numpy as np

from marl_pbt.decision import Question, Rules, decide
from marl_pbt.selection import Truncation
from marl_pbt.standings import BoardRow, Score

FIVE = [0.0, 50.0, 100.0, 150.0, 200.0]


def row(member, *means, error=0.0, **fields):
    """A member that has just passed as many ready points as there are means; None for a pending one."""
    history = tuple((at, Score(mean, error, 20)) for at, mean in enumerate(means, 1) if mean is not None)
    standing = BoardRow(member, len(means), history=history, snapshot_generation=len(means), founder=member)
    return replace(standing, **fields)


def rules(population=5, **fields):
    return replace(Rules(Truncation(), population, min_gap_standard_errors=0.0), **fields)


def ask(rows, member, by=None, seed=0, progress=10.0, compared_at=0):
    by = by or rules(len(rows))
    others = [each for each in rows if each.member != member]
    own = next(each for each in rows if each.member == member)
    return decide(Question(own, others, progress, compared_at), by, np.random.default_rng(seed))


def five(**fields):
    return [row(member, mean, **fields) for member, mean in enumerate(FIVE)]
