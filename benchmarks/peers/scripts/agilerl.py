"""AgileRL's IPPO with its evolution on: a population of 2, a tournament and mutations after each generation."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

from agilerl.algorithms import IPPO  # type: ignore[import-not-found]  # in its own virtual environment only
from agilerl.hpo.mutation import Mutations  # type: ignore[import-not-found]
from agilerl.hpo.tournament import TournamentSelection  # type: ignore[import-not-found]
from agilerl.training.train_multi_agent_on_policy import train_multi_agent_on_policy  # type: ignore[import-not-found]
from agilerl.vector import AsyncPettingZooVecEnv  # type: ignore[import-not-found]

from benchmarks.peers.scripts.arguments import keep_to_one_thread, parse_arguments
from benchmarks.peers.scripts.environments import make_environment
from benchmarks.peers.scripts.stopwatch import Stopwatch

POPULATION = 2
NUM_ENVS = 8
ROLLOUT = 1024
MINIBATCH = 512
LAYERS = {"encoder_config": {"hidden_size": [64]}, "head_config": {"hidden_size": [64]}}


class DoneError(Exception):
    """Enough was measured."""


class CountedIPPO(IPPO):  # type: ignore[misc]  # known in its own virtual environment only
    """Counts what it learns from, over all members."""

    agent_steps = 0

    def learn(self, experiences: tuple[Any, ...]) -> Any:
        """Learn from one rollout of every agent."""
        states = experiences[0]
        CountedIPPO.agent_steps += sum(len(step) for steps in states.values() for step in steps)
        return super().learn(experiences)


class MeasuredMutations(Mutations):  # type: ignore[misc]
    """Asks the stopwatch at the end of each generation, when the next one has been mutated."""

    def __init__(self, stopwatch: Stopwatch, **probabilities: Any) -> None:
        super().__init__(**probabilities)
        self._stopwatch = stopwatch

    def mutation(self, *arguments: Any, **named: Any) -> Any:
        """Mutate the population."""
        mutated = super().mutation(*arguments, **named)
        if self._stopwatch.is_done(CountedIPPO.agent_steps):
            raise DoneError
        return mutated


def main() -> None:
    arguments = parse_arguments(__doc__)
    keep_to_one_thread()
    environment = make_environment("simple_tag")
    agents = environment.possible_agents
    population = CountedIPPO.population(
        POPULATION,
        [environment.observation_space(agent) for agent in agents],
        [environment.action_space(agent) for agent in agents],
        agent_ids=agents,
        net_config=LAYERS,
        batch_size=MINIBATCH,
        learn_step=ROLLOUT,
        update_epochs=4,
    )
    stopwatch = Stopwatch(arguments.seconds, warm_up=1)
    mutations = MeasuredMutations(
        stopwatch,
        no_mutation=0.2,
        architecture=0.2,
        new_layer_prob=0.2,
        parameters=0.2,
        activation=0.0,
        rl_hp=0.2,
        rand_seed=0,
    )
    with contextlib.suppress(DoneError):
        train_multi_agent_on_policy(
            AsyncPettingZooVecEnv([partial(make_environment, "simple_tag") for _ in range(NUM_ENVS)]),
            "simple_tag",
            "IPPO",
            population,
            max_steps=10**9,
            evo_steps=ROLLOUT,
            tournament=TournamentSelection(2, True, POPULATION),
            mutation=mutations,
            verbose=False,
        )
    settings = {"population": POPULATION, "num_envs": NUM_ENVS, "env_steps": ROLLOUT, "batch_size": MINIBATCH}
    stopwatch.report(["agilerl", "torch"], settings)


if __name__ == "__main__":
    main()
