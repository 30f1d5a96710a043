"""Learners behind `marl_pbt.protocols.Learner`: what a population is made of.

`agents.ppo:kind` is independent PPO per species on Stable-Baselines3; `agents.scripted:random_kind` learns
nothing, as a baseline. A learner of your own needs no more than an object like those two: see
`marl_pbt.protocols.LearnerKind`.
"""
