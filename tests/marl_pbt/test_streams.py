"""Named randomness."""

import itertools

import numpy as np
import pytest

from marl_pbt.streams import stream, stream_seed


def test_the_same_names_draw_the_same_numbers():
    one, other = (stream(7, "explore/fox", 3, 9) for _ in range(2))
    assert np.array_equal(one.random(100), other.random(100))
    assert stream_seed(7, "learner", 3) == stream_seed(7, "learner", 3)


def test_every_single_name_makes_a_difference():
    names = itertools.product((0, 1, 2**40), ("decide/fox", "decide/hare"), (0, 1, 2), (0, 1, 2))
    draws = {name: stream(*name).integers(2**63) for name in names}
    assert len(set(draws.values())) == len(draws)


def test_member_and_generation_are_not_interchangeable():
    seeds = {stream_seed(0, "explore", member, generation) for member in range(40) for generation in range(40)}
    assert len(seeds) > 1598  # 32-bit seeds: two of 1600 may meet, hardly more


def test_a_stream_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()
    stream(0, "decide").random(10)
    assert np.array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**64])
def test_a_seed_fits_where_32_bits_are_wanted(seed):
    assert 0 <= stream_seed(seed, "learner", 63, 10**6) < 2**32
