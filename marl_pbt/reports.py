"""What a worker tells the supervisor, over a pipe of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from marl_pbt.ancestry import LineageEvent
from marl_pbt.protocols import Clocks, FinishedEpisode
from marl_pbt.standings import BoardRow


@dataclass(frozen=True)
class WorkerUp:
    """Imports are done; the worker begins to build its members."""


@dataclass(frozen=True)
class MemberUp:
    """A member is built, or is back from a checkpoint.

    Attributes:
        member: Index.
        clocks: Where it stands; zero for a fresh one.
        rows: Per species.
        events: Of its latest ready point (its start, for a fresh one): told again, in case they were lost.
    """

    member: int
    clocks: Clocks
    rows: Mapping[str, BoardRow]
    events: tuple[LineageEvent, ...]


@dataclass(frozen=True)
class IntervalBegun:
    """A member is the one that its worker trains from now on; where members meet, told before each half interval."""

    member: int


@dataclass(frozen=True)
class UpdateDone:
    """A member finished one update.

    Attributes:
        member: Index.
        clocks: After it.
        metrics: The learner's diagnostics of this update, by tag.
        episodes: Finished in it, oldest first.
        notes: What the learner says in words, by tag.

    What a learner put in is made plain numbers and words: the supervisor could not read a class of the learner's own.

    Raises:
        TypeError: A metric is no number.
    """

    member: int
    clocks: Clocks
    metrics: Mapping[str, float]
    episodes: tuple[FinishedEpisode, ...]
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """See above."""
        object.__setattr__(self, "metrics", {str(tag): _number(tag, value) for tag, value in self.metrics.items()})
        object.__setattr__(self, "notes", {str(tag): str(words) for tag, words in self.notes.items()})


def _number(tag: object, value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # a learner of anybody's: what it is shows only now
    except (TypeError, ValueError, RuntimeError):  # of words, of a class without one, of a tensor with many
        raise TypeError(f"metrics of an update: {tag} must be a number, got {value!r:.80}") from None


@dataclass(frozen=True)
class ReadyPassed:
    """A member passed a ready point; its checkpoint is durable and its standing published.

    Attributes:
        member: Index.
        clocks: At the ready point.
        rows: Per species, as published.
        events: `ready`, and where it copied `exploit` and `explore`, per species.
    """

    member: int
    clocks: Clocks
    rows: Mapping[str, BoardRow]
    events: tuple[LineageEvent, ...]


@dataclass(frozen=True)
class CheckpointFailed:
    """A member's checkpoint cannot be written; it trains on, unpublished, and tries again at its next ready point.

    Attributes:
        member: Index.
        generation: Ready points passed.
        reason: The disk's, in words.
    """

    member: int
    generation: int
    reason: str


@dataclass(frozen=True)
class CheckpointWritten:
    """A member's checkpoint is on the disk though it has passed no ready point: it was stopped, or waits at one."""

    member: int


@dataclass(frozen=True)
class MemberDone:
    """A member has trained all it was to train."""

    member: int


@dataclass(frozen=True)
class MemberStopped:
    """A member was told to stop early and has written where it stands."""

    member: int


@dataclass(frozen=True)
class MemberFailed:
    """A member raised; the worker ends after this.

    Attributes:
        member: Index.
        generation: Ready points passed.
        error: One line: type and message.
        trace: The traceback, for the log.
        is_out_of_memory: Whether that is what it means.
    """

    member: int
    generation: int
    error: str
    trace: str
    is_out_of_memory: bool = False


@dataclass(frozen=True)
class TaskDone:
    """The answer to a task beside training (a film, matches), under the name that it was asked by."""

    name: str
    result: object


Report: TypeAlias = (
    WorkerUp
    | MemberUp
    | IntervalBegun
    | UpdateDone
    | ReadyPassed
    | CheckpointFailed
    | CheckpointWritten
    | MemberDone
    | MemberStopped
    | MemberFailed
    | TaskDone
)
