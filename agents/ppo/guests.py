"""Guests in training worlds: who plays where, and which rows are one's own to learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.generators import generator_state, make_generator, restore_generator
from agents.stretch import Hosted
from marl_pbt.protocols import TRUNCATED
from marl_pbt.protocols.guests import guest_worlds

if TYPE_CHECKING:
    from marl_pbt.protocols import Episode, Guest, StepResult, Tensors, Worlds

_NOBODY = -1


@dataclass(frozen=True)
class Rows:
    """What a step brought to those rows of a species that are one's own; as in `marl_pbt.protocols.StepResult`."""

    rewards: NDArray[np.float32]
    ended: NDArray[np.uint8]
    next_rows: NDArray[Any]
    truncated_observations: NDArray[Any]


@dataclass(frozen=True)
class _Seat:
    """Who plays in a guest world: a species that trains, and a guest for all others."""

    trained: int
    guest: Guest


class GuestSeats:
    """The guest worlds of a learner; none until `host` is called.

    Whom a species meets in its guest worlds is drawn as an episode begins: nobody changes in the middle of one.

    Args:
        worlds: Where is trained.
        seeds: Draws follow from it.
    """

    def __init__(self, worlds: Worlds, seeds: np.random.SeedSequence) -> None:
        self._worlds = worlds
        self._rng = make_generator(seeds)
        self._guests: Sequence[Guest] = ()
        self._trained = np.full(worlds.num_worlds, _NOBODY)
        self._seats: dict[int, _Seat] = {}
        self._interrupted: set[int] = set()
        self._seen = [self._room_for(species, 0) for species in range(len(worlds.species))]

    def host(self, guests: Sequence[Guest], share: float) -> None:
        """As in `marl_pbt.protocols.HostsGuests`."""
        worlds, species = self._worlds.num_worlds, len(self._worlds.species)
        count = guest_worlds(share, worlds, species) if guests else 0
        self._guests = tuple(guests)
        self._trained[:] = _NOBODY
        if count:
            places = ((np.arange(count) + 0.5) * worlds / count).astype(np.int64)
            self._trained[places] = np.arange(count) % species

    def own_rows(self) -> list[NDArray[np.bool_] | None]:
        """Per species `(rows,)` bool: which of the living are one's own; None: all of them."""
        own: list[NDArray[np.bool_] | None] = []
        for species in range(len(self._worlds.species)):
            taken = [world for world, seat in self._seats.items() if seat.trained != species]
            if taken:
                is_own = np.ones(self._worlds.num_worlds, bool)
                is_own[taken] = False
                own.append(is_own[self._worlds.worlds_of(species)])
            else:
                own.append(None)
        return own

    def observe(self, species: int) -> NDArray[Any]:
        """The observations of all rows of a species, guests' too: `(rows, *shape)`, until they are observed again."""
        rows = self._worlds.rows()[species]
        if rows > len(self._seen[species]):
            self._seen[species] = self._room_for(species, 2 * rows)
        self._worlds.observe(species, self._seen[species])
        return self._seen[species][:rows]

    def _room_for(self, species: int, rows: int) -> NDArray[Any]:
        space = self._worlds.observation_spaces[self._worlds.species[species]]
        return np.empty((rows, *(space.shape or ())), space.dtype)

    def act(self, species: int, actions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Let guests choose for the rows that are not one's own, by what `observe` has shown.

        Args:
            species: Index.
            actions: `(own rows,)` int64, one's own.

        Returns:
            `(rows,)` int64.
        """
        name, whose = self._worlds.species[species], self._worlds.worlds_of(species)
        observations = self._seen[species][: len(whose)]
        chosen = np.empty(len(observations), np.int64)
        is_own = np.ones(len(observations), bool)
        for world, seat in self._seats.items():
            if seat.trained != species:
                rows = np.flatnonzero(whose == world)
                chosen[rows] = seat.guest.policies[name].act(observations[rows], self._rng)
                is_own[rows] = False
        chosen[is_own] = actions
        return chosen

    def after_step(self, episodes: Sequence[Episode]) -> dict[int, Hosted | None]:
        """Seat whoever plays the episodes that begin now.

        Args:
            episodes: That ended in the step.

        Returns:
            Of those in which guests played, by world: who they were; None for one that guests left in its middle.
        """
        played: dict[int, Hosted | None] = {}
        for episode in episodes:
            world = episode.world
            seat = self._seats.pop(world, None)
            if seat is not None:
                played[world] = Hosted(seat.guest.name, self._worlds.species[seat.trained])
            elif world in self._interrupted:
                self._interrupted.remove(world)
                played[world] = None
            if self._trained[world] != _NOBODY:
                guest = self._guests[int(self._rng.integers(len(self._guests)))]
                self._seats[world] = _Seat(int(self._trained[world]), guest)
        return played

    def get_state(self) -> Tensors:
        """The draws to come, and in which worlds an episode with guests is being played."""
        hosting = np.zeros(self._worlds.num_worlds, bool)
        hosting[[*self._seats, *self._interrupted]] = True
        return {"generator": generator_state(self._rng), "hosting": hosting}

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `get_state`, without the guests: one plays their episodes to the end oneself."""
        restore_generator(self._rng, state["generator"])
        self._seats.clear()
        self._interrupted = set(np.flatnonzero(state["hosting"]).tolist())


def own_part(
    result: StepResult, species: int, own: NDArray[np.bool_] | None, own_next: NDArray[np.bool_] | None
) -> Rows:
    """What a step brought to one's own rows; successors are counted among one's own rows after it.

    Args:
        result: Of the step.
        species: Index.
        own: Which rows were one's own before it; None: all.
        own_next: Likewise after it.
    """
    rewards, ended = result.rewards[species], result.ended[species]
    next_rows, truncated = result.next_rows[species], result.truncated_observations[species]
    if own is not None:
        truncated = truncated[own[ended == TRUNCATED]]
        rewards, ended, next_rows = rewards[own], ended[own], next_rows[own]
    if own_next is not None:
        # An individual stays in its world, and the world one's own or not until its episode ends.
        places = np.append(np.cumsum(own_next) - 1, -1)
        next_rows = places[next_rows]  # -1 stays: it is the last place
    return Rows(rewards, ended, next_rows, truncated)
