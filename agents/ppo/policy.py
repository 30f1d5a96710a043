"""PPO's policies: built for training, or rebuilt frozen from a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.type_aliases import PyTorchObs

from agents.ppo.architecture import policy_shapes
from agents.ppo.inference import draw, logits_of
from agents.ppo.settings import ACTIVATIONS
from agents.widening import Activation


def policy_kwargs(net_arch: Mapping[str, Any], activation: str) -> dict[str, Any]:
    """What `ActorCriticPolicy` is built with beside its spaces."""
    return {
        "net_arch": {net: list(layers) for net, layers in net_arch.items()},
        "activation_fn": getattr(torch.nn, ACTIVATIONS[activation]),
    }


def activation_of(name: str) -> Activation | None:
    """The function between layers, for arrays; None for ReLU, as in `agents.widening`."""
    module = getattr(torch.nn, ACTIVATIONS[name])()

    @torch.inference_mode()
    def apply(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        given: NDArray[np.float64] = module(torch.from_numpy(numbers)).numpy()
        return given

    return None if name == "relu" else apply


class DiscretePolicy(ActorCriticPolicy):
    """Stable-Baselines3's MLP policy for discrete actions: the same numbers in less time, no distribution objects.

    Only `evaluate_actions`, what `PPO.train()` calls, and what leads to it is different; modules and their names are
    not. `Categorical` takes a fifth of the time of an update otherwise.
    """

    def extract_features(self, obs: PyTorchObs, features_extractor: Any = None) -> torch.Tensor:
        """Flat, float32, images scaled to [0, 1]: `(rows, features)`."""
        del features_extractor
        assert isinstance(obs, torch.Tensor)  # only Box observations come this far
        features = obs.flatten(1).float()
        # An image is uint8, so `float` has made a copy that may be written to.
        return features.div_(255.0) if is_image_space(self.observation_space) else features

    def evaluate_actions(
        self, obs: PyTorchObs, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Values `(rows, 1)`, log-probabilities of the actions `(rows,)` and entropies `(rows,)`."""
        actor, critic = self.mlp_extractor(self.extract_features(obs))
        # Actions first: torch's softmax is several times faster across long rows than along nine columns.
        log_probs = torch.log_softmax(self.action_net(actor).t(), dim=0)
        entropies = -(log_probs * log_probs.exp()).sum(dim=0)
        return self.value_net(critic), log_probs.gather(0, actions.unsqueeze(0)).squeeze(0), entropies


class FrozenPolicy:
    """A policy that only acts: `marl_pbt.protocols.Policy`."""

    def __init__(self, network: DiscretePolicy) -> None:
        self._network = network

    def act(self, observations: NDArray[Any], rng: np.random.Generator, greedy: bool = False) -> NDArray[np.int64]:
        """Choose an action per row: `(rows, *shape)` in the space's dtype → `(rows,)` int64."""
        # torch warns of arrays that it could not write to; it never does.
        logits = logits_of(self._network, np.require(observations, requirements=["C", "W"]))
        return logits.argmax(axis=1) if greedy else draw(logits, rng)[0]


def freeze(architecture: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> FrozenPolicy:
    """Rebuild a policy from its architecture and the `policy/…` tensors of a snapshot, which have been checked.

    Raises:
        ValueError: What it makes of an observation of ones is not finite, though its weights are.
    """
    # Only the dtype, the shape and whether Stable-Baselines3 takes it for an image matter, not the bounds.
    box = spaces.Box(
        low=0,
        high=255 if architecture["is_image"] else 1,
        shape=tuple(architecture["observation_shape"]),
        dtype=np.dtype(architecture["observation_dtype"]).type,
    )
    actions = spaces.Discrete(architecture["n_actions"])
    kwargs = policy_kwargs(architecture["net_arch"], architecture["activation"])
    with torch.random.fork_rng(devices=[]):
        network = DiscretePolicy(box, actions, lambda _: 0.0, ortho_init=False, **kwargs)
    names = policy_shapes(architecture)
    # Copies: the tensors may be views of a file or of a board's slot.
    network.load_state_dict({name: torch.tensor(tensors[f"policy/{name}"]) for name in names})
    network.set_training_mode(False)
    if not np.isfinite(logits_of(network, np.ones((1, *box.shape), box.dtype))).all():
        raise ValueError("policy: weights are so large that what it makes of an observation is not finite")
    return FrozenPolicy(network)
