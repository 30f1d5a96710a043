"""What a policy must offer, whoever made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Policy(Protocol):
    """A frozen mapping from observations to actions."""

    def act(self, observations: NDArray[Any], rng: np.random.Generator, greedy: bool = False) -> NDArray[np.int64]:
        """Choose actions.

        Args:
            observations: `(rows, *shape)` in the space's dtype.
            rng: Where sampling draws from.
            greedy: The likeliest action instead of a sampled one.

        Returns:
            `(rows,)` int64.
        """
