"""The learner keeps its promises on each of the kernels' paths, resuming bit for bit among them."""

from agents import ppo
from envs.predator_prey_grass import parallel_env
from tests.agents.toy_worlds import ToyWorlds
from tests.contracts.learner import PlayingLearnerContract

SETTINGS = {"n_steps": 8, "batch_size": 64, "net_arch": [32, 48]}


class TestSparse(PlayingLearnerContract):
    kind, settings, make_worlds = ppo.kind, {**SETTINGS, "update_path": "sparse"}, ToyWorlds


class TestDense(PlayingLearnerContract):
    kind, settings, make_worlds = ppo.kind, {**SETTINGS, "update_path": "dense"}, ToyWorlds


class TestOnPredatorPreyGrass(PlayingLearnerContract):
    kind, settings = ppo.kind, {"n_steps": 8, "batch_size": 128}
    make_worlds = staticmethod(lambda: parallel_env(max_steps=20).batched(4))

    def test_runs_on_lists(self):
        learner = self.build()
        learner.update()
        assert {species.model.path_in_use for species in learner._species.values()} == {"sparse"}
