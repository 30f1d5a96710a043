"""Who plays a species in a match: a policy from a file, one that was read already, or a scripted baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from marl_pbt.environments import EnvironmentSource
from marl_pbt.imports import load_object
from marl_pbt.protocols import LearnerKind, OffersBaselines, Policy, UserError, Worlds
from marl_pbt.space_cards import SpaceCard, card_of, space_text

if TYPE_CHECKING:
    from marl_pbt.policy_files import SavedPolicy

RANDOM = "random"
"""The one baseline that every environment has."""


class Seat(Protocol):
    """Where a policy comes from; plain data, sent to processes by value."""

    def take(self, species: str, environment: EnvironmentSource, worlds: Worlds) -> Policy:
        """The policy, fresh, for these worlds.

        Raises:
            UserError: It cannot play this species here.
        """


@dataclass(frozen=True)
class Baseline:
    """A scripted policy: `random`, or one that the environment offers.

    Attributes:
        name: Which.
    """

    name: str

    def take(self, species: str, environment: EnvironmentSource, worlds: Worlds) -> Policy:
        """As in `Seat`."""
        if self.name == RANDOM:
            return RandomPolicy(worlds.action_spaces[species])
        opened = environment.open()
        if not isinstance(opened, OffersBaselines) or self.name not in opened.baselines:
            raise UserError(f"{self.name}: no baseline of {environment.make}; there are {', '.join(names_in(opened))}")
        return opened.baseline(self.name, species)


@dataclass(frozen=True)
class Learned:
    """A policy that was read from a file.

    Attributes:
        policy: As it was read.
        learner: Import string of the kind that loads it; the caller vouches for it.
    """

    policy: SavedPolicy
    learner: str

    def take(self, species: str, environment: EnvironmentSource, worlds: Worlds) -> Policy:
        """As in `Seat`; the architecture, the tensors and one forward pass have been checked then."""
        observations, actions = worlds.observation_spaces[species], worlds.action_spaces[species]
        said = self.policy.card.spaces
        if said is not None:
            _check_space(f"{species}: observations", said.observation, card_of(observations), environment)
            _check_space(f"{species}: actions", said.action, card_of(actions), environment)
        kind: LearnerKind = load_object(self.learner, LearnerKind, "learner.make")
        try:
            return kind.load_policy(self.policy.card.architecture, self.policy.tensors, (observations, actions))
        except ValueError as fault:
            raise UserError(f"{species}: {fault}") from None


@dataclass(frozen=True)
class Stored:
    """A policy's or a checkpoint's file, read when it is needed.

    Attributes:
        path: Of the file.
        learner: As in `Learned`.
    """

    path: str
    learner: str

    def take(self, species: str, environment: EnvironmentSource, worlds: Worlds) -> Policy:
        """As in `Seat`."""
        from marl_pbt.policy_files import read_policies  # not before: every worker would pay for pydantic

        policy = read_policies(Path(self.path)).get(species)
        if policy is None:
            raise UserError(f"{self.path}: holds no policy of {species}")
        return Learned(policy, self.learner).take(species, environment, worlds)


class RandomPolicy:
    """Plays every action alike: the baseline.

    Args:
        space: Of actions; any that can be sampled from.
    """

    def __init__(self, space: Any) -> None:
        self._space = space

    def act(self, observations: NDArray[Any], rng: np.random.Generator, greedy: bool = False) -> NDArray[np.int64]:
        """An action per row; greedy makes no difference.

        Returns:
            `(rows,)` int64 for a Discrete space, `(rows, *shape)` in the space's dtype for others.
        """
        del greedy
        from gymnasium import spaces

        if isinstance(self._space, spaces.Discrete):
            return rng.integers(self._space.start, self._space.start + self._space.n, size=len(observations))
        if isinstance(self._space, spaces.MultiDiscrete):
            return self._space.start + rng.integers(self._space.nvec, size=(len(observations), *self._space.shape))
        self._space.seed(int(rng.integers(2**31)))
        drawn: NDArray[Any] = np.array([self._space.sample() for _ in observations])
        return drawn.reshape(len(observations), *self._space.shape)


def names_in(environment: object) -> tuple[str, ...]:
    """The baselines that there are with an opened environment."""
    return (RANDOM, *(environment.baselines if isinstance(environment, OffersBaselines) else ()))


def taken(seats: Mapping[str, Seat], environment: EnvironmentSource, worlds: Worlds) -> dict[str, Policy]:
    """The policies that sit in the seats."""
    return {species: seat.take(species, environment, worlds) for species, seat in seats.items()}


def _check_space(what: str, said: SpaceCard, here: SpaceCard, environment: EnvironmentSource) -> None:
    if said != here:
        raise UserError(f"{what}: the policy expects {space_text(said)}, {environment.make} gives {space_text(here)}")
