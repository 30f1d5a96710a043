"""How a member's policies are scored at its ready point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from marl_pbt.cross_play.at_ready_point import play_matches
from marl_pbt.protocols import DivergedError, Tensors

if TYPE_CHECKING:
    from marl_pbt.member import Member


def note_scores(member: Member) -> None:
    """Score each species; not finite where it has diverged, whatever its latest episodes returned."""
    diverged = sick_species(member) if isinstance(member.fault, DivergedError) else ()
    sound = [name for name in member.policies if name not in diverged and _is_finite(member.learner.snapshot(name))]
    sound = play_matches(member, sound)
    for name, policy in member.policies.items():
        score = policy.note_score(member.generation, name in sound)
        policy.note_gain(member.generation, score, member.hyperparameters(name))


def sick_species(member: Member) -> tuple[str, ...]:
    """The species that may have diverged in the latest interval: the one that the fault names, or any."""
    if member.fault is None:
        return ()
    return (member.fault.species,) if isinstance(member.fault, DivergedError) else tuple(member.policies)


def _is_finite(tensors: Tensors) -> bool:
    return all(bool(np.isfinite(array).all()) for array in tensors.values())
