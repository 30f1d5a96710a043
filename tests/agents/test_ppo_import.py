"""Weights come in from Stable-Baselines3's zips where they fit; where not, the error says what would."""

import json
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO

from agents.ppo import kind
from marl_pbt.protocols import Imports, UserError
from tests.agents.foreign_zips import (
    as_weights,
    entries_of,
    refusal,
    saved,
    taken_in,
    weights_in,
    with_attributes,
    with_entries,
    with_records,
)
from tests.agents.portable_policies import NETS, WINDOW, interface_of, portable, sampled, settings_of

FLAT = spaces.Box(-1.0, 1.0, (5,), np.float32)
BOXES = [WINDOW, spaces.Box(0, 255, (4, 7, 7), np.uint8), spaces.Box(0, 255, (7, 4, 9), np.uint8), FLAT]


class Meadow(gymnasium.Env):
    """Anything with the spaces; it is never stepped far."""

    def __init__(self, box):
        self.observation_space, self.action_space = box, spaces.Discrete(9)

    def reset(self, *, seed=None, options=None):
        return np.zeros(self.observation_space.shape, self.observation_space.dtype), {}


@pytest.mark.parametrize("net_arch", NETS, ids=str)
@pytest.mark.parametrize("box", BOXES, ids=str)
def test_what_was_exported_comes_back_bit_for_bit(tmp_path, box, net_arch):
    policy = portable(box, net_arch, activation="tanh")
    tensors = taken_in(saved(tmp_path, policy), box, **settings_of(policy))
    assert isinstance(kind, Imports) and tensors.keys() == policy.tensors.keys()
    for name, array in tensors.items():
        assert array.dtype == np.float32 and array.tobytes() == policy.tensors[name].tobytes()


@pytest.mark.filterwarnings("ignore:Treating image space as channels-last")
@pytest.mark.parametrize("algorithm", [PPO, A2C])
@pytest.mark.parametrize("box", BOXES, ids=str)
def test_what_sb3_made_and_saved_acts_here_as_it_does_there(tmp_path, box, algorithm):
    model = algorithm("MlpPolicy", Meadow(box), seed=3, device="cpu", policy_kwargs={"net_arch": [16]})
    # Orthogonal heads of size 0.01 would choose by rounding.
    model.policy.action_net.weight.data *= 100
    model.save(tmp_path / "theirs.zip")
    settings = {"net_arch": [16], "activation": "tanh"}
    tensors = taken_in(tmp_path / "theirs.zip", box, **settings)
    policy = kind.load_policy(kind.describe(settings, interface_of(box)).architecture["prey"], tensors)
    observations = sampled(box)
    ours = policy.act(observations, np.random.default_rng(0), greedy=True)
    assert np.array_equal(ours, model.predict(observations, deterministic=True)[0])


def test_images_that_the_model_saw_with_channels_last_stay_as_they_are(tmp_path):
    policy = portable()
    path = saved(tmp_path, policy)
    turned = taken_in(path, **settings_of(policy))
    space = json.loads(entries_of(path.read_bytes())["data"])["observation_space"]
    as_it_is = taken_in(with_attributes(path, observation_space={**space, "_shape": [7, 7, 4]}), **settings_of(policy))
    first = "policy/mlp_extractor.policy_net.0.weight"
    assert not np.array_equal(turned[first], as_it_is[first])
    assert np.array_equal(as_it_is[first], weights_in(path)["mlp_extractor.policy_net.0.weight"].numpy())


def test_the_settings_of_the_species_count_and_are_named(tmp_path):
    policy = portable(net_arch={"pi": [16], "vf": [16]})
    path = saved(tmp_path, policy)
    assert taken_in(path, net_arch=[32], species={"prey": {"net_arch": [16]}})
    fault = refusal(path, net_arch=[16], species={"prey": {"net_arch": [32]}})
    assert fault.endswith("`learner.settings.species.prey.net_arch: [16]` would fit")
    with pytest.raises(UserError, match="did you mean 'prey'"):
        kind.import_policy(path.read_bytes(), {}, interface_of(WINDOW), "pray")


@pytest.mark.parametrize(
    ("box", "settings", "fault"),
    [
        (WINDOW, {"net_arch": [64, 64]}, "its hidden layers have {pi: [16], vf: [12, 8]} units, those of the settings"),
        (WINDOW, {"net_arch": [64, 64]}, "`learner.settings.net_arch: {pi: [16], vf: [12, 8]}` would fit"),
        (WINDOW, {"activation": "tanh"}, "is relu, that of the settings tanh; `learner.settings.activation: relu`"),
        (spaces.Box(0, 255, (9, 9, 4), np.uint8), {}, "shape [4, 7, 7], those of this species [9, 9, 4]"),
        (spaces.Box(0, 100, (7, 7, 4), np.uint8), {}, "shape [4, 7, 7], those of this species [7, 7, 4]"),
    ],
)
def test_what_does_not_fit_the_settings_is_told_with_what_would(tmp_path, box, settings, fault):
    policy = portable()
    path = saved(tmp_path, policy)
    assert fault in refusal(path, box, **{**settings_of(policy), **settings})


def test_a_model_of_other_actions_observations_or_kind_is_refused(tmp_path):
    settings = {"net_arch": [16], "activation": "tanh"}
    kwargs = {"device": "cpu", "policy_kwargs": {"net_arch": [16]}}
    path = tmp_path / "other.zip"
    PPO("MlpPolicy", Meadow(FLAT), **kwargs).save(path)
    with pytest.raises(ValueError, match="it has 9 actions, this species 5"):
        kind.import_policy(path.read_bytes(), settings, interface_of(FLAT, actions=5), "prey")
    wide = spaces.Box(-1.0, 1.0, (6,), np.float32)
    assert "the shape [5], those of this species [6]" in refusal(path, wide, **settings)
    with_attributes(path, observation_space=None)
    assert "its observations have 5 numbers, those of this species 6" in refusal(path, wide, **settings)
    DQN("MlpPolicy", Meadow(FLAT), buffer_size=10, **kwargs).save(path)
    assert "no tensor of an MLP" in refusal(path, FLAT, **settings)
    PPO("CnnPolicy", Meadow(spaces.Box(0, 255, (36, 36, 3), np.uint8)), **kwargs).save(path)
    assert "no tensor of an MLP" in refusal(path, spaces.Box(0, 255, (36, 36, 3), np.uint8), **settings)


@pytest.mark.parametrize(
    ("attributes", "fault"),
    [
        ({"observation_space": None}, "does not say whether its images had channels first"),
        ({"observation_space": {"_shape": "(4, 7, 7)"}}, "does not say whether its images had channels first"),
        ({"observation_space": {"_shape": [4, 7, 7], "dtype": "float32"}}, "were no uint8 images; ours are"),
        ({"observation_space": {"_shape": [4, 7, 8], "dtype": "uint8"}}, "have the shape [4, 7, 8]"),
        ({"policy_kwargs": {}}, "its activation is tanh, that of the settings relu"),
        ({"policy_kwargs": {"activation_fn": "<class 'torch.nn.modules.activation.Hardtanh'>"}}, "is none of ours"),
        ({"policy_kwargs": {"activation_fn": ["\n" * 900]}}, "is none of ours"),
        ({"policy_kwargs": {"activation_fn": "RELU", "normalize_images": False}}, "were not divided by 255"),
        ({"policy_kwargs": {"activation_fn": "RELU", "features_extractor_class": "Own"}}, "only flattened ones"),
    ],
    ids=str,
)
def test_a_model_that_is_known_to_compute_something_else_is_refused(tmp_path, attributes, fault):
    relu = "<class 'torch.nn.modules.activation.ReLU'>"
    attributes = json.loads(json.dumps(attributes).replace("RELU", relu))
    policy = portable()
    assert fault in refusal(with_attributes(saved(tmp_path, policy), **attributes), **settings_of(policy))


def test_what_the_json_leaves_out_is_not_held_against_flat_observations(tmp_path):
    policy = portable(FLAT)
    path = with_entries(saved(tmp_path, policy), data=b"{}")
    assert taken_in(path, FLAT, **settings_of(policy)).keys() == policy.tensors.keys()


def test_weights_that_are_no_float32_numbers_are_refused(tmp_path):
    policy = portable()
    path = saved(tmp_path, policy)
    good, name = weights_in(path), "action_net.bias"
    faults = {
        "policy/action_net.bias: must be finite": {**good, name: good[name] * float("nan")},
        "names 'torch DoubleStorage', which weights do not need": {**good, name: good[name].double()},
        "action_net.bias': missing": {key: tensor for key, tensor in good.items() if key != name},
        "'log_std': no tensor of an MLP": {**good, "log_std": good[name]},
        "a dict with keys that are no strings": {**good, 7: good[name]},
        "must have the shape (9, 16), has (9, 16, 1)": {
            **good,
            "action_net.weight": good["action_net.weight"][..., None],
        },
        "its observations have 1 numbers": {**good, "mlp_extractor.policy_net.0.weight": torch.tensor([[1.0]])},
        "something else than tensors by name": {**good, name: 1},
        "it has 1 actions, this species 9": {**good, name: torch.tensor(1.0)},
    }
    for fault, tensors in faults.items():
        assert fault in refusal(with_entries(path, policy=as_weights(tensors)), **settings_of(policy))


def test_weights_without_hidden_layers_may_have_any_shape_and_are_refused(tmp_path):
    policy = portable(net_arch={"pi": [], "vf": []})
    path = saved(tmp_path, policy)
    tensors = {**weights_in(path), "action_net.weight": torch.tensor(1.0)}
    fault = refusal(with_entries(path, policy=as_weights(tensors)), **settings_of(policy))
    assert fault == "its observations have 1 numbers, those of this species 196"


def test_weights_that_are_views_of_one_storage_come_in_too(tmp_path):
    policy = portable()
    path = saved(tmp_path, policy)
    good = weights_in(path)
    flat, views, end = torch.cat([tensor.flatten() for tensor in good.values()]), {}, 0
    for name, tensor in good.items():
        views[name] = flat[end : end + tensor.numel()].view(tensor.shape)
        end += tensor.numel()
    tensors = taken_in(with_entries(path, policy=as_weights(views)), **settings_of(policy))
    assert all(tensors[name].tobytes() == array.tobytes() for name, array in policy.tensors.items())


def test_weights_of_a_graphics_card_or_a_big_endian_machine_come_in_too(tmp_path):
    policy = portable()

    def abroad(records):
        swapped = {name: swap(each) for name, each in records.items() if name.startswith("archive/data/")}
        moved = records["archive/data.pkl"].replace(b"\3\0\0\0cpu", b"\6\0\0\0cuda:0")
        assert moved != records["archive/data.pkl"]
        return {**records, **swapped, "archive/data.pkl": moved, "archive/byteorder": b"big"}

    tensors = taken_in(with_records(saved(tmp_path, policy), abroad), **settings_of(policy))
    assert all(tensors[name].tobytes() == array.tobytes() for name, array in policy.tensors.items())


def swap(content):
    return np.frombuffer(content, ">f4").astype("<f4").tobytes()


def test_taking_weights_in_needs_neither_torch_nor_sb3():
    script = "import sys, agents.ppo.importing; print({'torch', 'stable_baselines3'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
