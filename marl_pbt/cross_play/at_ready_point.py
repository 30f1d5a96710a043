"""What a member does for cross-play at its ready points: its policies meet others', and stay for others to meet."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marl_pbt.cross_play.archive import Archive
from marl_pbt.cross_play.arena import Arena, Team
from marl_pbt.cross_play.challenge import Challenge, leads
from marl_pbt.cross_play.draw import CrossPlayRules, drawn
from marl_pbt.cross_play.meetings import Opponent, score_of
from marl_pbt.following import others_of
from marl_pbt.protocols import Guest, HostsGuests, Policy
from marl_pbt.run_directory import RunDirectory
from marl_pbt.snapshot import Snapshot, SnapshotError, decode
from marl_pbt.standings import Score, Source
from marl_pbt.streams import stream_seed

if TYPE_CHECKING:
    from marl_pbt.member import Member

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CrossPlay:
    """Where a worker's members meet others.

    Attributes:
        rules: How they are scored.
        arena: Where matches are played.
        run: Where past policies and the best ones lie.
    """

    rules: CrossPlayRules
    arena: Arena
    run: RunDirectory

    @property
    def archive(self) -> Archive:
        """Of the run."""
        return Archive(self.run.archive, self.rules.kept)

    def teams(self, member: Member, ready_point: int) -> list[Team]:
        """Whom its policies meet at a ready point of its; without those that cannot be read or cannot play."""
        species = member.learner.species
        entries = self.archive.entries(species)
        found = []
        for opponent in drawn(self.rules, member.evolution.seed, member.index, ready_point, entries):
            snapshots = self._read(species, opponent)
            team = self.arena.team(opponent, snapshots) if snapshots is not None else None
            if team is not None:
                found.append(team)
        return found

    def own(self, member: Member, species: str) -> Policy:
        """The policy as it is now; ValueError where it is not finite."""
        return self.arena.policy(species, member.card(species), member.learner.snapshot(species))

    def incumbent(self, species: str) -> tuple[Source, Policy] | None:
        """The best policy so far; None where there is none, or none that can be read."""
        path: Path = self.run.best_policy(species)
        try:
            snapshot = decode(path.read_bytes())
            source = Source(snapshot.metadata["member"], snapshot.metadata["generation"])
            return source, self.arena.policy(species, snapshot.metadata, snapshot.tensors)
        except FileNotFoundError:
            return None
        except (OSError, SnapshotError, KeyError, ValueError) as fault:
            logger.warning("%s: %s; nobody can challenge it", path, fault)
            return None

    def _read(self, species: Sequence[str], opponent: Opponent) -> dict[str, bytes] | None:
        try:
            return {name: self.archive.read(name, opponent.member, opponent.generation) for name in species}
        except OSError as fault:  # its member has let it go just now
            logger.info("%s cannot be met: %s", opponent, fault)
            return None


def invite_guests(member: Member) -> None:
    """Let those whom its policies will meet at the next ready point play in some of its training worlds until then."""
    cross_play = member.place.cross_play
    if cross_play is None or not cross_play.rules.guest_worlds or not isinstance(member.learner, HostsGuests):
        return
    teams = cross_play.teams(member, member.generation + 1)
    guests = [Guest(str(team.opponent), team.policies) for team in teams]
    member.learner.host(guests, cross_play.rules.guest_worlds)


def play_matches(member: Member, sound: Sequence[str]) -> None:
    """Let the policies of a ready point meet others; they are scored by it.

    Args:
        member: Whose.
        sound: The species whose parameters are finite; the others meet nobody.
    """
    cross_play = member.place.cross_play
    if cross_play is None:
        return
    own = {name: cross_play.own(member, name) for name in sound}
    seed = stream_seed(member.evolution.seed, "cross_play", generation=member.generation)
    teams, episodes = cross_play.teams(member, member.generation), cross_play.rules.episodes
    for name, meetings in cross_play.arena.meet(own, member.generation, teams, episodes, seed).items():
        member.policies[name].meet(meetings)


def matches_told(member: Member, species: str, score: Score | None) -> dict[str, Any]:
    """For the lineage: the matches of this ready point, what training episodes say, and how a challenge went.

    Args:
        member: Whose; it has not copied anybody at this ready point yet.
        species: Which policy.
        score: Its score.
    """
    cross_play = member.place.cross_play
    if cross_play is None:
        return {}
    policy = member.policies[species]
    own_pair = policy.window.score()
    told: dict[str, Any] = {
        "matches": [each.to_json() for each in policy.meetings if each.generation == member.generation],
        "own_pair": None if own_pair is None else own_pair.to_json(),
    }
    if leads(score, others_of(member, species), member.evolution.rules.maximize):
        challenge = _challenge(cross_play, member, species)
        told |= {} if challenge is None else {"challenge": challenge.to_json()}
    return told


def leave_policies(member: Member, policies: Mapping[str, Snapshot]) -> None:
    """Leave the policies of a ready point, or of the start, for others; a full disk costs nobody the training."""
    cross_play = member.place.cross_play
    if cross_play is None or not policies:
        return
    try:
        cross_play.archive.add(member.index, member.generation, policies)
    except OSError as fault:
        logger.warning("member %d leaves no policies for others to meet: %s", member.index, fault)


def _challenge(cross_play: CrossPlay, member: Member, species: str) -> Challenge | None:
    """Meet the same opponents as the best so far does, in the same new episodes; None if there is nothing to tell."""
    incumbent = cross_play.incumbent(species)
    seed = stream_seed(member.evolution.seed, "challenge", generation=member.generation)
    teams = cross_play.teams(member, member.generation)

    def mean(policy: Policy) -> float:
        met = cross_play.arena.meet({species: policy}, member.generation, teams, cross_play.rules.episodes, seed)
        score = score_of(met[species], 1)
        return math.nan if score is None else score.mean

    own = mean(cross_play.own(member, species))
    theirs = None if incumbent is None else mean(incumbent[1])
    if not math.isfinite(own) or (theirs is not None and not math.isfinite(theirs)):
        return None
    return Challenge(None if incumbent is None else incumbent[0], own, theirs)
