"""The seams of the framework: what worlds, a learner, a policy and a board must offer.

Everything that marl_pbt trains comes in through these protocols, by import string from the config. `envs/` and
`agents/` are their examples; nothing in marl_pbt knows more of an environment or an algorithm than what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import gymnasium
    import numpy as np
    from numpy.typing import NDArray

Tensors: TypeAlias = "dict[str, NDArray[Any]]"
"""Named arrays: the only form in which state leaves a learner. Names use `/` between levels."""

HyperparameterValue: TypeAlias = bool | int | float | str

OptimizerState: TypeAlias = Literal["reset", "donor", "keep"]
"""What becomes of the optimiser's moments when a policy is copied."""

LIVES_ON, TERMINATED, TRUNCATED = 0, 1, 2
"""The codes in `StepResult.ended`."""


class UserError(Exception):
    """A fault of the user's, told in one line each and without a traceback; the command exits with code 2.

    Args:
        faults: One line per fault: the thing, the rule and the value.
    """

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class DivergedError(FloatingPointError):
    """An update of one species came to numbers that are none; what it holds may be finite, but is not to be copied.

    Args:
        species: Whose.
        fault: What was not finite, in a line.
    """

    def __init__(self, species: str, fault: str) -> None:
        super().__init__(f"{species}: {fault}")
        self.species = species


# ------------------------------------------------------------------------------------------------ worlds


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


# ------------------------------------------------------------------------------------------------ learners


@dataclass(frozen=True)
class Interface:
    """What a learner must know of the environment before there is one: who plays, what they see and do.

    Attributes:
        species: Names of the species.
        observation_spaces: Per species, of one agent.
        action_spaces: Per species, of one agent.
    """

    species: tuple[str, ...]
    observation_spaces: Mapping[str, gymnasium.Space[Any]]
    action_spaces: Mapping[str, gymnasium.Space[Any]]


@dataclass(frozen=True)
class HyperparameterSpec:
    """A value that the learner lets PBT change.

    Attributes:
        default: What is in force where nobody declares a distribution.
        kind: The type; values of a declared distribution must be of it.
        low: Smallest legal value.
        high: Largest legal value.
        low_is_open: True where `low` itself is not legal (a learning rate of 0).
    """

    default: HyperparameterValue
    kind: Literal["float", "int", "bool", "str"]
    low: float = float("-inf")
    high: float = float("inf")
    low_is_open: bool = False


@dataclass(frozen=True)
class LearnerDescription:
    """What is known of a learner before it is built.

    Attributes:
        hyperparameters: Per species and name.
        snapshot_bytes: Per species: an upper bound of `Learner.snapshot`, in bytes of array data.
        architecture: Per species: what rebuilds the policy from a file, JSON-able.
    """

    hyperparameters: Mapping[str, Mapping[str, HyperparameterSpec]]
    snapshot_bytes: Mapping[str, int]
    architecture: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Clocks:
    """How far a member is; each counter only grows.

    Attributes:
        agent_steps: Living agents acting once, over all species.
        env_steps: Steps of one world.
        updates: Learner updates (one rollout learned from).
        seconds: Wall time spent in training.
    """

    agent_steps: int = 0
    env_steps: int = 0
    updates: int = 0
    seconds: float = 0.0

    def __add__(self, other: Clocks) -> Clocks:
        return Clocks(
            self.agent_steps + other.agent_steps,
            self.env_steps + other.env_steps,
            self.updates + other.updates,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class FinishedEpisode:
    """One finished episode that was played by one and the same line of policies from its first step to its last.

    Attributes:
        length: Env steps.
        returns: Per species, the sum of its individuals' rewards, unscaled.
        metrics: What else the environment counts, by tag.
        own: Per species: False when this species' policy was replaced (an exploit) after the episode began.
    """

    length: int
    returns: Mapping[str, float]
    metrics: Mapping[str, float] = field(default_factory=dict)
    own: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingReport:
    """What a stretch of training brought.

    Attributes:
        clocks: Progress of this stretch alone.
        episodes: Episodes that ended in it and count, oldest first.
        metrics: Diagnostics by tag, means over the stretch (`predator/approx_kl`).
        notes: What to know in words, by tag (`predator/update_path`): logged and shown when it is new.
    """

    clocks: Clocks
    episodes: tuple[FinishedEpisode, ...]
    metrics: Mapping[str, float]
    notes: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Learner(Protocol):
    """Policies, one per species, with their optimisers and the way they train.

    All randomness comes from generators that the learner owns: two learners in one process never touch each other, and
    `get_state`/`set_state` on a fresh learner of the same settings goes on bit for bit.
    """

    @property
    def species(self) -> tuple[str, ...]:
        """Names of the species, one policy each."""

    def set_hyperparameters(self, species: str, values: Mapping[str, HyperparameterValue]) -> None:
        """Put values in force before the next optimiser step; names not given stay as they are."""

    def get_hyperparameters(self, species: str) -> dict[str, HyperparameterValue]:
        """All values in force."""

    def update(self) -> TrainingReport:
        """Play one rollout, learn from it and report on this stretch alone; no rollout is in flight afterwards."""

    def snapshot(self, species: str) -> Tensors:
        """One species whole: `policy/…` and `optimizer/…`, as copies."""

    def adopt(self, species: str, tensors: Mapping[str, NDArray[Any]], optimizer_state: OptimizerState) -> None:
        """Take over another learner's `snapshot` of the species; the other species stay bit-identical.

        Episodes in progress go on but are reported with `own[species] = False`.

        Args:
            species: Whose policy.
            tensors: What the donor's `snapshot` gave.
            optimizer_state: `reset` forgets all moments, `donor` takes the donor's, `keep` keeps one's own.
        """

    def get_state(self) -> Tensors:
        """Everything: per species its `snapshot` under `<species>/…`, the worlds, the generators."""

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `get_state`."""


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


@runtime_checkable
class LearnerKind(Protocol):
    """What the config's `learner.make` names: how to describe, build and reload learners of one kind."""

    def describe(self, settings: Mapping[str, Any], interface: Interface) -> LearnerDescription:
        """Check the settings and say what they lead to; light, imports no torch.

        Raises:
            UserError: A setting is unknown, of the wrong type or out of range; one line per fault, keys relative to
                `settings`.
        """

    def build(self, settings: Mapping[str, Any], interface: Interface, worlds: Worlds | None, seed: int) -> Learner:
        """Make a fresh learner whose weights, worlds and draws follow from the seed alone.

        Args:
            settings: As in `describe`.
            interface: Of the worlds; empty where there are none.
            worlds: Where it plays; None where the config names no environment.
            seed: Of everything.
        """

    def load_policy(self, architecture: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Policy:
        """Rebuild a policy from `LearnerDescription.architecture` and the `policy/…` tensors of a snapshot.

        Raises:
            ValueError: Names, shapes or dtypes do not fit the architecture, or a value is not finite.
        """


@runtime_checkable
class WarmsUp(Protocol):
    """What a kind of learner may offer too: work that is needed once per machine, such as compiling."""

    def warm_up(self, settings: Mapping[str, Any], interface: Interface) -> None:
        """Do it, before all workers would do the same; imports no torch. Settings as in `LearnerKind.describe`."""


# ------------------------------------------------------------------------------------------------ the board


class Board(Protocol):
    """Where members publish what they are and how well they do; every member decides from it alone.

    A slot belongs to one (member, species) and is written by that member only. Reading never blocks writing. A reader
    gets one whole version or nothing. (`BoardRow` in marl_pbt.standings is what a row holds.)
    """

    def publish_row(self, member: int, species: int, row: bytes) -> None:
        """Replace the row whole."""

    def publish_snapshot(self, member: int, species: int, snapshot: bytes) -> None:
        """Replace the snapshot whole.

        Raises:
            ValueError: It is larger than the slot.
        """

    def row(self, member: int, species: int) -> bytes | None:
        """The newest whole row, or None: never published, or not to be had unbroken in a bounded number of tries."""

    def snapshot(self, member: int, species: int) -> bytes | None:
        """The newest whole snapshot, or None as in `row`."""

    def tick(self, member: int, progress: int) -> None:
        """Store the member's progress counter: agent steps so far."""

    def progress(self, member: int) -> int:
        """The member's progress counter; 0 before the first tick."""
