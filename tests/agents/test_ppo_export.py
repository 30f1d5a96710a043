"""Policies leave for Stable-Baselines3 and ONNX, and answer there as they do here."""

import dataclasses
import io
import json
import re
import subprocess
import sys
import zipfile

import gymnasium
import numpy as np
import onnx
import onnxruntime
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.vec_env import DummyVecEnv, VecTransposeImage

from agents.ppo import kind
from agents.ppo.channels import is_transposed_by_sb3
from agents.ppo.exporting.onnx_file import onnx_file
from agents.ppo.exporting.onnx_graph import IR_VERSION, OPSET
from agents.ppo.exporting.probe import TOLERANCE, probe_of
from agents.ppo.exporting.sb3_zip import sb3_zip
from agents.ppo.inference import logits_and_values
from agents.ppo.plain import plain_ppo, put_weights
from agents.ppo.policy import DiscretePolicy
from agents.ppo.settings import ACTIVATIONS, OBSERVATION_DTYPES
from marl_pbt.protocols import Exports, UserError
from tests.agents.portable_policies import ACTIONS, NETS, WINDOW, greedy, portable, sampled

BOXES = [
    WINDOW,
    spaces.Box(0, 255, (4, 7, 7), np.uint8),
    spaces.Box(0, 255, (7, 4, 9), np.uint8),
    spaces.Box(0, 255, (5, 5, 5), np.uint8),
    spaces.Box(0, 100, (7, 7, 4), np.uint8),
    spaces.Box(-1.0, 1.0, (5,), np.float32),
    spaces.Box(-np.inf, np.inf, (2, 3), np.float64),
]


class Meadow(gymnasium.Env):
    """An environment with the window's space, whose images have their channels last."""

    observation_space, action_space = WINDOW, spaces.Discrete(ACTIONS)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._age = 0
        return self._see(), {}

    def step(self, action):
        self._age += 1
        return self._see(), float(action), False, self._age == 10, {}

    def _see(self):
        return self.np_random.integers(0, 256, (7, 7, 4), np.uint8)


def loaded(policy, **kwargs):
    return PPO.load(io.BytesIO(sb3_zip(policy)), device="cpu", **kwargs)


def our_numbers(policy, observations):
    spaces_of_it = (policy.observation_space, policy.action_space)
    model = plain_ppo(policy.architecture, spaces_of_it, policy_class=DiscretePolicy)
    put_weights(model, policy.architecture, policy.tensors)
    return logits_and_values(model.policy, observations)


def test_the_kind_says_what_it_can_write():
    assert isinstance(kind, Exports)
    assert set(kind.export_formats) == {".zip", ".onnx"}
    assert kind.export_policy(portable(), ".zip").startswith(b"PK")
    with pytest.raises(UserError, match=r"export to \.pt: no such format; known are \.zip, \.onnx"):
        kind.export_policy(portable(), ".pt")


def test_saying_what_it_can_write_imports_neither_torch_nor_onnx():
    script = "import sys; from agents.ppo import kind; kind.export_formats; print({'torch', 'onnx'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.filterwarnings("ignore:Treating image space as channels-last")
@pytest.mark.parametrize("box", BOXES, ids=str)
def test_sb3_turns_the_images_that_we_turn_for_it(box):
    turned = is_image_space(box) and not is_image_space_channels_first(box)
    assert is_transposed_by_sb3(portable(box).architecture) == turned


@pytest.mark.parametrize("net_arch", NETS, ids=str)
@pytest.mark.parametrize("box", BOXES, ids=str)
def test_sb3_acts_greedily_as_our_policy_does(box, net_arch):
    policy = portable(box, net_arch)
    observations = sampled(box)
    assert np.array_equal(loaded(policy).predict(observations, deterministic=True)[0], greedy(policy, observations))
    assert len(np.unique(greedy(policy, observations))) > 1


@pytest.mark.parametrize("box", [WINDOW, BOXES[5]], ids=str)
def test_sb3s_critic_and_logits_are_ours_within_rounding(box):
    policy, observations = portable(box, activation="silu"), sampled(box)
    model = loaded(policy)
    tensor, _ = model.policy.obs_to_tensor(observations)
    logits, values = our_numbers(policy, observations)
    theirs = model.policy.get_distribution(tensor).distribution.logits.detach().numpy()
    assert np.allclose(theirs - theirs.mean(1, keepdims=True), logits - logits.mean(1, keepdims=True), atol=1e-5)
    assert np.allclose(model.policy.predict_values(tensor).detach().numpy()[:, 0], values, atol=1e-5)


def test_sb3_trains_an_exported_policy_on_in_an_environment_with_channels_last():
    env = DummyVecEnv([Meadow, Meadow])
    model = loaded(portable(), env=env, n_steps=16, batch_size=16)
    before = {name: tensor.clone() for name, tensor in model.policy.state_dict().items()}
    assert isinstance(model.get_env(), VecTransposeImage)
    model.learn(64)
    assert any(not tensor.equal(before[name]) for name, tensor in model.policy.state_dict().items())


def test_the_hyperparameters_in_force_are_the_models():
    given = {
        "learning_rate": 1e-3,
        "n_epochs": 7,
        "batch_size": 128,
        "gamma": 0.9,
        "gae_lambda": 0.8,
        "clip_range": 0.3,
        "ent_coef": 0.01,
        "vf_coef": 0.7,
        "max_grad_norm": 0.6,
        "reward_scale": 0.05,
    }
    model = loaded(portable(activation="tanh", hyperparameters=given))
    clip_range = given.pop("clip_range")
    assert {name: getattr(model, name) for name in given} == given
    assert (model.clip_range(1.0), model.lr_schedule(1.0)) == (clip_range, given["learning_rate"])
    assert type(model) is PPO and type(model.policy) is ActorCriticPolicy
    assert model.policy.optimizer.defaults["eps"] == 1e-5


class OwnBox(spaces.Box):
    """A space that only this project knows."""


ALONE = """
import sys

class NotHere:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("agents", "marl_pbt", "envs", "tests"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NotHere())
import numpy as np
from stable_baselines3 import PPO
model = PPO.load(sys.argv[1], device="cpu")
print(model.predict(np.load(sys.argv[2]), deterministic=True)[0].tolist())
"""


def test_the_zip_opens_where_this_project_is_not_installed(tmp_path):
    box = OwnBox(0, 255, (7, 7, 4), np.uint8)
    policy, observations = portable(box), sampled(WINDOW)
    content = sb3_zip(policy)
    (tmp_path / "prey.zip").write_bytes(content)
    np.save(tmp_path / "seen.npy", observations)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        data = archive.read("data").decode()
    assert not any(word in data for word in ("agents.", "marl_pbt", "OwnBox", "portable_policies"))
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, "prey.zip", "seen.npy"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == greedy(policy, observations).tolist()


@pytest.mark.parametrize("dtype", OBSERVATION_DTYPES)
def test_onnxruntime_takes_observations_in_the_spaces_dtype(dtype):
    box = spaces.Box(0, 100, (2, 3), np.dtype(dtype).type)
    policy, observations = portable(box), sampled(box)
    session = onnxruntime.InferenceSession(onnx_file(policy))
    logits, actions, values = session.run(["logits", "action", "value"], {"observations": observations})
    wanted = our_numbers(policy, observations)
    assert logits.dtype == values.dtype == np.float32 and actions.dtype == np.int64
    assert np.abs(logits - wanted[0]).max() <= TOLERANCE * np.abs(wanted[0]).max()
    assert np.abs(values - wanted[1]).max() <= TOLERANCE * np.abs(wanted[1]).max()
    assert np.array_equal(actions, greedy(policy, observations))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_onnxruntime_knows_every_activation(activation):
    policy, observations = portable(activation=activation), sampled(WINDOW)
    session = onnxruntime.InferenceSession(onnx_file(policy))
    for rows in (1, 7, 300):
        logits, actions, values = session.run(["logits", "action", "value"], {"observations": observations[:rows]})
        wanted = our_numbers(policy, observations[:rows])
        assert np.allclose(logits, wanted[0], rtol=0, atol=TOLERANCE * max(1, np.abs(wanted[0]).max()))
        assert np.allclose(values, wanted[1], rtol=0, atol=TOLERANCE * max(1, np.abs(wanted[1]).max()))
        assert np.array_equal(actions, greedy(policy, observations[:rows]))


@pytest.mark.parametrize("net_arch", NETS, ids=str)
def test_networks_of_any_depth_become_graphs(net_arch):
    policy, observations = portable(BOXES[5], net_arch), sampled(BOXES[5])
    actions = onnxruntime.InferenceSession(onnx_file(policy)).run(["action"], {"observations": observations})[0]
    assert np.array_equal(actions, greedy(policy, observations))


def test_the_graph_says_what_it_is_and_is_old_enough_for_old_runtimes():
    policy = portable()
    model = onnx.load_model_from_string(onnx_file(policy))
    said = {each.key: each.value for each in model.metadata_props}
    assert json.loads(said["architecture"]) == policy.architecture
    assert json.loads(said["hyperparameters"]) == policy.hyperparameters
    assert (model.ir_version, model.opset_import[0].version) == (IR_VERSION, OPSET) == (8, 17)
    shape = model.graph.input[0].type.tensor_type.shape
    assert [each.dim_param or each.dim_value for each in shape.dim] == ["batch", 7, 7, 4]
    assert onnx_file(policy) == onnx_file(policy)


def test_without_the_package_onnx_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"needs the package onnx, `pip install marl-pbt\[onnx\]`"):
        kind.export_policy(portable(), ".onnx")


@pytest.mark.parametrize("suffix", [".zip", ".onnx"])
def test_tensors_and_spaces_that_do_not_fit_are_refused(suffix):
    good = portable()
    bad_weights = {**good.tensors, "policy/action_net.bias": np.full(ACTIONS, np.nan, np.float32)}
    others = [
        ({"tensors": bad_weights}, "policy/action_net.bias: must be finite"),
        (
            {"observation_space": BOXES[1]},
            r"architecture.observation_shape: .* made for \[7, 7, 4\], here it is \[4, 7, 7\]",
        ),
        ({"observation_space": spaces.Discrete(3)}, "spaces: must be Box and Discrete"),
        ({"action_space": spaces.Discrete(3)}, "architecture.n_actions: .* made for 9, here it is 3"),
    ]
    for changed, fault in others:
        with pytest.raises(ValueError, match=fault):
            kind.export_policy(dataclasses.replace(good, **changed), suffix)


@pytest.mark.parametrize("suffix", [".zip", ".onnx"])
@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("learning_rate", -1.0, "must be a finite float > 0, got -1.0"),
        ("learning_rate", True, "must be a finite float > 0, got True"),
        ("clip_range", None, "must be a finite float > 0, got None"),
        ("batch_size", 1, "must be an int ≥ 2, got 1"),
        ("n_epochs", 10**400, "must be an int ≥ 1, got 1000"),
        ("gamma", float("nan"), "must be a finite float ≥ 0 and ≤ 1, got nan"),
        ("learnin_rate", 1e-3, "unknown hyperparameter; did you mean 'learning_rate'?"),
    ],
)
def test_hyperparameters_that_are_not_legal_are_refused(name, value, fault, suffix):
    with pytest.raises(ValueError, match=f"^{re.escape(f'hyperparameters.{name}: {fault}')}"):
        kind.export_policy(portable(hyperparameters={name: value}), suffix)


@pytest.mark.parametrize("suffix", [".zip", ".onnx"])
def test_weights_that_are_finite_and_make_something_else_are_refused_in_a_line(suffix):
    good = portable()
    large = {name: np.full_like(array, 1e37) for name, array in good.tensors.items()}
    with pytest.raises(ValueError, match=r"^policy: weights are so large that .* is not finite$"):
        kind.export_policy(dataclasses.replace(good, tensors=large), suffix)


def test_answers_of_another_policy_are_found_out():
    probe, other = probe_of(portable()), probe_of(portable(seed=1))
    probe.check_numbers("logits", probe.logits + np.float32(1e-6))
    probe.check_actions(probe.logits.argmax(axis=1))
    for what in ("logits", "values"):
        with pytest.raises(ValueError, match=f"{what} differ by"):
            probe.check_numbers(what, getattr(other, what))
        with pytest.raises(ValueError, match="differ by inf"):
            probe.check_numbers(what, getattr(probe, what)[:1])
        with pytest.raises(ValueError, match="differ by nan"):
            probe.check_numbers(what, getattr(probe, what) * np.float32(np.nan))
    with pytest.raises(ValueError, match="chosen action"):
        probe.check_actions(other.logits.argmax(axis=1))
