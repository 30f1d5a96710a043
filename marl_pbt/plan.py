"""A run as planned: the config bound to its environment and its learner, in the form that processes are given."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from marl_pbt.checkpoints import Retention
from marl_pbt.config import BoundPBT, LoadedConfig, RunConfig, bind
from marl_pbt.cross_play import planning as cross_play
from marl_pbt.environments import EnvironmentSource, interface_of, warm_up
from marl_pbt.evolution import Evolution
from marl_pbt.imports import load_object
from marl_pbt.judgement import Judge
from marl_pbt.policy_state import ScoreRules
from marl_pbt.protocols import Interface, LearnerDescription, LearnerKind, UserError, WarmsUp, Worlds
from marl_pbt.protocols.guests import guest_worlds
from marl_pbt.run_directory import NAME, NAME_RULE
from marl_pbt.settings_in_files import check_card
from marl_pbt.shared_board import BoardShape
from marl_pbt.space_cards import card_of
from marl_pbt.worker import LearnerSource, WorkerJob


@dataclass(frozen=True)
class RunPlan:
    """Everything that is known before a process is started.

    Attributes:
        config: As the user wrote it, with defaults.
        environment: Where it trains; None for learners without one.
        worlds: Opened once to look at; None likewise.
        species: Who plays.
        description: Of the learner.
        bound: The `pbt` section as domain objects.
    """

    config: RunConfig
    environment: EnvironmentSource | None
    worlds: Worlds | None
    species: tuple[str, ...]
    description: LearnerDescription
    bound: BoundPBT

    @classmethod
    def of(cls, loaded: LoadedConfig) -> RunPlan:
        """Open what the config names, and bind it.

        Raises:
            UserError: The environment or the learner refuses its settings, or a hyperparameter is not the learner's.
        """
        config = loaded.config
        environment, worlds, interface = None, None, Interface((), {}, {})
        section = config.environment
        if section.make is not None:
            environment = EnvironmentSource(section.make, section.config, section.species)
            try:
                worlds = environment.open_worlds(section.num_worlds)
            except UserError as fault:
                raise loaded.placed("", fault) from None
            interface = interface_of(worlds)
        kind: LearnerKind = load_object(config.learner.make, LearnerKind, "learner.make")
        try:
            description = kind.describe(config.learner.settings, interface)
        except UserError as fault:
            raise loaded.placed("learner.settings", fault) from None
        species = interface.species or tuple(description.hyperparameters)
        for name in species:
            if not NAME.fullmatch(name):
                raise loaded.placed("environment", UserError(f"species: {NAME_RULE}, got {name!r}"))
        if config.pbt.fitness == "cross_play" and len(species) < 2:
            alone = f"fitness: must be own_pair with {species[0]} alone, and no other species, got cross_play"
            raise loaded.placed("pbt", UserError(alone))
        if config.pbt.cross_play.guest_worlds and not description.hosts_guests:
            unable = (
                f"cross_play.guest_worlds: must be 0 with {config.learner.make}, whose learners host no guests, "
                f"got {config.pbt.cross_play.guest_worlds:g}"
            )
            raise loaded.placed("pbt", UserError(unable))
        share = config.pbt.cross_play.guest_worlds
        if share and not guest_worlds(share, section.num_worlds, len(species)):
            unable = (
                f"cross_play.guest_worlds: must be 0 or give each of {len(species)} species a guest world and leave "
                f"one of environment.num_worlds: {section.num_worlds} without guests, got {share:g}"
            )
            raise loaded.placed("pbt", UserError(unable))
        if environment is not None and worlds is not None and config.pbt.fitness == "cross_play":
            faults = tuple(cross_play.faults_of(config.pbt.cross_play, environment, worlds))
            if faults:
                raise loaded.placed("pbt", UserError(*faults))
        plan = cls(config, environment, worlds, species, description, bind(loaded, description, species))
        for name in species:
            check_card(loaded, plan._card(name))
        return plan

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know of what this machine makes of the config, one line each."""
        return tuple(cross_play.notices_of(self.config.pbt, self.workers))

    def warm_up(self) -> None:
        """Compile what is compiled once per machine: the environment's kernel, the learner's."""
        if self.worlds is not None:
            warm_up(self.worlds)
        kind = load_object(self.config.learner.make, LearnerKind, "learner.make")
        if isinstance(kind, WarmsUp):
            interface = Interface((), {}, {}) if self.worlds is None else interface_of(self.worlds)
            kind.warm_up(self.config.learner.settings, interface)

    @property
    def population(self) -> int:
        """N."""
        return self.config.pbt.population

    @property
    def workers(self) -> int:
        """W: what the config says, or one per core that this process may use; never more than members."""
        return 1 if self.config.deterministic else min(self.config.workers or available_cores(), self.population)

    @property
    def time_limit_s(self) -> float | None:
        """Wall time of the run; None for no limit."""
        minutes = self.config.stop.minutes
        return None if minutes is None else 60.0 * minutes

    @property
    def patience_s(self) -> float:
        """How long members train on without a checkpoint that cannot be written."""
        return 60.0 * self.config.checkpoints.patience_minutes

    @property
    def retention(self) -> Retention:
        """Which checkpoints are kept."""
        return Retention(self.config.checkpoints.keep_last, self.config.checkpoints.keep_best)

    @property
    def evolution(self) -> Evolution:
        """What PBT does."""
        pbt = self.config.pbt
        return Evolution(
            seed=self.config.seed,
            time_attr=pbt.time_attr,
            interval=pbt.interval,
            stop=self.config.stop.progress,
            control=pbt.control,
            rules=self.bound.rules,
            score_rules=ScoreRules(pbt.score_window, pbt.min_episodes, cross_play.rules_of(pbt)),
            explorer=self.bound.explorer,
            declared=self.bound.declared,
            optimizer_state=pbt.optimizer_state,
            copied=pbt.copied,
            exploit_unit=pbt.exploit_unit,
            meeting_timeout_s=pbt.meeting_timeout_s if pbt.synchronous else None,
            deterministic=self.config.deterministic,
            cards={name: self._card(name) for name in self.species},
        )

    @property
    def judge(self) -> Judge | None:
        """How the run is judged at its end; None for not at all."""
        if self.config.judge is None or self.environment is None:
            return None
        environment = self.environment.changed(self.config.judge.config)
        return Judge(environment, self.config.learner.make, self.config.judge.episodes, self.config.seed)

    def job(self, run: Path) -> WorkerJob:
        """What every worker is given; the members are set per worker."""
        return WorkerJob(
            members=(),
            run=run.absolute(),
            learner=LearnerSource(
                self.config.learner.make,
                dict(self.config.learner.settings),
                self.environment,
                self.config.environment.num_worlds,
            ),
            evolution=self.evolution,
            board=BoardShape(self.population, tuple(self.description.snapshot_bytes[name] for name in self.species)),
            retention=self.retention,
            cross_play=None
            if self.environment is None
            else self.environment.changed(self.config.pbt.cross_play.config),
        )

    def _card(self, species: str) -> dict[str, Any]:
        return {
            "architecture": self.description.architecture[species],
            "learner": self.config.learner.make,
            "environment": None if self.environment is None else asdict(self.environment),
            "spaces": self._space_cards(species),
        }

    def _space_cards(self, species: str) -> dict[str, Any] | None:
        if self.worlds is None:
            return None
        return {
            "observation": card_of(self.worlds.observation_spaces[species]),
            "action": card_of(self.worlds.action_spaces[species]),
        }


def available_cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux: what this process may use, in a container for example
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
