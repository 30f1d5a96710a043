"""One member of the population: it trains on its own clock, and at its ready points decides for itself whom to follow.

`Member.live_one_interval` is the loop that the whole project is about.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from marl_pbt.ancestry import LineageEvent
from marl_pbt.background import Background
from marl_pbt.checkpoints import MemberCheckpoints
from marl_pbt.cross_play.at_ready_point import invite_guests, leave_policies, matches_told
from marl_pbt.cross_play.hall import Hall
from marl_pbt.evolution import Evolution
from marl_pbt.fault_points import reach
from marl_pbt.finite import check_parameters, check_report
from marl_pbt.following import copy_donor, decide_whom_to_follow, go_on
from marl_pbt.joining import has_lost_all, join
from marl_pbt.meeting_point import halves_of
from marl_pbt.member_files import checkpoint_of, note_events, policy_of, restore, write_checkpoint, write_where_stopped
from marl_pbt.policy_state import PolicyState
from marl_pbt.protocols import Board, Clocks, HyperparameterValue, Learner
from marl_pbt.publishing import publish, publish_decision, row_of
from marl_pbt.reports import IntervalBegun, ReadyPassed, Report, UpdateDone
from marl_pbt.rolling_back import ROLL_BACKS, roll_back, take_rollbacks
from marl_pbt.scoring import note_scores, sick_species
from marl_pbt.snapshot import Snapshot
from marl_pbt.standings import BoardRow


@dataclass
class Place:
    """Where a member lives: what it reads and writes, and whom it tells.

    Attributes:
        board: Shared with all members.
        checkpoints: Its own.
        tell: Reports to the supervisor.
        must_stop: True once the supervisor wants everyone to stop; asked after each update.
        hall: Where its policies meet others'; None where training episodes make the scores.
        joins: True for a member that the run had not before: it begins as a copy of a good one.
        background: Where its ready points are written down while others train; None: at once.
    """

    board: Board
    checkpoints: MemberCheckpoints
    tell: Callable[[Report], None]
    must_stop: Callable[[], bool] = field(default=lambda: False)
    hall: Hall | None = None
    joins: bool = False
    background: Background | None = None


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
        self.events: tuple[LineageEvent, ...] = ()  # of the latest ready point
        self.earlier_events: tuple[LineageEvent, ...] = ()  # of some before: told again after a crash
        self.told_generation = 0  # the latest of which the supervisor has heard; its checkpoint is on the disk
        self.is_waiting = False  # at a ready point, for the others to come there; in synchronous mode only
        self.rollbacks = 0  # in a row, since the last interval that went well
        self.fault: FloatingPointError | None = None  # why it has to follow a donor at this ready point
        self.beginning: Snapshot | None = None  # of the interval, where the disk has it not
        self._untold: Future[None] | None = None  # the latest ready point, while it is being written down

    @property
    def is_done(self) -> bool:
        """True once it has trained all it was to train; it ends at a ready point."""
        return not self.is_waiting and self.evolution.progress(self.clocks_at_ready) >= self.evolution.stop

    @property
    def passed(self) -> int:
        """Ready points that it has passed: the one that is still being written down is none of them."""
        return self.generation - (self._untold is not None)

    @property
    def halves(self) -> int:
        """Half intervals that it has behind it; see marl_pbt.meeting_point."""
        return halves_of(self.generation, self.is_waiting)

    def start(self) -> None:
        """Go on from the newest checkpoint, or begin: draw the first hyperparameters and say so.

        Raises:
            OSError: It has checkpoints that cannot be read just now.
            CheckpointError: It has lost them, and there is nobody to copy.
        """
        checkpoint = self.place.checkpoints.newest()
        if checkpoint is None and (self.place.joins or has_lost_all(self)):
            checkpoint = join(self)
        if checkpoint is not None:
            restore(self, checkpoint)
            if self.generation and self.clocks != self.clocks_at_ready:  # stopped in mid-interval
                checkpoint = self.place.checkpoints.read(self.generation)
            publish(self, checkpoint, self.rows())
            left = checkpoint if self.generation or self.clocks == self.clocks_at_ready else None
            policies = {} if left is None else {n: policy_of(left, n) for n in self.learner.species}
        else:
            for name in self.learner.species:
                self.learner.set_hyperparameters(name, self._initial(name))
            self.events = tuple(self.event("start", name) for name in self.learner.species)
            publish(self, None, self.rows())
            policies = {n: Snapshot(self.card(n), self.learner.snapshot(n)) for n in self.learner.species}
        leave_policies(self, policies)
        self.beginning = checkpoint_of(self) if self.generation == 0 or checkpoint is None else None

    def live_one_interval(self) -> bool:
        """Train for an interval, and pass the ready point at its end.

        In synchronous mode it returns where it has to wait for the others, and goes on from there when called again.
        In the background the ready point is still being written down when it returns, unless it was the last.

        Returns:
            False when it was told to stop before the ready point; it has written where it stands.
        """
        self.place.tell(IntervalBegun(self.index))
        self.wait_until_told()
        if not self.is_waiting:
            if not self._train_one_interval():
                return False
            if self.evolution.is_synchronous:
                self._show_scores()
                return True
        self._pass_ready_point()
        if self.is_done:
            self.wait_until_told()
        return True

    def wait_until_told(self) -> None:
        """Wait until the latest ready point is on the disk, published and told; whatever went wrong is raised here."""
        if self._untold is not None and self.place.background is not None:
            self.place.background.wait(self._untold)
            self._untold = None

    def _train_one_interval(self) -> bool:
        began = self.generation
        while True:
            invite_guests(self)
            try:
                has_come = self._train_until_ready()
                check_parameters(self.learner)
                if not has_come:
                    write_where_stopped(self)
                    return False
                self._come_to_ready_point()
                self.rollbacks = 0
                return True
            except FloatingPointError as fault:
                self.fault = roll_back(self, began, fault)
                if self.fault is not None:
                    self._come_to_ready_point()
                    return True

    def _come_to_ready_point(self) -> None:
        self.generation += 1
        self.clocks_at_ready = self.clocks
        note_scores(self)

    def _show_scores(self) -> None:
        """Let everybody see, and copy, what it has come to; then it waits until all others have shown theirs."""
        self.is_waiting = True
        checkpoint, rows = checkpoint_of(self), self.rows()
        is_written = write_checkpoint(self, checkpoint, rows)
        publish(self, checkpoint if is_written else None, rows)

    def _pass_ready_point(self) -> None:
        """Decide, copy, explore; for each species apart, or for all of them as one."""
        self.is_waiting = False
        events: list[LineageEvent] = take_rollbacks(self)
        given_up = {} if self.fault is None else {"rolled_back": str(self.fault)}
        for unit in self.evolution.units(self.learner.species):
            scores = {name: self.row(name).score_at(self.generation) for name in unit}
            told = {name: matches_told(self, name, scores[name]) for name in unit}
            decision, copied = copy_donor(self, unit, decide_whom_to_follow(self, unit))
            for name in unit:
                why = {"decision": decision.reason, **decision.why, **told[name], **given_up}
                events.append(self.event("ready", name, score=scores[name], why=why))
                events += go_on(self, name, decision, copied.get(name))
        if self.fault and not any(self.policies[name].last_exploit == self.generation for name in sick_species(self)):
            raise FloatingPointError(f"{self.fault}; rolled back {ROLL_BACKS}×, and no sound weights could be copied")
        self.fault = None
        note_events(self, events)
        write_down = partial(self._write_down, checkpoint_of(self), self.rows())
        if self.place.background is None:
            write_down()
        else:
            self._untold = self.place.background.begin(write_down)

    def _write_down(self, checkpoint: Snapshot, rows: Mapping[str, BoardRow]) -> None:
        """Checkpoint, publish, tell, in this order: nobody copies or hears of what a crash could undo."""
        is_written = write_checkpoint(self, checkpoint, rows)
        self.beginning = None if is_written else checkpoint
        if is_written:
            # Before others hear that it has decided: they may go on at once, and meet these policies.
            leave_policies(self, {name: policy_of(checkpoint, name) for name in rows})
        if self.evolution.is_synchronous:
            publish_decision(self, rows)
        elif is_written:
            publish(self, checkpoint, rows)
        if is_written:
            untold = (event for event in self.earlier_events if event.generation > self.told_generation)
            self.place.tell(ReadyPassed(self.index, self.clocks, rows, (*untold, *self.events)))
            self.told_generation = self.generation

    def slot(self, species: str) -> int:
        """The species' place on the board."""
        return self.learner.species.index(species)

    def card(self, species: str) -> Mapping[str, Any]:
        """What a policy's file says of how to rebuild it."""
        return self.evolution.card(species, self.learner)

    def rows(self) -> dict[str, BoardRow]:
        """Its standing per species, as it publishes it."""
        return {name: self.row(name) for name in self.learner.species}

    def row(self, species: str) -> BoardRow:
        """Its standing with one species, as of the latest ready point."""
        return row_of(self, species)

    def _train_until_ready(self) -> bool:
        target = self.evolution.progress(self.clocks_at_ready) + self.evolution.interval
        while self.evolution.progress(self.clocks) < target:
            if self.place.must_stop():
                return False
            reach("update")
            report = self.learner.update()
            check_report(report, self.learner.species)
            self.clocks += replace(report.clocks, seconds=0.0) if self.evolution.deterministic else report.clocks
            for name, policy in self.policies.items():
                policy.take_in(name, report.episodes)
            self.place.board.tick(self.index, self.clocks.agent_steps)
            self.place.tell(UpdateDone(self.index, self.clocks, report.metrics, report.episodes, report.notes))
        return True

    def _initial(self, species: str) -> dict[str, HyperparameterValue]:
        return self.evolution.initial(species, self.index, self.learner.get_hyperparameters(species))

    def hyperparameters(self, species: str) -> dict[str, HyperparameterValue]:
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
            hyperparameters=self.hyperparameters(species),
        )
        return replace(event, **more)  # type: ignore[arg-type]  # the fields of LineageEvent
