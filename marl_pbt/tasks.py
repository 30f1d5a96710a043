"""What workers do beside training when the supervisor asks: matches for the closing judgement, films."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from marl_pbt.environments import EnvironmentSource
from marl_pbt.imports import load_object
from marl_pbt.matches import MatchResult, UniformPolicy, play
from marl_pbt.member_files import policy_of
from marl_pbt.protocols import LearnerKind, Policy, Worlds
from marl_pbt.snapshot import Snapshot, decode

BASELINE = "random"


class Task(Protocol):
    """Something to do in a worker; sent by value."""

    @property
    def name(self) -> str:
        """What the answer goes by."""

    def run(self) -> object:
        """Do it."""


@dataclass(frozen=True)
class MatchTask:
    """One pairing, a few episodes.

    Attributes:
        name: What the answer goes by.
        environment: Where it is played.
        learner: Import string of the kind that reads the policies.
        seats: Per species a policy's file, a checkpoint's file, or `random`.
        episodes: How many, all at once.
        seed: Of the match.
    """

    name: str
    environment: EnvironmentSource
    learner: str
    seats: Mapping[str, str]
    episodes: int
    seed: int

    def run(self) -> MatchResult:
        """Play it."""
        worlds = self.environment.open_worlds(self.episodes)
        return play(worlds, seated(self.seats, self.learner, worlds), self.seed)


@dataclass(frozen=True)
class FilmTask:
    """An episode as an animated GIF.

    Attributes:
        name: What the answer goes by.
        environment: What is filmed; must offer `render_mode="rgb_array"`.
        learner: Import string of the kind that reads the policies.
        seats: As in `MatchTask`.
        steps: Env steps at most.
        seed: Of the episode.
        frames: Pictures at most; steps in between are left out.
    """

    name: str
    environment: EnvironmentSource
    learner: str
    seats: Mapping[str, str]
    steps: int
    seed: int
    frames: int = 100

    def run(self) -> bytes:
        """Play and draw it.

        Returns:
            The bytes of a GIF.
        """
        environment = self.environment.open(render_mode="rgb_array")
        policies = seated(self.seats, self.learner, self.environment.open_worlds(1))
        rng = np.random.default_rng(self.seed)
        species_of = self.environment.species_in(environment)
        observations, _ = environment.reset(seed=self.seed)
        stride = max(1, -(-self.steps // self.frames))
        pictures = [environment.render()]
        for step in range(1, self.steps + 1):
            groups = _by_species(environment.agents, species_of)
            actions = _joint_actions(groups, policies, observations, rng)
            observations, *_ = environment.step(actions)
            if step % stride == 0 or not environment.agents:
                pictures.append(environment.render())
            if not environment.agents:
                break
        environment.close()
        return _gif(pictures)


def seated(seats: Mapping[str, str], learner: str, worlds: Worlds) -> dict[str, Policy]:
    """The policies that sit in the seats."""
    return {species: _seat(species, seat, learner, worlds) for species, seat in seats.items()}


def _seat(species: str, seat: str, learner: str, worlds: Worlds) -> Policy:
    if seat == BASELINE:
        space: Any = worlds.action_spaces[species]
        return UniformPolicy(int(space.n))
    snapshot = decode(Path(seat).read_bytes())
    policy = policy_of(snapshot, species) if snapshot.metadata["kind"] == "checkpoint" else snapshot
    return _load(policy, learner)


def _load(policy: Snapshot, learner: str) -> Policy:
    kind: LearnerKind = load_object(learner, LearnerKind, "learner.make")
    tensors = {name: array for name, array in policy.tensors.items() if name.startswith("policy/")}
    return kind.load_policy(policy.metadata["architecture"], tensors)


def _by_species(agents: Sequence[Any], species_of: Callable[[Any], str]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for agent in agents:
        groups.setdefault(species_of(agent), []).append(agent)
    return groups


def _joint_actions(
    groups: Mapping[str, Sequence[Any]],
    policies: Mapping[str, Policy],
    observations: Mapping[Any, Any],
    rng: np.random.Generator,
) -> dict[Any, Any]:
    """Every living agent's action, one batch per species."""
    actions: dict[Any, Any] = {}
    for species, agents in groups.items():
        chosen = policies[species].act(np.stack([observations[agent] for agent in agents]), rng)
        actions.update(zip(agents, chosen.tolist(), strict=True))
    return actions


def _gif(pictures: list[np.ndarray[Any, Any]]) -> bytes:
    """An animated GIF; one palette for all frames, so that colours keep still and it is made six times faster."""
    from PIL import Image

    palette = Image.fromarray(pictures[len(pictures) // 2]).quantize(128)
    frames = [Image.fromarray(each).quantize(palette=palette, dither=Image.Dither.NONE) for each in pictures]
    file = io.BytesIO()
    frames[0].save(file, format="GIF", save_all=True, append_images=frames[1:], duration=100, loop=0)
    return file.getvalue()
