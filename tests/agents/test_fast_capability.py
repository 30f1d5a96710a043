"""Where the kernels cannot stand in, Stable-Baselines3's `train()` does the work, and the reason is told."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import NatureCNN
from torch import nn

from agents.ppo.fast.capability import why_not
from agents.ppo.fast.ppo import FastPPO
from tests.agents.fast_rollouts import make_model, played, state_of

RELU = {"activation_fn": nn.ReLU}


class Noise(gymnasium.Env):
    """Observations and rewards without meaning, for any spaces."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), float(self.np_random.normal()), False, self.np_random.random() < 0.1, {}


class OwnPolicy(ActorCriticPolicy):
    """A subclass of the user's."""


class OwnBuffer(RolloutBuffer):
    """Another one."""


FLAT, TWO = spaces.Box(-1, 1, (4,), np.float32), spaces.Discrete(2)
REASONS = {
    "policy_net is not two hidden layers with ReLU": [
        {"policy_kwargs": {"activation_fn": nn.Tanh}},
        {"policy_kwargs": RELU | {"net_arch": [64]}},
        {"policy_kwargs": RELU | {"net_arch": [64, 64, 64]}},
        {"policy_kwargs": RELU | {"net_arch": []}},
        {"policy_kwargs": {"activation_fn": nn.LeakyReLU}},
    ],
    "value_net is not two hidden layers with ReLU": [
        {"policy_kwargs": RELU | {"net_arch": {"pi": [64, 64], "vf": [9]}}}
    ],
    "policy_net has a layer of 16 units, not 32 to 256": [{"policy_kwargs": RELU | {"net_arch": [64, 16]}}],
    "policy_net has a layer of 300 units, not 32 to 256": [{"policy_kwargs": RELU | {"net_arch": [300, 64]}}],
    "value_net has a layer of 31 units, not 32 to 256": [
        {"policy_kwargs": RELU | {"net_arch": {"pi": [32, 32], "vf": [32, 31]}}}
    ],
    "action space is Box(-1.0, 1.0, (2,), float32)": [{"action_space": spaces.Box(-1, 1, (2,), np.float32)}],
    "action space is MultiDiscrete([2 3])": [{"action_space": spaces.MultiDiscrete([2, 3])}],
    "action space is Discrete(1)": [{"action_space": spaces.Discrete(1)}],
    "action space is MultiBinary(3)": [{"action_space": spaces.MultiBinary(3)}],
    "observation space is a Discrete": [{"observation_space": spaces.Discrete(5)}],
    "policy is a MultiInputActorCriticPolicy": [
        {"policy": "MultiInputPolicy", "observation_space": spaces.Dict({"a": FLAT, "b": FLAT})}
    ],
    "policy is a ActorCriticCnnPolicy": [
        {"policy": "CnnPolicy", "observation_space": spaces.Box(0, 255, (36, 36, 1), np.uint8)}
    ],
    "features extractor is a NatureCNN": [
        {
            "policy": ActorCriticPolicy,
            "observation_space": spaces.Box(0, 255, (36, 36, 1), np.uint8),
            "policy_kwargs": RELU | {"features_extractor_class": NatureCNN},
        }
    ],
    "policy is a OwnPolicy": [{"policy": OwnPolicy}],
    "rollout buffer is a OwnBuffer": [{"rollout_buffer_class": OwnBuffer}],
    "clip_range_vf is set": [{"clip_range_vf": 0.2}],
    "optimizer is a AdamW": [{"policy_kwargs": RELU | {"optimizer_class": torch.optim.AdamW}}],
    "optimizer is a SGD": [{"policy_kwargs": RELU | {"optimizer_class": torch.optim.SGD}}],
    "optimizer's weight_decay is set": [{"policy_kwargs": RELU | {"optimizer_kwargs": {"weight_decay": 0.01}}}],
    "optimizer's amsgrad is set": [{"policy_kwargs": RELU | {"optimizer_kwargs": {"amsgrad": True}}}],
    "optimizer's maximize is set": [{"policy_kwargs": RELU | {"optimizer_kwargs": {"maximize": True}}}],
}


def build(cls, policy="MlpPolicy", observation_space=FLAT, action_space=TWO, policy_kwargs=RELU, **settings):
    env = Noise(observation_space, action_space)
    sizes = {"n_steps": 16, "batch_size": 8, "n_epochs": 1, "seed": 0, "device": "cpu"}
    return cls(policy, env, policy_kwargs=dict(policy_kwargs), **sizes, **settings)


def assert_trains_as_ppo(reason, **settings):
    ours, theirs = (build(cls, **settings).learn(16) for cls in (FastPPO, PPO))  # one after the other: a seed each
    assert ours.path_in_use == f"sb3 ({reason})"
    assert all(torch.equal(p, q) for p, q in zip(ours.policy.parameters(), theirs.policy.parameters(), strict=True))
    assert ours.logger.name_to_value.keys() == theirs.logger.name_to_value.keys()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("reason, settings", [(reason, each) for reason, all_ in REASONS.items() for each in all_])
def test_what_the_kernels_cannot_do_trains_as_ppo_and_says_why(reason, settings):
    assert_trains_as_ppo(reason, **settings)


def test_state_dependent_exploration_is_left_to_ppo():
    model = build(FastPPO, action_space=spaces.Box(-1, 1, (2,), np.float32), use_sde=True)
    model.learn(16)
    assert model.path_in_use.startswith("sb3 (")
    discrete = make_model(played("prey").first(64))
    discrete.use_sde = True  # no constructor makes it so
    assert why_not(discrete) == "use_sde is set"


def freeze(policy):
    policy.action_net.bias.requires_grad_(False)


def split_groups(policy):
    policy.optimizer = torch.optim.Adam([{"params": [p]} for p in policy.parameters()])


def forget_one(policy):
    policy.optimizer = torch.optim.Adam(list(policy.parameters())[1:])


def step_one(policy):
    policy.optimizer.state[policy.action_net.bias] = {
        "step": torch.tensor(3.0),
        "exp_avg": torch.zeros(9),
        "exp_avg_sq": torch.zeros(9),
    }


def replace_extractor(policy):
    policy.mlp_extractor = nn.Sequential()


@pytest.mark.parametrize(
    "change, reason",
    [
        (freeze, "a parameter is frozen"),
        (split_groups, "optimizer has several parameter groups"),
        (forget_one, "optimizer does not hold exactly the policy's parameters"),
        (step_one, "optimizer has made more steps with some parameters than with others"),
    ],
)
def test_what_was_changed_by_hand_trains_as_ppo_and_says_why(change, reason):
    pair = [make_model(played("prey").first(64), path, batch_size=64, n_epochs=1) for path in ("auto", "sb3")]
    for model in pair:
        change(model.policy)
        model.train()
    ours, theirs = pair
    assert ours.path_in_use == f"sb3 ({reason})"
    assert all(np.array_equal(array, state_of(theirs)[name]) for name, array in state_of(ours).items())


def test_other_modules_and_numbers_than_float32_are_noticed():
    model = make_model(played("prey").first(64))
    assert why_not(model) is None
    model.policy.double()
    assert why_not(model) == "a parameter is not float32"
    replace_extractor(model.policy)
    assert why_not(model) == "mlp_extractor is a Sequential"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_another_device_is_noticed():
    model = make_model(played("prey").first(64))
    model.policy.to("cuda")
    assert why_not(model) == "device is cuda"


def test_a_policy_on_no_cpu_is_noticed():
    model = make_model(played("prey").first(64))
    model.policy.to("meta")
    assert why_not(model) == "device is meta"


def test_more_inputs_than_an_index_can_name_are_left_to_ppo():
    space = spaces.Box(-1, 1, ((1 << 16) + 1,), np.float32)
    model = build(FastPPO, observation_space=space, policy_kwargs=RELU | {"net_arch": [32, 32]})
    assert why_not(model) == "observation has more than 65536 numbers"


@pytest.mark.parametrize("path", ["sparse", "dense"])
def test_a_path_that_was_asked_for_is_no_way_around_the_reasons(path):
    model = build(FastPPO, policy_kwargs={"activation_fn": nn.Tanh})
    model.update_path = path
    model.learn(16)
    assert model.path_in_use == "sb3 (policy_net is not two hidden layers with ReLU)"


def test_stable_baselines3s_way_is_gone_where_it_is_asked_for():
    model = build(FastPPO)
    model.update_path = "sb3"
    model.learn(16)
    assert model.path_in_use == "sb3"


def test_the_fastest_way_is_chosen_by_the_observations():
    sparse, dense = make_model(played("prey").first(64)), build(FastPPO)
    sparse.train()
    dense.learn(16)
    assert (sparse.path_in_use, dense.path_in_use) == ("sparse", "dense")
