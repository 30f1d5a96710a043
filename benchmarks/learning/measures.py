"""What is read off a run's scores: one number per run, or one per moment of a run. Higher is better, steps excepted.

A policy's score is its mean return over the episodes with each reference policy, averaged over those. They are of two
sorts, see `docs/evaluation.md`: early ones hardly resist, and how well somebody does against them falls again while he
learns to play against better ones (even random predators earn plenty from one of the early prey). So scores are of the
late half of the panel unless they are called `whole`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

from benchmarks.learning.results import Reading, Reference, Result, Returns
from benchmarks.learning.scoring import LATE
from marl_pbt.seats import RANDOM

Who: TypeAlias = Literal["best", "leader", "mean"]
"""The policy in `best/`; that of the member whose own score is the best at that moment; the mean over all members'."""

WAYS = (0.25, 0.5)
"""Shares of the way from random policies to the late reference policies' own mean score."""


def panel_score(returns: Returns, is_whole: bool = False) -> float:
    """Of one policy."""
    met = [value for name, value in returns.items() if is_whole or name.endswith(LATE)]
    return math.fsum(met) / len(met)


def reading_score(reading: Reading, species: str, who: Who, is_whole: bool = False) -> float:
    """Of a population at one moment; NaN where nobody had a score yet."""
    if who == "mean":
        scores = [panel_score(returns, is_whole) for returns in reading.members[species]]
        return math.fsum(scores) / len(scores)
    chosen = reading.best if who == "best" else reading.leader
    return panel_score(chosen[species], is_whole) if species in chosen else math.nan


def final_score(result: Result, species: str, who: Who, is_whole: bool = False) -> float:
    """At the end of a run."""
    return reading_score(result.readings[-1], species, who, is_whole)


def curve(result: Result, reference: Reference, species: str, who: Who) -> list[tuple[float, float]]:
    """Agent steps of a member and score, from the beginning, where all act about as random ones do."""
    start = panel_score(reference.scores[species][RANDOM])
    return [(0.0, start), *((each.agent_steps, reading_score(each, species, who)) for each in result.readings)]


def level(reference: Reference, species: str, way: float) -> float:
    """The score that lies this share of the way from random policies to the late reference policies."""
    start = panel_score(reference.scores[species][RANDOM])
    late = [panel_score(returns) for name, returns in reference.scores[species].items() if name.endswith(LATE)]
    return start + way * (math.fsum(late) / len(late) - start)


def steps_to(points: Sequence[tuple[float, float]], wanted: float) -> float:
    """Agent steps at which a curve first comes to a score, on a straight line between readings; infinite if never."""
    known = [(steps, value) for steps, value in points if not math.isnan(value)]
    for (before, low), (after, high) in pairwise(known):
        if low < wanted <= high:
            return before + (after - before) * (wanted - low) / (high - low)
    return math.inf
