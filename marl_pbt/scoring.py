"""How a member's policies are scored at its ready point."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marl_pbt.cross_play.at_ready_point import play_matches
from marl_pbt.fault_points import reach
from marl_pbt.protocols import DivergedError
from marl_pbt.standings import Score

if TYPE_CHECKING:
    from marl_pbt.member import Member


def note_scores(member: Member) -> None:
    """Score each species; not finite where it has to follow a donor, whatever its latest episodes returned.

    Raises:
        DivergedError: The score of another one is not finite, or it makes of an observation what is not.
    """
    sick = sick_species(member)
    able = play_matches(member, [name for name in member.policies if name not in sick])
    for name, policy in member.policies.items():
        score = policy.note_score(member.generation, name in able)
        score = _spoiled(score)
        if member.fault is None and score is not None and not score.is_finite:
            raise DivergedError(name, f"its score is {score.mean}" if name in able else "it cannot play")
        if member.fault is None:  # else nobody has trained since the ready point before
            policy.note_gain(member.generation, score, member.hyperparameters(name))


def sick_species(member: Member) -> tuple[str, ...]:
    """The species that may have diverged in the interval that was given up: the one that the fault names, or any."""
    if member.fault is None:
        return ()
    return (member.fault.species,) if isinstance(member.fault, DivergedError) else tuple(member.policies)


def _spoiled(score: Score | None) -> Score | None:
    """The score as it is, but where `marl_pbt.fault_points` wants another."""
    value = None if score is None else reach("score")
    return score if score is None or value is None else replace(score, mean=value)
