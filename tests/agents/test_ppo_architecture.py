from typing import ClassVar

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import is_image_space

from agents.ppo import kind
from agents.ppo.architecture import check_tensors, describe_architecture, tensor_bytes, tensor_shapes
from agents.ppo.inference import logits_and_values, logits_of, values_of
from agents.ppo.settings import ACTIVATIONS, HYPERPARAMETERS, SpeciesSettings
from marl_pbt.protocols import Interface
from tests.agents.toy_worlds import ToyWorlds

VALUES = {name: spec.default for name, spec in HYPERPARAMETERS.items()}
NETS = [{"pi": (), "vf": ()}, {"pi": (7,), "vf": (5, 3)}, {"pi": (64, 64), "vf": (64, 64)}]
BOXES = [
    spaces.Box(0, 255, (7, 7, 4), np.uint8),
    spaces.Box(0, 255, (4, 7, 7), np.uint8),
    spaces.Box(0, 100, (7, 7, 4), np.uint8),
    spaces.Box(0, 255, (9,), np.uint8),
    spaces.Box(-np.inf, np.inf, (3, 2), np.float64),
]


def describe(box=BOXES[0], **settings):
    return describe_architecture(box, spaces.Discrete(5), SpeciesSettings(VALUES, **settings))


def learner_of(box, net_arch, activation="relu"):
    class Worlds(ToyWorlds):
        observation_spaces: ClassVar = {**ToyWorlds.observation_spaces, "fish": box}

    interface = Interface(Worlds.species, Worlds.observation_spaces, Worlds.action_spaces)
    settings = {"net_arch": {net: list(layers) for net, layers in net_arch.items()}, "activation": activation}
    return kind.build(settings, interface, Worlds(), 0), kind.describe(settings, interface)


@pytest.mark.parametrize("box", BOXES, ids=str)
@pytest.mark.parametrize("net_arch", NETS, ids=str)
def test_the_tensors_told_beforehand_are_those_that_sb3_builds(box, net_arch):
    learner, described = learner_of(box, net_arch)
    snapshot = learner.snapshot("fish")
    expected = tensor_shapes(described.architecture["fish"])
    assert {name: array.shape for name, array in snapshot.items()} == expected
    assert list(snapshot) == [
        *filter(lambda n: n.startswith("policy"), expected),
        *list(snapshot)[len(expected) // 4 :],
    ]
    assert {array.dtype for array in snapshot.values()} == {np.dtype(np.float32)}
    assert sum(array.nbytes for array in snapshot.values()) == described.snapshot_bytes["fish"]
    assert tensor_bytes(described.architecture["fish"]) == described.snapshot_bytes["fish"]


@pytest.mark.parametrize("box", BOXES, ids=str)
def test_what_counts_as_an_image_is_what_sb3_scales(box):
    assert describe(box)["is_image"] == is_image_space(box)


def test_the_windows_of_predator_prey_grass_are_scaled_as_images():
    assert is_image_space(spaces.Box(0, 255, (7, 7, 4), np.uint8))
    assert is_image_space(spaces.Box(0, 255, (9, 9, 4), np.uint8))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_one_of_torchs(activation):
    assert issubclass(getattr(torch.nn, ACTIVATIONS[activation]), torch.nn.Module)


@pytest.mark.parametrize("box", BOXES[:4], ids=str)
def test_a_rebuilt_policy_thinks_like_the_learners(box):
    learner, described = learner_of(box, NETS[1], "tanh")
    for value in (tensors := learner.snapshot("fish")).values():
        value += np.float32(0.1)
    learner.adopt("fish", tensors, "donor")
    policy = kind.load_policy(described.architecture["fish"], tensors)
    observations = np.stack([box.sample() for _ in range(200)])
    expected = learner._species["fish"].model.predict(observations, deterministic=True)[0]
    assert np.array_equal(policy.act(observations, np.random.default_rng(0), greedy=True), expected)


@pytest.mark.parametrize("box", BOXES, ids=str)
def test_sb3s_own_policy_with_the_same_weights_gives_the_same_numbers(box):
    learner, _ = learner_of(box, NETS[1])
    ours = learner._species["fish"].policy
    theirs = ActorCriticPolicy(
        box, spaces.Discrete(4), lambda _: 0.0, net_arch={"pi": [7], "vf": [5, 3]}, activation_fn=torch.nn.ReLU
    )
    theirs.load_state_dict(ours.state_dict())
    observations = np.stack([box.sample() for _ in range(300)])
    before, tensor, actions = observations.copy(), torch.from_numpy(observations), torch.arange(300) % 4
    evaluated = [policy.evaluate_actions(tensor, actions) for policy in (ours, theirs)]
    for one, other in zip(*evaluated, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5)
    gradients = []
    for policy, (values, log_probs, entropies) in zip((ours, theirs), evaluated, strict=True):
        policy.optimizer.zero_grad()
        (values.mean() + log_probs.mean() + entropies.mean()).backward()
        gradients.append([parameter.grad for parameter in policy.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5 * float(other.abs().max()))
    logits, values = logits_and_values(ours, observations)
    assert np.array_equal(values, evaluated[1][0].detach().squeeze(1).numpy())
    assert np.array_equal(logits, logits_of(ours, observations))
    assert np.array_equal(values, values_of(ours, observations))
    assert np.array_equal(observations, before)


def test_rebuilding_a_policy_leaves_torchs_generator_alone():
    learner, described = learner_of(BOXES[0], NETS[1])
    before = torch.get_rng_state()
    kind.load_policy(described.architecture["fish"], learner.snapshot("fish"))
    assert torch.equal(torch.get_rng_state(), before)


def tensors_of(architecture):
    return {name: np.zeros(shape, np.float32) for name, shape in tensor_shapes(architecture).items()}


def test_check_names_the_tensor_that_does_not_fit():
    architecture = describe(net_arch=NETS[1])
    good = tensors_of(architecture)
    check_tensors(architecture, good)
    name = "policy/action_net.weight"
    faults = {
        "missing": {key: array for key, array in good.items() if key != name},
        r"must be \(5, 7\) float32, got \(5, 6\)": {**good, name: np.zeros((5, 6), np.float32)},
        "got .* float64": {**good, name: np.zeros((5, 7))},
        "must be finite": {**good, name: np.full((5, 7), np.nan, np.float32)},
    }
    for fault, tensors in faults.items():
        with pytest.raises(ValueError, match=f"{name}.*{fault}"):
            check_tensors(architecture, tensors)
    with pytest.raises(ValueError, match="policy/extra: no such tensor"):
        check_tensors(architecture, {**good, "policy/extra": np.zeros(1, np.float32)})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", "other"),
        ("observation_shape", [7, "7"]),
        ("observation_dtype", "complex64"),
        ("n_actions", 0),
        ("net_arch", [64]),
        ("activation", "rellu"),
    ],
)
def test_an_architecture_that_was_tampered_with_is_refused(key, value):
    architecture = describe()
    with pytest.raises(ValueError, match=key):
        kind.load_policy({**architecture, key: value}, tensors_of(architecture))
    with pytest.raises(ValueError, match="keys"):
        kind.load_policy({k: v for k, v in architecture.items() if k != "is_image"}, tensors_of(architecture))
