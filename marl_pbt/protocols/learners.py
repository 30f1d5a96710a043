"""What a learner must offer, and what its kind must and may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from marl_pbt.protocols.descriptions import Interface, LearnerDescription, TrainingReport
from marl_pbt.protocols.policies import Policy
from marl_pbt.protocols.values import HyperparameterValue, OptimizerState, PlaySpaces, Tensors
from marl_pbt.protocols.worlds import Worlds

if TYPE_CHECKING:
    import gymnasium
    from numpy.typing import NDArray


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


@runtime_checkable
class TellsArchitecture(Protocol):
    """What a learner may offer too, whose policies are not for ever made of what their kind's description says."""

    def architecture(self, species: str) -> Mapping[str, Any]:
        """What rebuilds the species' policy as it is now, JSON-able; as in `LearnerDescription.architecture`."""


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

    def load_policy(
        self, architecture: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], spaces: PlaySpaces | None = None
    ) -> Policy:
        """Rebuild a policy; the file that it comes from may be a stranger's.

        Args:
            architecture: As in `LearnerDescription.architecture`.
            tensors: The `policy/…` tensors of a snapshot.
            spaces: Observations and actions of one agent where it is to play; None: not known yet.

        Raises:
            ValueError: Names, shapes or dtypes do not fit the architecture, or the architecture not the spaces; a value
                or what the policy makes of an observation is not finite.
        """


@runtime_checkable
class WarmsUp(Protocol):
    """What a kind of learner may offer too: work that is needed once per machine, such as compiling."""

    def warm_up(self, settings: Mapping[str, Any], interface: Interface) -> None:
        """Do it, before all workers would do the same; imports no torch. Settings as in `LearnerKind.describe`."""


@dataclass(frozen=True)
class PortablePolicy:
    """A policy as a kind of learner writes it into a format of others.

    Attributes:
        architecture: As in `LearnerDescription.architecture`.
        tensors: The `policy/…` tensors of a snapshot.
        observation_space: Of one agent.
        action_space: Of one agent.
        hyperparameters: In force when the snapshot was made.
    """

    architecture: Mapping[str, Any]
    tensors: Mapping[str, NDArray[Any]]
    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]
    hyperparameters: Mapping[str, HyperparameterValue]


@runtime_checkable
class Exports(Protocol):
    """What a kind of learner may offer too: its policies in formats of others."""

    @property
    def export_formats(self) -> Mapping[str, str]:
        """What it can write: by suffix of the file, what that is, e.g. `.onnx`: ONNX."""

    def export_policy(self, policy: PortablePolicy, suffix: str) -> bytes:
        """The file's content; it has been read back and gives the same actions.

        Raises:
            UserError: A package is missing, or the architecture cannot be written in this format.
            ValueError: Tensors, spaces or hyperparameters are not legal; the file does not answer as the policy does.
        """


@runtime_checkable
class Imports(Protocol):
    """What a kind of learner may offer too: weights from files of others, without running what is in them."""

    def import_policy(self, content: bytes, settings: Mapping[str, Any], interface: Interface, species: str) -> Tensors:
        """Read the `policy/…` tensors of a species from a file's content.

        Args:
            content: Of the file, whole; the caller has seen to its size.
            settings: As in `LearnerKind.describe`; they say what the policy must be made of.
            interface: Of the worlds that it is to play in.
            species: Whose policy it becomes.

        Raises:
            UserError: The settings are at fault.
            ValueError: It is no such file, could do harm, or does not fit; one line that says what would.
        """
