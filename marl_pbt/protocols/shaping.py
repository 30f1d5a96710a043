"""What worlds may offer to PBT beside episodes: terms that shape a learner's reward, parameters that change the worlds.

A score stays what it is, the sum of true rewards: PBT may tune what a policy *learns* from, and selects by how it
*does*, as in Jaderberg et al. 2019 (arXiv 1807.01281).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from marl_pbt.protocols.values import HyperparameterValue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@runtime_checkable
class OffersShaping(Protocol):
    """What `Worlds` may offer too: what a step brought beside the reward, for learners to add with weights."""

    @property
    def shaping_terms(self) -> Mapping[str, tuple[str, ...]]:
        """Per species the terms' names, identifiers all of them; none for a species that is left out."""

    def shaping(self, species: int) -> NDArray[np.float32]:
        """What the rows that acted in the last step earned in it; asked for by nobody, it should cost nothing.

        Never part of `StepResult.rewards`, nor of `Episode.returns`.

        Args:
            species: Index into `Worlds.species`.

        Returns:
            `(rows, terms)` float32, finite, in the order of `StepResult.rewards` and of `shaping_terms`; valid until
            the next step.
        """


class Parameter(Protocol):
    """A number of the environment's that may be changed while worlds go on."""

    @property
    def default(self) -> float:
        """As the environment is configured."""

    @property
    def kind(self) -> Literal["int", "float"]:
        """Whether it is whole."""

    @property
    def low(self) -> float:
        """Smallest legal value, whatever others are."""

    @property
    def high(self) -> float:
        """Largest legal value, likewise."""


@runtime_checkable
class OffersParameters(Protocol):
    """What `Worlds` may offer too: parameters that PBT may change, for training and nowhere else.

    The values in force are part of `Worlds.get_state`, and stay what they are in `Worlds.reset`.
    """

    @property
    def parameters(self) -> Mapping[str, Mapping[str, Parameter]]:
        """Per species and name, identifiers all of them; none for a species that is left out."""

    def set_parameters(self, species: str, values: Mapping[str, HyperparameterValue]) -> None:
        """Put values in force, from each world's next reset at the latest; names not given stay as they are.

        Raises:
            ValueError: A name is unknown or a value is not legal; nothing has changed.
        """
