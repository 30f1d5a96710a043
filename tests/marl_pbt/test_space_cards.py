"""Spaces as JSON: equal cards are equal spaces, and a card of a stranger's can be shown."""

import json

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text

from marl_pbt.space_cards import card_of, space_text

SPACES = [
    Box(0, 255, (7, 7, 4), np.uint8),
    Box(0, 254, (7, 7, 4), np.uint8),
    Box(0, 255, (7, 4, 7), np.uint8),
    Box(0, 255, (7, 7, 4), np.float32),
    Box(-np.inf, np.inf, (3,), np.float32),
    Box(-np.inf, np.inf, (3,), np.float64),
    Box(0, np.inf, (3,), np.float64),
    Box(np.array([-1, 0.1], np.float32), np.array([1, np.inf], np.float32)),
    Box(np.array([[-1], [2]], np.int16), np.array([[1], [3]], np.int16), dtype=np.int16),
    Box(-1, 1, (), np.float32),
    Box(0, 2**63 - 1, (2,), np.int64),
    Box(0, 2**63 - 2, (2,), np.int64),
    Discrete(9),
    Discrete(9, start=-4),
    MultiDiscrete([3, 300]),
    MultiDiscrete([3, 300], start=[1, 0]),
    MultiDiscrete([[1, 2], [3, 4]]),
]
WITHOUT = [Dict({"a": Discrete(3)}), MultiBinary(4), Text(5)]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_a_card_survives_json(space):
    card = card_of(space)
    assert json.loads(json.dumps(card, allow_nan=False)) == card


def test_cards_differ_where_spaces_do():
    cards = [card_of(space) for space in [*SPACES, *WITHOUT]]
    assert all(one != other for nth, one in enumerate(cards) for other in cards[:nth])


@pytest.mark.parametrize("space", WITHOUT, ids=str)
def test_other_spaces_are_told_apart_by_their_text(space):
    card = card_of(space)
    assert json.loads(json.dumps(card)) == card


@pytest.mark.parametrize(
    ("space", "text"),
    [
        (SPACES[0], "Box (7, 7, 4) uint8 in [0, 255]"),
        (SPACES[4], "Box (3,) float32 in [-inf, inf]"),
        (SPACES[7], "Box (2,) float32 in […, …]"),
        (Discrete(9), "Discrete(9)"),
        (Discrete(9, start=-4), "Discrete(9, start=-4)"),
        (MultiDiscrete([3, 300]), "MultiDiscrete([3, 300])"),
        (MultiDiscrete([3, 300], start=[1, 0]), "MultiDiscrete([3, 300], start=[1, 0])"),
        (MultiBinary(4), "MultiBinary(4)"),
        (Dict({"a": Discrete(3)}), "Dict('a': Discrete(3))"),
    ],
)
def test_a_card_in_a_few_words(space, text):
    assert space_text(card_of(space)) == text


BOX = card_of(SPACES[0])


@pytest.mark.parametrize(
    "card",
    [
        {},
        {"type": "Box"},
        {"type": ["Box"]},
        BOX | {"shape": 3},
        BOX | {"shape": "77"},
        BOX | {"shape": [-1, 2]},
        BOX | {"shape": [None]},
        BOX | {"shape": [7, 7, 5], "low": [0, 1]},
        BOX | {"shape": [10**9] * 4},
        BOX | {"dtype": "object"},
        BOX | {"dtype": "no dtype"},
        BOX | {"dtype": 3},
        BOX | {"low": "low"},
        BOX | {"low": -1},
        BOX | {"low": {}},
        {"type": "Discrete"},
        {"type": "Discrete", "n": "9", "start": 0},
        {"type": "Discrete", "n": 0, "start": 0},
        {"type": "Discrete", "n": 2**70, "start": 0},
        {"type": "MultiDiscrete", "nvec": [0], "start": [0]},
        {"type": "MultiDiscrete", "nvec": [3], "start": [0, 0]},
        {"type": "MultiDiscrete", "nvec": "3", "start": [0]},
        {"type": "MultiDiscrete", "nvec": {}, "start": {}},
    ],
    ids=repr,
)
def test_what_is_no_card_has_a_text_all_the_same(card):
    assert len(space_text(card)) < 250
