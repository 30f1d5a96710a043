"""marl_pbt: Population Based Training for multi-agent reinforcement learning.

Members train on their own clocks, publish what they are and how well they do on a board in shared memory, and each
decides for itself whom to follow.

To read it in fifteen minutes: README.md → configs/ppg.yaml → `marl_pbt.protocols` (the seams) → `marl_pbt.member`
(`Member.live_one_interval`, the loop that all this is about) → `marl_pbt.decision`, `marl_pbt.selection` and
`marl_pbt.explore` (what it decides) → `envs/predator_prey_grass` and `agents/ppo` (one environment, one learner).
"""

import logging

__version__ = "0.1.0"

# What is logged is for those who ask for it (a run does); without this, Python would print warnings on its own.
logging.getLogger(__name__).addHandler(logging.NullHandler())
