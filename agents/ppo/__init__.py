"""Independent PPO per species on Stable-Baselines3, trained from one joint rollout.

The config's `learner.make: agents.ppo:kind`. Read `learner.py` for the loop, `species.py` for what one species is, and
`buffer.py` for how ragged rows reach Stable-Baselines3's own `PPO.train()`. Importing this package imports neither
torch nor Stable-Baselines3.
"""

from agents.ppo.kind import PPOKind

kind = PPOKind()

__all__ = ["PPOKind", "kind"]
