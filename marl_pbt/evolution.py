"""What PBT does in this run, in the form that members use: the config's `pbt` section bound to a learner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from marl_pbt.constraints import repair
from marl_pbt.decision import Rules
from marl_pbt.explore import Change, Experience, Explorer
from marl_pbt.hyperparameters import Hyperparameter
from marl_pbt.policy_state import ScoreRules
from marl_pbt.protocols import Clocks, HyperparameterValue, Learner, OptimizerState, TellsArchitecture
from marl_pbt.streams import stream

TimeAttr = Literal["agent_steps", "env_steps", "updates", "seconds"]
Control = Literal["pbt", "random_search", "exploit_only", "explore_only", "nothing"]
CopyMode = Literal["weights+hyperparameters", "weights", "hyperparameters", "nothing"]
ExploitUnit = Literal["species", "member"]

DRAWING = ("pbt", "random_search", "exploit_only", "explore_only")
"""Controls whose members start at draws; the others at the learner's own settings."""
EXPLOITING = ("pbt", "exploit_only")
EXPLORING = ("pbt", "explore_only")


@dataclass(frozen=True)
class Evolution:
    """The same for all members of a run.

    Attributes:
        seed: The run's seed.
        time_attr: Which clock intervals are measured in.
        interval: Progress between two ready points.
        stop: Progress at which a member is done; it ends at its next ready point.
        control: `pbt`; or without some of it, for comparison. `random_search`: members start at their draws and keep
            them. `exploit_only`: members copy, but values never move. `explore_only`: nobody copies; values move at
            every ready point after the burn-in, the best members' too. `nothing`: N runs of the learner's settings.
        copied: What an exploit takes from the donor; it is explored in any case, one's own values where the donor's are
            not taken.
        rules: What decides over an exploit.
        score_rules: What makes a score.
        explorer: How hyperparameters move in an explore.
        declared: Per species: what may change.
        optimizer_state: What becomes of the optimiser's moments in an exploit.
        exploit_unit: What is decided and copied as one.
        meeting_timeout_s: In synchronous mode: who gives no sign of life for so long is not waited for; None: members
            do not wait for each other.
        deterministic: Nothing that is written tells of the wall clock: the same seed gives the same bytes.
        cards: Per species: what a policy's file says of how to rebuild it, JSON-able.
    """

    seed: int
    time_attr: TimeAttr
    interval: float
    stop: float
    control: Control
    rules: Rules
    score_rules: ScoreRules
    explorer: Explorer
    declared: Mapping[str, tuple[Hyperparameter, ...]]
    optimizer_state: OptimizerState = "reset"
    copied: CopyMode = "weights+hyperparameters"
    exploit_unit: ExploitUnit = "species"
    meeting_timeout_s: float | None = None
    deterministic: bool = False
    cards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def exploits(self) -> bool:
        """False where nobody ever copies."""
        return self.control in EXPLOITING

    @property
    def explores(self) -> bool:
        """False where hyperparameters never move."""
        return self.control in EXPLORING

    @property
    def copies_weights(self) -> bool:
        """True where an exploit replaces the policy, and with it the ancestry."""
        return self.copied in ("weights+hyperparameters", "weights")

    @property
    def copies_hyperparameters(self) -> bool:
        """True where an exploit takes the donor's hyperparameters."""
        return self.copied in ("weights+hyperparameters", "hyperparameters")

    @property
    def is_synchronous(self) -> bool:
        """True where all members meet at every ready point."""
        return self.meeting_timeout_s is not None

    def units(self, species: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """The species, in groups that are decided and copied as one."""
        return (species,) if self.exploit_unit == "member" else tuple((name,) for name in species)

    def progress(self, clocks: Clocks) -> float:
        """The clock that counts."""
        return float(getattr(clocks, self.time_attr))

    def declared_names(self, species: str) -> tuple[str, ...]:
        """The hyperparameters of a species that PBT may change."""
        return tuple(hyperparameter.name for hyperparameter in self.declared.get(species, ()))

    def initial(
        self, species: str, member: int, settings: Mapping[str, HyperparameterValue]
    ) -> dict[str, HyperparameterValue]:
        """Where a fresh member starts: drawn per declaration; with control `nothing`, the learner's settings.

        Args:
            species: Whose.
            member: Its index.
            settings: All of the learner's values, which constraints may speak of.
        """
        if self.control not in DRAWING:
            return {}
        rng = stream(self.seed, f"initial/{species}", member)
        drawn = {each.name: each.draw_initial(rng) for each in self.declared.get(species, ())}
        repaired, _ = repair({**settings, **drawn}, self.explorer.constraints)
        return {name: repaired[name] for name in drawn}

    def explore(
        self,
        species: str,
        values: Mapping[str, HyperparameterValue],
        rng: np.random.Generator,
        experience: Experience | None,
    ) -> dict[str, Change]:
        """Move the declared hyperparameters of a species."""
        return self.explorer.explore(values, self.declared.get(species, ()), rng, experience)

    def card(self, species: str, learner: Learner | None = None) -> Mapping[str, Any]:
        """What a policy's file says of how to rebuild it: as planned, or as the learner that holds it has it now."""
        card = self.cards.get(species, {})
        if learner is not None and isinstance(learner, TellsArchitecture):
            return {**card, "architecture": learner.architecture(species)}
        return card
