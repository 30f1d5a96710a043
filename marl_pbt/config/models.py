"""The config, section by section: every key with its type, its bounds and its default."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictStr, WithJsonSchema

from marl_pbt.config.cross_play import CrossPlaySection
from marl_pbt.config.distributions import RANGES, Declaration
from marl_pbt.config.faults import Fault, shown
from marl_pbt.config.sections import Count, NotNegative, Number, Positive, Section, Share, broken, wrong
from marl_pbt.config.strategies import Donor, Explorer, Factors, ImportString, Selection, drift_of
from marl_pbt.config.sub_populations import SubPopulations
from marl_pbt.constraints import Constraint

FITNESS_KEYS = ("compare", "episode_return_mean", "fitness", "judge", "metric", "min_episodes", "mode", "score_window")
"""What a score means; if PBT could change it, it would learn to be scored well instead of to play well."""

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,47}")


def _check_name(value: str) -> str:
    if not _NAME.fullmatch(value):  # 48: a run's name is this with date and time behind it, 64 in all
        raise wrong("must be 1 to 48 of A-Z a-z 0-9 . _ - without a leading dot")
    return value


def _check_constraints(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise wrong("must be a list such as ['batch_size <= 4096']")
    return tuple(value)


def _check_constraint(value: str) -> str:
    try:
        Constraint.parse(value)
    except ValueError as fault:
        raise wrong(str(fault).partition(", got ")[0]) from None
    return value


def _check_not_fitness(declared: dict[str, Declaration]) -> dict[str, Declaration]:
    faults = [
        Fault(name, f"{key!r} is part of the definition of fitness and cannot be a hyperparameter")
        for name in declared
        for key in name.split(".")
        if key in FITNESS_KEYS
    ]
    if faults:
        raise broken(*faults)
    return declared


def _check_patterns(value: Any) -> Any:
    patterns = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else ()
    if not patterns or not all(isinstance(each, str) for each in patterns):
        raise wrong("must be a pattern of agent ids such as 'prey_*', or a list of at least one")
    return patterns


def _check_species(value: dict[str, tuple[str, ...]] | None) -> dict[str, tuple[str, ...]] | None:
    if value is not None and not value:
        raise wrong("must name at least one species; null: by the prefixes of the agent ids")
    return value


_PATTERNS_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
Patterns: TypeAlias = Annotated[
    tuple[StrictStr, ...], BeforeValidator(_check_patterns), WithJsonSchema(_PATTERNS_SCHEMA)
]
Settings: TypeAlias = dict[str, Any]


class EnvironmentSection(Section):
    """Where members train."""

    make: ImportString | None = Field(
        default=None, description="import string of a PettingZoo parallel environment's factory; null: none"
    )
    config: Settings = Field(default_factory=dict, description="handed to make(**config)")
    species: Annotated[dict[StrictStr, Patterns] | None, AfterValidator(_check_species)] = Field(
        default=None,
        description="which agents one policy plays: species to patterns of agent ids (prey: prey_*); "
        "null: by their prefixes, or as the environment itself says",
    )
    num_worlds: Count = Field(default=16, description="copies of the environment that a member plays at once")

    def broken_rules(self) -> Iterator[Fault]:
        """Settings need something to be settings of."""
        if self.make is None and self.config:
            yield Fault("config", f"must be empty without environment.make, got {shown(self.config)}")
        if self.make is None and self.species is not None:
            yield Fault("species", f"must be null without environment.make, got {shown(self.species)}")


class LearnerSection(Section):
    """What trains."""

    make: ImportString = Field(description="import string of the kind of learner")
    settings: Settings = Field(default_factory=dict, description="checked by the learner itself")


class MinGap(Section):
    """A donor's score must exceed the loser's by more than the larger of the two."""

    absolute: NotNegative = Field(default=0.0, description="in units of the score")
    standard_errors: NotNegative = Field(default=1.0, description="in pooled standard errors; 0: off")


class PBTSection(Section):
    """Population Based Training: who copies whom, when, and what moves."""

    population: Annotated[int, Number(low=1, high=1024, whole=True)] = Field(default=8, description="members")
    control: Literal["pbt", "random_search", "exploit_only", "explore_only", "nothing"] = Field(
        default="pbt",
        description="for comparison: random_search keeps the first draws, exploit_only moves no values, explore_only "
        "copies nobody, nothing trains with the learner's settings",
    )
    time_attr: Literal["agent_steps", "env_steps", "updates", "seconds"] = Field(
        default="agent_steps", description="the clock that intervals are measured in"
    )
    interval: Positive = Field(description="progress between two ready points")
    synchronous: StrictBool = Field(default=False, description="true: all members meet at every ready point")
    meeting_timeout_s: Positive = Field(
        default=120.0, description="synchronous: who gives no sign of life for so long is not waited for"
    )
    burn_in: NotNegative | None = Field(default=None, description="progress before the first exploit; null: interval")
    metric: Literal["episode_return_mean"] = Field(default="episode_return_mean", description="what is ranked")
    mode: Literal["max", "min"] = Field(default="max", description="whether more is better")
    selection: Selection = Field(
        default="truncation", description="whom a member may copy; or an import string of select(member, ranking, rng)"
    )
    quantile_bottom: Annotated[float, Number(low=0, high=0.5)] = Field(default=0.25, description="share that copies")
    quantile_top: Annotated[float, Number(low=0, high=0.5, low_is_open=True)] = Field(
        default=0.25, description="share that may be copied"
    )
    donor: Donor = Field(
        default="uniform", description="which of those is copied; or an import string of choose(donors, ranking, rng)"
    )
    copied: Literal["weights+hyperparameters", "weights", "hyperparameters", "nothing"] = Field(
        default="weights+hyperparameters", alias="copy", description="what an exploit takes from the donor"
    )
    optimizer_state: Literal["reset", "donor", "keep"] = Field(
        default="reset", description="what becomes of the optimiser's moments in an exploit"
    )
    perturb_factors: Factors = Field(
        default=(0.8, 1.25),
        description="an explore multiplies by one of these, or by a draw from {loguniform: [0.8, 1.25]}",
    )
    resample_probability: Share = Field(default=0.25, description="share of explores that draw afresh instead")
    quorum: Annotated[float, Number(low=0, high=1, high_is_open=True)] = Field(
        default=0.5, description="more than this share of members must have a score before anyone copies"
    )
    min_gap: MinGap = Field(default_factory=MinGap, description="by how much a donor must be better")
    min_episodes: Count = Field(default=20, description="episodes behind a score for it to count")
    score_window: Count = Field(default=40, description="the latest this many episodes make the score")
    explorer: Explorer = Field(
        default="perturb",
        description="how hyperparameters move; or an import string of explore(values, declared, rng, experience)",
    )
    after_explore: ImportString | None = Field(
        default=None, description="import string of a function that has the last word on explored values; null: none"
    )
    compare: Literal["equal_progress", "latest"] = Field(
        default="equal_progress", description="scores at the same ready point, or everyone's newest"
    )
    sub_populations: SubPopulations | None = Field(
        default=None, description="parts of the population that decide apart from each other; null: all with all"
    )
    exploit_unit: Literal["species", "member"] = Field(
        default="species", description="what is copied as one; a member's score is the sum of its species'"
    )
    fitness: Literal["own_pair", "cross_play"] = Field(
        default="own_pair",
        description="a species is scored in its member's own training episodes, or in matches against other members'",
    )
    cross_play: CrossPlaySection = Field(default_factory=CrossPlaySection, description="for fitness: cross_play")
    constraints: Annotated[
        tuple[Annotated[StrictStr, AfterValidator(_check_constraint)], ...], BeforeValidator(_check_constraints)
    ] = Field(default=(), description="kept by explore: 'batch_size <= 4096', 'batch_size divides 8192'")
    hyperparameters: Annotated[dict[str, Declaration], AfterValidator(_check_not_fitness)] = Field(
        default_factory=dict, description="what may change, by name or species.name, with its distribution"
    )

    def broken_rules(self) -> Iterator[Fault]:
        """Clocks that count are whole numbers; a window must hold the episodes that a score needs."""
        if self.fitness != "cross_play" and self.cross_play.guest_worlds:
            share = self.cross_play.guest_worlds
            yield Fault("cross_play.guest_worlds", f"must be 0 with fitness: {self.fitness}, got {share:g}")
        if self.fitness == "cross_play" and self.population < 2:
            yield Fault("fitness", f"must be own_pair with {self.population} member, got cross_play")
        for key, value in (("interval", self.interval), ("burn_in", self.burn_in or 0)):
            yield from broken_clock(self.time_attr, key, value)
        if self.sub_populations is not None:
            yield from self.sub_populations.misfits(self.population, self.quantile_bottom)
            if self.copied != "weights+hyperparameters":
                yield Fault("copy", f"must be weights+hyperparameters with sub_populations, got {self.copied}")
            if self.exploit_unit != "species":
                yield Fault("exploit_unit", f"must be species with sub_populations, got {self.exploit_unit}")
        if self.score_window < self.min_episodes:
            yield Fault("score_window", f"must be at least min_episodes ({self.min_episodes}), got {self.score_window}")


class StopSection(Section):
    """When the run ends."""

    progress: Positive = Field(description="per member, in pbt.time_attr")
    minutes: Positive | None = Field(default=None, description="wall time since start or resume; null: no limit")


class CheckpointsSection(Section):
    """Which checkpoints of each member are kept, and what if they cannot be."""

    keep_last: Count = Field(default=2, description="the newest this many")
    keep_best: Annotated[int, Number(low=0, whole=True)] = Field(default=1, description="the best this many")
    patience_minutes: Positive = Field(
        default=10.0, description="a disk that takes no checkpoint for so long stops the run; time to make room"
    )


class SupervisionSection(Section):
    """When a worker is taken to hang, and is replaced."""

    hang_timeout_s: Positive | None = Field(
        default=60.0,
        description="one env step may take so long, and five times as long its first one and everything else; "
        "null: for ever",
    )


class FilmsSection(Section):
    """The current best playing, as a GIF in TensorBoard."""

    every_minutes: Positive | None = Field(default=2.0, description="null: none")
    steps: Count = Field(default=300, description="env steps of a film")


class PicturesSection(Section):
    """Who copied whom, and who does how well against whom, in TensorBoard and beside the run; a second of work each."""

    every_minutes: Positive | None = Field(
        default=1.0, description="and at the end; less often in long runs; null: tables and curves only"
    )


class JudgeSection(Section):
    """The closing judgement: the best of each species against each other and against random."""

    episodes: Count = Field(default=8, description="per pairing")
    config: Settings = Field(default_factory=dict, description="changes to environment.config")


class RunConfig(Section):
    """A whole run."""

    name: Annotated[StrictStr, AfterValidator(_check_name)] = Field(default="run", description="prefix of the run's")
    seed: Annotated[int, Number(low=0, whole=True)] = Field(default=0, description="of all randomness")
    environment: EnvironmentSection = Field(default_factory=EnvironmentSection)
    learner: LearnerSection
    pbt: PBTSection
    stop: StopSection
    workers: Count | None = Field(default=None, description="processes; null: one per core")
    deterministic: StrictBool = Field(
        default=False, description="true: the same seed gives the same bytes; one worker, members take turns"
    )
    checkpoints: CheckpointsSection = Field(default_factory=CheckpointsSection)
    supervision: SupervisionSection = Field(default_factory=SupervisionSection)
    pictures: PicturesSection = Field(default_factory=PicturesSection)
    films: FilmsSection = Field(default_factory=FilmsSection)
    judge: JudgeSection | None = Field(default_factory=JudgeSection, description="null: none")

    def broken_rules(self) -> Iterator[Fault]:
        """Clocks that count are whole numbers; what is to be repeated cannot hang on how fast the machine was."""
        yield from broken_clock(self.pbt.time_attr, "stop.progress", self.stop.progress)
        if self.pbt.fitness == "cross_play" and self.environment.make is None:
            yield Fault("pbt.fitness", "must be own_pair without environment.make, got cross_play")
        if self.deterministic and self.pbt.time_attr == "seconds":
            yield Fault("deterministic", "must be false with pbt.time_attr: seconds, which nobody can repeat, got true")
        if self.deterministic and self.workers not in (None, 1):
            yield Fault("deterministic", f"must be false with more than one of workers, got {self.workers} workers")


def broken_clock(time_attr: str, key: str, value: float) -> Iterator[Fault]:
    """What a clock that counts cannot reach exactly."""
    if time_attr != "seconds" and value != math.floor(value):
        yield Fault(key, f"must be a whole number of {time_attr}, got {shown(value)}")


def notices_of(config: RunConfig) -> Iterator[str]:
    """What is legal but hardly meant; one line each."""
    pbt = config.pbt
    if pbt.population == 1 and pbt.control in ("pbt", "exploit_only"):
        yield "pbt.population: 1 member has nobody to copy; PBT will do nothing"
    if config.stop.progress < pbt.interval:
        yield f"stop.progress: {config.stop.progress:g} ends before the first ready point at {pbt.interval:g}"
    if pbt.sub_populations is not None:
        yield from pbt.sub_populations.notices(config.stop.progress // pbt.interval)
    drift = drift_of(pbt.perturb_factors)
    if not math.isclose(drift, 1.0, rel_tol=0.01) and pbt.hyperparameters:
        yield f"pbt.perturb_factors: their product is {drift:.3g}, so values drift; f and 1/f do not"
    if pbt.explorer == "pb2" and not any(each.kind in RANGES for each in pbt.hyperparameters.values()):
        yield f"pbt.explorer: pb2 proposes numbers from {', '.join(RANGES)}; none is declared, so values are perturbed"
    if pbt.control == "exploit_only" and pbt.copied == "nothing":
        yield "pbt.copy: nothing, where control is exploit_only: no member will ever change"
