"""Where matches of a member's policies against others' are played: one batch of worlds for all of them at once."""

from __future__ import annotations

import logging
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from marl_pbt.cross_play.match import Match, Opponent
from marl_pbt.environments import EnvironmentSource, interface_of
from marl_pbt.imports import load_object
from marl_pbt.matches import Limits, play_side_by_side
from marl_pbt.protocols import LearnerKind, Policy, Worlds
from marl_pbt.snapshot import SnapshotError, decode

logger = logging.getLogger(__name__)

OPEN = 2
"""Batches of worlds that a worker keeps open: that of all matches of a ready point, and that of a challenge."""
MOST_STEPS = 50_000
"""Env steps in which an episode must end: where nothing ever ends, nobody could be scored."""

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
        episodes: With each opponent.
    """

    def __init__(self, environment: EnvironmentSource, learner: str, episodes: int = 1) -> None:
        self._environment = environment
        self._learner = learner
        self._episodes = episodes
        self._worlds: OrderedDict[int, Worlds] = OrderedDict()
        self._spaces = interface_of(environment.open_worlds(1))
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
        spaces = self._spaces.observation_spaces[species], self._spaces.action_spaces[species]
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
        self,
        own: Mapping[str, Policy],
        generation: int,
        teams: Sequence[Team],
        seed: int,
        must_stop: Callable[[], bool],
    ) -> dict[str, list[Match]]:
        """Let each of the own policies, one at a time, play with every team.

        Args:
            own: Per species; each meets the teams' other species.
            generation: The own one's.
            teams: With policies of all species.
            seed: Episode number n of team number k begins alike in every call.
            must_stop: Asked now and then.

        Returns:
            Per own species a match per team.

        Raises:
            MatchesStoppedError: They had to be broken off.
            UserError: Episodes do not end.
        """
        episodes = self._episodes
        if not teams or not own:
            return {species: [] for species in own}
        tables: list[Mapping[str, Policy]] = [
            {**team.policies, species: policy}
            for species, policy in own.items()
            for team in teams
            for _ in range(episodes)
        ]
        played = play_side_by_side(
            self._opened(len(tables)), tables, seed, limits=Limits(must_stop, MOST_STEPS)
        ).episodes
        matches: dict[str, list[Match]] = {}
        places = iter(range(0, len(tables), episodes))
        for species in own:
            for team in teams:
                begin = next(places)
                part = [episode.returns for episode in played[begin : begin + episodes]]
                others = {
                    name: sum(each[name] for each in part) / episodes for name in team.policies if name != species
                }
                returns = tuple(float(each[species]) for each in part)
                matches.setdefault(species, []).append(Match(generation, team.opponent, returns, others))
        return matches

    def _opened(self, worlds: int) -> Worlds:
        if worlds not in self._worlds:
            self._worlds[worlds] = self._environment.open_worlds(worlds)
            if len(self._worlds) > OPEN:
                self._worlds.popitem(last=False)
        self._worlds.move_to_end(worlds)
        return self._worlds[worlds]
