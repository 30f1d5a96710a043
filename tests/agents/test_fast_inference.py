"""Actions, log-probabilities and values from the kernels against the policy's own."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents.ppo.fast.inference import FastInference
from agents.ppo.inference import TorchInference, logits_and_values
from tests.agents.fast_rollouts import floats, invented, make_lively, make_model, played

PATHS = ["sparse", "dense"]


def pair(rollout, path, **settings):
    """The kernels' way and torch's to ask the same policy."""
    policy = make_model(rollout, **settings).policy
    fast = FastInference(policy, path)
    fast.begin()
    return fast, TorchInference(policy)


def in_blocks(inference, observations, seed=0):
    """Act env step after env step: actions, log-probabilities, values of all rows."""
    rng = np.random.default_rng(seed)
    cuts = [0, 1, 130, 130, 400]
    columns = zip(*(inference.act(block, rng) for block in np.split(observations, cuts)), strict=True)
    return [np.concatenate(column) for column in columns]


def log_probs_of(policy, observations):
    logits, _ = logits_and_values(policy, observations)
    return torch.log_softmax(torch.from_numpy(logits), dim=1).numpy()


ROLLOUTS = {
    "predator": lambda: (played("predator").first(600), (64, 64)),
    "prey": lambda: (played("prey").first(600), (64, 64)),
    "floats": lambda: (floats(600), (33, 100)),
    "doubles": lambda: (floats(600, density=0.1, dtype=np.float64), ((33, 250), (100, 48))),
    "17 actions": lambda: (invented(played("prey").space, played("prey").observations[:600], 17), (32, 64)),
}


@pytest.mark.parametrize("path", [*PATHS, "auto"])
@pytest.mark.parametrize("name", ROLLOUTS)
def test_actions_log_probabilities_and_values_are_torchs(name, path):
    """Actions may differ only where a threshold lies within rounding of where one action ends and the next begins."""
    rollout, net_arch = ROLLOUTS[name]()
    fast, slow = pair(rollout, path, net_arch=net_arch)
    actions, log_probs, values = in_blocks(fast, rollout.observations)
    expected, _, expected_values = in_blocks(slow, rollout.observations)
    assert (actions.dtype, log_probs.dtype, values.dtype) == (np.int64, np.float32, np.float32)
    everything = log_probs_of(slow._policy, rollout.observations)
    assert np.abs(log_probs - everything[np.arange(600), actions]).max() < 1e-5
    assert np.abs(np.exp(log_probs) - np.exp(everything[np.arange(600), actions])).max() < 1e-6
    assert np.abs(values - expected_values).max() < 1e-6 * max(1, np.abs(values).max())
    assert np.abs(fast.values(rollout.observations) - expected_values).max() < 1e-6 * max(1, np.abs(values).max())
    moved = np.flatnonzero(actions != expected)
    assert len(moved) <= 2
    rng = np.random.default_rng(0)
    thresholds = np.concatenate([rng.random(len(b), np.float32) for b in np.split(actions, [0, 1, 130, 130, 400])])
    ends = np.exp(everything[moved].astype(np.float64)).cumsum(axis=1)
    assert np.all(np.abs(ends - thresholds[moved, None]).min(axis=1, initial=1) < 1e-6)


@pytest.mark.parametrize("path", PATHS)
def test_actions_are_drawn_as_often_as_the_policy_says(path):
    rollout = played("prey").first(1)
    fast, _ = pair(rollout, path)
    observations = np.repeat(rollout.observations, 50_000, axis=0)
    actions = fast.act(observations, np.random.default_rng(0))[0]
    expected = 50_000 * np.exp(log_probs_of(fast._policy, rollout.observations)[0].astype(np.float64))
    assert expected.min() > 5
    counts = np.bincount(actions, minlength=9)
    # Pearson's statistic; 20.09 is the 99th percentile of χ² with 8 degrees of freedom.
    assert np.sum((counts - expected) ** 2 / expected) < 20.09


class Threshold:
    def __init__(self, number):
        self._number = np.float32(number)

    def random(self, rows, dtype):
        return np.full(rows, self._number, dtype)


@pytest.mark.parametrize("path", PATHS)
def test_the_last_threshold_below_one_draws_an_action_that_there_is(path):
    fast, _ = pair(played("prey").first(300), path)
    observations = played("prey").first(300).observations
    highest, _, _ = fast.act(observations, Threshold(np.nextafter(np.float32(1), np.float32(0))))
    lowest, _, _ = fast.act(observations, Threshold(0))
    assert set(highest.tolist()) <= set(range(9)) and (highest == 8).mean() > 0.9
    assert not lowest.any()


@pytest.mark.parametrize("path", PATHS)
def test_new_parameters_count_from_begin_on(path):
    rollout = played("prey").first(200)
    fast, slow = pair(rollout, path)
    before = fast.act(rollout.observations, np.random.default_rng(0))[2]
    make_lively(fast._policy, seed=9)
    fast.begin()
    after = fast.act(rollout.observations, np.random.default_rng(0))[2]
    assert np.abs(after - before).max() > 0.1
    assert np.abs(after - slow.values(rollout.observations)).max() < 1e-6 * np.abs(after).max()


def test_backgrounds_that_appear_later_are_seen_too():
    """New patterns are laid when they first appear, in a block that is not the first."""
    rng = np.random.default_rng(0)
    observations = np.zeros((200, 5, 5, 2), np.uint8)
    observations[..., 0] = 255 * (rng.random((40, 5, 5)) < 0.5)[np.minimum(np.arange(200) // 5, 39)]
    observations[:100, ..., 0] = observations[0, ..., 0]
    observations[..., 1] = rng.integers(0, 2, (200, 5, 5))
    rollout = invented(spaces.Box(0, 255, (5, 5, 2), np.uint8), observations)
    fast, slow = pair(rollout, "sparse")
    values = np.concatenate([fast.act(block, rng)[2] for block in np.split(observations, [100, 150])])
    assert np.abs(values - slow.values(observations)).max() < 1e-6
    assert len(fast.lists.view().ground_offsets) - 1 > 10


def test_what_was_acted_on_is_kept_as_lists_where_lists_are_used():
    rollout = played("predator").first(100)
    fast, _ = pair(rollout, "auto")
    assert not fast.lists
    fast.act(rollout.observations, np.random.default_rng(0))
    fast.values(rollout.observations)
    assert len(fast.lists) == 100
    fast.begin()
    assert not fast.lists
    dense, _ = pair(rollout, "dense")
    dense.act(rollout.observations, np.random.default_rng(0))
    assert dense.lists is None


@pytest.mark.parametrize("path", PATHS)
def test_no_rows_are_no_actions(path):
    rollout = played("prey").first(50)
    fast, _ = pair(rollout, path)
    for column in fast.act(rollout.observations[:0], np.random.default_rng(0)):
        assert column.shape == (0,)
    assert fast.values(rollout.observations[:0]).shape == (0,)
    assert len(fast.act(rollout.observations, np.random.default_rng(0))[0]) == 50
