"""Sample Factory's PPO with one policy for everyone: observations of the good agent's length are padded to 16."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from sample_factory.algo.runners.runner import AlgoObserver, Runner  # type: ignore[import-not-found]
from sample_factory.cfg.arguments import parse_full_cfg, parse_sf_args  # type: ignore[import-not-found]
from sample_factory.envs.env_utils import register_env  # type: ignore[import-not-found]
from sample_factory.train import make_runner  # type: ignore[import-not-found]

from benchmarks.peers.scripts.arguments import keep_to_one_thread, parse_arguments
from benchmarks.peers.scripts.environments import make_environment
from benchmarks.peers.scripts.stopwatch import Stopwatch

MINIBATCH = 512
NUM_MINIBATCHES = 4
ROLLOUT_ROWS = MINIBATCH * NUM_MINIBATCHES
LENGTH = 16
MODES = {
    "serial": {"serial_mode": True, "async_rl": False, "num_workers": 1, "num_envs_per_worker": 16},
    "asynchronous": {"serial_mode": False, "async_rl": True, "num_workers": 2, "num_envs_per_worker": 8},
}
SETTINGS = {
    "rollout": 32,
    "batch_size": MINIBATCH,
    "num_batches_per_epoch": NUM_MINIBATCHES,
    "num_epochs": 4,
    "worker_num_splits": 2,
    "batched_sampling": False,
    "use_rnn": False,
    "nonlinearity": "relu",
    "actor_critic_share_weights": False,
    "normalize_input": False,
    "device": "cpu",
    "decorrelate_experience_max_seconds": 0,
    "save_every_sec": 10**6,
    "experiment_summaries_interval": 10**6,
}


class ListOfAgents(gymnasium.Env[Any, Any]):
    """The environment as Sample Factory wants it: lists in a fixed order, the next episode begins by itself."""

    is_multiagent = True

    def __init__(self, render_mode: str | None = None) -> None:
        self._env = make_environment("simple_tag")
        self._agents = list(self._env.possible_agents)
        self.num_agents = len(self._agents)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (LENGTH,), np.float32)
        self.action_space = self._env.action_space(self._agents[0])
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Start an episode."""
        observations, infos = self._env.reset(seed=seed, options=options)
        return self._pad(observations), self._listed(infos)

    def step(self, action: Sequence[int]) -> Any:
        """Let every agent act once."""
        observations, *others = self._env.step(dict(zip(self._agents, action, strict=True)))
        results = [self._listed(other) for other in others]
        if not self._env.agents:
            observations, _ = self._env.reset()
        return self._pad(observations), *results

    def _listed(self, values: dict[str, Any]) -> list[Any]:
        return [values[agent] for agent in self._agents]

    def _pad(self, observations: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        return [np.pad(seen, (0, LENGTH - len(seen))).astype(np.float32) for seen in self._listed(observations)]


def make_list_of_agents(_name: str, _config: Any = None, _worker: Any = None, render_mode: str | None = None) -> Any:
    """What the workers' processes call."""
    return ListOfAgents(render_mode)


class Measure(AlgoObserver):  # type: ignore[misc]  # known in its own virtual environment only
    """Asks the stopwatch after each update, and ends the training when it is done."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        self._stopwatch = stopwatch

    def on_training_step(self, runner: Runner, training_iteration_since_resume: int) -> None:
        """Called by Sample Factory."""
        if self._stopwatch.is_done(training_iteration_since_resume * ROLLOUT_ROWS):
            runner.cfg.train_for_env_steps = 0


def main() -> None:
    arguments = parse_arguments(__doc__)
    keep_to_one_thread()
    mode = json.loads(arguments.settings)["mode"]
    register_env("simple_tag", make_list_of_agents)
    with tempfile.TemporaryDirectory() as train_dir:
        settings = {"env": "simple_tag", "train_dir": train_dir, "experiment": "a", **SETTINGS, **MODES[mode]}
        words = [f"--{key}={value}" for key, value in settings.items()] + ["--encoder_mlp_layers", "64", "64"]
        parser, _ = parse_sf_args(words)
        _, runner = make_runner(parse_full_cfg(parser, words))
        stopwatch = Stopwatch(arguments.seconds, warm_up=4)
        runner.register_observer(Measure(stopwatch))
        runner.init()
        runner.run()
    told = {"num_envs": 16, "rows_per_rollout": ROLLOUT_ROWS, "batch_size": MINIBATCH, **MODES[mode]}
    stopwatch.report(["sample-factory", "torch"], told)


if __name__ == "__main__":
    main()
