"""Members in synchronous mode on workers that are driven by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from marl_pbt.meeting_point import MeetingPoint
from marl_pbt.worker import who_goes_on
from tests.marl_pbt.toy_learner import SPECIES
from tests.marl_pbt.toy_population import evolution


def synchronous(size, selection=None, **fields):
    by = evolution(size, **{"meeting_timeout_s": 60.0} | fields)
    return by if selection is None else replace(by, rules=replace(by.rules, selection=selection))


class Workers:
    """Each hosts some members; they take turns at random, as processes do."""

    def __init__(self, population, *hosted, timeout_s=60.0):
        self.population = population
        self.hosted = [[population[index] for index in each] for each in hosted or [range(len(population.members))]]
        self.now = 0.0
        board, size = population.board, len(population.members)
        self.points = [MeetingPoint(board, size, len(SPECIES), timeout_s, lambda: self.now) for _ in self.hosted]

    def turn(self, worker):
        """Let one of the worker's members go on; returns which, None where all of them wait."""
        running = [member for member in self.hosted[worker] if not member.is_done]
        member = who_goes_on(running, self.points[worker]) if running else None
        if member is None:
            return None
        member.live_one_interval()
        return member.index

    def wait_in_vain(self, worker, seconds):
        """Time passes in which the worker looks again and again, and nobody comes."""
        for _ in range(7):
            self.now += seconds / 7
            assert self.turn(worker) is None

    def run_to(self, generation, seed=0):
        """Until every hosted member has decided at this generation."""
        rng = np.random.default_rng(seed)
        members = [member for each in self.hosted for member in each]
        while any(member.halves < 2 * generation for member in members):
            behind = [k for k, each in enumerate(self.hosted) if min(m.halves for m in each) < 2 * generation]
            self.turn(behind[rng.integers(len(behind))])
