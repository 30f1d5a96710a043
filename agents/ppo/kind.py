"""The PPO learner as the config names it: described without torch, built with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from agents.checks import NO_WORLDS
from agents.ppo.architecture import describe_architecture, tensor_bytes
from agents.ppo.settings import parse_settings
from marl_pbt.protocols import (
    Interface,
    Learner,
    LearnerDescription,
    PlaySpaces,
    Policy,
    PortablePolicy,
    Tensors,
    UserError,
    Worlds,
)

if TYPE_CHECKING:
    pass


class PPOKind:
    """Describes, builds and reloads PPO learners; holds nothing itself."""

    def describe(self, settings: Mapping[str, Any], interface: Interface) -> LearnerDescription:
        """Check the settings and say what they lead to; see `agents.ppo.settings` for the keys.

        Raises:
            UserError: One line per fault, keys relative to `settings`.
        """
        parsed = parse_settings(settings, interface)
        architecture = {
            name: describe_architecture(interface.observation_spaces[name], interface.action_spaces[name], own)
            for name, own in parsed.species.items()
        }
        return LearnerDescription(
            hyperparameters={name: own.hyperparameter_specs() for name, own in parsed.species.items()},
            snapshot_bytes={
                name: tensor_bytes({**described, "net_arch": parsed.species[name].widest})
                for name, described in architecture.items()
            },
            architecture=architecture,
            hosts_guests=True,
        )

    def warm_up(self, settings: Mapping[str, Any], interface: Interface) -> None:
        """Compile the kernels that a species will use; a fraction of a second where an earlier process has."""
        parsed = parse_settings(settings, interface)
        seen = set()
        for name, own in parsed.species.items():
            described = describe_architecture(interface.observation_spaces[name], interface.action_spaces[name], own)
            dtype = described["observation_dtype"]
            if dtype not in seen and own.may_be_compiled and parsed.device != "cuda":
                from agents.ppo.fast.warming import compile_kernels

                compile_kernels(tuple(described["observation_shape"]), dtype, described["is_image"])
                seen.add(dtype)

    def build(self, settings: Mapping[str, Any], interface: Interface, worlds: Worlds | None, seed: int) -> Learner:
        """Make a fresh learner whose weights, worlds and draws follow from the seed alone.

        Raises:
            UserError: The settings are at fault, or there are no worlds.
        """
        from agents.ppo.learner import PPOLearner

        parsed = parse_settings(settings, interface)
        if worlds is None:
            raise UserError(NO_WORLDS)
        return PPOLearner(parsed, interface, worlds, seed)

    def load_policy(
        self, architecture: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], spaces: PlaySpaces | None = None
    ) -> Policy:
        """Rebuild a policy; `tensors` is a snapshot or its `policy/…` part.

        Raises:
            ValueError: As of `agents.ppo.loading.load_policy`.
        """
        from agents.ppo.loading import load_policy

        return load_policy(architecture, tensors, spaces)

    @property
    def export_formats(self) -> Mapping[str, str]:
        """What `export_policy` can write: by suffix of the file, what that is."""
        from agents.ppo.exporting import FORMATS

        return FORMATS

    def export_policy(self, policy: PortablePolicy, suffix: str) -> bytes:
        """The content of a `.zip` for Stable-Baselines3 or of an `.onnx` file; it has been read back.

        Raises:
            UserError: There is no such format, or a package is missing.
            ValueError: Tensors, spaces or hyperparameters are not legal; the file does not answer as the policy does.
        """
        from agents.ppo.exporting import export_policy

        return export_policy(policy, suffix)

    def import_policy(self, content: bytes, settings: Mapping[str, Any], interface: Interface, species: str) -> Tensors:
        """Read the `policy/…` tensors of a species from a Stable-Baselines3 zip; runs nothing that is in it.

        Raises:
            UserError: The settings are at fault.
            ValueError: It is no such file, could do harm, or does not fit; one line that says what would.
        """
        from agents.ppo.importing import import_sb3_zip

        return import_sb3_zip(content, settings, interface, species)
