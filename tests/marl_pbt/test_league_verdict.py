"""What is said of leagues whose answers are known."""

import re
from dataclasses import replace

import numpy as np
import pytest

from marl_pbt.figures import number_text
from marl_pbt.league.payoffs import LENGTH, payoffs_of, return_of
from marl_pbt.league.report_text import diagnosis_lines, payoff_lines, rating_lines, report_lines
from marl_pbt.league.verdict import give_verdict
from tests.marl_pbt.made_up_league import EPISODES, episodes_of, exact, league_of, noisy, verdict_on

WHOLE_TABLE = "alpha-rank needs a whole table, everybody against everybody; it is left out"
LONE = {"cat": ("tom",), "mouse": ("jerry",)}
ROCK_PAPER_SCISSORS = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
TWO = {"cat": ("tom", "felix"), "mouse": ("jerry", "mickey", "random")}


def two_species(cat, mouse=None, labels=TWO, **more):
    cat = np.asarray(cat, dtype=float)
    cat = cat if cat.ndim == 3 else exact(cat)
    return verdict_on(league_of(labels, **more), {"cat": cat, "mouse": -cat if mouse is None else mouse})[0]


def means(verdict, species):
    return {rating.entrant.label: float(rating.field.mean) for rating in verdict.ratings[species]}


# Tables.


def test_tables_hold_every_episode_and_nan_where_nothing_was_played():
    league = league_of(TWO)
    cat = noisy(np.zeros((2, 3)))
    cat[1, 2] = np.nan
    rare = np.full((2, 3, EPISODES), np.nan)
    rare[0, 0, 3] = 7.0
    played = episodes_of(league, {"cat": cat, "mouse": -cat}, {"rare": rare})
    payoffs = payoffs_of(("cat", "mouse"), TWO, played, EPISODES)
    assert list(payoffs.tables) == ["return/cat", "return/mouse", "length", "rare"]
    np.testing.assert_array_equal(payoffs.tables["return/cat"], cat)
    np.testing.assert_array_equal(payoffs.tables["rare"], rare)
    assert payoffs.pairings == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert payoffs.agent_steps == 500
    assert np.nanmax(payoffs.tables[LENGTH]) == 50


# Ratings.


def test_the_best_mean_against_the_field_comes_first():
    verdict = two_species([[1, 2, 3], [4, 5, 9]])
    assert list(means(verdict, "cat").items()) == [("felix", 6.0), ("tom", 2.0)]
    assert list(means(verdict, "mouse").items()) == [("jerry", -2.5), ("mickey", -3.5), ("random", -6.0)]
    assert verdict.notes == ()


def test_each_is_said_to_be_ahead_of_the_next_with_an_interval_that_common_seeds_make_sharp():
    """Seeds bring luck of up to 40 to both cats, but felix gets 1 or 2 more from the same seed."""
    cat = np.array([[[10.0, 20, 30, 40]], [[11, 22, 31, 42]]])
    verdict = two_species(cat, labels={"cat": ("tom", "felix"), "mouse": ("jerry",)})
    felix, tom = verdict.ratings["cat"]
    assert felix.field.low < tom.field.mean < felix.field.mean < tom.field.high
    assert (float(felix.lead.mean), tom.lead) == (1.5, None)
    assert float(felix.lead.low) == pytest.approx(1.5 - 3.18245 * np.sqrt(1 / 12), abs=1e-4)  # t with 3 of freedom
    assert verdict.ratings["mouse"][0].lead is None
    assert "1.50 [0.58, 2.42]" in list(rating_lines(verdict, "cat"))[2]


def test_every_quantity_is_there_per_policy_as_a_mean_against_the_field():
    metrics = {"eaten": exact([[1, 2, 3], [4, 5, 9]])}
    cat = exact([[1, 2, 3], [0, 0, 0]])
    verdict, _ = verdict_on(league_of(TWO), {"cat": cat, "mouse": -2 * cat}, metrics=metrics)
    tom, felix = verdict.ratings["cat"]
    found = {name: float(of.mean) for name, of in felix.quantities.items()}
    assert found == pytest.approx({"return/cat": 0.0, "return/mouse": 0.0, "length": 50.0, "eaten": 6.0})
    assert float(tom.quantities["return/mouse"].mean) == -4.0
    assert {each.entrant.label: float(each.quantities["eaten"].mean) for each in verdict.ratings["mouse"]} == {
        "jerry": 2.5,
        "mickey": 3.5,
        "random": 6.0,
    }


def test_whose_means_are_of_different_company_is_told():
    cat = exact([[1, 2, 3], [4, 5, 9]])
    cat[1, 0] = np.nan
    note = "not all met the same others, so a better mean may only mean easier company"
    assert two_species(cat).notes[:2] == (f"cat: {note}", f"mouse: {note}")
    cat[0, 0] = np.nan  # jerry meets nobody
    assert two_species(cat).notes[:2] == (f"mouse: {note}", WHOLE_TABLE)
    cat[:, 1:] = cat[:, :1]
    cat[:, 0] = exact([1, 4])  # now both meet nobody but jerry, who is the only mouse that is judged
    background = {("mouse", "mickey"), ("mouse", "random")}
    assert two_species(cat, background=background).notes == (WHOLE_TABLE,)


def test_shares_have_the_interval_that_suits_them_and_nothing_else_has():
    """Wilson's for 0 of 10 is [0, 0.2775]; a return of 0 ten times is 0, and a length of 1 is 1."""
    league, flat = league_of({"cat": ("tom",), "mouse": ("jerry",)}), exact([[0.5]])
    metrics = {"extinct": exact([[0]]), "eaten": exact([[2]])}
    verdict, _ = verdict_on(league, {"cat": flat, "mouse": flat}, metrics=metrics)
    ends = {name: (float(of.low[0, 0]), float(of.high[0, 0])) for name, of in verdict.estimates.items()}
    assert ends["extinct"] == (0.0, pytest.approx(0.2775, abs=1e-4))
    assert ends["eaten"] == (2.0, 2.0)
    assert ends["return/cat"] == (0.5, 0.5)
    short = payoffs_of(league.species, LONE, episodes_of(league, {"cat": flat, "mouse": flat}, length=1.0), EPISODES)
    length = give_verdict(league, short, None, np.random.default_rng(0)).estimates[LENGTH]
    assert (float(length.low[0, 0]), float(length.high[0, 0])) == (1.0, 1.0)


def test_only_those_who_are_judged_are_rated_and_the_missing_part_of_the_table_is_told():
    cat = np.full((2, 3, EPISODES), np.nan)
    cat[0, 1:] = exact([3, 5])
    cat[1, 0] = 1
    verdict = two_species(cat, background={("cat", "felix"), ("mouse", "mickey"), ("mouse", "random")})
    assert means(verdict, "cat") == {"tom": 4.0}
    assert means(verdict, "mouse") == {"jerry": -1.0}
    assert verdict.notes == (WHOLE_TABLE,)
    assert verdict.intransitivity == {}


def test_someone_who_met_nobody_comes_last_without_a_mean():
    cat = np.full((2, 3, EPISODES), np.nan)
    cat[1] = exact([-5, -6, -7])
    verdict = two_species(cat)
    assert [rating.entrant.label for rating in verdict.ratings["cat"]] == ["felix", "tom"]
    assert np.isnan(verdict.ratings["cat"][1].field.mean)
    assert np.isnan(verdict.ratings["cat"][0].lead.mean)  # of nobody it is not said to be ahead


def test_who_dominates_has_all_of_evolutions_time():
    verdict = two_species([[0, 0, 0], [5, 5, 5]])
    masses = {rating.entrant.label: rating.alpha_rank.mean for rating in verdict.ratings["cat"]}
    assert masses["felix"] > 0.99
    assert masses["tom"] < 0.01


@pytest.mark.parametrize("episodes", [1, 4, 5])
def test_few_episodes_make_nobody_certain_of_evolutions_time(episodes):
    returns = exact([[0, 0, 0], [5, 5, 5]], episodes)
    verdict = two_species(returns)
    for rating in verdict.ratings["cat"]:
        mass = rating.alpha_rank
        assert (mass.low is None) == (mass.high is None) == (episodes < 5)
        assert mass.mean == pytest.approx(float(rating.entrant.label == "felix"), abs=0.01)
    first = list(rating_lines(verdict, "cat"))[2]
    assert ("100% [100, 100]" in first) == (episodes == 5)
    assert "100%" in first


def test_of_rock_paper_scissors_no_policy_is_better_and_no_single_number_says_it():
    labels = {"cat": ("r", "p", "s"), "mouse": ("R", "P", "S")}
    verdict = two_species(noisy(ROCK_PAPER_SCISSORS, 0.1), labels=labels)
    for rating in verdict.ratings["cat"]:
        assert abs(float(rating.field.mean)) < 0.1
        assert rating.alpha_rank.mean == pytest.approx(1 / 3, abs=0.1)
    assert verdict.intransitivity["cat"].corrected > 0.97
    assert verdict.intransitivity["cat"].chance < 0.02
    (line, *_) = diagnosis_lines(verdict)
    assert line.startswith("cat: 100% of the differences in return, noise taken off, depend on who meets whom")
    assert "more than" in line


def test_of_a_ranking_nothing_is_cyclic():
    verdict = two_species(noisy(np.add.outer([0, 10], [0, 20, 40]), 0.1))
    assert verdict.intransitivity["cat"].corrected < 0.01
    assert verdict.intransitivity["cat"].reversal is None
    chances = [f"{found.chance:.2g}" for found in verdict.intransitivity.values()]
    assert list(diagnosis_lines(verdict)) == [
        f"{name}: that its order depends on whom it meets cannot be told from noise (p = {chance})"
        for name, chance in zip(TWO, chances, strict=True)
    ]


@pytest.mark.parametrize(("chance", "is_told"), [(0.05, True), (0.051, False)])
def test_a_finding_that_chance_makes_more_often_than_one_time_in_twenty_is_none(chance, is_told):
    verdict = two_species(noisy([[1, 2, 3], [4, 5, 90]], 0.1))
    found = {name: replace(of, chance=chance) for name, of in verdict.intransitivity.items()}
    (line, _) = diagnosis_lines(replace(verdict, intransitivity=found))
    assert ("fit no ranking" in line) == is_told
    assert ("cannot be told from noise" in line) == (not is_told)


def test_those_who_trained_together_are_compared_with_the_others():
    labels = {"cat": ("a", "b"), "mouse": ("a", "b", "random")}
    own = {(species, name): ("run", nth, 1) for nth, name in enumerate("ab") for species in labels}
    verdict = two_species([[7, 1, 3], [2, 9, 4]], labels=labels, own=own)
    assert verdict.own == ((0, 0), (1, 1))
    gaps = {rating.entrant.label: float(rating.own_gap.mean) for rating in verdict.ratings["cat"]}
    assert gaps == {"a": 6.0, "b": 7.0}  # what random gives them says nothing of it
    assert float(verdict.coadaptation["cat"].mean) == 6.5
    assert {rating.entrant.label: rating.own_gap is None for rating in verdict.ratings["mouse"]}["random"]
    assert "cat: +6.50 ± 0 return with their own partners, compared with those that others trained with" in "\n".join(
        diagnosis_lines(verdict)
    )


def test_large_tables_are_ranked_with_fewer_draws_and_the_largest_not_at_all():
    labels = {"cat": [f"c{n}" for n in range(60)], "mouse": [f"m{n}" for n in range(45)]}
    verdict = two_species(np.arange(2700.0).reshape(60, 45), labels=labels)
    assert verdict.notes == ("alpha-rank is left out: 2700 profiles, it is worked out for at most 2500",)
    assert verdict.ratings["cat"][0].entrant.label == "c59"
    assert max(map(len, report_lines(verdict))) < 160


# In words.


def test_the_whole_report_of_a_small_league():
    verdict = two_species([[1, 2, 3], [4, 5, 900]])
    cyclic = "of the differences in return, noise taken off, depend on who meets whom and fit no ranking"
    assert list(report_lines(verdict)) == [
        "",
        "cat: mean return against the field, 95 % interval",
        "   policy  mean  ± s.e.          95 %   ahead of next       alpha-rank  steps",
        "1  felix    303       0    [303, 303]  301 [301, 301]  100% [100, 100]   50.0",
        "2  tom     2.00       0  [2.00, 2.00]                        0% [0, 0]   50.0",
        "",
        "mouse: mean return against the field, 95 % interval",
        "   policy   mean  ± s.e.            95 %      ahead of next       alpha-rank  steps",
        "1  jerry   -2.50       0  [-2.50, -2.50]  1.00 [1.00, 1.00]  100% [100, 100]   50.0",
        "2  mickey  -3.50       0  [-3.50, -3.50]     448 [448, 448]        0% [0, 0]   50.0",
        "3  random   -452       0    [-452, -452]                           0% [0, 0]   50.0",
        "",
        "cat's return ± standard error, by mouse",
        "          jerry    mickey    random",
        "tom    1.00 ± 0  2.00 ± 0  3.00 ± 0",
        "felix  4.00 ± 0  5.00 ± 0   900 ± 0",
        "",
        "mouse's return ± standard error, by cat",
        "              tom      felix",
        "jerry   -1.00 ± 0  -4.00 ± 0",
        "mickey  -2.00 ± 0  -5.00 ± 0",
        "random  -3.00 ± 0   -900 ± 0",
        "",
        f"cat: 40% {cyclic} (cyclic part; p = 0.001 for none)",
        f"mouse: 40% {cyclic} (cyclic part; p = 0.001 for none)",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (0.004, "0.004"),
        (-0.004, "-0.004"),
        (0.012345, "0.0123"),
        (-1.26e-7, "-1.26e-07"),
        (-0.3, "-0.30"),
        (9.994, "9.99"),
        (12.34, "12.3"),
        (-12.34, "-12.3"),
        (123.4, "123"),
        (1e9, "1000000000"),
        (float("nan"), "–"),
    ],
)
def test_numbers_in_a_few_digits(value, text):
    assert number_text(value) == text


def every_kind():
    """Leagues of every kind there is: `(labels, returns)`."""
    rng = np.random.default_rng(4)
    for counts in [(1,), (3,), (1, 1), (1, 4), (12, 2), (2, 2, 2), (2, 1, 2, 3)]:
        for episodes in (1, 2, 6):
            labels = {f"s{k}": tuple(f"p{n}" for n in range(count)) for k, count in enumerate(counts)}
            yield labels, {name: rng.normal(0, 0.01, (*counts, episodes)) for name in labels}


@pytest.mark.parametrize(("labels", "returns"), list(every_kind()))
def test_no_report_has_a_number_that_is_none(labels, returns):
    verdict = verdict_on(league_of(labels), returns)[0]
    text = "\n".join(report_lines(verdict))
    assert "nan" not in text
    assert "inf" not in text
    assert not re.search(r"-0(\.0+)?(?![.\d])", text)
    for species in labels:
        assert len(list(rating_lines(verdict, species))) == 2 + len(labels[species])


def test_a_table_with_gaps_shows_them_as_dashes():
    cat = np.full((2, 3, EPISODES), np.nan)
    cat[1] = exact([-5, -6, -7])
    verdict = two_species(cat)
    assert list(payoff_lines(verdict, 0))[2] == "tom            –          –          –"
    assert list(rating_lines(verdict, "cat"))[-1].split() == ["2", "tom", "–", "–", "[–,", "–]", "–"]
    assert "– [–, –]" in list(rating_lines(verdict, "cat"))[2]


def test_returns_are_each_species_own():
    verdict = two_species([[1, 2, 3], [4, 5, 9]], mouse=exact(np.full((2, 3), 8.0)))
    assert set(means(verdict, "mouse").values()) == {8.0}
    assert float(verdict.estimates[return_of("mouse")].mean[1, 2]) == 8.0
