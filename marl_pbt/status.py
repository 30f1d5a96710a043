"""A run as it is shown to people: the population at one moment, in the form that is drawn and recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from marl_pbt.protocols import HyperparameterValue
from marl_pbt.standings import Score, Source

Activity = Literal["starting", "training", "stale", "pending", "ready", "done", "stopped", "failed", "restarting"]


@dataclass(frozen=True)
class RunDescription:
    """What does not change during a run.

    Attributes:
        name: Of the run.
        species: Names of the species.
        population: N.
        hyperparameters: The declared ones, as `(species, name)`, in the order of the config.
        maximize: True when a larger score is better.
        config_text: The resolved config, YAML.
    """

    name: str
    species: tuple[str, ...]
    population: int
    hyperparameters: tuple[tuple[str, str], ...] = ()
    maximize: bool = True
    config_text: str = ""

    def declared(self, species: str) -> tuple[str, ...]:
        """The declared hyperparameters of a species."""
        return tuple(name for owner, name in self.hyperparameters if owner == species)

    @property
    def hyperparameter_names(self) -> tuple[str, ...]:
        """Those of any species, each once."""
        return tuple(dict.fromkeys(name for _, name in self.hyperparameters))


@dataclass(frozen=True)
class PolicyStatus:
    """What one member holds for one species.

    Attributes:
        score: The newest; None while pending.
        hyperparameters: The declared ones in force.
        parent: What it last copied.
    """

    score: Score | None = None
    hyperparameters: Mapping[str, HyperparameterValue] = field(default_factory=dict)
    parent: Source | None = None


@dataclass(frozen=True)
class MemberStatus:
    """One member.

    Attributes:
        member: Index.
        activity: What it does now.
        generation: Ready points passed.
        agent_steps: Its own clock.
        policies: Per species; one that is not there yet is shown as pending.
    """

    member: int
    activity: Activity = "starting"
    generation: int = 0
    agent_steps: int = 0
    policies: Mapping[str, PolicyStatus] = field(default_factory=dict)

    def score(self, species: str) -> Score | None:
        """The newest score of a species; None while pending."""
        policy = self.policies.get(species)
        return None if policy is None else policy.score


@dataclass(frozen=True)
class RunStatus:
    """The population at one moment.

    Attributes:
        members: In the order of their indices.
        progress: Share of the whole that is done, 0 to 1.
        agent_steps: Over all members.
        agent_steps_per_s: Lately, over all workers.
        elapsed_s: Since the run began.
        left_s: Until it ends, if things go on like this; None while nobody can tell.
        exploits: So far, over all species.
    """

    members: tuple[MemberStatus, ...]
    progress: float = 0.0
    agent_steps: int = 0
    agent_steps_per_s: float = 0.0
    elapsed_s: float = 0.0
    left_s: float | None = None
    exploits: int = 0

    def ranked(self, species: str, maximize: bool) -> list[MemberStatus]:
        """Members by their newest score, the best first; those without a finite one at the end."""

        def rank(member: MemberStatus) -> tuple[bool, float]:
            score = member.score(species)
            if score is None or not score.is_finite:
                return True, 0.0
            return False, -score.mean if maximize else score.mean

        return sorted(self.members, key=rank)

    def best(self, species: str, maximize: bool) -> tuple[MemberStatus, Score] | None:
        """Who has the best newest score; None while nobody has a finite one."""
        for member in self.ranked(species, maximize)[:1]:
            score = member.score(species)
            if score is not None and score.is_finite:
                return member, score
        return None
