"""Runs as training leaves them, made in milliseconds: no torch, no training, random weights from a seed."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.ppo.architecture import tensor_shapes
from marl_pbt.ancestry import LineageEvent
from marl_pbt.best_policies import BestPolicies
from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.config import load_config
from marl_pbt.config.loading import config_to_yaml
from marl_pbt.plan import RunPlan
from marl_pbt.policy_files import PolicyCard
from marl_pbt.policy_state import PolicyState
from marl_pbt.protocols import Clocks, Tensors
from marl_pbt.run_directory import RunDirectory
from marl_pbt.snapshot import Snapshot, encode
from marl_pbt.standings import BoardRow, Score

CONFIG = """\
name: small
environment:
  make: {make}
  config: {config}
learner:
  make: agents.ppo:kind
  settings: {{n_steps: 8, batch_size: 64, net_arch: [32, 32]}}
pbt:
  population: 2
  interval: 1000
  min_episodes: 2
  hyperparameters:
    learning_rate: {{loguniform: [1.0e-4, 1.0e-2]}}
stop: {{progress: 4000}}
films: {{every_minutes: null}}
judge: {judge}
"""
SMALL: Mapping[str, Any] = {"max_steps": 12}
PREDATOR_PREY_GRASS = "envs.predator_prey_grass:parallel_env"
STEPS_PER_GENERATION = 1000


@dataclass(frozen=True)
class Line:
    """A policy's line at a generation.

    Attributes:
        plan: Of its run.
        member: Whose.
        generation: When.
        seed: Of the run's weights.
    """

    plan: RunPlan
    member: int
    generation: int
    seed: int

    @property
    def clocks(self) -> Clocks:
        steps = STEPS_PER_GENERATION * self.generation
        return Clocks(steps, steps // 20, self.generation, 0.5 * self.generation)

    def state(self, species: str) -> PolicyState:
        score = Score(10.0 * self.generation + self.member, 1.5, 8)
        return PolicyState.from_json(
            {
                "returns": [9.0, 11.0],
                "founder": self.member,
                "history": [[self.generation, score.to_json()]],
                "last_exploit": 0,
                "compared_at": 0,
                "parent": None,
            },
            self.plan.evolution.score_rules,
        )

    def row(self, species: str) -> BoardRow:
        return BoardRow(
            self.member,
            self.generation,
            founder=self.member,
            hyperparameters={"learning_rate": 1e-3, "ent_coef": 0.01},
            history=tuple(self.state(species).history),
            agent_steps=self.clocks.agent_steps,
        )

    def tensors(self, species: str) -> Tensors:
        """A snapshot: weights like a fresh network's, moments like Adam's."""
        place = self.plan.species.index(species)
        rng = np.random.default_rng([self.seed, self.member, self.generation, place])
        shapes = tensor_shapes(self.plan.description.architecture[species])
        return {name: _filled(name, shape, rng) for name, shape in shapes.items()}

    def card(self, species: str) -> dict[str, Any]:
        row = self.row(species)
        return {
            "kind": "policy",
            "species": species,
            "member": self.member,
            "generation": self.generation,
            "clocks": asdict(self.clocks),
            "founder": row.founder,
            "parent": None,
            "hyperparameters": dict(row.hyperparameters),
            "score": row.newest.to_json() if row.newest else None,
            **self.plan.evolution.card(species),
        }

    def policy(self, species: str) -> Snapshot:
        """What goes to the board and to `best/`."""
        return Snapshot(self.card(species), self.tensors(species))

    def checkpoint(self) -> Snapshot:
        """The member whole, with what else a learner keeps."""
        species = self.plan.species
        events = [
            LineageEvent("start", self.member, name, 0, Clocks(), 1e9, founder=self.member, hyperparameters={})
            for name in species
        ]
        metadata = {
            "kind": "checkpoint",
            "member": self.member,
            "generation": self.generation,
            "clocks": asdict(self.clocks),
            "clocks_at_ready": asdict(self.clocks),
            "policies": {name: self.state(name).to_json() for name in species},
            "published": {name: self.card(name) for name in species},
            "events": [event.to_line() for event in events],
        }
        rest = {"worlds/clock": np.arange(4), "generator": np.zeros(5, np.uint64)}
        own = {f"{name}/{key}": array for name in species for key, array in self.tensors(name).items()}
        return Snapshot(metadata, own | rest)


def config_file(
    folder: Path, make: str = PREDATOR_PREY_GRASS, config: Mapping[str, Any] = SMALL, judge: str = "null"
) -> Path:
    """A config that trains small networks in a small world."""
    path = folder / "small.yaml"
    path.write_text(CONFIG.format(make=make, config=json.dumps(config), judge=judge))
    return path


def plan_of(config: Path) -> RunPlan:
    """The config bound to its environment and learner."""
    return RunPlan.of(load_config(config))


def saved_run(
    folder: Path, plan: RunPlan, generations: Mapping[int, Sequence[int]] | None = None, seed: int = 0
) -> RunDirectory:
    """A run with checkpoints by member, and the best policy of each species: the last member's newest.

    Args:
        folder: The run's, made here.
        plan: Of its config.
        generations: By member those that are kept; two members with two each if None.
        seed: Of the weights.
    """
    run = RunDirectory(folder)
    run.create()
    run.config.write_text(config_to_yaml(plan.config))
    best = BestPolicies(run, 2, min_episodes=1)
    for member, at in ({0: (3, 4), 1: (3, 4)} if generations is None else generations).items():
        checkpoints = MemberCheckpoints(run.member(member), Retention(keep_last=len(at)))
        for generation in at:
            line = Line(plan, member, generation, seed)
            checkpoints.write(generation, line.checkpoint(), {})
            best.offer({name: line.row(name) for name in plan.species})
    return run


def forged(policy: Snapshot, tensors: Mapping[str, Any] | None = None, **changes: Any) -> bytes:
    """A policy's file with another card (... leaves a field out) or other tensors, and a hash that fits."""
    card = {key: value for key, value in {**policy.metadata, **changes}.items() if value is not ...}
    return encode(Snapshot(card, {**policy.tensors, **(tensors or {})}))


def with_text(text: str) -> bytes:
    """A file without tensors whose metadata is this text, and a hash that fits."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return with_header(json.dumps({"__metadata__": {"marl_pbt": text, "sha256": digest}}))


def with_header(header: str) -> bytes:
    """A file that is nothing but a header."""
    return struct.pack("<Q", len(header)) + header.encode()


def _filled(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if name.endswith("/step"):
        return np.full(shape, 40, np.float32)
    scale = 1e-3 if name.startswith("optimizer/") else 1 / np.sqrt(max(shape[-1], 1))
    drawn = rng.normal(0, scale, shape).astype(np.float32)
    return np.abs(drawn) if name.endswith("exp_avg_sq") else drawn


def origin_of(card: PolicyCard) -> str:
    """`member_03@12`."""
    return f"member_{card.member:02d}@{card.generation}"
