"""What a member does for cross-play at its ready points: its policies meet others', and stay for others to meet."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from marl_pbt.cross_play.challenge import Challenge, leads
from marl_pbt.following import others_of
from marl_pbt.matches import MatchesStoppedError
from marl_pbt.protocols import Guest, HostsGuests, Policy
from marl_pbt.snapshot import Snapshot
from marl_pbt.standings import Score
from marl_pbt.streams import stream_seed

if TYPE_CHECKING:
    from marl_pbt.cross_play.hall import Hall
    from marl_pbt.member import Member

logger = logging.getLogger(__name__)


def invite_guests(member: Member) -> None:
    """Let those whom its policies will meet at the next ready point play in some of its training worlds until then."""
    hall = member.place.hall
    if hall is None or not hall.rules.guest_worlds or not isinstance(member.learner, HostsGuests):
        return
    teams = hall.teams(member, member.generation + 1)
    guests = [Guest(str(team.opponent), team.policies) for team in teams]
    member.learner.host(guests, hall.rules.guest_worlds)


def play_matches(member: Member, sound: Sequence[str]) -> list[str]:
    """Let the policies of a ready point meet others; they are scored by it.

    A member that is told to stop breaks them off and has no score at this ready point.

    Args:
        member: Whose.
        sound: The species whose parameters are finite; the others meet nobody.

    Returns:
        Those of them that can play: finite weights may still be too large for it.
    """
    hall = member.place.hall
    if hall is None:
        return list(sound)
    own: dict[str, Policy] = {}
    for name in sound:
        try:
            own[name] = hall.own(member, name)
        except ValueError as fault:
            logger.warning("member %d: %s cannot play: %s", member.index, name, fault)
    seed = stream_seed(member.evolution.seed, "cross_play", generation=member.generation)
    teams = hall.teams(member, member.generation)
    try:
        matches = hall.arena.meet(own, member.generation, teams, seed, member.place.must_stop)
    except MatchesStoppedError:
        return list(own)
    for name, played in matches.items():
        member.policies[name].meet(played)
    return list(own)


def matches_told(member: Member, species: str, score: Score | None) -> dict[str, Any]:
    """For the lineage: the matches of this ready point, what training episodes say, and how a challenge went.

    Args:
        member: Whose; it has not copied anybody at this ready point yet.
        species: Which policy.
        score: Its score.
    """
    hall = member.place.hall
    if hall is None:
        return {}
    policy = member.policies[species]
    own_pair = policy.window.score()
    played = [each for each in policy.matches if each.generation == member.generation]
    lags = [member.generation - 1 - each.opponent.generation for each in played if not each.opponent.is_past]
    told: dict[str, Any] = {
        "matches": [each.to_json() for each in played],
        "opponents_lag": sum(lags) / len(lags) if lags else None,
        "own_pair": None if own_pair is None else own_pair.to_json(),
    }
    if leads(score, others_of(member, species), member.evolution.rules.maximize):
        challenge = _challenge(hall, member, species)
        told |= {} if challenge is None else {"challenge": challenge.to_json()}
    return told


def leave_policies(member: Member, policies: Mapping[str, Snapshot]) -> None:
    """Leave the policies of a ready point, or of the start, for others; and as the best so far, where one has won.

    A full disk costs nobody the training.
    """
    hall = member.place.hall
    if hall is None or not policies:
        return
    try:
        hall.archive.add(member.index, member.generation, policies)
        for event in member.events:
            told = event.why.get("challenge")
            if event.kind != "ready" or told is None or member.policies[event.policy].last_exploit == member.generation:
                continue
            challenge = Challenge.from_json(told)
            if challenge.is_won(member.evolution.rules.maximize):
                hall.crown(event.policy, challenge.incumbent, policies[event.policy])
    except OSError as fault:
        logger.warning("member %d leaves no policies for others to meet: %s", member.index, fault)


def _challenge(hall: Hall, member: Member, species: str) -> Challenge | None:
    """Meet the same opponents as the best so far does, in the same new episodes; None if there is nothing to tell.

    Neither of the two meets partners of its own.
    """
    found, score = hall.incumbent(species), member.policies[species].score(member.generation)
    if found is None:
        return None if score is None else Challenge(None, score.mean)
    incumbent, policy = found
    seed = stream_seed(member.evolution.seed, "challenge", generation=member.generation)
    teams = hall.teams(member, member.generation)
    strangers = [team for team in teams if team.opponent.member != incumbent.member]
    if len(strangers) >= hall.rules.least_opponents:  # else the population is too small to be so strict
        teams = strangers
    if not teams:
        return None
    try:
        own, theirs = (
            hall.arena.meet({species: each}, member.generation, teams, seed, member.place.must_stop)[species]
            for each in (hall.own(member, species), policy)
        )
    except MatchesStoppedError:
        return None
    challenge = Challenge.between(incumbent, own, theirs)
    return challenge if challenge.is_finite else None
