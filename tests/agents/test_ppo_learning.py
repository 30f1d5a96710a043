from agents import ppo, scripted
from tests.agents.toy_worlds import ToyWorlds

BEST = 60.0  # three individuals of each species, 20 steps, a reward of 1 for the right action


def last_returns(kind, settings, updates):
    worlds = ToyWorlds(num_worlds=16, mortality=0.0, fertility=0.0)
    learner = kind.build({"n_steps": 20, **settings}, worlds.interface, worlds, 0)
    episodes = [episode for _ in range(updates) for episode in learner.update().episodes][-16:]
    return {name: sum(episode.returns[name] for episode in episodes) / 16 for name in worlds.species}


def test_ppo_finds_the_right_actions_of_both_species():
    returns = last_returns(ppo.kind, {"batch_size": 256, "learning_rate": 3e-3, "net_arch": [32]}, updates=30)
    assert min(returns.values()) > 0.9 * BEST


def test_the_random_learner_finds_nothing():
    returns = last_returns(scripted.random_kind, {}, updates=4)
    assert abs(returns["bird"] - BEST / 3) < 4
    assert abs(returns["fish"] - BEST / 4) < 4
