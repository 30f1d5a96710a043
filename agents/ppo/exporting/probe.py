"""What a policy answers to made-up observations, to hold an exported one against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from agents.ppo.architecture import check_spaces, check_tensors
from agents.ppo.inference import logits_and_values
from agents.ppo.plain import plain_ppo, put_weights
from agents.ppo.policy import DiscretePolicy

if TYPE_CHECKING:
    from marl_pbt.protocols import PortablePolicy

ROWS = 64
TOLERANCE = 1e-5
"""Of the largest number of the kind, or of 1 where all are smaller: rounding that depends on the order of sums."""


@dataclass(frozen=True)
class Probe:
    """Observations with our torch policy's answers.

    Attributes:
        observations: `(rows, *shape)` in the space's dtype.
        logits: `(rows, n_actions)` float32.
        values: `(rows,)` float32.
    """

    observations: NDArray[Any]
    logits: NDArray[np.float32]
    values: NDArray[np.float32]

    def check_actions(self, actions: NDArray[Any]) -> None:
        """Make sure that each of the actions `(rows,)` is one of those that are best within rounding.

        Raises:
            ValueError: It is not.
        """
        chosen = self.logits[np.arange(len(actions)), actions]
        _check("the chosen action's logit", chosen, self.logits.max(axis=1))

    def check_numbers(self, what: str, numbers: NDArray[Any]) -> None:
        """Make sure that `logits` or `values` are the same within rounding.

        Raises:
            ValueError: They are not.
        """
        _check(what, numbers, getattr(self, what))


def probe_of(policy: PortablePolicy) -> Probe:
    """Ask our own policy.

    Raises:
        ValueError: Tensors or spaces do not fit the architecture, or a value is not finite, or an answer is not.
    """
    check_tensors(policy.architecture, policy.tensors, levels=("policy",))
    both = (policy.observation_space, policy.action_space)
    check_spaces(policy.architecture, *both)
    model = plain_ppo(policy.architecture, both, policy_class=DiscretePolicy)
    put_weights(model, policy.architecture, policy.tensors)
    observations = _made_up(policy.architecture, np.random.default_rng(0))
    answers = logits_and_values(cast("DiscretePolicy", model.policy), observations)
    if not all(np.isfinite(numbers).all() for numbers in answers):
        raise ValueError("policy: weights are so large that what it makes of an observation is not finite")
    return Probe(observations, *answers)


def _check(what: str, numbers: NDArray[Any], wanted: NDArray[Any]) -> None:
    error = float(np.abs(numbers - wanted).max()) if numbers.shape == wanted.shape else float("inf")
    limit = TOLERANCE * max(1.0, float(np.abs(wanted).max()))
    if not error <= limit:
        raise ValueError(f"the exported policy, read back, is another: {what} differ by {error:g} > {limit:g}")


def _made_up(architecture: Mapping[str, Any], rng: np.random.Generator) -> NDArray[Any]:
    """Observations of the right shape and dtype; only images keep to the space's bounds, the weights know none."""
    shape, dtype = (ROWS, *architecture["observation_shape"]), np.dtype(architecture["observation_dtype"])
    if dtype.kind == "u":
        return rng.integers(0, 256, shape).astype(dtype)
    return rng.integers(-128, 128, shape).astype(dtype) if dtype.kind == "i" else rng.normal(size=shape).astype(dtype)
