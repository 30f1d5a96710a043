"""A worker process: hosts members, lets the most-behind one live its next interval, does tasks in between."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from marl_pbt.background import Background
from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.cross_play.arena import Arena
from marl_pbt.cross_play.hall import Hall
from marl_pbt.environments import EnvironmentSource, interface_of
from marl_pbt.evolution import Evolution
from marl_pbt.fault_points import reach
from marl_pbt.faulty import spoiled_learner, spoiled_worlds
from marl_pbt.guarded_worlds import guarded
from marl_pbt.imports import ensure_rooms_on_path, load_object
from marl_pbt.meeting_point import MeetingPoint
from marl_pbt.member import Member, Place
from marl_pbt.protocols import Board, Interface, Learner, LearnerKind
from marl_pbt.reports import MemberDone, MemberFailed, MemberStopped, MemberUp, WorkerUp
from marl_pbt.run_directory import RunDirectory
from marl_pbt.shared_board import BoardShape, SharedBoard
from marl_pbt.streams import stream_seed
from marl_pbt.supervision.troubles import is_out_of_memory
from marl_pbt.supervision.watched import WatchedSource, watched
from marl_pbt.supervision.whereabouts import Whereabouts
from marl_pbt.worker_pipe import Orders, Teller

GLANCE_S = 0.05
"""Where all members wait for others: how often the worker looks whether these have come."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LearnerSource:
    """What members are built from.

    Attributes:
        make: Import string of a `LearnerKind`.
        settings: The learner's own.
        environment: Where it trains; None for learners that need none.
        num_worlds: Copies of it.
    """

    make: str
    settings: dict[str, Any]
    environment: EnvironmentSource | None
    num_worlds: int

    def build(self, seed: int, member: int) -> Learner:
        """A member's fresh learner, a function of the run's seed and the member's index."""
        worlds = None
        if self.environment is not None:
            worlds = guarded(spoiled_worlds(self.environment.open_worlds(self.num_worlds)))
        interface = Interface((), {}, {}) if worlds is None else interface_of(worlds)
        kind: LearnerKind = load_object(self.make, LearnerKind, "learner.make")
        return spoiled_learner(kind.build(self.settings, interface, worlds, stream_seed(seed, "learner", member)))


@dataclass(frozen=True)
class WorkerJob:
    """What a worker is there for.

    Attributes:
        members: Whom it hosts.
        run: The run's directory.
        learner: What they are built from.
        evolution: What PBT does.
        board: The layout of the board.
        retention: Which checkpoints are kept.
        cross_play: Where policies meet; None where training episodes make the scores.
        joining: Members that the run had not before: each begins as a copy of a good one.
        is_careful: Something befell the worker before this one; if it was a ready point that could not be written down,
            it is to be seen whose. So each member's first one is written down in the member's own turn.
    """

    members: tuple[int, ...]
    run: Path
    learner: LearnerSource
    evolution: Evolution
    board: BoardShape
    retention: Retention
    cross_play: EnvironmentSource | None = None
    joining: frozenset[int] = frozenset()
    is_careful: bool = False

    def watched(self, seen: Whereabouts) -> WorkerJob:
        """The same job, in environments whose steps are seen."""
        learner, cross_play = self.learner, self.cross_play
        if learner.environment is not None:
            learner = replace(learner, environment=WatchedSource.of(learner.environment, seen))
        return replace(self, learner=learner, cross_play=cross_play and WatchedSource.of(cross_play, seen))

    def open_hall(self, seen: Whereabouts) -> Hall | None:
        """Where the worker's members meet others; they share it."""
        rules = self.evolution.score_rules.cross_play
        if rules is None or self.cross_play is None:
            return None
        arena = Arena(self.cross_play, self.learner.make, rules.episodes)
        return Hall(rules, watched(arena, seen, meet="matches"), RunDirectory(self.run))

    def open_background(self, seen: Whereabouts) -> Background | None:
        """Where ready points are written down while the worker's other members train.

        None where members wait for each other anyway, or where the moment at which the disk is done must not make a
        difference.
        """
        if self.evolution.is_synchronous or self.evolution.deterministic:
            return None
        return watched(Background(), seen, begin="writing a checkpoint", wait="writing a checkpoint")

    def open_meeting_point(self, board: Board) -> MeetingPoint | None:
        """Where the worker's members wait for others; None where nobody waits."""
        timeout_s = self.evolution.meeting_timeout_s
        if timeout_s is None:
            return None
        return MeetingPoint(board, self.board.members, len(self.board.snapshot_bytes), timeout_s)


@dataclass(frozen=True)
class Workplace:
    """What a worker's members share.

    Attributes:
        job: The worker's.
        board: Of all members.
        tell: Reports to the supervisor.
        orders: From there.
        hall: Where they meet others' policies.
        seen: What the supervisor sees of the worker.
    """

    job: WorkerJob
    board: Board
    tell: Teller
    orders: Orders
    hall: Hall | None
    seen: Whereabouts

    def must_stop(self) -> bool:
        """Whether the supervisor wants everyone to stop."""
        self.orders.look()
        return self.orders.must_stop


def run_worker(pipe: Connection, memory: Any, whereabouts: Any = None) -> None:
    """Live until the supervisor says that nothing is left to do.

    Args:
        pipe: The worker's own; the job is the first message.
        memory: The board's.
        whereabouts: As of `Whereabouts`.
    """
    ensure_rooms_on_path()
    seen = Whereabouts(whereabouts)
    job: WorkerJob = pipe.recv().watched(seen)
    board = SharedBoard(job.board, memory)
    tell = Teller(pipe)
    orders = Orders(pipe, tell, seen)
    rest = seen.during("idle", orders.look)
    tell(WorkerUp())
    running: list[Member] = []
    hall = seen.during("building", job.open_hall)(seen)
    workplace = Workplace(job, board, tell, orders, hall, seen)
    for index in job.members:
        build = partial(seen.during("building", build_member), workplace, index)
        member = _guarded(build, index, 0, tell)
        running.append(member)
        tell(MemberUp(index, member.clocks, member.rows(), (*member.earlier_events, *member.events)))
    for member in [each for each in running if each.is_done]:
        running.remove(member)
        tell(MemberDone(member.index))
    take_turns(running, workplace)
    seen.during("a ready point", stop)(running, tell)
    while not orders.must_end:
        rest(None)
        orders.do_tasks()


def take_turns(running: list[Member], workplace: Workplace) -> None:
    """Let members live an interval each, until all are done or the supervisor wants them to stop; the done leave."""
    job, orders, seen, tell = workplace.job, workplace.orders, workplace.seen, workplace.tell
    rest = seen.during("idle", orders.look)
    background, meeting_point = job.open_background(seen), job.open_meeting_point(workplace.board)
    unproven = {member.index for member in running} if job.is_careful else set()
    while running and not orders.must_stop:
        member = who_goes_on(running, meeting_point)
        if member is not None:
            member.place.background = None if unproven else background
            live = seen.during("a ready point", member.live_one_interval)
            has_passed = _guarded(live, member.index, member.passed, tell)
            unproven.discard(member.index)
            if has_passed and member.is_done:
                running.remove(member)
                tell(MemberDone(member.index))
        rest(GLANCE_S if member is None else 0.0)
        if not orders.must_stop:
            orders.do_tasks()


def stop(members: list[Member], tell: Teller) -> None:
    """Let all say that they have stopped; who cannot says so last, for that ends the worker."""
    faults: list[tuple[Member, Exception]] = []
    for member in members:
        try:
            member.wait_until_told()
        except Exception as fault:
            faults.append((member, fault))
        else:
            tell(MemberStopped(member.index))
    if faults:
        member, reason = faults[0]
        _end_with(reason, member.index, member.passed, tell)


def who_goes_on(members: list[Member], meeting_point: MeetingPoint | None) -> Member | None:
    """Who runs next; where members meet, one of those that have come the least far; None where all have to wait."""
    if meeting_point is None:
        return most_behind(members)
    least = min(member.halves for member in members)
    if meeting_point.must_wait(least):
        return None
    return most_behind([member for member in members if member.halves == least])


def most_behind(members: list[Member]) -> Member:
    """Who runs next: the one with the least progress at its latest ready point; the first of equals.

    So who was stopped within an interval has its turn again first, and turns are those of a run that nobody stopped.
    """
    return min(members, key=lambda member: (member.evolution.progress(member.clocks_at_ready), member.index))


def build_member(workplace: Workplace, index: int) -> Member:
    """Make a member and bring it to where it was."""
    reach("build")
    job, seen = workplace.job, workplace.seen
    learner = watched(job.learner.build(job.evolution.seed, index), seen, update="learner.update")
    checkpoints = MemberCheckpoints(
        RunDirectory(job.run).member(index), job.retention, maximize=job.evolution.rules.maximize
    )
    board = watched(workplace.board, seen, publish_row="publishing", publish_snapshot="publishing")
    checkpoints = watched(checkpoints, seen, write="writing a checkpoint")
    place = Place(board, checkpoints, workplace.tell, workplace.must_stop, workplace.hall, index in job.joining)
    member = Member(index, learner, job.evolution, place)
    member.start()
    return member


def _guarded(act: Callable[[], Any], member: int, generation: int, tell: Teller) -> Any:
    """Do it; where it raises, tell the supervisor which member it was, and end this worker."""
    try:
        return act()
    except Exception as fault:
        _end_with(fault, member, generation, tell)


def _end_with(fault: Exception, member: int, generation: int, tell: Teller) -> NoReturn:
    error = f"{type(fault).__name__}: {fault}".removesuffix(": ")
    tell(MemberFailed(member, generation, error, "".join(traceback.format_exception(fault)), is_out_of_memory(fault)))
    raise SystemExit(1) from None
