"""Ragged rows: what is stored, what GAE makes of it, what PPO.train() is fed."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.ppo.buffer import RaggedRolloutBuffer
from agents.ppo.inference import draw
from marl_pbt.protocols import LIVES_ON, TERMINATED, TRUNCATED

SPACE = spaces.Box(0, 255, (2, 3, 4), np.uint8)


def make_buffer(gamma=0.9, gae_lambda=0.8, seed=0):
    rng = np.random.default_rng(seed)
    return RaggedRolloutBuffer(1, SPACE, spaces.Discrete(3), "cpu", rng=rng, gamma=gamma, gae_lambda=gae_lambda)


class Life:
    """One individual's stay in the rollout, and how it ended."""

    def __init__(self):
        self.rows, self.rewards, self.values = [], [], []
        self.last_value = 0.0  # after death: nothing more to come


def play(buffer, rng, n_steps=7):
    """Random births, deaths and time-outs; returns the lives that the buffer was told of row by row."""
    living, ended_lives, row = [Life() for _ in range(rng.integers(0, 4))], [], 0
    for _ in range(n_steps):
        buffer.open_block(len(living))[:] = np.arange(row, row + len(living))[:, None, None, None]
        values = rng.normal(size=len(living)).astype(np.float32)
        actions = rng.integers(0, 3, len(living))
        buffer.act(actions, np.full(len(living), -1.0, np.float32), values)
        rewards = rng.normal(size=len(living)).astype(np.float32)
        ended = rng.choice([LIVES_ON, TERMINATED, TRUNCATED], len(living), p=[0.7, 0.2, 0.1]).astype(np.uint8)
        truncated_values = rng.normal(size=int((ended == TRUNCATED).sum())).astype(np.float32)
        for life, reward, value in zip(living, rewards, values, strict=True):
            life.rows.append(row), life.rewards.append(reward), life.values.append(value)
            row += 1
        for life, value in zip(np.array(living)[ended == TRUNCATED], truncated_values, strict=True):
            life.last_value = value
        lives_on = [life for life, code in zip(living, ended, strict=True) if code == LIVES_ON]
        ended_lives += [life for life, code in zip(living, ended, strict=True) if code != LIVES_ON]
        following = lives_on + [Life() for _ in range(rng.integers(0, 3))]
        rng.shuffle(following)
        next_rows = [following.index(life) if life in lives_on else -1 for life in living]
        buffer.reward(rewards, ended, np.array(next_rows, np.int32), truncated_values)
        living = following
    buffer.open_block(len(living))
    next_values = rng.normal(size=len(living)).astype(np.float32)
    for life, value in zip(living, next_values, strict=True):
        life.last_value = value
    buffer.close(next_values)
    return ended_lives + living


def advantages_by_definition(life, gamma, gae_lambda):
    """The sum over k of (γλ)^k δ_{t+k}, written out for one individual."""
    values = [*life.values, life.last_value]
    deltas = [r + gamma * values[t + 1] - values[t] for t, r in enumerate(life.rewards)]
    return [sum((gamma * gae_lambda) ** k * delta for k, delta in enumerate(deltas[t:])) for t in range(len(deltas))]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 1))
def test_advantages_equal_those_of_each_individual_alone(seed, gamma, gae_lambda):
    buffer = make_buffer(gamma, gae_lambda)
    for life in play(buffer, np.random.default_rng(seed)):
        expected = advantages_by_definition(life, gamma, gae_lambda)
        assert buffer.advantages[life.rows] == pytest.approx(expected, rel=1e-4, abs=1e-5)
        assert buffer.returns[life.rows] == pytest.approx(np.add(expected, life.values), rel=1e-4, abs=1e-5)


def test_a_second_rollout_knows_nothing_of_the_first():
    """D11: rollout and GAE of the old policy are gone."""
    used, fresh = make_buffer(), make_buffer()
    play(used, np.random.default_rng(1), n_steps=20)
    used.reset()
    for buffer in (used, fresh):
        play(buffer, np.random.default_rng(2))
    assert used.size() == fresh.size()
    assert np.array_equal(used.advantages, fresh.advantages)
    assert np.array_equal(used.returns, fresh.returns)


def test_minibatches_cover_every_row_once_and_the_tail_is_what_is_left():
    buffer = make_buffer()
    play(buffer, np.random.default_rng(3), n_steps=40)
    batches = list(buffer.get(16))
    sizes = [len(batch.actions) for batch in batches]
    assert sizes[:-1] == [16] * (len(sizes) - 1)
    assert sum(sizes) == buffer.size() and 0 < sizes[-1] <= 16
    advantages = torch.cat([batch.advantages for batch in batches]).sort().values
    assert torch.equal(advantages, torch.from_numpy(np.sort(buffer.advantages)))


@pytest.mark.parametrize("batch_size", [None, 10**6])
def test_a_minibatch_larger_than_the_rollout_is_the_whole_rollout(batch_size):
    buffer = make_buffer()
    play(buffer, np.random.default_rng(3))
    (batch,) = buffer.get(batch_size)
    assert len(batch.actions) == buffer.size()


def test_rows_of_a_minibatch_belong_together_and_images_stay_uint8():
    buffer = make_buffer()
    play(buffer, np.random.default_rng(4))
    for batch in buffer.get(8):
        assert batch.observations.dtype == torch.uint8
        rows = batch.observations[:, 0, 0, 0].numpy()
        assert torch.equal(batch.advantages, torch.from_numpy(buffer.advantages[rows]))
        assert torch.equal(batch.old_values, torch.from_numpy(buffer.values[rows]))


def test_the_order_of_minibatches_comes_from_the_buffers_own_generator():
    first, second, third = make_buffer(seed=1), make_buffer(seed=1), make_buffer(seed=2)
    for buffer in (first, second, third):
        play(buffer, np.random.default_rng(5), n_steps=20)
    orders = [next(buffer.get(16)).advantages for buffer in (first, second, third)]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])


def test_draws_follow_the_distribution_and_know_their_log_probability():
    probabilities = np.array([0.5, 0.0, 0.3, 0.2], np.float32)
    with np.errstate(divide="ignore"):
        logits = np.log(np.tile(probabilities, (40_000, 1))) + np.float32(7)
    actions, log_probs = draw(logits, np.random.default_rng(0))
    assert actions.dtype == np.int64 and log_probs.dtype == np.float32
    assert np.bincount(actions, minlength=4) / 40_000 == pytest.approx(probabilities, abs=0.01)
    assert not (actions == 1).any()
    assert np.exp(log_probs) == pytest.approx(probabilities[actions], rel=1e-5)


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_log_probabilities_are_those_of_torchs_categorical(scale):
    logits = np.random.default_rng(0).normal(size=(500, 9), scale=scale).astype(np.float32)
    actions, log_probs = draw(logits, np.random.default_rng(1))
    expected = torch.distributions.Categorical(logits=torch.from_numpy(logits)).log_prob(torch.from_numpy(actions))
    assert log_probs == pytest.approx(expected.numpy(), rel=1e-5, abs=1e-5)


class AlmostOne:
    def random(self, size, dtype):
        return np.full(size, np.nextafter(np.float32(1), np.float32(0)), dtype)


def test_the_largest_draw_is_still_an_action():
    actions, _ = draw(np.zeros((5, 3), np.float32), AlmostOne())
    assert actions.tolist() == [2] * 5
