"""Which policies the kernels take over from torch when they are loaded, and what that spares."""

import json
import subprocess
import sys

import numpy as np
import pytest
from gymnasium import spaces

from agents.ppo import kind
from agents.ppo.fast.frozen import FastPolicy
from agents.ppo.loading import load_policy
from agents.ppo.policy import FrozenPolicy
from tests.agents.bare_policies import architecture_of, lively_tensors

FLAT = spaces.Box(-1, 1, (3,), np.float32)


@pytest.mark.parametrize(
    "settings",
    [
        {"pi": ()},
        {"pi": (64,)},
        {"pi": (64, 64, 64)},
        {"pi": (31, 64)},
        {"pi": (64, 257)},
        {"activation": "tanh"},
        {"n_actions": 1},
        {"box": spaces.Box(-1, 1, ((1 << 16) + 1,), np.float32), "pi": (32, 32), "vf": ()},
    ],
    ids=str,
)
def test_what_the_kernels_are_not_made_for_is_left_to_torch(settings):
    architecture = architecture_of(**{"box": FLAT, **settings})
    tensors = lively_tensors(architecture)
    policy = load_policy(architecture, tensors)
    assert isinstance(policy, FrozenPolicy)
    observations = np.zeros((4, *architecture["observation_shape"]), np.float32)
    assert policy.act(observations, np.random.default_rng(0)).shape == (4,)


@pytest.mark.parametrize("vf", [(), (7,), (3, 4, 5), (1000, 2)], ids=str)
def test_what_the_critic_is_like_does_not_matter(vf):
    architecture = architecture_of(FLAT, pi=(32, 256), vf=vf)
    tensors = lively_tensors(architecture)
    assert isinstance(load_policy(architecture, tensors), FastPolicy)
    assert isinstance(kind.load_policy(architecture, tensors), FastPolicy)


def test_tensors_are_checked_whichever_way_they_go():
    for pi in ((64, 64), (64,)):
        architecture = architecture_of(FLAT, pi=pi)
        tensors = lively_tensors(architecture)
        with pytest.raises(ValueError, match=r"value_net\.bias: must be finite"):
            load_policy(architecture, {**tensors, "policy/value_net.bias": np.full(1, np.nan, np.float32)})
        with pytest.raises(ValueError, match="kind"):
            load_policy({**architecture, "kind": "other"}, tensors)


SCRIPT = """
import json, sys
import numpy as np
from agents.ppo import kind
from agents.ppo.architecture import policy_shapes
architecture = json.loads(sys.argv[1])
tensors = {f"policy/{name}": np.zeros(shape, np.float32) for name, shape in policy_shapes(architecture).items()}
policy = kind.load_policy(architecture, tensors)
observations = np.ones((3, *architecture["observation_shape"]), architecture["observation_dtype"])
policy.act(observations, np.random.default_rng(0))
print([name for name in sys.modules if name in ("torch", "stable_baselines3", "envs")])
from agents.ppo.fast import acting, frozen, update
print(len(frozen.act_from_lists.signatures), len(update.train_epoch.signatures), len(acting.act_on.signatures))
"""


def test_acting_needs_neither_torch_nor_the_kernels_of_an_update():
    architecture = json.dumps(architecture_of(spaces.Box(0, 255, (7, 7, 4), np.uint8)))
    done = subprocess.run([sys.executable, "-c", SCRIPT, architecture], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "1 0 0"]
