"""A fresh learner lives through the schedule of an ancestry, under uneven and chained exploits."""

import os

import numpy as np
import pytest

from marl_pbt.ancestry import LineageEvent, ancestry
from marl_pbt.policy_state import ScoreRules
from marl_pbt.protocols import Clocks
from marl_pbt.replaying import Schedule, replay
from marl_pbt.standings import Source
from tests.marl_pbt.toy_learner import SPECIES, ToyLearner, ToySettings
from tests.marl_pbt.toy_population import NOISY, Population, WatchedLearner, evolution, started

RULES = ScoreRules(window=10, min_episodes=2)


def event(kind, member, generation, steps, rate, parent=None):
    told = {"founder": 0, "hyperparameters": {"learning_rate": rate}, "parent": parent}
    return LineageEvent(kind, member, SPECIES[0], generation, Clocks(steps), 0.0, **told)


# Member 0 founds; member 1 copies 0@1 at its own first ready point, far later on its clock; member 2 copies 1@2.
EVENTS = [
    event("start", 0, 0, 0, 0.01),
    event("start", 1, 0, 0, 0.09),
    event("start", 2, 0, 0, 0.08),
    event("ready", 0, 1, 100, 0.01),
    event("ready", 1, 1, 350, 0.09),
    event("exploit", 1, 1, 350, 0.01, Source(0, 1)),
    event("explore", 1, 1, 350, 0.02),
    event("ready", 1, 2, 500, 0.02),
    event("ready", 2, 1, 70, 0.08),
    event("exploit", 2, 1, 70, 0.02, Source(1, 2)),
    event("explore", 2, 1, 70, 0.04),
    event("ready", 2, 2, 170, 0.04),
]


def test_a_schedule_is_told_in_the_steps_of_the_line():
    """R20: 100 steps as member 0, 150 as member 1, 100 as member 2."""
    schedule = Schedule.of(ancestry(EVENTS, SPECIES[0], 2, 2))
    assert schedule.points == {"learning_rate": [(0, 0.01), (100, 0.02), (250, 0.04)]}
    assert schedule.agent_steps == 350
    assert [schedule.at(steps)["learning_rate"] for steps in (0, 99, 100, 249, 250, 9999)] == [
        0.01, 0.01, 0.02, 0.02, 0.04, 0.04,
    ]  # fmt: skip


def test_a_member_that_never_copied_has_its_own_schedule():
    schedule = Schedule.of(ancestry(EVENTS, SPECIES[0], 0, 1))
    assert (schedule.points, schedule.agent_steps) == ({"learning_rate": [(0, 0.01)]}, 100)


def test_a_value_that_is_not_due_yet_is_not_in_force():
    assert Schedule({"rate": [(10, 0.5)]}, 20).at(9) == {}


class Watched(ToyLearner):
    """Notes what was in force when an update began."""

    def update(self):
        self.rates = [*getattr(self, "rates", []), self.get_hyperparameters(SPECIES[0])["learning_rate"]]
        return super().update()


def test_every_update_is_trained_with_what_was_due():
    """R20: the replay reproduces the exact schedule, each value before the first update that it was due at."""
    learner = Watched(ToySettings.read({}), SPECIES, 3)
    per_update = learner.update().clocks.agent_steps
    learner = Watched(ToySettings.read({}), SPECIES, 3)
    points = {"learning_rate": [(0, 0.01), (per_update, 0.02), (2 * per_update + 1, 0.03)]}
    steps = list(replay(learner, {SPECIES[0]: Schedule(points, 5 * per_update)}, RULES))
    assert learner.rates == [0.01, 0.02, 0.02, 0.03, 0.03]
    assert steps[-1].clocks.agent_steps == 5 * per_update
    assert steps[-1].scores[SPECIES[0]].episodes >= 2


def test_a_fresh_learner_trains_with_the_exact_schedule_of_the_surviving_ancestry(tmp_path, monkeypatch):
    """R20: of members of unequal speed that copy copies of copies; update by update, all that was in force."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    population = Population(tmp_path, evolution(6), NOISY)
    population.live(*np.random.default_rng(0).choice(6, size=150, p=[0.05, 0.1, 0.15, 0.2, 0.2, 0.3]).tolist())
    events = started(population) + population.events
    lines = {
        name: max((ancestry(events, name, each.index, each.generation) for each in population.members), key=len)
        for name in SPECIES
    }
    assert all(len({segment.member for segment in line}) >= 3 for line in lines.values())
    schedules = {name: Schedule.of(line) for name, line in lines.items()}
    fresh = WatchedLearner(ToySettings.read(NOISY), 99)
    assert len(list(replay(fresh, schedules, RULES))) == len(fresh.in_force)
    for name, line in lines.items():
        lived = [
            values[name]
            for segment in line
            for values in population[segment.member].learner.in_force[3 * segment.first : 3 * segment.last]
        ]
        assert len(lived) > 20 and len({tuple(values.values()) for values in lived}) >= 3
        assert [values[name] for values in fresh.in_force[: len(lived)]] == lived


def test_species_are_as_old_as_the_oldest_line():
    learner = ToyLearner(ToySettings.read({}), SPECIES, 3)
    schedules = {SPECIES[0]: Schedule({}, 10), SPECIES[1]: Schedule({}, 3000)}
    *_, last = replay(learner, schedules, RULES)
    assert last.clocks.agent_steps == pytest.approx(3000, abs=1000) and last.clocks.agent_steps >= 3000
