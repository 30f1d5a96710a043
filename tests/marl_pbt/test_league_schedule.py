"""Who meets whom."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_pbt.league.assembly import Entrant
from marl_pbt.league.schedule import MOST_PAIRINGS, pairings
from marl_pbt.protocols import UserError
from marl_pbt.seats import Baseline


def entrants(*counts, background=()):
    """So many focal policies per species, and so many that are only there to be played against."""
    background = background or (0,) * len(counts)
    return {
        f"species{k}": [
            Entrant(f"{n}", f"species{k}", "", Baseline("random"), f"{n}", n < focal) for n in range(focal + more)
        ]
        for k, (focal, more) in enumerate(zip(counts, background, strict=True))
    }


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("counts", [(1,), (4,), (1, 1), (2, 3), (3, 1, 2), (2, 2, 2, 2)])
def test_without_a_background_everybody_meets_everybody(counts):
    assert pairings(entrants(*counts), None, rng()) == list(product(*map(range, counts)))


def test_with_a_background_each_judged_policy_meets_all_of_it_and_nobody_else():
    found = pairings(entrants(2, 1, background=(1, 2)), None, rng())
    assert found == [(0, 1), (0, 2), (1, 1), (1, 2), (2, 0)]


def test_of_four_species_one_is_judged_at_a_time():
    league = entrants(1, 1, 1, 1, background=(1, 1, 1, 1))
    assert pairings(league, None, rng()) == [(0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0)]


def test_a_species_may_be_background_alone():
    assert pairings(entrants(2, 0, background=(0, 2)), None, rng()) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_of_a_single_species_the_judged_play_by_themselves():
    assert pairings(entrants(2, background=(1,)), None, rng()) == [(0,), (1,)]


def test_more_pairings_than_anybody_can_have_meant_are_refused():
    with pytest.raises(UserError, match=r"^400 × 300 policies make more than 100000 pairings; name fewer$"):
        pairings(entrants(400, 300), None, rng())
    with pytest.raises(UserError, match=r"^400 × 300 policies make more than 100000 pairings; name fewer$"):
        pairings(entrants(400, 300), 110_000, rng())
    with pytest.raises(UserError, match=r"^2300 × 2300 policies make more than"):  # no table of all is made for a few
        pairings(entrants(2300, 2300), 10, rng())
    assert MOST_PAIRINGS == 100_000


def test_only_pairings_that_would_be_played_count():
    """Of 400 × 300 a part, or those that judge anybody: 200 × 300."""
    assert len(pairings(entrants(400, 300), 10, rng())) == 10
    assert len(pairings(entrants(200, 0, background=(200, 300)), None, rng())) == 60_000


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_drawn_part_is_balanced_in_order_and_without_repetitions(counts, share, seed):
    everyone = list(product(*map(range, counts)))
    most = 1 + int(share * (len(everyone) - 1))
    drawn = pairings(entrants(*counts), most, np.random.default_rng(seed))
    assert len(drawn) == most
    assert drawn == sorted(set(drawn))
    for k, count in enumerate(counts):
        games = np.bincount([pairing[k] for pairing in drawn], minlength=count)
        assert games.max() - games.min() <= 2
        assert games.min() > 0 or most < 2 * max(counts)


def test_the_draw_depends_on_the_generator_alone():
    def draw(seed):
        return pairings(entrants(8, 8), 12, np.random.default_rng(seed))

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_as_many_as_there_are_or_more_are_all_of_them():
    for most in (6, 7, 10**9):
        assert pairings(entrants(2, 3), most, rng()) == list(product(range(2), range(3)))


def test_a_part_of_a_background_plays_about_equally_often():
    drawn = pairings(entrants(6, 0, background=(0, 6)), 12, rng())
    assert [np.bincount(column).tolist() for column in zip(*drawn, strict=True)] == [[2] * 6, [2] * 6]
