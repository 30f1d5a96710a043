"""`best/<species>.safetensors`: at any time the best policy so far, whole."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias

from marl_pbt.ancestry import LineageEvent
from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.durable import write_durably
from marl_pbt.member_files import policy_of
from marl_pbt.run_directory import RunDirectory
from marl_pbt.snapshot import SnapshotError, decode, encode
from marl_pbt.standings import BoardRow, Score

Choice: TypeAlias = Literal["ever", "now", "challenge"]
"""Which is the best policy: that of the highest score ever; that of the highest now; whoever has won the challenges."""
logger = logging.getLogger(__name__)


class _Earned(NamedTuple):
    """A score, and by which policy it was earned."""

    member: int
    generation: int
    score: Score


class BestPolicies:
    """Replaces a file by a better policy: its score is finite, stands on enough episodes, and compares favourably.

    A score of `ever` is a yardstick where one species learns. Where there are more, their scores fall as the others
    get better, and the highest of all times is one of the first ready points', against who could not yet resist: the
    choice is then `now`, the leader at equal progress. With cross-play members replace the file themselves, by
    challenge (see marl_pbt.cross_play), and this only looks.

    Args:
        run: Where the files are.
        population: N.
        min_episodes: A score of fewer does not count.
        maximize: True when larger is better.
        choice: Which scores compare.
    """

    def __init__(
        self, run: RunDirectory, population: int, min_episodes: int, maximize: bool = True, choice: Choice = "ever"
    ) -> None:
        self._run = run
        self._population = population
        self._min_episodes = min_episodes
        self._maximize = maximize
        self._choice = choice
        self._rows: dict[str, dict[int, BoardRow]] = {}
        self.scores: dict[str, Score] = {}
        self.holders: dict[str, tuple[int, int]] = {}
        for path in run.best.glob("*.safetensors"):
            self._remember(path.stem)

    def look(self, rows: Mapping[str, BoardRow]) -> None:
        """Take notice of a member's standings, without replacing anybody."""
        for name, row in rows.items():
            self._rows.setdefault(name, {})[row.member] = row

    def offer(self, rows: Mapping[str, BoardRow], events: Iterable[LineageEvent] = ()) -> list[str]:
        """Look at a member's standings at a ready point, whose checkpoint is on disk.

        Args:
            rows: Per species.
            events: Of that ready point; they tell whether there was a challenge.

        Returns:
            The species whose best policy is another than before.
        """
        self.look(rows)
        if self._choice == "challenge":
            return [event.policy for event in events if "challenge" in event.why and self._is_new(event.policy)]
        found = {name: self._leader(name) if self._choice == "now" else _newest(row) for name, row in rows.items()}
        better = {
            name: earned for name, earned in found.items() if earned is not None and self._is_better(name, earned)
        }
        return [name for name, earned in better.items() if self._replace(name, earned)]

    def _leader(self, species: str) -> _Earned | None:
        """Who had the best score at the newest ready point that more than half of the population has passed."""
        rows = self._rows[species].values()
        passed = sorted((row.generation for row in rows), reverse=True)
        pace = passed[self._population // 2] if len(passed) > self._population // 2 else 0
        scores = [(row, row.score_at(pace)) for row in rows if row.last_exploit != pace]
        able = [_Earned(row.member, pace, score) for row, score in scores if score is not None and self._counts(score)]
        return max(able, key=lambda each: (self._height(each.score), -each.member), default=None)

    def _is_better(self, species: str, earned: _Earned) -> bool:
        if not self._counts(earned.score):
            return False
        if self._choice == "now":
            return self.holders.get(species) != (earned.member, earned.generation)
        best = self.scores.get(species)
        return best is None or self._height(earned.score) > self._height(best)

    def _counts(self, score: Score) -> bool:
        return score.is_finite and score.episodes >= self._min_episodes

    def _height(self, score: Score) -> float:
        """More is better."""
        return score.mean if self._maximize else -score.mean

    def _replace(self, species: str, earned: _Earned) -> bool:
        """Write the policy of a ready point down, unless it is there no longer."""
        checkpoint = MemberCheckpoints(self._run.member(earned.member), Retention()).read(earned.generation)
        if checkpoint is None:  # the member is ahead of us and has deleted it; its next one will be offered
            return False
        policy = policy_of(checkpoint, species)
        # A member that fell back to an older checkpoint has lived this generation again, with another score.
        if policy.metadata["score"] != earned.score.to_json():
            return False
        write_durably(self._run.best_policy(species), encode(policy))
        self._note(species, earned.score, (earned.member, earned.generation))
        return True

    def _is_new(self, species: str) -> bool:
        """Look at the file; whether another policy lies there than before."""
        before = self.holders.get(species)
        if self._run.best_policy(species).is_file():
            self._remember(species)
        return self.holders.get(species) != before

    def _remember(self, species: str) -> None:
        """What lies there from before, so that a resumed run does not replace it by something lower."""
        try:
            metadata = decode(self._run.best_policy(species).read_bytes()).metadata
            score = Score.from_json(metadata["score"])
            self._note(species, score, (metadata["member"], metadata["generation"]))
        except (OSError, SnapshotError, KeyError, TypeError) as fault:
            logger.warning("%s: %s; it will be replaced", self._run.best_policy(species), fault)

    def _note(self, species: str, score: Score, holder: tuple[int, int]) -> None:
        self.scores[species] = score
        self.holders[species] = holder


def _newest(row: BoardRow) -> _Earned | None:
    return None if row.newest is None else _Earned(row.member, row.generation, row.newest)
