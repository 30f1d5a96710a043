"""Version 0 of the environment, named as PettingZoo names its own."""

from envs.predator_prey_grass import env, parallel_env, raw_env

__all__ = ["env", "parallel_env", "raw_env"]
