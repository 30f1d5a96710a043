"""One member of the population: it trains on its own clock, and at its ready points decides for itself whom to follow.

`Member.live_one_interval` is the loop that the whole project is about.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from marl_pbt.ancestry import LineageEvent
from marl_pbt.checkpoints import MemberCheckpoints
from marl_pbt.cross_play.at_ready_point import CrossPlay, invite_guests, leave_policies, matches_told, play_matches
from marl_pbt.evolution import Evolution
from marl_pbt.following import copy_donor, decide_whom_to_follow, go_on
from marl_pbt.member_files import checkpoint_of, policy_of, restore
from marl_pbt.policy_state import PolicyState
from marl_pbt.protocols import Board, Clocks, DivergedError, HyperparameterValue, Learner, Tensors
from marl_pbt.reports import IntervalBegun, ReadyPassed, Report, UpdateDone
from marl_pbt.snapshot import Snapshot, encode
from marl_pbt.standings import BoardRow, Score

logger = logging.getLogger(__name__)


@dataclass
class Place:
    """Where a member lives: what it reads and writes, and whom it tells.

    Attributes:
        board: Shared with all members.
        checkpoints: Its own.
        tell: Reports to the supervisor.
        must_stop: True once the supervisor wants everyone to stop; asked after each update.
        cross_play: Where its policies meet others'; None where training episodes make the scores.
    """

    board: Board
    checkpoints: MemberCheckpoints
    tell: Callable[[Report], None]
    must_stop: Callable[[], bool] = field(default=lambda: False)
    cross_play: CrossPlay | None = None


class Member:
    """One place in the population, whatever weights it holds.

    Args:
        index: Its place.
        learner: A fresh one.
        evolution: What PBT does, the same for all members.
        place: Where it lives.
    """

    def __init__(self, index: int, learner: Learner, evolution: Evolution, place: Place) -> None:
        self.index = index
        self.learner = learner
        self.evolution = evolution
        self.place = place
        self.generation = 0
        self.clocks = Clocks()
        self.clocks_at_ready = Clocks()
        self.policies = {name: PolicyState.founder_of(index, evolution.score_rules) for name in learner.species}
        self.events: tuple[LineageEvent, ...] = ()
        self._fault: FloatingPointError | None = None  # of the update that diverged, if one did in this interval

    @property
    def is_done(self) -> bool:
        """True once it has trained all it was to train; it ends at a ready point."""
        return self.evolution.progress(self.clocks_at_ready) >= self.evolution.stop

    def start(self) -> None:
        """Go on from the newest checkpoint, or begin: draw the first hyperparameters and say so."""
        checkpoint = self.place.checkpoints.newest()
        if checkpoint is not None:
            restore(self, checkpoint)
            if self.generation and self.clocks != self.clocks_at_ready:  # stopped in mid-interval
                checkpoint = self.place.checkpoints.read(self.generation)
            self._publish(checkpoint)
            policies = {} if checkpoint is None else {n: policy_of(checkpoint, n) for n in self.learner.species}
        else:
            for name in self.learner.species:
                self.learner.set_hyperparameters(name, self._initial(name))
            self.events = tuple(self.event("start", name) for name in self.learner.species)
            self._publish(None)
            policies = {n: Snapshot(self.card(n), self.learner.snapshot(n)) for n in self.learner.species}
        leave_policies(self, policies)

    def live_one_interval(self) -> bool:
        """Train for an interval, and pass the ready point at its end.

        Returns:
            False when it was told to stop before the ready point; it has written where it stands.
        """
        self.place.tell(IntervalBegun(self.index))
        invite_guests(self)
        if not self._train_until_ready():
            self.place.checkpoints.write(self.generation, checkpoint_of(self), {}, in_between=True)
            return False
        self.generation += 1
        self.clocks_at_ready = self.clocks
        scores = self._score()
        events = []
        for name in self.learner.species:
            told = matches_told(self, name, scores[name])
            decision, copied = copy_donor(self, name, decide_whom_to_follow(self, name))
            why = {"decision": decision.reason, **decision.why, **told}
            events.append(self.event("ready", name, score=scores[name], why=why))
            events += go_on(self, name, decision, copied)
        if self._fault and not any(self.policies[name].last_exploit == self.generation for name in self._sick()):
            raise FloatingPointError(f"{self._fault}; no sound weights could be copied")
        self._fault = None
        self.events = tuple(events)
        checkpoint = self._checkpoint(scores)
        self._publish(checkpoint)
        leave_policies(self, {name: policy_of(checkpoint, name) for name in self.learner.species})
        self.place.tell(ReadyPassed(self.index, self.clocks, self.rows(), self.events))
        return True

    def slot(self, species: str) -> int:
        """The species' place on the board."""
        return self.learner.species.index(species)

    def card(self, species: str) -> Mapping[str, Any]:
        """What a policy's file says of how to rebuild it."""
        return self.evolution.card(species, self.learner)

    def rows(self) -> dict[str, BoardRow]:
        """Its standing per species, as it publishes it."""
        return {name: self.row(name) for name in self.learner.species}

    def _train_until_ready(self) -> bool:
        target = self.evolution.progress(self.clocks_at_ready) + self.evolution.interval
        while self.evolution.progress(self.clocks) < target:
            if self.place.must_stop():
                return False
            try:
                report = self.learner.update()
            except FloatingPointError as fault:
                logger.warning("member %d: %s; it is ready at once", self.index, fault)
                self._fault = fault
                return True
            self.clocks += replace(report.clocks, seconds=0.0) if self.evolution.deterministic else report.clocks
            for name, policy in self.policies.items():
                policy.take_in(name, report.episodes)
            self.place.board.tick(self.index, self.clocks.agent_steps)
            self.place.tell(UpdateDone(self.index, self.clocks, report.metrics, report.episodes, report.notes))
        return True

    def _score(self) -> dict[str, Score | None]:
        """Per species; not finite where it has diverged, whatever its latest episodes returned."""
        diverged = self._sick() if isinstance(self._fault, DivergedError) else ()
        sound = [name for name in self.policies if name not in diverged and _is_finite(self.learner.snapshot(name))]
        play_matches(self, sound)
        scores = {}
        for name, policy in self.policies.items():
            scores[name] = policy.note_score(self.generation, name in sound)
            policy.note_gain(self.generation, scores[name], self._hyperparameters(name))
        return scores

    def _sick(self) -> tuple[str, ...]:
        """The species that may have diverged: the one that the fault names, or any."""
        return (self._fault.species,) if isinstance(self._fault, DivergedError) else tuple(self.policies)

    def _checkpoint(self, scores: Mapping[str, Score | None]) -> Snapshot:
        """Write it down before anybody can copy it."""
        best = {
            name: score.mean
            for name, score in scores.items()
            if score is not None and score.is_finite and self.policies[name].last_exploit < self.generation
        }
        checkpoint = checkpoint_of(self)
        self.place.checkpoints.write(self.generation, checkpoint, best)
        return checkpoint

    def _publish(self, at_ready: Snapshot | None) -> None:
        """Put each species on the board; the snapshot first, so that a row never speaks of what is not there yet.

        Args:
            at_ready: The checkpoint of the latest ready point; None where there is none (any more).
        """
        for name in self.learner.species:
            row = self.row(name)
            if row.can_be_donor and at_ready is None:
                row = replace(row, snapshot_generation=-1)
            elif row.can_be_donor:
                assert at_ready is not None
                self.place.board.publish_snapshot(self.index, self.slot(name), encode(policy_of(at_ready, name)))
            self.place.board.publish_row(self.index, self.slot(name), row.to_bytes())

    def row(self, species: str) -> BoardRow:
        """Its standing with one species, as of the latest ready point."""
        policy = self.policies[species]
        row = BoardRow(
            member=self.index,
            generation=self.generation,
            agent_steps=self.clocks_at_ready.agent_steps,
            env_steps=self.clocks_at_ready.env_steps,
            history=tuple(policy.history),
            last_exploit=policy.last_exploit,
            hyperparameters=self._hyperparameters(species),
            parent=policy.parent,
            teacher=policy.teacher,
            founder=policy.founder,
            gains=tuple(policy.gains),
        )
        return replace(row, snapshot_generation=self.generation) if row.newest is not None else row

    def _initial(self, species: str) -> dict[str, HyperparameterValue]:
        return self.evolution.initial(species, self.index, self.learner.get_hyperparameters(species))

    def _hyperparameters(self, species: str) -> dict[str, HyperparameterValue]:
        """The declared ones in force."""
        values = self.learner.get_hyperparameters(species)
        return {name: values[name] for name in self.evolution.declared_names(species)}

    def event(self, kind: str, species: str, **more: object) -> LineageEvent:
        """Something that happens to the policy of a species now, with what this kind of event has beside."""
        event = LineageEvent(
            kind=kind,
            member=self.index,
            policy=species,
            generation=self.generation,
            clocks=self.clocks,
            time=0.0 if self.evolution.deterministic else time.time(),
            founder=self.policies[species].founder,
            hyperparameters=self._hyperparameters(species),
        )
        return replace(event, **more)  # type: ignore[arg-type]  # the fields of LineageEvent


def _is_finite(tensors: Tensors) -> bool:
    return all(bool(np.isfinite(array).all()) for array in tensors.values())
