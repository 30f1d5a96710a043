"""`best/<species>.safetensors`: at any time the best policy so far, whole."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from marl_pbt.ancestry import LineageEvent
from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.durable import write_durably
from marl_pbt.member_files import policy_of
from marl_pbt.run_directory import RunDirectory
from marl_pbt.snapshot import SnapshotError, decode, encode
from marl_pbt.standings import BoardRow, Score

logger = logging.getLogger(__name__)


class BestPolicies:
    """Replaces a file only by a better one: a higher, finite score of enough episodes.

    Where scores are won against opponents that learn, members replace it themselves, by challenge (see
    marl_pbt.cross_play), and this only looks.

    Args:
        run: Where the files are.
        min_episodes: A score of fewer does not count.
        maximize: True when larger is better.
        by_challenge: Whether scores of different ready points cannot be compared, so that challenges decide.
    """

    def __init__(self, run: RunDirectory, min_episodes: int, maximize: bool = True, by_challenge: bool = False) -> None:
        self._run = run
        self._min_episodes = min_episodes
        self._maximize = maximize
        self._by_challenge = by_challenge
        self.scores: dict[str, Score] = {}
        self.holders: dict[str, tuple[int, int]] = {}
        for path in run.best.glob("*.safetensors"):
            self._remember(path.stem)

    def offer(self, rows: Mapping[str, BoardRow], events: Iterable[LineageEvent] = ()) -> list[str]:
        """Look at a member's standings at a ready point, whose checkpoint is on disk.

        Args:
            rows: Per species.
            events: Of that ready point; they tell whether there was a challenge.

        Returns:
            The species for which it is the best so far.
        """
        if self._by_challenge:
            return [event.policy for event in events if "challenge" in event.why and self._is_new(event.policy)]
        better = [name for name, row in rows.items() if self._is_better(name, row.newest)]
        if not better:
            return []
        row = rows[better[0]]
        checkpoint = MemberCheckpoints(self._run.member(row.member), Retention()).read(row.generation)
        if checkpoint is None:  # the member is ahead of us and has deleted it; its next one will be offered
            return []
        replaced = []
        for name in better:
            policy, score = policy_of(checkpoint, name), rows[name].newest
            # A member that fell back to an older checkpoint has lived this generation again, with another score.
            if score is not None and policy.metadata["score"] == score.to_json():
                write_durably(self._run.best_policy(name), encode(policy))
                self._note(name, score, (row.member, row.generation))
                replaced.append(name)
        return replaced

    def _is_better(self, species: str, score: Score | None) -> bool:
        if score is None or not score.is_finite or score.episodes < self._min_episodes:
            return False
        best = self.scores.get(species)
        return best is None or (score.mean > best.mean if self._maximize else score.mean < best.mean)

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
