"""PPO's update and inference in compiled kernels: the same mathematics as Stable-Baselines3's, several times faster.

Read `ppo` first, then `update`. docs/learner.md tells how it works and why it may be trusted.
"""
