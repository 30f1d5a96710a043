"""What is known of a learner before it is built, and what it tells of its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from marl_pbt.protocols.values import HyperparameterValue

if TYPE_CHECKING:
    import gymnasium


@dataclass(frozen=True)
class Interface:
    """What a learner must know of the environment before there is one: who plays, what they see and do.

    Attributes:
        species: Names of the species.
        observation_spaces: Per species, of one agent.
        action_spaces: Per species, of one agent.
        shaping_terms: Per species the names of what worlds offer by `OffersShaping`; species with none are left out.
        parameters: Per species and name what they offer by `OffersParameters`, as a learner may declare it.
    """

    species: tuple[str, ...]
    observation_spaces: Mapping[str, gymnasium.Space[Any]]
    action_spaces: Mapping[str, gymnasium.Space[Any]]
    shaping_terms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, HyperparameterSpec]] = field(default_factory=dict)


@dataclass(frozen=True)
class HyperparameterSpec:
    """A value that the learner lets PBT change.

    Attributes:
        default: What is in force where nobody declares a distribution.
        kind: The type; values of a declared distribution must be of it.
        low: Smallest legal value.
        high: Largest legal value.
        low_is_open: True where `low` itself is not legal (a learning rate of 0).
        changes_environment: True where it changes the worlds that a member trains in, and so what its own training
            episodes are worth: PBT may change it only where scores come from elsewhere.
        hint: What to do where a value beyond the bounds is wanted; empty: nothing can be done.
    """

    default: HyperparameterValue
    kind: Literal["float", "int", "bool", "str"]
    low: float = float("-inf")
    high: float = float("inf")
    low_is_open: bool = False
    changes_environment: bool = False
    hint: str = ""


@dataclass(frozen=True)
class LearnerDescription:
    """What is known of a learner before it is built.

    Attributes:
        hyperparameters: Per species and name.
        snapshot_bytes: Per species: an upper bound of `Learner.snapshot`, in bytes of array data.
        architecture: Per species: what rebuilds the policy from a file, JSON-able.
        hosts_guests: Whether its learners are `HostsGuests`.
    """

    hyperparameters: Mapping[str, Mapping[str, HyperparameterSpec]]
    snapshot_bytes: Mapping[str, int]
    architecture: Mapping[str, Mapping[str, Any]]
    hosts_guests: bool = False


@dataclass(frozen=True, slots=True)
class Clocks:
    """How far a member is; each counter only grows.

    Attributes:
        agent_steps: Living agents acting once, over all species.
        env_steps: Steps of one world.
        updates: Learner updates (one rollout learned from).
        seconds: Wall time spent in training.
    """

    agent_steps: int = 0
    env_steps: int = 0
    updates: int = 0
    seconds: float = 0.0

    def __add__(self, other: Clocks) -> Clocks:
        return Clocks(
            self.agent_steps + other.agent_steps,
            self.env_steps + other.env_steps,
            self.updates + other.updates,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class FinishedEpisode:
    """One finished episode that was played by one and the same line of policies from its first step to its last.

    Attributes:
        length: Env steps.
        returns: Per species, the sum of its individuals' rewards, unscaled.
        metrics: What else the environment counts, by tag.
        own: Per species: False when a guest played it, or its policy was replaced (an exploit) after the episode began.
        guest: Who played the species that did not train; empty: nobody but the learner's own policies.
    """

    length: int
    returns: Mapping[str, float]
    metrics: Mapping[str, float] = field(default_factory=dict)
    own: Mapping[str, bool] = field(default_factory=dict)
    guest: str = ""


@dataclass(frozen=True)
class TrainingReport:
    """What a stretch of training brought.

    Attributes:
        clocks: Progress of this stretch alone.
        episodes: Episodes that ended in it and count, oldest first.
        metrics: Diagnostics by tag, means over the stretch (`predator/approx_kl`).
        notes: What to know in words, by tag (`predator/update_path`): logged and shown when it is new.
    """

    clocks: Clocks
    episodes: tuple[FinishedEpisode, ...]
    metrics: Mapping[str, float]
    notes: Mapping[str, str] = field(default_factory=dict)
