"""marl_pbt's PPO learner, one policy per species."""

from __future__ import annotations

import json

from benchmarks.peers.scripts.arguments import keep_to_one_thread, parse_arguments
from benchmarks.peers.scripts.stopwatch import Stopwatch

NUM_WORLDS = 64
SOURCES = {
    "predator_prey_grass": ("envs.predator_prey_grass:parallel_env", {}),
    "simple_tag": ("mpe2.simple_tag_v3:parallel_env", {"continuous_actions": False}),
}
"""Name → import string, config: as a user names an environment in the YAML."""


def main() -> None:
    arguments = parse_arguments(__doc__)
    keep_to_one_thread()
    from agents.ppo import kind
    from marl_pbt.environments import EnvironmentSource, interface_of

    settings = {"n_steps": 32, "n_epochs": 4, "net_arch": [64, 64], **json.loads(arguments.settings)}
    worlds = EnvironmentSource(*SOURCES[arguments.environment]).open_worlds(NUM_WORLDS)
    learner = kind.build(settings, interface_of(worlds), worlds, seed=0)
    stopwatch, agent_steps = Stopwatch(arguments.seconds), 0
    while not stopwatch.is_done(agent_steps):
        agent_steps += learner.update().clocks.agent_steps
    stopwatch.report(["stable-baselines3", "torch"], {"num_worlds": NUM_WORLDS, **settings})


if __name__ == "__main__":
    main()
