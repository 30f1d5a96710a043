"""Everything that a run leaves for people: lineage, TensorBoard, console, best policies, films, judgement."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping

from marl_pbt.ancestry import LineageEvent, ancestry
from marl_pbt.best_policies import BestPolicies, Choice
from marl_pbt.config import config_to_yaml
from marl_pbt.console import Console, open_console, silence
from marl_pbt.durable import write_durably
from marl_pbt.figures import score_text, source_text
from marl_pbt.judgement import judgement_lines, write_judgement
from marl_pbt.lineage_store import LineageStore
from marl_pbt.lineage_text import changes_text, schedule_text
from marl_pbt.matches import MatchResult
from marl_pbt.plan import RunPlan
from marl_pbt.reports import CheckpointFailed, MemberUp, ReadyPassed, UpdateDone
from marl_pbt.run_directory import RunDirectory, member_name
from marl_pbt.run_state import RunState
from marl_pbt.run_status import status_of
from marl_pbt.run_watch import RunWatch, Trouble
from marl_pbt.seats import Stored
from marl_pbt.status import RunDescription
from marl_pbt.tasks import FilmTask, Task
from marl_pbt.tensorboard.recorder import Recorder
from marl_pbt.told_again import began_again, ready_points

FLUSH_EVERY_S = 1.0
POPULATION_EVERY_S = 10.0
FILM = "film"
JUDGE = "judge:"
logger = logging.getLogger(__name__)


class Records:
    """The one place that writes a run's records, in the supervisor.

    Args:
        run: Where they lie.
        plan: What is run.
        resumed_at: Per member the agent steps that it goes on from; None for a fresh run.
    """

    def __init__(self, run: RunDirectory, plan: RunPlan, resumed_at: Mapping[int, int] | None) -> None:
        self._run = run
        self._plan = plan
        self._evolution = plan.evolution
        self._lineage = LineageStore(run.lineage)
        description = _describe(run, plan)
        self._recorder = Recorder(run.tensorboard, description, resumed_at, self._lineage.events)
        self._console: Console = open_console(description, sys.stdout)
        self._best = BestPolicies(
            run, plan.population, plan.config.pbt.min_episodes, self._evolution.rules.maximize, _choice_of(plan)
        )
        minutes = plan.config.pictures.every_minutes
        self._has_pictures = minutes is not None
        self._picture_every_s = 60.0 * (minutes or 1.0)
        self._due = {"flush": 0.0, "population": 0.0, "picture": time.monotonic() + self._picture_every_s, FILM: 0.0}
        self.watch = RunWatch(run, plan.patience_s)
        self._judged: dict[str, MatchResult] = {}
        self._agent_steps = 0
        self._resumed = resumed_at is not None
        self._seen: set[int] = set()
        self._is_success = False
        self._notes: set[tuple[str, str]] = set()
        self._began_at = time.monotonic()
        minutes = plan.config.films.every_minutes
        self._has_films = minutes is not None and plan.environment is not None
        self._film_every_s = 60.0 * (minutes or 0.0)
        if resumed_at is not None:
            self.say(f"going on with {run.root}")

    @property
    def exploits_so_far(self) -> int:
        """Over all members and species."""
        return sum(event.kind == "exploit" for event in self._lineage.events)

    @property
    def trouble(self) -> Trouble | None:
        """Why the run has to stop: it cannot be written down."""
        return self.watch.trouble

    def say(self, line: str) -> None:
        """Show a line, if anybody still looks."""
        self._show(self._console.say, line)

    def _show(self, show: Callable[..., None], *arguments: object) -> None:
        try:
            show(*arguments)
        except (OSError, ValueError):  # the reader of a pipe is gone, or the terminal
            silence(sys.stdout)

    def checkpoint_failed(self, report: CheckpointFailed) -> None:
        """A member could not write where it stands."""
        self.watch.failed(report, time.monotonic())

    def take(self, report: MemberUp | UpdateDone | ReadyPassed, state: RunState) -> None:
        """Record what a worker told."""
        if isinstance(report, UpdateDone):
            for note in report.notes.items():
                if note not in self._notes:  # members of a kind say the same: once is enough
                    self._notes.add(note)
                    logger.info("%s: %s", *note)
            self._recorder.update(report)
            return
        if isinstance(report, MemberUp):
            kind = "restart" if report.member in self._seen else "resume" if self._resumed else None
            self._note(began_again(report, kind) if kind else ())
            self._recorder.up(report)
            self._seen.add(report.member)
            self._best.look(report.rows)
        else:
            self.watch.written(report.member)
        new = self._note(report.events)
        for event in new:
            if event.kind == "exploit":
                state.exploits += 1
        if any(event.kind == "ready" for event in new):  # told by `ReadyPassed`, or only when the member was back
            for species in self._best.offer(report.rows, new):
                logger.info("new best %s: %s", species, score_text(self._best.scores[species]))
            for each in ready_points(report, new):
                self._recorder.ready(each)

    def _note(self, events: Iterable[LineageEvent]) -> list[LineageEvent]:
        """Store events and say the exploits and explores; those that are known already are left out of the answer."""
        new = self._lineage.append(list(events))
        for line in following_lines(new):
            self.say(line)
        return new

    def tend(self, state: RunState, ask: Callable[[Task], bool] | None) -> None:
        """Do what is due: draw, write what concerns all members, ask for a film.

        Args:
            state: Of the run.
            ask: Gives a task to a worker; None when none is to be asked for.
        """
        now = time.monotonic()
        for line in self.watch.look(now):
            logger.info(line)
            self.say(line)
        self._agent_steps = state.agent_steps
        self._show(self._console.update, status_of(state, self._evolution, now), now)
        if self._is_due("flush", FLUSH_EVERY_S, now):
            self._lineage.flush()
        if self._is_due("population", POPULATION_EVERY_S, now):
            self._record_population(state, now)
        if self._is_due("picture", self._longer_and_longer(self._picture_every_s, now), now):
            self._draw()
        if (
            ask is not None
            and self._wants_films()
            and self._is_due(FILM, self._longer_and_longer(self._film_every_s, now), now)
        ):
            ask(self._film_task())

    def take_answer(self, name: str, result: object) -> None:
        """Record what a task gave."""
        if isinstance(result, MatchResult):
            self._judged[name.removeprefix(JUDGE)] = result
        elif isinstance(result, bytes):
            self._recorder.film(result, self._agent_steps)

    def closing_tasks(self, state: RunState) -> list[Task]:
        """What is to be done once nobody trains: the judgement, and a last film."""
        tasks: list[Task] = []
        judge = self._plan.judge
        if judge is not None:
            members = [member.index for member in state.members if member.state != "failed"]
            tasks += judge.tasks(self._run, self._plan.species, members)
            self.say(f"judging: {len(tasks)} pairings of {judge.episodes} episodes each")
        if self._wants_films():
            tasks.append(self._film_task())
        return tasks

    def finish(self, state: RunState) -> None:
        """Write and say what came of it all."""
        self._is_success = any(member.state != "failed" for member in state.members)
        self._record_population(state, time.monotonic())
        self._draw()
        self._show(self._console.update, status_of(state, self._evolution, time.monotonic()), time.monotonic())
        self._show(self._console.close)
        judge = self._plan.judge
        if judge is not None and self._judged:
            write_judgement(self._run.judgement, self._judged, judge.episodes)
        for line in self._summary():
            self.say(line)

    def close(self) -> None:
        """Flush and close every file."""
        self._show(self._console.close)
        self._recorder.close(self._is_success)
        self._lineage.close()

    def _summary(self) -> Iterable[str]:
        yield ""
        yield from judgement_lines(self._judged, self._plan.species)
        for species, score in self._best.scores.items():
            member, generation = self._best.holders[species]
            path = self._run.best_policy(species)
            where = "in training" if self._evolution.score_rules.cross_play is None else "against others"
            yield f"{path}: {member_name(member)}@{generation}, {score_text(score)} {where}"
            segments = ancestry(self._lineage.events, species, member, generation)
            yield f"  its schedule: {schedule_text(segments, self._evolution.declared_names(species))}"
        yield f"curves, schedules, lineage: tensorboard --logdir {self._run.tensorboard}"
        more = f"{2 * self._evolution.stop:.0f}"
        yield f"train on: python -m marl_pbt.train --resume {self._run.root} --set stop.progress={more}"

    def _record_population(self, state: RunState, now: float) -> None:
        rows = {species: state.rows(species) for species in self._plan.species}
        clocks = {member.index: member.clocks for member in state.members}
        self._recorder.population(rows, clocks, now - state.started_at)

    def _draw(self) -> None:
        """Who copied whom, and who does how well against whom."""
        lineage = self._recorder.lineage(self._lineage.events, self._has_pictures)
        pictures = {self._run.lineage_picture(species): picture for species, picture in lineage.items()}
        payoffs = self._recorder.payoffs(self._has_pictures)
        pictures |= {self._run.payoffs_picture(species): picture for species, picture in payoffs.items()}
        for path, picture in pictures.items():
            try:
                write_durably(path, picture)
            except OSError as fault:
                logger.warning("%s: %s", path, fault)

    def _film_task(self) -> FilmTask:
        assert self._plan.environment is not None
        learner = self._plan.config.learner.make
        seats = {name: Stored(str(self._run.best_policy(name)), learner) for name in self._plan.species}
        return FilmTask(FILM, self._plan.environment, seats, self._plan.config.films.steps, seed=0)

    def _wants_films(self) -> bool:
        """Once there is somebody to be filmed."""
        return self._has_films and all(name in self._best.scores for name in self._plan.species)

    def _longer_and_longer(self, wait_s: float, now: float) -> float:
        """For what costs a second of time or a megabyte of disk each: runs may last for days."""
        return max(wait_s, (now - self._began_at) / 4)

    def _is_due(self, what: str, every_s: float, now: float) -> bool:
        if now < self._due[what]:
            return False
        self._due[what] = now + every_s
        return True


def following_lines(events: Iterable[LineageEvent]) -> Iterable[str]:
    """One line per exploit, with the explore that followed it, and one per explore without an exploit."""
    exploits: dict[tuple[int, str, int], str] = {}
    for event in events:
        point = (event.member, event.policy, event.generation)
        who = f"{event.policy} of {member_name(event.member)}@{event.generation}"
        if event.kind == "exploit":
            exploits[point] = f"exploit: {who} ← {source_text(event.parent)}"
        elif event.kind == "explore":
            changes = changes_text(event.changes) or "nothing declared"
            yield f"{exploits.pop(point, f'explore: {who}')}: {changes}"
    yield from exploits.values()


def _choice_of(plan: RunPlan) -> Choice:
    if plan.evolution.score_rules.cross_play is not None:
        return "challenge"
    return "ever" if len(plan.species) == 1 else "now"


def _describe(run: RunDirectory, plan: RunPlan) -> RunDescription:
    declared = plan.evolution.declared
    return RunDescription(
        name=run.name,
        species=plan.species,
        population=plan.population,
        hyperparameters=tuple((name, each.name) for name in plan.species for each in declared.get(name, ())),
        maximize=plan.evolution.rules.maximize,
        config_text=config_to_yaml(plan.config),
    )
