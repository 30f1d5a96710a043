"""The contest as a run trains it: worlds that a warm-up can step, and learners that host guests; without torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.marl_pbt.contest import Contest, ContestKind, ContestLearner, ContestWorlds


class WarmedWorlds(ContestWorlds):
    def step(self, actions):
        return super().step([np.reshape(each, (-1, 1)) for each in actions])  # those of the warm-up are flat


class WarmedContest(Contest):
    """A `ParallelEnv` of which only the batched worlds are played in."""

    def batched(self, num_worlds):
        return WarmedWorlds(num_worlds)

    def reset(self, seed=None, options=None):
        raise NotImplementedError

    def step(self, actions):
        raise NotImplementedError


class HospitableLearner(ContestLearner):
    def host(self, guests, share):
        """They would be met, and nothing learned from them."""


class HospitableKind(ContestKind):
    def describe(self, settings, interface):
        return replace(super().describe(settings, interface), hosts_guests=True)

    def build(self, settings, interface, worlds, seed):
        return HospitableLearner(seed)


make = WarmedContest
kind = HospitableKind()
