"""A fresh learner trained with the schedule that an ancestry lived through: what PBT found, without PBT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from marl_pbt.ancestry import Segment, names_along, schedule
from marl_pbt.policy_state import PolicyState, ScoreRules
from marl_pbt.protocols import Clocks, HyperparameterValue, Learner, TrainingReport
from marl_pbt.standings import Score


@dataclass(frozen=True)
class Schedule:
    """Of one species.

    Attributes:
        points: Per hyperparameter `(agent steps since the founder, value)`, oldest first.
        agent_steps: How long the line has lived.
    """

    points: Mapping[str, Sequence[tuple[int, HyperparameterValue]]]
    agent_steps: int

    @classmethod
    def of(cls, segments: Sequence[Segment]) -> Schedule:
        """The one that an ancestry lived through."""
        lived = (
            each.events[-1].clocks.agent_steps - each.events[0].clocks.agent_steps for each in segments if each.events
        )
        return cls({name: schedule(segments, name) for name in names_along(segments)}, sum(lived))

    def at(self, agent_steps: int) -> dict[str, HyperparameterValue]:
        """What is in force once the line has come so far."""
        return {
            name: [value for since, value in points if since <= agent_steps][-1]
            for name, points in self.points.items()
            if points and points[0][0] <= agent_steps
        }


@dataclass(frozen=True)
class Step:
    """An update of a replay.

    Attributes:
        clocks: Progress, this update included.
        report: What it brought.
        scores: Per species, of the latest training episodes of its own pair; None while there are too few.
    """

    clocks: Clocks
    report: TrainingReport
    scores: Mapping[str, Score | None]


def replay(learner: Learner, schedules: Mapping[str, Schedule], rules: ScoreRules) -> Iterator[Step]:
    """Train until every species is as old as its ancestry was.

    Each value is in force before the update that it was due at.

    Args:
        learner: A fresh one.
        schedules: Per species.
        rules: What makes a score.
    """
    clocks, far = Clocks(), max(each.agent_steps for each in schedules.values())
    policies = {name: PolicyState.founder_of(0, rules) for name in learner.species}
    while clocks.agent_steps < far:
        for name, each in schedules.items():
            learner.set_hyperparameters(name, each.at(clocks.agent_steps))
        report = learner.update()
        clocks += report.clocks
        for name, policy in policies.items():
            policy.take_in(name, report.episodes)
        yield Step(clocks, report, {name: policy.window.score() for name, policy in policies.items()})
