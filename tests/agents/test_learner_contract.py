"""The learners of `agents/` keep the promises that every learner makes."""

from agents import digits, ppo, quadratic, scripted
from tests.agents.toy_worlds import ToyWorlds
from tests.contracts.learner import LearnerContract, PlayingLearnerContract


class TestPPO(PlayingLearnerContract):
    kind, settings, make_worlds = ppo.kind, {"n_steps": 8, "batch_size": 64, "net_arch": [16]}, ToyWorlds


class TestRandom(PlayingLearnerContract):
    kind, settings, make_worlds = scripted.random_kind, {"n_steps": 8}, ToyWorlds


class TestQuadratic(LearnerContract):
    kind, settings, make_worlds = quadratic.kind, {"steps": 3}, None


class TestDigits(LearnerContract):
    kind, settings, make_worlds = digits.kind, {"steps": 2, "max_hidden_units": 64}, None
