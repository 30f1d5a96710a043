"""A toy learner that plays in worlds: what comes in there reaches it as it reaches any learner."""

from __future__ import annotations

import numpy as np

from marl_pbt.adapted import AdaptedWorlds
from marl_pbt.faulty import spoiled_learner, spoiled_worlds
from marl_pbt.guarded_worlds import guarded
from tests.marl_pbt.toy_environments import Herd
from tests.marl_pbt.toy_population import Population, WatchedLearner


class WorldlyLearner(WatchedLearner):
    """Lets cows walk at random in every update; what becomes of them is part of its state."""

    def __init__(self, settings, seed):
        super().__init__(settings, seed)
        self.worlds = guarded(spoiled_worlds(AdaptedWorlds(Herd, 2)))
        self.worlds.reset(seed % 2**31)

    def update(self):
        for _ in range(self.settings.n_steps):
            self.worlds.observe(0, np.empty((self.worlds.rows()[0], 3), np.float32))
            self.worlds.step([self._rng.integers(3, size=self.worlds.rows()[0])])
        return super().update()

    def get_state(self):
        return super().get_state() | {f"worlds/{name}": array for name, array in self.worlds.get_state().items()}

    def set_state(self, state):
        inner = {name.removeprefix("worlds/"): array for name, array in state.items() if name.startswith("worlds/")}
        self.worlds.set_state(inner)
        super().set_state(state)


class Herders(Population):
    """A population of them, spoiled where `marl_pbt.fault_points` says so."""

    def learner(self, settings, seed):
        return spoiled_learner(WorldlyLearner(settings, seed))
