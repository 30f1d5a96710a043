"""RLlib's PPO on its new API stack, one policy per species."""

from __future__ import annotations

import json
from typing import Any

import ray  # type: ignore[import-not-found]  # in its own virtual environment only
from ray.rllib.algorithms.ppo import PPOConfig  # type: ignore[import-not-found]
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig  # type: ignore[import-not-found]
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv  # type: ignore[import-not-found]
from ray.tune.registry import register_env  # type: ignore[import-not-found]

from benchmarks.peers.scripts.arguments import keep_to_one_thread, parse_arguments
from benchmarks.peers.scripts.environments import make_environment, species_of
from benchmarks.peers.scripts.stopwatch import Stopwatch

NUM_ENVS = 8
MINIBATCH = 512
TRAIN_BATCH = {"predator_prey_grass": 160, "simple_tag": 1024}
"""Env steps of a rollout: about 4096 agent steps. RLlib's `count_steps_by="agent_steps"` fails where agents come and
go (its issue 62635)."""


class LivingAgents(ParallelPettingZooEnv):  # type: ignore[misc]  # known in its own virtual environment only
    """RLlib's wrapper, thinly adapted to births, and to episodes that end for some by death and for others by time.

    The wrapper takes the agents of the first reset for all that there will be, and ends an episode only where all
    agents terminate or all truncate. All copies in this process count together what agents did.
    """

    agent_steps = 0

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.possible_agents = list(environment.possible_agents)
        self.observation_spaces = {agent: environment.observation_space(agent) for agent in self.possible_agents}
        self.action_spaces = {agent: environment.action_space(agent) for agent in self.possible_agents}

    def step(self, action_dict: dict[str, Any]) -> Any:
        """Let every agent act once."""
        LivingAgents.agent_steps += len(action_dict)
        observations, rewards, terminateds, truncateds, infos = self.par_env.step(action_dict)
        is_over, is_time_out = not self.par_env.agents, any(truncateds.values())
        terminateds["__all__"] = is_over and not is_time_out
        truncateds["__all__"] = is_over and is_time_out
        return observations, rewards, terminateds, truncateds, infos


def configure(environment: str, num_env_runners: int) -> Any:
    """PPO with 2 x 64 networks."""
    register_env(environment, lambda _: LivingAgents(make_environment(environment)))
    species = {species_of(agent) for agent in make_environment(environment).possible_agents}
    return (
        PPOConfig()
        .environment(environment)
        .env_runners(num_env_runners=num_env_runners, num_envs_per_env_runner=NUM_ENVS)
        .learners(num_learners=0)
        .multi_agent(
            policies=species,
            policy_mapping_fn=lambda agent, _, **__: species_of(agent),
        )
        .rl_module(
            model_config=DefaultModelConfig(
                fcnet_hiddens=[64, 64], fcnet_activation="relu", head_fcnet_hiddens=[], vf_share_layers=False
            )
        )
        .experimental(_validate_config=False)  # it compares rows of a minibatch with env steps
        .training(num_epochs=4, minibatch_size=MINIBATCH, train_batch_size_per_learner=TRAIN_BATCH[environment])
        .debugging(log_level="ERROR", seed=0)
    )


def count_agent_steps(result: dict[str, Any], num_env_runners: int) -> int:
    """Agent steps so far: counted here, or by runners of their own, which are right where nobody is born."""
    if num_env_runners == 0:
        return LivingAgents.agent_steps
    return int(sum(result["env_runners"]["num_module_steps_sampled_lifetime"].values()))


def main() -> None:
    arguments = parse_arguments(__doc__)
    keep_to_one_thread()
    num_env_runners = json.loads(arguments.settings).get("num_env_runners", 0)
    ray.init(num_cpus=1 + num_env_runners, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)
    try:
        algorithm = configure(arguments.environment, num_env_runners).build_algo()
        stopwatch, agent_steps = Stopwatch(arguments.seconds), 0
        while not stopwatch.is_done(agent_steps):
            agent_steps = count_agent_steps(algorithm.train(), num_env_runners)
        settings = {"num_envs": NUM_ENVS, "env_steps": TRAIN_BATCH[arguments.environment], "batch_size": MINIBATCH}
        stopwatch.report(["ray", "torch"], {"num_env_runners": num_env_runners, **settings})
        algorithm.stop()
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
