"""What counts as a win when the user says so, and the Elo that follows from it."""

import numpy as np
import pytest

from marl_pbt.league.payoffs import payoffs_of
from marl_pbt.league.win_rule import WinRule
from marl_pbt.protocols import UserError
from tests.marl_pbt.made_up_league import EPISODES, episodes_of, exact, league_of, verdict_on

TWO = {"cat": ("tom", "felix"), "mouse": ("jerry", "mickey", "random")}


def won(share):
    """`survived` in so many of the ten episodes of each pairing."""
    return (np.arange(EPISODES) < 10 * np.asarray(share)[..., None]).astype(float)


def rated(win, survived, labels=TWO):
    flat = exact(np.zeros(np.shape(survived)))
    returns = {"cat": flat, "mouse": flat}
    return verdict_on(league_of(labels), returns, WinRule.parse(win), {"survived": won(survived)})[0]


def test_elo_is_there_when_the_user_says_what_a_win_is_and_comes_with_a_warning():
    verdict = rated("mouse: survived > 0.5", [[0.5, 0.5, 0.5], [0.2, 0.2, 0.2]])
    elo = {rating.entrant.label: rating.elo for rating in verdict.ratings["cat"]}
    assert elo["felix"] - elo["tom"] == pytest.approx(400 * np.log10(0.8 / 0.2), rel=0.25)
    assert elo["felix"] > elo["tom"]
    assert verdict.notes[0].startswith("Elo counts 'mouse: survived > 0.5' as a win. It assumes")
    assert verdict.ratings["mouse"][0].elo is not None


def test_the_other_species_wins_where_the_rule_does_not_hold():
    one = rated("mouse: survived > 0.5", [[0.5, 0.7, 0.5], [0.2, 0.2, 0.3]])
    other = rated("cat: survived <= 0.5", [[0.5, 0.7, 0.5], [0.2, 0.2, 0.3]])
    for species in TWO:
        assert [each.elo for each in one.ratings[species]] == [each.elo for each in other.ratings[species]]


@pytest.mark.parametrize(
    ("comparison", "holds"),
    [("<", [1, 0, 0]), ("<=", [1, 1, 0]), ("==", [0, 1, 0]), (">=", [0, 1, 1]), (">", [0, 0, 1])],
)
def test_a_rule_compares_every_episode_and_leaves_out_what_was_not_counted(comparison, holds):
    league = league_of({"cat": ("a",), "mouse": ("b",)})
    values = np.array([[[1.0, 2.0, 3.0, np.nan]]])
    flat = np.zeros((1, 1, 4))
    played = episodes_of(league, {"cat": flat, "mouse": flat}, {"x/y": values})
    payoffs = payoffs_of(("cat", "mouse"), {"cat": ("a",), "mouse": ("b",)}, played, 4)
    wins, losses = WinRule.parse(f"cat: x/y {comparison} 2").counts(payoffs)
    assert (wins.tolist(), losses.tolist()) == ([[float(sum(holds))]], [[3.0 - sum(holds)]])
    assert tuple(WinRule.parse(f"mouse:x/y{comparison}2").counts(payoffs)) == (losses, wins)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mouse",
        "mouse: survived",
        "mouse: survived > ",
        "survived > 0.5",
        "mouse: survived = 1",
        "mouse: survived > 1; import os",
        "mouse: survived > 1e",
        "mouse: survived > .",
        "mouse: survived > nan",
        "a: b > 1\n2",
    ],
)
def test_what_is_no_rule_is_told(text):
    with pytest.raises(UserError) as refused:
        WinRule.parse(text)
    assert str(refused.value) == (
        f"--win: must read 'SPECIES: QUANTITY > NUMBER', e.g. 'prey: survived > 0.5', got {text!r}"
    )


def test_a_rule_is_read_with_and_without_spaces():
    assert WinRule.parse("  prey:return/prey>=-1.5e2 ") == WinRule(
        "prey:return/prey>=-1.5e2", "prey", "return/prey", ">=", -150.0
    )


@pytest.mark.parametrize(
    ("text", "winner", "table"),
    [
        ("big cat: survived > 1", "big cat", "survived"),
        ("Füchse-2: über/lebt>1", "Füchse-2", "über/lebt"),
        ("a/b : return/a/b > 1", "a/b", "return/a/b"),
        ("x: y:z > 1", "x", "y:z"),
    ],
)
def test_species_and_quantities_may_be_called_anything(text, winner, table):
    rule = WinRule.parse(text)
    assert (rule.winner, rule.table, rule.comparison, rule.threshold) == (winner, table, ">", 1.0)


def test_a_rule_is_checked_against_the_species():
    rule = WinRule.parse("cat: length > 3")
    rule.check(["mouse", "cat"])
    with pytest.raises(UserError, match=r"^--win: cat: no such species; there are dog, mouse$"):
        rule.check(["dog", "mouse"])
    for species in (["cat"], ["cat", "mouse", "dog"]):
        with pytest.raises(UserError, match=rf"^--win: needs two species, there are {', '.join(species)}$"):
            rule.check(species)


def test_what_is_not_counted_here_is_a_note_and_there_is_no_elo():
    """It is known only after everything was played: the rest of the verdict is given nevertheless."""
    verdict = rated("cat: lived > 0", [[0.5, 0.5, 0.5], [0.2, 0.2, 0.2]])
    assert verdict.notes == (
        "--win: lived is not counted here, so there is no Elo; what is: return/cat, return/mouse, length, survived",
    )
    assert {rating.elo for of in verdict.ratings.values() for rating in of} == {None}
    assert len(verdict.ratings["mouse"]) == 3
