"""Frozen policies in the kernels against torch's, and row by row against themselves."""

import re
import tracemalloc

import numba
import numpy as np
import pytest
from gymnasium import spaces

from agents.ppo.fast import frozen
from agents.ppo.fast.frozen import FastPolicy
from agents.ppo.fast.network import TILE
from agents.ppo.inference import logits_of
from agents.ppo.loading import load_policy
from agents.ppo.policy import freeze
from tests.agents.bare_policies import architecture_of, lively_tensors
from tests.agents.fast_rollouts import played

SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 127, 128, 129, 131, 255, 256, 257, 300]


def numbers(shape, dtype, share=1.0, rows=600):
    """A space, and observations of which a share is not zero."""
    rng = np.random.default_rng(0)
    of_bytes = np.dtype(dtype) == np.uint8
    drawn = rng.integers(1, 256, (rows, *shape)) if of_bytes else 3 * rng.normal(size=(rows, *shape))
    box = spaces.Box(0, 255, shape, np.uint8) if of_bytes else spaces.Box(-99, 99, shape, dtype)
    return box, (drawn * (rng.random((rows, *shape)) < share)).astype(dtype)


def windows(species):
    rollout = played(species)
    return rollout.space, rollout.observations[:600]


# The space, observations of it, actions, widths.
CASES = {
    "predator": lambda: (*windows("predator"), 9, (64, 64)),
    "prey": lambda: (*windows("prey"), 9, (64, 64)),
    "dense image": lambda: (*numbers((5, 4, 3), np.uint8), 5, (48, 33)),
    "bytes that are no image": lambda: (*numbers((9,), np.uint8, 0.5), 5, (48, 33)),
    "floats": lambda: (*numbers((16,), np.float32), 17, (33, 250)),
    "many floats": lambda: (*numbers((100,), np.float32), 9, (256, 32)),
    "grid of floats": lambda: (*numbers((5, 5, 3), np.float32, 0.2), 2, (64, 64)),
    "halves": lambda: (*numbers((20,), np.float16), 9, (64, 64)),
    "doubles": lambda: (*numbers((3, 7), np.float64), 9, (64, 64)),
    "whole numbers": lambda: (*numbers((12,), np.int64, 0.7), 9, (64, 64)),
    "one number": lambda: (*numbers((1,), np.float32), 2, (32, 32)),
}


class Thresholds:
    """Stands where a generator does: draws the numbers it was given."""

    def __init__(self, drawn):
        self._drawn = np.asarray(drawn, np.float32)

    def random(self, rows, dtype):
        assert self._drawn.shape == (rows,) and dtype is np.float32
        return self._drawn.copy()


def case(name):
    """A policy in the kernels, the same in torch, observations."""
    box, observations, n_actions, widths = CASES[name]()
    architecture = architecture_of(box, n_actions, widths)
    tensors = lively_tensors(architecture)
    return load_policy(architecture, tensors), freeze(architecture, tensors), observations


def fast_logits(policy, observations):
    """The logits that the kernels leave behind: `(rows, actions)`."""
    parts = []
    for begin in range(0, len(observations), TILE):
        tile = observations[begin : begin + TILE]
        policy.act(tile, None, greedy=True)
        inputs = policy._inputs if policy._act is frozen.act_from_lists else 0
        parts.append(frozen.view_room.py_func(policy._room, len(tile), inputs, policy._sizes).logits.T.copy())
    return np.concatenate(parts)


@pytest.mark.parametrize("name", CASES)
def test_logits_and_likeliest_actions_are_torchs(name):
    fast, slow, observations = case(name)
    assert isinstance(fast, FastPolicy)
    logits, expected = fast_logits(fast, observations), logits_of(slow._network, observations)
    assert np.ptp(expected, axis=1).mean() > 0.3
    within = 1e-6 * max(10, np.abs(expected).max())
    assert np.abs(logits - expected).max() < within
    actions = fast.act(observations, None, greedy=True)
    assert (actions.shape, actions.dtype) == ((600,), np.int64)
    rows = np.arange(600)
    assert np.all(expected[rows, actions] > expected.max(axis=1) - within)
    assert np.array_equal(actions, logits.argmax(axis=1))


@pytest.mark.parametrize("name", CASES)
def test_drawn_actions_are_torchs_but_within_rounding_of_where_one_ends(name):
    fast, slow, observations = case(name)
    thresholds = np.random.default_rng(0).random(600, dtype=np.float32)
    actions = fast.act(observations, np.random.default_rng(0))
    expected = slow.act(observations, np.random.default_rng(0))
    assert len(np.unique(expected)) > 1
    logits = logits_of(slow._network, observations).astype(np.float64)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    ends = (odds / odds.sum(axis=1, keepdims=True)).cumsum(axis=1)
    moved = np.flatnonzero(actions != expected)
    assert len(moved) <= 2
    assert np.all(np.abs(ends[moved] - thresholds[moved, None]).min(axis=1, initial=1) < 1e-5)


def test_actions_are_drawn_as_often_as_the_policy_says():
    fast, slow, observations = case("prey")
    logits = logits_of(slow._network, observations[:1])[0].astype(np.float64)
    expected = 50_000 * np.exp(logits) / np.exp(logits).sum()
    drawn = fast.act(np.repeat(observations[:1], 50_000, axis=0), np.random.default_rng(0))
    assert expected.min() > 5
    # Pearson's statistic; 20.09 is the 99th percentile of χ² with 8 degrees of freedom.
    assert np.sum((np.bincount(drawn, minlength=9) - expected) ** 2 / expected) < 20.09


@pytest.mark.parametrize("name", CASES)
def test_a_row_leads_to_the_same_bits_wherever_it_stands_among_whichever_others(name):
    policy, _, observations = case(name)
    rng = np.random.default_rng(1)
    thresholds = rng.random(600, dtype=np.float32)
    logits = fast_logits(policy, observations).view(np.int32)
    drawn, likeliest = policy.act(observations, Thresholds(thresholds)), policy.act(observations, None, greedy=True)
    for size in SIZES:
        rows = rng.integers(0, 600, size)
        assert np.array_equal(fast_logits(policy, observations[rows]).view(np.int32), logits[rows])
        assert np.array_equal(policy.act(observations[rows], Thresholds(thresholds[rows])), drawn[rows])
        assert np.array_equal(policy.act(observations[rows], None, greedy=True), likeliest[rows])


@pytest.mark.parametrize("name", CASES)
def test_where_an_action_ends_does_not_depend_on_the_rows_beside(name):
    """One row, thresholds a unit in the last place apart around each of its ends: alone, and all of them at once."""
    policy, slow, observations = case(name)
    odds = np.exp(logits_of(slow._network, observations[:1])[0].astype(np.float64))
    ends = (odds.cumsum() / odds.sum())[:-1].astype(np.float32)
    steps = np.arange(-8, 9, dtype=np.float32) * np.float32(2**-24)
    thresholds = np.clip(ends[:, None] + steps, 0, np.nextafter(np.float32(1), np.float32(0))).ravel()
    together = policy.act(np.repeat(observations[:1], len(thresholds), axis=0), Thresholds(thresholds))
    alone = [policy.act(observations[:1], Thresholds([each]))[0] for each in thresholds]
    assert together.tolist() == alone


def test_no_sum_in_the_kernels_may_be_reordered():
    """What one compiler happens to leave in order, another may not: none has the permission."""
    kernel = numba.njit(fastmath={"reassoc", "contract"}, error_model="numpy")(frozen.act_from_lists.py_func)
    arrays = (np.uint8, 2), (np.float32, 1), (np.int64, 1), (np.float32, 1), (np.float32, 1), (np.int64, 1)
    kernel.compile(tuple(numba.types.Array(numba.from_dtype(np.dtype(dtype)), n, "C") for dtype, n in arrays))
    (code,) = kernel.inspect_llvm().values()
    assert re.search(r"= (call|tail call) .*@llvm.fmuladd", code) and " = fdiv " in code
    assert not re.findall(r"= (?:fadd|fsub|fmul|fdiv) (?:reassoc|contract).*", code)
    assert not re.findall(r"call (?:reassoc|contract).*", code)


@pytest.mark.parametrize("name", ["prey", "floats"])
def test_of_equally_likely_actions_the_first_is_taken_and_nothing_is_drawn(name):
    box, observations, n_actions, widths = CASES[name]()
    architecture = architecture_of(box, n_actions, widths)
    tensors = {**lively_tensors(architecture), "policy/action_net.weight": np.zeros((n_actions, widths[1]), np.float32)}
    tensors["policy/action_net.bias"] = np.full(n_actions, -1, np.float32)
    tensors["policy/action_net.bias"][[2, 4]] = 3
    rng = np.random.default_rng(0)
    assert np.all(load_policy(architecture, tensors).act(observations, rng, greedy=True) == 2)
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("name", ["prey", "floats"])
def test_one_float32_per_row_is_drawn(name):
    policy, _, observations = case(name)
    rng, other = np.random.default_rng(0), np.random.default_rng(0)
    policy.act(observations[:37], rng)
    other.random(37, dtype=np.float32)
    assert rng.random() == other.random()


@pytest.mark.parametrize("name", ["prey", "floats"])
def test_the_greatest_threshold_draws_an_action_that_there_is(name):
    policy, _, observations = case(name)
    count = CASES[name]()[2]
    highest = policy.act(observations, Thresholds(np.full(600, np.nextafter(np.float32(1), np.float32(0)))))
    assert highest.max() == count - 1 and (highest == count - 1).mean() > 0.9
    assert not policy.act(observations, Thresholds(np.zeros(600))).any()


@pytest.mark.parametrize("name", ["prey", "floats", "grid of floats"])
@pytest.mark.parametrize("greedy", [True, False])
def test_no_rows_are_no_actions(name, greedy):
    policy, _, observations = case(name)
    actions = policy.act(observations[:0], np.random.default_rng(0), greedy)
    assert (actions.shape, actions.dtype) == ((0,), np.int64)


@pytest.mark.parametrize("name", CASES)
def test_the_observations_memory_does_not_matter(name):
    policy, _, observations = case(name)
    expected = policy.act(observations, np.random.default_rng(0))
    read_only = observations.copy()
    read_only.flags.writeable = False
    backwards = np.ascontiguousarray(observations[::-1])[::-1]
    shifted = np.empty(observations.nbytes + 1, np.uint8)[1:].view(observations.dtype).reshape(observations.shape)
    shifted[...] = observations
    for same in (read_only, backwards, shifted, np.asfortranarray(observations)):
        assert np.array_equal(policy.act(same, np.random.default_rng(0)), expected)


@pytest.mark.parametrize("name", ["floats", "grid of floats"])
@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf, 3e38])
def test_a_row_that_is_no_number_gets_an_action_and_leaves_the_others_alone(name, strange):
    policy, _, observations = case(name)
    spoilt = observations.copy()
    spoilt[5] = strange
    for greedy in (True, False):
        actions = policy.act(spoilt, np.random.default_rng(0), greedy)
        expected = policy.act(observations, np.random.default_rng(0), greedy)
        assert 0 <= actions[5] < CASES[name]()[2]
        assert np.array_equal(np.delete(actions, 5), np.delete(expected, 5))


def test_odds_beyond_float32_give_probabilities_all_the_same():
    box, observations = numbers((16,), np.float32)
    architecture = architecture_of(box)
    tensors = lively_tensors(architecture)
    tensors["policy/action_net.bias"][:] = np.linspace(-3e4, 3e4, 9)
    assert np.all(load_policy(architecture, tensors).act(observations, np.random.default_rng(0)) == 8)


def test_weights_are_copied():
    box, observations = numbers((16,), np.float32)
    architecture = architecture_of(box)
    tensors = lively_tensors(architecture)
    policy = load_policy(architecture, tensors)
    before = policy.act(observations, np.random.default_rng(0))
    for array in tensors.values():
        array[...] = 0
    assert np.array_equal(policy.act(observations, np.random.default_rng(0)), before)


def test_acting_keeps_no_memory():
    policy, _, observations = case("prey")
    rng = np.random.default_rng(0)
    policy.act(observations, rng)
    tracemalloc.start()
    try:
        begin = tracemalloc.get_traced_memory()[0]
        for rows in range(600):
            policy.act(observations[:rows], rng)
        assert tracemalloc.get_traced_memory()[0] - begin < 10_000
    finally:
        tracemalloc.stop()


def test_observations_of_another_shape_or_kind_are_refused():
    policy, _, observations = case("prey")
    with pytest.raises(ValueError, match="reshape"):
        policy.act(observations[:, :7], np.random.default_rng(0))
    with pytest.raises(TypeError, match="Cannot cast"):
        policy.act(observations.astype(np.float32), np.random.default_rng(0))
