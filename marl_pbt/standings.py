"""What stands on the board about a member's policy: its scores by ready point, and what is published of it."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from marl_pbt.protocols import LARGEST, HyperparameterValue

HISTORY_LENGTH = 256
"""Ready points that a row remembers: a straggler this far behind is still compared at equal progress."""
GAINS_LENGTH = 16
"""Intervals of which a row tells what they gained: with eight members 128 points, in a tenth of what a row may hold."""
Stage = Literal["training", "waiting", "done"]
"""What a member does after the ready point that its row tells of; it waits only in synchronous mode."""


@dataclass(frozen=True, slots=True)
class Score:
    """`episode_return_mean` with what it stands on.

    Attributes:
        mean: Mean return over the episodes; not finite where training went wrong.
        standard_error: Of the mean; 0 for a single episode.
        episodes: How many.
    """

    mean: float
    standard_error: float
    episodes: int

    @property
    def is_finite(self) -> bool:
        """False for NaN, ±inf and what is no better, as 1e308: these never rank."""
        return abs(self.mean) <= LARGEST and abs(self.standard_error) <= LARGEST

    def to_json(self) -> dict[str, Any]:
        """Strict JSON: what is not finite becomes null."""
        finite = self.is_finite
        return {
            "mean": self.mean if finite else None,
            "standard_error": self.standard_error if finite else None,
            "episodes": self.episodes,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Score:
        """The inverse of `to_json`; null becomes NaN."""
        mean, error = data["mean"], data["standard_error"]
        return cls(
            math.nan if mean is None else float(mean),
            math.nan if error is None else float(error),
            int(data["episodes"]),
        )


class ScoreWindow:
    """The latest episode returns of one policy since its last exploit.

    Args:
        length: How many count at most.
        min_episodes: With fewer there is no score.
    """

    def __init__(self, length: int, min_episodes: int) -> None:
        self._returns: deque[float] = deque(maxlen=max(length, min_episodes))
        self._min_episodes = min_episodes

    def __len__(self) -> int:
        return len(self._returns)

    def add(self, returns: Iterable[float]) -> None:
        """Take in finished episodes, oldest first."""
        self._returns.extend(returns)

    def clear(self) -> None:
        """Forget all: another policy plays from here on."""
        self._returns.clear()

    def returns(self) -> list[float]:
        """What counts now, oldest first."""
        return list(self._returns)

    def score(self) -> Score | None:
        """The score, or None while pending."""
        count = len(self._returns)
        if count < self._min_episodes or count == 0:
            return None
        try:
            mean = math.fsum(self._returns) / count
            variance = sum((value - mean) ** 2 for value in self._returns) / (count - 1) if count > 1 else 0.0
        except (OverflowError, ValueError):  # too large to be summed, or infinities of both signs
            mean = variance = math.nan
        return Score(mean, math.sqrt(variance / count), count)


@dataclass(frozen=True, slots=True)
class Source:
    """One published version of a member's policy."""

    member: int
    generation: int


@dataclass(frozen=True)
class Gain:
    """What training with certain hyperparameters brought to one policy.

    Attributes:
        generation: The ready point at its end.
        per_interval: Change of the mean score since the ready point before, or since the version that was copied;
            spread evenly where the policy was pending in between.
        hyperparameters: In force all the while.
    """

    generation: int
    per_interval: float
    hyperparameters: Mapping[str, HyperparameterValue]


def gains_to_json(gains: Sequence[Gain]) -> dict[str, Any]:
    """Strict JSON; the names, which are the same in all, once. Gains by other names than the newest's are left out."""
    names = list(gains[-1].hyperparameters) if gains else []
    alike = (gain for gain in gains if list(gain.hyperparameters) == names)
    table = [[gain.generation, gain.per_interval, *gain.hyperparameters.values()] for gain in alike]
    return {"names": names, "table": table}


def gains_from_json(data: Mapping[str, Any] | None) -> tuple[Gain, ...]:
    """The inverse of `gains_to_json`; none for None, as in checkpoints from before there were gains."""
    if data is None:
        return ()
    return tuple(
        Gain(int(generation), float(gain), dict(zip(data["names"], values, strict=True)))
        for generation, gain, *values in data["table"]
    )


@dataclass(frozen=True)
class BoardRow:
    """The public standing of one (member, species).

    Attributes:
        member: Index of the member.
        generation: Ready points it has passed.
        agent_steps: Its own clock, as of the last ready point.
        env_steps: Steps of one world, likewise.
        history: Scores by generation, oldest first; a pending ready point has none.
        last_exploit: The generation at which it last copied; 0 for never.
        snapshot_generation: Which of its generations lies in the snapshot slot; −1 for none.
        hyperparameters: In force from this ready point on; of a row that still shows the version that earned the score
            though its member has decided (see marl_pbt.publishing): that version's.
        parent: What it last copied.
        founder: The member with whose first weights its ancestry began.
        is_retired: True once the member has failed for good: it counts no more.
        gains: What its latest intervals brought, oldest first: for explorers that learn from all members.
        teacher: Whose hyperparameters it took with the parent's weights, where they were another's.
        stage: `waiting`: it shows its score, and has not decided yet.
        chosen: Of such a row: what its member has decided to train with.
    """

    member: int
    generation: int
    agent_steps: int = 0
    env_steps: int = 0
    history: tuple[tuple[int, Score], ...] = ()
    last_exploit: int = 0
    snapshot_generation: int = -1
    hyperparameters: Mapping[str, HyperparameterValue] = field(default_factory=dict)
    parent: Source | None = None
    founder: int = 0
    is_retired: bool = False
    gains: tuple[Gain, ...] = ()
    teacher: Source | None = None
    stage: Stage = "training"
    chosen: Mapping[str, HyperparameterValue] | None = None

    @property
    def in_force(self) -> Mapping[str, HyperparameterValue]:
        """What its member trains with now."""
        return self.hyperparameters if self.chosen is None else self.chosen

    def score_at(self, generation: int) -> Score | None:
        """The score at a ready point, whatever policy the member held there; None where there is none."""
        return next((score for at, score in reversed(self.history) if at == generation), None)

    @property
    def newest(self) -> Score | None:
        """The score of the policy that it holds now; None while pending."""
        if not self.history or self.history[-1][0] <= self.last_exploit or self.history[-1][0] != self.generation:
            return None
        return self.history[-1][1]

    @property
    def can_be_donor(self) -> bool:
        """True when the snapshot in the slot is the policy that earned the newest score, a finite one.

        Also of a retired member: what it last published is as good as it ever was.
        """
        newest = self.newest
        return newest is not None and newest.is_finite and self.snapshot_generation == self.generation

    def to_bytes(self) -> bytes:
        """Strict JSON."""
        data = asdict(replace(self, history=(), gains=()))
        data["history"] = [[at, score.to_json()] for at, score in self.history[-HISTORY_LENGTH:]]
        data["gains"] = gains_to_json(self.gains)
        return json.dumps(data, allow_nan=False, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> BoardRow:
        """The inverse of `to_bytes`."""
        fields = json.loads(data)
        fields["history"] = tuple((int(at), Score.from_json(score)) for at, score in fields["history"])
        for name in ("parent", "teacher"):
            fields[name] = None if fields[name] is None else Source(**fields[name])
        fields["gains"] = gains_from_json(fields.get("gains"))
        return cls(**fields)
