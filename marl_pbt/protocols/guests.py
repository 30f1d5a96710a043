"""Guests: frozen policies of others that play in a learner's training worlds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from marl_pbt.protocols.policies import Policy


@dataclass(frozen=True)
class Guest:
    """Who plays in a training world what one species there leaves over.

    Attributes:
        name: For people, e.g. `member_03@12`.
        policies: Per species, of all of them.
    """

    name: str
    policies: Mapping[str, Policy]


@runtime_checkable
class HostsGuests(Protocol):
    """What a learner may offer too; one that does says so in `LearnerDescription.hosts_guests`."""

    def host(self, guests: Sequence[Guest], share: float) -> None:
        """Let guests play from now on, in every guest world from its next episode on.

        In a guest world one species trains and a guest plays all others, the same one from an episode's first step to
        its last. What guests do is never learned from. `FinishedEpisode.guest` names them.

        Args:
            guests: One is drawn per episode; none: everybody plays itself again.
            share: Of the worlds, in [0, 1), evenly among the species and the worlds; `guest_worlds` says how many.
        """


def guest_worlds(share: float, worlds: int, species: int) -> int:
    """How many training worlds are guest worlds: what is nearest to the share, as many for each species.

    One world at least stays without guests, for a learner's own pair to play in. So it may be 0 for a share above 0.

    Args:
        share: Of the worlds, in [0, 1).
        worlds: All of a learner's.
        species: Of the worlds, at least one.
    """
    return species * min(round(share * worlds / species), (worlds - 1) // species)
