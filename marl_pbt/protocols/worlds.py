"""What worlds must offer: copies of an environment that are stepped together; and what an environment may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from marl_pbt.protocols.policies import Policy
from marl_pbt.protocols.values import Tensors

if TYPE_CHECKING:
    import gymnasium
    import numpy as np
    from numpy.typing import NDArray


class Episode(Protocol):
    """One finished episode of one world."""

    @property
    def world(self) -> int:
        """Index of the world."""

    @property
    def length(self) -> int:
        """Env steps from reset to end."""

    @property
    def counted(self) -> bool:
        """False for the shortened first episode of a world that was started out of phase: not for statistics."""

    @property
    def returns(self) -> Mapping[str, float]:
        """Per species: the sum of its individuals' rewards, unscaled."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """What else the environment counts, by tag, e.g. `predator/births` or `extinct/prey`."""


class StepResult(Protocol):
    """What one step of all worlds brought, per species in the order of `Worlds.species`.

    The rows of a species are its living agents over all worlds, one row each: those that acted in this step.
    """

    @property
    def rewards(self) -> Sequence[NDArray[np.float32]]:
        """`(rows,)` float32: unscaled rewards of the rows that acted."""

    @property
    def ended(self) -> Sequence[NDArray[np.uint8]]:
        """`(rows,)` uint8: `LIVES_ON`, `TERMINATED` (died) or `TRUNCATED` (time-out: bootstrap)."""

    @property
    def next_rows(self) -> Sequence[NDArray[np.int32]]:
        """`(rows,)` int32: the same individual's row after this step; −1 where it has ended."""

    @property
    def truncated_observations(self) -> Sequence[NDArray[Any]]:
        """`(truncated rows, *shape)`: the last observations of the truncated rows, in the order of their rows."""

    @property
    def episodes(self) -> Sequence[Episode]:
        """The episodes that ended in this step."""


class Worlds(Protocol):
    """Independent copies of one environment, stepped together; hands over living agents only, never padding.

    A world whose episode ends resets itself within the step. Arrays that a call returns are valid until the next
    `step`.
    """

    @property
    def species(self) -> tuple[str, ...]:
        """Names of the species; every per-species sequence follows this order."""

    @property
    def num_worlds(self) -> int:
        """How many copies."""

    @property
    def observation_spaces(self) -> Mapping[str, gymnasium.Space[Any]]:
        """Per species, of one agent."""

    @property
    def action_spaces(self) -> Mapping[str, gymnasium.Space[Any]]:
        """Per species, of one agent."""

    @property
    def max_rows(self) -> tuple[int, ...]:
        """Per species: more rows than this there can never be."""

    def reset(self, seed: int, in_phase: bool = False) -> None:
        """Start every world anew, as a function of the seed alone.

        Args:
            seed: Of all randomness from here on.
            in_phase: False: worlds start out of phase with each other, so that episodes end steadily and not in bursts
                (training). True: all begin an episode now, and each counts (matches).
        """

    def rows(self) -> tuple[int, ...]:
        """Per species: the living agents now, over all worlds."""

    def worlds_of(self, species: int) -> NDArray[np.int64]:
        """Which world each of the species' rows belongs to now: `(rows,)` int64."""

    def observe(self, species: int, out: NDArray[Any]) -> int:
        """Write the observations of a species' living agents.

        Args:
            species: Index into `species`.
            out: `(at least rows, *shape)` in the space's dtype, C-contiguous.

        Returns:
            The number of rows written.
        """

    def step(self, actions: Sequence[NDArray[np.int64]]) -> StepResult:
        """Let every living agent act once; per species `(rows,)` int64 actions."""

    def get_state(self) -> Tensors:
        """Everything that `set_state` needs to go on bit for bit, generators included."""

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where `get_state` was called, also on a fresh object with the same config."""


@runtime_checkable
class Environment(Protocol):
    """What the config's `environment.make` is to give: a PettingZoo `ParallelEnv` that offers this too."""

    @property
    def species(self) -> tuple[str, ...]:
        """Names of the species."""

    def species_of(self, agent: str) -> str:
        """The species of an agent id."""

    def batched(self, num_worlds: int) -> Worlds:
        """Many copies of it, stepped together."""


@runtime_checkable
class OffersBaselines(Protocol):
    """What an environment may offer too: scripted policies, by which learned ones are measured."""

    @property
    def baselines(self) -> tuple[str, ...]:
        """Their names, e.g. `greedy`; `random` is there for every environment and not among them."""

    def baseline(self, name: str, species: str) -> Policy:
        """One of them: it sees what a learned policy of the species sees, and nothing else."""
