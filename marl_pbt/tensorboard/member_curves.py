"""The curves of one member slot over its agent steps: returns, score, diagnostics, hyperparameters, speed.

A metric of an update is written with others as their mean, one point in two seconds at first and one in 0.2 % of the
time elapsed later on: a day's run has some 2 700 points a curve, of which TensorBoard shows 1 000.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from marl_pbt.ancestry import LineageEvent
from marl_pbt.protocols import Clocks, FinishedEpisode, HyperparameterValue
from marl_pbt.reports import MemberUp, ReadyPassed, UpdateDone
from marl_pbt.run_directory import member_name
from marl_pbt.standings import Score
from marl_pbt.status import RunDescription
from marl_pbt.tensorboard.event_writer import EventWriter
from marl_pbt.tensorboard.summaries import hparams_end_summary, hparams_summary, text_summary

POINT_INTERVAL_S = 2.0
POINT_SHARE_OF_TIME = 0.002


class MemberCurves:
    """Writes what one member reports. The slot's curves go on whatever policy it holds, and never backwards.

    Args:
        folder: Holds a folder per member.
        member: Index.
        description: Of the run.
        clock: Seconds since the epoch.
        resumed_at: Agent steps from which a run goes on; None for a fresh one.
        copied: Per species: the generations at which it has copied already.
    """

    def __init__(
        self,
        folder: Path,
        member: int,
        description: RunDescription,
        clock: Callable[[], float],
        resumed_at: int | None,
        copied: Mapping[str, Iterable[int]],
    ) -> None:
        self._name = member_name(member)
        self._species = description.species
        self._clock = clock
        self._began_at = clock()
        self._copied = {species: set(copied.get(species, ())) for species in description.species}
        self._in_force: dict[str, Mapping[str, HyperparameterValue]] = {}
        self._notes: dict[str, str] = {}
        self._means = _Means()
        self._written_at = float("-inf")
        self._last_point = Clocks()
        self._step = resumed_at or 0
        self.writer = EventWriter(folder / self._name, clock)
        if resumed_at is not None:
            self.writer.start_after(resumed_at or -1)

    def up(self, report: MemberUp) -> None:
        """The member is there: fresh, or back from a checkpoint behind which its curves are taken back."""
        steps = report.clocks.agent_steps
        is_again_at_start = steps == 0 and bool(self._in_force)
        if steps < self._step or is_again_at_start:
            self._means = _Means()
            self.writer.start_after(steps or -1)
        self._step = steps
        self._last_point = report.clocks
        self._in_force = {species: row.hyperparameters for species, row in report.rows.items()}
        if steps == 0:
            values = {f"{species}/{name}": value for species, name, value in self._values()}
            self.writer.summary(hparams_summary(self._name, values, self._clock()), 0)
            founders = {f"founder/{species}": float(row.founder) for species, row in report.rows.items()}
            self.writer.scalars(self._hyperparameter_points() | founders, 0)
            self.writer.flush()

    def update(self, report: UpdateDone) -> None:
        """Take in one update; after a roll-back the curves are taken back to where it begins."""
        if report.clocks.agent_steps < self._step:
            self._means, self._last_point = _Means(), report.clocks
            self.writer.start_after(report.clocks.agent_steps - 1)
        self._step = report.clocks.agent_steps
        for tag, text in report.notes.items():
            if self._notes.get(tag) != text:
                self._notes[tag] = text
                self.writer.summary(text_summary(self._tag(tag), text), self._step)
        self._means.add({self._tag(tag): value for tag, value in report.metrics.items()})
        for episode in report.episodes:
            self._means.add(_episode_metrics(episode))
        now = self._clock()
        if now - self._written_at >= max(POINT_INTERVAL_S, POINT_SHARE_OF_TIME * (now - self._began_at)):
            self._written_at = now
            self._write_means(report.clocks)

    def ready(self, report: ReadyPassed) -> None:
        """Take in a ready point; it is on the disk afterwards."""
        self._step = report.clocks.agent_steps
        self._write_means(report.clocks)
        for event in report.events:
            if event.kind == "exploit":
                self._copied[event.policy].add(event.generation)
        before = self._hyperparameter_points()
        self._in_force = {species: row.hyperparameters for species, row in report.rows.items()}
        after = self._hyperparameter_points()
        counts = {f"exploits/{species}": float(len(copied)) for species, copied in self._copied.items()}
        founders = {f"founder/{species}": float(row.founder) for species, row in report.rows.items()}
        until_now = {tag: before.get(tag, value) for tag, value in after.items()}
        self.writer.scalars(_scores_of(report.events) | until_now | counts | founders, self._step)
        # A step later, so that the curve has a corner: of two points at one step TensorBoard keeps one.
        self.writer.scalars({tag: value for tag, value in after.items() if until_now[tag] != value}, self._step + 1)
        self.writer.flush()

    def close(self, is_success: bool) -> None:
        """Write the rest, and that it is over."""
        self.writer.scalars(self._means.take(), self._step)
        self.writer.summary(hparams_end_summary(is_success, self._clock()), self._step)
        self.writer.close()

    def _write_means(self, clocks: Clocks) -> None:
        values = self._means.take()
        seconds = clocks.seconds - self._last_point.seconds
        if seconds > 0:
            values["speed/agent_steps_per_s"] = (clocks.agent_steps - self._last_point.agent_steps) / seconds
            self._last_point = clocks
        self.writer.scalars(values, clocks.agent_steps)

    def _tag(self, metric: str) -> str:
        """A diagnostic of a species' learner is shown in a group of its own; other tags are the learner's choice."""
        return f"learner/{metric}" if metric.split("/", 1)[0] in self._species else metric

    def _values(self) -> Iterator[tuple[str, str, HyperparameterValue]]:
        for species, values in self._in_force.items():
            for name, value in values.items():
                yield species, name, value

    def _hyperparameter_points(self) -> dict[str, float]:
        """What is in force and can be drawn as a curve; true is 1."""
        return {
            f"hyperparameters/{species}/{name}": float(value)
            for species, name, value in self._values()
            if not isinstance(value, str)
        }


class _Means:
    """Sums up values by tag until they are taken as means."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, int]] = {}

    def add(self, values: Mapping[str, float]) -> None:
        for tag, value in values.items():
            total, count = self._sums.get(tag, (0.0, 0))
            self._sums[tag] = (total + value, count + 1)

    def take(self) -> dict[str, float]:
        """The means by now; begins anew."""
        means = {tag: total / count for tag, (total, count) in self._sums.items()}
        self._sums.clear()
        return means


def score_points(species: str, score: Score) -> dict[str, float]:
    """A score with its band, mean ± standard error."""
    return {
        f"score/{species}": score.mean,
        f"score/{species}_low": score.mean - score.standard_error,
        f"score/{species}_high": score.mean + score.standard_error,
    }


def _scores_of(events: Sequence[LineageEvent]) -> dict[str, float]:
    """What the ready points among the events were worth."""
    points: dict[str, float] = {}
    for event in events:
        if event.kind == "ready" and event.score is not None:
            points |= score_points(event.policy, event.score)
    return points


def _episode_metrics(episode: FinishedEpisode) -> dict[str, float]:
    if episode.guest:
        own = [species for species in episode.returns if episode.own.get(species, True)]
        return {f"guests/returns/{species}": episode.returns[species] for species in own}
    returns = {f"returns/{species}": value for species, value in episode.returns.items()}
    others = {f"episodes/{tag}": value for tag, value in episode.metrics.items()}
    return returns | others | {"episodes/length": float(episode.length)}
