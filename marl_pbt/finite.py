"""The edge where numbers of a learner come in: losses, returns and parameters that are none are stopped there."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from marl_pbt.protocols import LARGEST, DivergedError, Learner, NotFiniteError, Tensors, TrainingReport


def check_report(report: TrainingReport, species: Collection[str]) -> None:
    """Look at what an update says of its losses (tags whose last part ends in `loss`) and of finished episodes.

    Raises:
        DivergedError: A species' loss or return is no number that a float32 holds.
        NotFiniteError: A loss of no species.
    """
    for tag, value in report.metrics.items():
        if tag.endswith("loss") and not abs(value) <= LARGEST:
            whose, _, rest = tag.partition("/")
            if whose in species:
                raise DivergedError(whose, f"{rest} is {value} in the update")
            raise NotFiniteError(f"{tag} is {value} in the update")
    for episode in report.episodes:
        for name, value in episode.returns.items():
            if not abs(value) <= LARGEST:
                raise DivergedError(name, f"an episode returned {value}")


def check_parameters(learner: Learner) -> None:
    """Look at all that would be published.

    Raises:
        DivergedError: Parameters or moments of a species are not finite.
    """
    for name in learner.species:
        odd = first_not_finite(learner.snapshot(name))
        if odd is not None:
            raise DivergedError(name, f"{odd} is not finite")


def first_not_finite(tensors: Tensors) -> str | None:
    """The name of a tensor that holds NaN or an infinity; None where there is none."""
    return next((name for name, array in tensors.items() if not np.isfinite(array).all()), None)
