"""The toy that the population is tested with keeps the promises of every learner."""

from typing import ClassVar

import numpy as np
from gymnasium import spaces

from marl_pbt.protocols import Interface
from tests.contracts.learner import PlayingLearnerContract
from tests.marl_pbt import toy_learner


class NoWorlds:
    """All that a learner without an environment is asked about."""

    species = ("cat", "mouse")
    num_worlds = 1
    observation_spaces: ClassVar = {name: spaces.Box(0.0, 1.0, (2,), np.float32) for name in species}
    action_spaces: ClassVar = {name: spaces.Discrete(3) for name in species}


class TestToyLearner(PlayingLearnerContract):
    kind, settings, make_worlds = toy_learner.kind, {"n_steps": 10}, NoWorlds


def test_names_its_own_species_where_there_is_no_environment():
    described = toy_learner.kind.describe({}, Interface((), {}, {}))
    learner = toy_learner.kind.build({}, Interface((), {}, {}), None, seed=0)
    assert tuple(described.hyperparameters) == tuple(described.snapshot_bytes) == learner.species == ("fox", "hare")


def test_learns_faster_with_a_better_learning_rate():
    skills = {}
    for rate in (1e-4, 0.02):
        learner = toy_learner.kind.build({}, Interface((), {}, {}), None, seed=0)
        learner.set_hyperparameters("fox", {"learning_rate": rate})
        for _ in range(40):
            learner.update()
        skills[rate] = learner.skill("fox")
    assert skills[1e-4] < 20 < 90 < skills[0.02] <= 100
