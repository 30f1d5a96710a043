"""PPO on the flagship environment."""

import pytest

from agents import ppo, scripted
from envs.predator_prey_grass import parallel_env
from marl_pbt.protocols import Interface
from tests.contracts.learner import PlayingLearnerContract


class TestPPO(PlayingLearnerContract):
    kind, settings = ppo.kind, {"n_steps": 8, "batch_size": 128, "net_arch": [8]}
    make_worlds = staticmethod(lambda: parallel_env(max_steps=20).batched(4))


class TestRandom(PlayingLearnerContract):
    kind, settings = scripted.random_kind, {"n_steps": 8}
    make_worlds = staticmethod(lambda: parallel_env(max_steps=20).batched(4))


def build(kind, settings, num_worlds):
    worlds = parallel_env().batched(num_worlds)
    interface = Interface(worlds.species, worlds.observation_spaces, worlds.action_spaces)
    return kind.build(settings, interface, worlds, 0)


def test_returns_are_reported_unscaled():
    """A birth is worth 10, whatever the learner makes of it."""
    learner = build(ppo.kind, {"n_steps": 250, "reward_scale": 0.01, "n_epochs": 1}, 8)
    returns = [value for _ in range(2) for episode in learner.update().episodes for value in episode.returns.values()]
    assert max(returns) >= 10
    assert all(value % 10 == 0 for value in returns)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_million_agent_steps_bring_coexistence():
    settings = {"n_steps": 32, "n_epochs": 2, "learning_rate": 5e-4, "ent_coef": 0.01}
    learner = build(ppo.kind, settings, 64)
    agent_steps, report = 0, learner.update()
    while agent_steps < 2_000_000:
        report = learner.update()
        agent_steps += report.clocks.agent_steps
    assert report.metrics["ecology/predator_population"] > 8
    assert report.metrics["ecology/prey_population"] > 15
