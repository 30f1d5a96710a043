"""Observations as lists of what is not zero are the observations, whatever these are like."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.ppo.fast.lists import MOST_GROUNDS, SparseRows
from tests.agents.fast_rollouts import patterned

DTYPES = [np.uint8, np.float32, np.float64, np.int32]


def rows_of(view, inputs):
    """What lists and backgrounds say, written out: `(rows, inputs)` float32; no input is named twice."""
    rows = np.zeros((len(view.backgrounds), inputs), np.float32)
    named = np.zeros(rows.shape, np.int64)
    for row, background in enumerate(view.backgrounds):
        own = slice(view.offsets[row], view.offsets[row + 1])
        ground = slice(view.ground_offsets[background], view.ground_offsets[background + 1])
        for indices, values in (
            (view.indices[own], view.values[own]),
            (view.ground_indices[ground], view.ground_values[ground]),
        ):
            rows[row, indices] = values
            np.add.at(named[row], indices, 1)
    assert named.max(initial=0) <= 1
    return rows


def features_of(observations, is_image):
    """What torch makes of observations."""
    flat = observations.reshape(len(observations), math.prod(observations.shape[1:])).astype(np.float32)
    return flat / np.float32(255) if is_image else flat


def listed(observations, is_image=False, cuts=()):
    """The observations, added in blocks that end at these rows."""
    lists = SparseRows(observations.shape[1:], observations.dtype, is_image)
    for block in np.split(observations, cuts):
        lists.add(block)
    return lists


@st.composite
def blocks(draw):
    """Observations of a small shape, cut into blocks, some of them empty."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype, rows = draw(st.sampled_from(DTYPES)), draw(st.integers(0, 60))
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    numbers = rng.integers(0, 256, (rows, *shape)) - (0 if dtype == np.uint8 else 128)
    scale = rng.normal() if np.issubdtype(dtype, np.floating) else 1
    observations = (scale * numbers * (rng.random((rows, *shape)) < draw(st.floats(0, 1)))).astype(dtype)
    if len(shape) == 3 and draw(st.booleans()):
        observations[..., 0] = patterned(rng, rows, shape, draw(st.integers(1, 8)), draw(st.integers(1, 200)))[..., 0]
        if rows and draw(st.booleans()):  # a row that lies on none of them
            observations[-1, ..., 0] = rng.integers(0, 5, shape[:2])
    return observations, sorted(draw(st.lists(st.integers(0, rows), max_size=5)))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(blocks(), st.booleans(), st.integers(0, 60))
def test_lists_give_back_the_rows_they_were_made_of(given_blocks, may_be_image, begin):
    observations, cuts = given_blocks
    is_image = may_be_image and observations.dtype == np.uint8
    lists = listed(observations, is_image, cuts)
    begin = min(begin, len(lists))
    expected = features_of(observations, is_image)
    inputs = expected.shape[1]
    assert len(lists) == len(observations)
    assert np.array_equal(rows_of(lists.view(), inputs), expected)
    assert np.array_equal(rows_of(lists.view(begin), inputs), expected[begin:])


def test_numbers_that_are_none_are_kept():
    observations = np.zeros((4, 2, 2, 2), np.float32)
    observations[0, 0, 0, 0], observations[1, 0, 0, 1], observations[2, 1, 1, 1] = np.nan, np.inf, -np.inf
    assert np.array_equal(rows_of(listed(observations).view(), 8), features_of(observations, False), equal_nan=True)


def test_a_channel_of_three_patterns_is_named_and_not_listed():
    observations = patterned(np.random.default_rng(0), 300, (5, 6, 3), 3, level=200)
    view = listed(observations, is_image=True, cuts=[50, 51]).view()
    assert np.array_equal(rows_of(view, 90), features_of(observations, True))
    assert len(view.ground_offsets) - 1 == 4  # and the empty one
    assert set(view.backgrounds.tolist()) == {1, 2, 3}
    assert view.offsets[-1] == np.count_nonzero(observations[..., 1:])


@pytest.mark.parametrize("late", [False, True], ids=["from the start", "later"])
def test_more_patterns_than_there_is_room_for_are_listed(late):
    """A channel of 2000 patterns: those from the start are no background at all, later ones are until it is full."""
    rng = np.random.default_rng(0)
    many = patterned(rng, 2000, (5, 6, 2), 2000, level=7)
    few = patterned(rng, 300, (5, 6, 2), 3, level=7)
    observations = (np.concatenate([few, many]) if late else many).astype(np.uint8)
    view = listed(observations, cuts=[300]).view()
    assert np.array_equal(rows_of(view, 60), features_of(observations, False))
    assert len(view.ground_offsets) - 1 == (MOST_GROUNDS if late else 1)
    assert (view.backgrounds == 0).sum() >= (2000 - MOST_GROUNDS if late else 2000)


def test_a_row_with_another_number_in_the_channel_is_listed_in_full():
    observations = patterned(np.random.default_rng(0), 100, (4, 4, 2), 2, level=9).astype(np.float32)
    observations[60, 1, 1, 0] = 0.5
    view = listed(observations, cuts=[50]).view()
    assert np.array_equal(rows_of(view, 32), features_of(observations, False))
    assert view.backgrounds[60] == 0 and view.backgrounds[59] != 0


def test_cleared_lists_know_nothing_of_what_they_held():
    rng = np.random.default_rng(0)
    first, second = (patterned(rng, 80, (4, 4, 2), 3, level).astype(np.uint8) for level in (3, 8))
    used, fresh = listed(first), listed(second)
    used.clear()
    assert len(used) == 0
    used.add(second)
    for name in ("offsets", "backgrounds", "ground_offsets", "ground_indices", "ground_values"):
        assert np.array_equal(getattr(used.view(), name), getattr(fresh.view(), name))
    assert np.array_equal(rows_of(used.view(), 32), features_of(second, False))
