"""Where matches of a member's policies against others' are played: one batch of worlds for all of them at once."""

from __future__ import annotations

import logging
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from marl_pbt.cross_play.meetings import Meeting, Opponent
from marl_pbt.environments import EnvironmentSource
from marl_pbt.imports import load_object
from marl_pbt.matches import play_side_by_side
from marl_pbt.protocols import LearnerKind, Policy, Worlds
from marl_pbt.snapshot import SnapshotError, decode

logger = logging.getLogger(__name__)

REMEMBERED = 64
"""Opponents' policies that a worker keeps loaded: its members meet the same ones."""


@dataclass(frozen=True)
class Team:
    """An opponent, ready to play.

    Attributes:
        opponent: Who it is.
        policies: Of the other species.
    """

    opponent: Opponent
    policies: Mapping[str, Policy]


class Arena:
    """Plays; one per worker, shared by its members, who take turns.

    Args:
        environment: Where matches are played.
        learner: Import string of the kind that loads the policies.
    """

    def __init__(self, environment: EnvironmentSource, learner: str) -> None:
        self._environment = environment
        self._learner = learner
        self._worlds: dict[int, Worlds] = {}
        self._loaded: OrderedDict[tuple[str, int], Policy] = OrderedDict()

    def policy(self, species: str, card: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Policy:
        """Load a policy.

        Args:
            species: Which it plays.
            card: With its `architecture`.
            tensors: With its `policy/…` arrays.

        Raises:
            ValueError: It is none, or not finite.
        """
        kind: LearnerKind = load_object(self._learner, LearnerKind, "learner.make")
        acting = {name: array for name, array in tensors.items() if name.startswith("policy/")}
        worlds = self._opened(1)
        spaces = worlds.observation_spaces[species], worlds.action_spaces[species]
        return kind.load_policy(card["architecture"], acting, spaces)

    def team(self, opponent: Opponent, snapshots: Mapping[str, bytes]) -> Team | None:
        """An opponent from its snapshots, per species; None, and a warning, where one of them cannot play."""
        policies = {}
        for species, data in snapshots.items():
            try:
                key = (species, zlib.crc32(data))
                if key not in self._loaded:
                    snapshot = decode(data)
                    self._loaded[key] = self.policy(species, snapshot.metadata, snapshot.tensors)
                    if len(self._loaded) > REMEMBERED:
                        self._loaded.popitem(last=False)
                self._loaded.move_to_end(key)
                policies[species] = self._loaded[key]
            except (SnapshotError, ValueError, KeyError) as fault:
                logger.warning("%s of %s cannot be met: %s", species, opponent, fault)
                return None
        return Team(opponent, policies)

    def meet(
        self, own: Mapping[str, Policy], generation: int, teams: Sequence[Team], episodes: int, seed: int
    ) -> dict[str, list[Meeting]]:
        """Let each of the own policies, one at a time, play with every team.

        Args:
            own: Per species; each meets the teams' other species.
            generation: The own one's.
            teams: With policies of all species.
            episodes: Per team.
            seed: Episode number n of team number k begins alike in every call.

        Returns:
            Per own species a meeting per team.
        """
        if not teams or not own:
            return {species: [] for species in own}
        tables: list[Mapping[str, Policy]] = [
            {**team.policies, species: policy}
            for species, policy in own.items()
            for team in teams
            for _ in range(episodes)
        ]
        played = play_side_by_side(self._opened(len(tables)), tables, seed).episodes
        meetings: dict[str, list[Meeting]] = {}
        places = iter(range(0, len(tables), episodes))
        for species in own:
            for team in teams:
                begin = next(places)
                part = [episode.returns for episode in played[begin : begin + episodes]]
                others = {
                    name: sum(each[name] for each in part) / episodes for name in team.policies if name != species
                }
                returns = tuple(float(each[species]) for each in part)
                meetings.setdefault(species, []).append(Meeting(generation, team.opponent, returns, others))
        return meetings

    def _opened(self, worlds: int) -> Worlds:
        if worlds not in self._worlds:
            self._worlds[worlds] = self._environment.open_worlds(worlds)
        return self._worlds[worlds]
