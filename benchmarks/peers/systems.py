"""What is measured beside what: one row of a table for each system."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class System:
    """One row.

    Attributes:
        name: As the tables show it.
        peer: Its virtual environment, `requirements/<peer>.txt`.
        script: Module in `benchmarks.peers.scripts`.
        settings: What the script needs to know beside the environment.
        cores: How many it may use; its processes are pinned to them.
        differs: In what it is not what the others are.
    """

    name: str
    peer: str
    script: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    cores: int = 1
    differs: str = ""

    def arguments(self, environment: str, seconds: float) -> list[str]:
        """Of the script."""
        words = ["--seconds", str(seconds), "--settings", json.dumps(dict(self.settings))]
        return [*words, "--environment", environment] if environment else words


@dataclass(frozen=True)
class Comparison:
    """One table: the first system is the one that the others are compared to.

    Attributes:
        title: Above the table.
        environment: For the scripts; empty where they have none.
        unit: Of what is measured.
        systems: The rows.
    """

    title: str
    environment: str
    unit: Literal["agent steps/s", "ms"]
    systems: Sequence[System]


OURS: Mapping[str, Mapping[str, Any]] = {
    "ours, minibatch 512": {"batch_size": 512},
    "ours, minibatch 2048": {"batch_size": 2048},
    "ours, minibatch 512, SB3's train()": {"batch_size": 512, "update_path": "sb3"},
}
"""Row → settings of the learner beside 64 worlds × 32 steps, 4 epochs, 2 × 64. Peers are compared to the first."""

_OURS = tuple(System(name, "ours", "ours", settings) for name, settings in OURS.items())

COMPARISONS = {
    "predator_prey_grass": Comparison(
        "Predator–prey–grass (base preset), training end to end",
        "predator_prey_grass",
        "agent steps/s",
        (
            *_OURS,
            System(
                "RLlib PPO",
                "rllib",
                "rllib",
                differs="minibatch 512 of about 4 k rows; its PettingZoo wrapper needs a thin adapter for births; the "
                "smaller species' rows are reused until the larger's are through",
            ),
            System(
                "Stable-Baselines3 PPO + SuperSuit",
                "sb3",
                "sb3",
                differs="one policy for both species, observations padded; minibatch 512 of 4480 rows, most of them "
                "empty slots (140 a world), which are learned from but not counted",
            ),
        ),
    ),
    "simple_tag": Comparison(
        "MPE2 simple_tag (3 adversaries, 1 good agent), training end to end",
        "simple_tag",
        "agent steps/s",
        (
            _OURS[0],  # the environment takes most of the time, whatever the minibatch
            System("RLlib PPO", "rllib", "rllib", differs="minibatch 512 of 4096 rows"),
            System(
                "RLlib PPO, 2 runners",
                "rllib",
                "rllib",
                {"num_env_runners": 2},
                cores=2,
                differs="as above, environments in two processes of their own",
            ),
            System(
                "Stable-Baselines3 PPO + SuperSuit",
                "sb3",
                "sb3",
                differs="one policy for everyone, observations padded; minibatch 512 of 2048 rows",
            ),
            System(
                "Sample Factory, serial",
                "sample_factory",
                "sample_factory",
                {"mode": "serial"},
                differs="one policy for everyone, observations padded; minibatch 512 of 2048 rows",
            ),
            System(
                "Sample Factory, asynchronous",
                "sample_factory",
                "sample_factory",
                {"mode": "asynchronous"},
                cores=2,
                differs="as above; learns from what older policies did",
            ),
            System(
                "AgileRL IPPO, evolution on",
                "agilerl",
                "agilerl",
                differs="population of 2, its tests and mutations included; three layers (64, 32, 64), the fewest it "
                "allows; minibatch 512 of 1 k and 3 k rows; environments in 8 processes on the same core",
            ),
        ),
    ),
    "exploit": Comparison(
        "One exploit with 1 MB of state, until training goes on",
        "",
        "ms",
        (
            System("ours", "ours", "ours_exploit", {"row": "until training goes on"}, differs="median of 50"),
            System(
                "ours, the copy alone",
                "ours",
                "ours_exploit",
                {"row": "copy from shared memory"},
                differs="median of 50",
            ),
            System(
                "Ray Tune PBT, actors reused",
                "rllib",
                "ray_tune",
                {"reuse_actors": True, "exploits": 3},
                cores=2,
                differs="median of 3; trials that only sleep, without torch; the copy goes over the disk",
            ),
            System(
                "Ray Tune PBT, new actors",
                "rllib",
                "ray_tune",
                {"reuse_actors": False, "exploits": 2},
                cores=2,
                differs="median of 2; otherwise as above",
            ),
        ),
    ),
}
"""By the name that `--only` takes."""

PEERS = tuple(dict.fromkeys(system.peer for comparison in COMPARISONS.values() for system in comparison.systems))

NOT_MEASURED = {
    "PufferLib 3.0.0": "does not install from the package registry alone: its build downloads raylib from elsewhere, "
    "and without that asks for a CUDA toolkit"
}
"""What belongs into the comparison and is not in it, with the reason."""
