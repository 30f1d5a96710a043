"""What a member knows of its policy of one species beside the weights: its scores, and where it came from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from marl_pbt.cross_play.draw import CrossPlayRules
from marl_pbt.cross_play.match import Match, score_of
from marl_pbt.protocols import FinishedEpisode, HyperparameterValue
from marl_pbt.standings import (
    GAINS_LENGTH,
    HISTORY_LENGTH,
    Gain,
    Score,
    ScoreWindow,
    Source,
    gains_from_json,
    gains_to_json,
)


@dataclass(frozen=True)
class ScoreRules:
    """What makes a score.

    Attributes:
        window: The latest this many training episodes count.
        min_episodes: With fewer the policy is pending.
        cross_play: Where matches at ready points make the score instead; None: training episodes do.
    """

    window: int
    min_episodes: int
    cross_play: CrossPlayRules | None = None


@dataclass
class PolicyState:
    """Mutable; belongs to one (member, species).

    Attributes:
        rules: What makes its score.
        window: Returns of the training episodes that the policy has played since its last exploit.
        founder: The member with whose first weights its ancestry began.
        history: Scores by generation, oldest first.
        last_exploit: The generation at which it last copied; 0 for never.
        compared_at: The last generation at which it was compared.
        parent: What it last copied.
        teacher: Whose hyperparameters it took with the parent's weights, where they were another's.
        gains: What its latest intervals brought, oldest first.
        base: `(generation, mean score)` from which the next gain counts; None where there is none.
        matches: Where it is scored by cross-play: its matches since its last exploit, of the latest ready points.
    """

    rules: ScoreRules
    window: ScoreWindow
    founder: int
    history: list[tuple[int, Score]] = field(default_factory=list)
    last_exploit: int = 0
    compared_at: int = 0
    parent: Source | None = None
    teacher: Source | None = None
    gains: list[Gain] = field(default_factory=list)
    base: tuple[int, float] | None = None
    matches: list[Match] = field(default_factory=list)

    @classmethod
    def founder_of(cls, member: int, rules: ScoreRules) -> PolicyState:
        """That of a fresh member."""
        return cls(rules, ScoreWindow(rules.window, rules.min_episodes), founder=member)

    def take_in(self, species: str, episodes: Iterable[FinishedEpisode]) -> None:
        """Count the returns of the episodes that this policy played from beginning to end, beside its own partners."""
        self.window.add(
            episode.returns[species] for episode in episodes if episode.own.get(species, True) and not episode.guest
        )

    def meet(self, matches: Iterable[Match]) -> None:
        """Take in the matches of a ready point; older ones no longer count."""
        assert self.rules.cross_play is not None
        self.matches += matches
        newest = max((match.generation for match in self.matches), default=0)
        oldest = newest - self.rules.cross_play.ready_points
        self.matches = [match for match in self.matches if match.generation > oldest]

    def score(self, generation: int) -> Score | None:
        """What its episodes up to a ready point are worth: of training, or of matches; None while pending."""
        cross_play = self.rules.cross_play
        if cross_play is None:
            return self.window.score()
        has_played = any(match.generation == generation for match in self.matches)
        return score_of(self.matches, cross_play.least_opponents) if has_played else None

    def note_score(self, generation: int, is_sound: bool = True) -> Score | None:
        """Write the score of a ready point into the history; nothing while pending.

        Args:
            generation: The ready point's.
            is_sound: False where the policy's parameters are not finite: nor is its score, whatever it returned before.
        """
        score = self.score(generation) if is_sound else Score(math.nan, math.nan, len(self.window))
        if score is not None:
            self.history = [*self.history, (generation, score)][-HISTORY_LENGTH:]
        return score

    def note_gain(
        self, generation: int, score: Score | None, hyperparameters: Mapping[str, HyperparameterValue]
    ) -> None:
        """Write down what has been gained since the base, and count from here on; nothing while pending.

        Args:
            generation: The ready point's.
            score: What was noted there.
            hyperparameters: In force since the base.
        """
        if score is None:
            return
        if self.base is not None:
            since, before = self.base
            gain = (score.mean - before) / (generation - since)
            if math.isfinite(gain):
                self.gains = [*self.gains, Gain(generation, gain, hyperparameters)][-GAINS_LENGTH:]
        self.base = (generation, score.mean) if score.is_finite else None

    def change_hyperparameters(self, generation: int, teacher: Source | None = None) -> None:
        """Others are in force from here on: what a pending policy gained with the old ones is not theirs.

        Args:
            generation: At which ready point.
            teacher: Whose, where they are somebody's and have not moved.
        """
        self.teacher = teacher
        if self.base is not None and self.base[0] != generation:
            self.base = None

    def replace_by(self, source: Source, founder: int, generation: int, score: float | None = None) -> None:
        """Another policy is here from now on: it has no episodes of its own yet.

        Args:
            source: Which version was copied.
            founder: Of its ancestry.
            generation: At which ready point.
            score: Mean score of that version, from which gains count.
        """
        self.window.clear()
        self.matches = []
        self.base = None if score is None else (generation, score)
        self.last_exploit = generation
        self.parent = source
        self.teacher = None
        self.founder = founder

    def to_json(self) -> dict[str, Any]:
        """Strict JSON for the checkpoint; what is not finite becomes null."""
        return {
            "returns": [value if math.isfinite(value) else None for value in self.window.returns()],
            "founder": self.founder,
            "history": [[at, score.to_json()] for at, score in self.history],
            "last_exploit": self.last_exploit,
            "compared_at": self.compared_at,
            "parent": None if self.parent is None else asdict(self.parent),
            "teacher": None if self.teacher is None else asdict(self.teacher),
            "gains": gains_to_json(self.gains),
            "base": self.base,
            "matches": [match.to_json() for match in self.matches],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], rules: ScoreRules) -> PolicyState:
        """The inverse of `to_json`."""
        window = ScoreWindow(rules.window, rules.min_episodes)
        window.add(math.nan if value is None else value for value in data["returns"])
        return cls(
            rules=rules,
            window=window,
            founder=data["founder"],
            history=[(int(at), Score.from_json(score)) for at, score in data["history"]],
            last_exploit=data["last_exploit"],
            compared_at=data["compared_at"],
            parent=None if data["parent"] is None else Source(**data["parent"]),
            teacher=None if data.get("teacher") is None else Source(**data["teacher"]),
            gains=list(gains_from_json(data.get("gains"))),
            base=None if data.get("base") is None else (int(data["base"][0]), float(data["base"][1])),
            matches=[Match.from_json(each) for each in data.get("matches", ())],
        )
