"""The plain types that cross the seams: named arrays, hyperparameters, codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import gymnasium
    from numpy.typing import NDArray

Tensors: TypeAlias = "dict[str, NDArray[Any]]"
"""Named arrays: the only form in which state leaves a learner. Names use `/` between levels."""

HyperparameterValue: TypeAlias = bool | int | float | str

OptimizerState: TypeAlias = Literal["reset", "donor", "keep"]
"""What becomes of the optimiser's moments when a policy is copied."""

LARGEST = 3.4028234663852886e38
"""What is further from zero is infinite for learners, who reckon with float32: nobody is to take it for a number."""

LIVES_ON, TERMINATED, TRUNCATED = 0, 1, 2
"""The codes in `StepResult.ended`."""

PlaySpaces: TypeAlias = "tuple[gymnasium.Space[Any], gymnasium.Space[Any]]"
"""Observations and actions of one agent where a policy is to play."""
