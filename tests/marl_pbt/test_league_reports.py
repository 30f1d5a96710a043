"""A verdict as files: JSON, CSV, pictures, TensorBoard."""

import csv
import io
import json
import math

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import STORE_EVERYTHING_SIZE_GUIDANCE, EventAccumulator

from marl_pbt.league.heat_map import HeatMap, heat_map_png
from marl_pbt.league.report_files import evaluation_json, payoff_rows, pictures, rating_rows, write_reports
from marl_pbt.league.report_tensorboard import write_tensorboard
from marl_pbt.league.win_rule import WinRule
from tests.marl_pbt.made_up_league import card_at, exact, league_of, noisy, verdict_on

TWO = {"cat": ("tom", "felix"), "mouse": ("jerry", "mickey", "random")}


def small(seed=0, **more):
    cat = noisy([[1, 2, 3], [4, 5, 9]])
    return verdict_on(league_of(TWO, **more), {"cat": cat, "mouse": -cat}, metrics={"survived": np.abs(cat)}, seed=seed)


def of_counts(*counts, episodes=3):
    labels = {f"s{k}": tuple(f"p{n}" for n in range(count)) for k, count in enumerate(counts)}
    rng = np.random.default_rng(4)
    return verdict_on(league_of(labels), {name: rng.normal(size=(*counts, episodes)) for name in labels})


def strict(data):
    """JSON as the standard has it."""

    def none_of_these(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(data, parse_constant=none_of_these)


# JSON.


def test_the_json_says_everything():
    verdict, rules = small(notices=("a notice",), cards={"felix": card_at(5000)})
    said = strict(evaluation_json(verdict, rules))
    assert said["schema"] == 1
    assert said["environment"] == {"make": "a:b", "config": {"size": 3}, "species": None}
    assert (said["episodes"], said["seed"], said["greedy"], said["species"]) == (10, 0, False, ["cat", "mouse"])
    tom, felix = said["policies"]["cat"]
    assert tom == {"label": "tom", "address": "typed tom", "sha256": "digest tom", "is_focal": True}
    assert felix["agent_steps"] == 5000
    assert felix["hyperparameters"] == {"learning_rate": 1e-3}
    assert [rating["policy"] for rating in said["ratings"]["cat"]] == ["felix", "tom"]
    assert said["notes"] == ["a notice"]
    assert len(said["payoffs"]) == 6
    first = said["payoffs"][0]
    assert first["policies"] == {"cat": "tom", "mouse": "jerry"}
    assert first["return/cat"]["mean"] == pytest.approx(-first["return/mouse"]["mean"])
    assert first["length"] == {"mean": 50.0, "standard_error": 0.0, "low": 50.0, "high": 50.0, "n": 10}
    assert first["survived"]["n"] == 10
    best, last = said["ratings"]["cat"]
    assert best["lead"]["mean"] == pytest.approx(
        best["mean_against_field"]["mean"] - last["mean_against_field"]["mean"]
    )
    assert best["lead"]["low"] < best["lead"]["mean"] < best["lead"]["high"]
    assert last["lead"] is None
    assert list(best["quantities"]) == ["return/cat", "return/mouse", "length", "survived"]
    assert best["quantities"]["return/cat"] == best["mean_against_field"]


def test_the_same_league_gives_the_same_bytes_another_seed_of_the_resamples_others():
    assert evaluation_json(*small()) == evaluation_json(*small())
    assert evaluation_json(*small()) != evaluation_json(*small(seed=1))


@pytest.mark.parametrize("counts", [(1,), (3,), (1, 1), (2, 3), (2, 1, 2, 2)])
@pytest.mark.parametrize("episodes", [1, 2])
def test_the_json_of_any_league_is_strict(counts, episodes):
    said = strict(evaluation_json(*of_counts(*counts, episodes=episodes)))
    assert len(said["payoffs"]) == math.prod(counts)
    for rating in said["ratings"]["s0"]:
        assert rating["mean_against_field"]["n"] == episodes
        assert (rating["mean_against_field"]["standard_error"] is None) == (episodes == 1)
        if rating["alpha_rank"] is not None:  # of so few episodes no interval is claimed
            assert (rating["alpha_rank"]["low"], rating["alpha_rank"]["high"]) == (None, None)


def test_what_was_not_played_is_null_or_left_out():
    cat = np.full((2, 3, 4), np.nan)
    cat[1] = exact([1, 2, 3], 4)
    verdict, rules = verdict_on(league_of(TWO), {"cat": cat, "mouse": -cat})
    said = strict(evaluation_json(verdict, rules))
    assert len(said["payoffs"]) == 3
    assert said["ratings"]["cat"][1]["mean_against_field"]["mean"] is None
    assert said["ratings"]["cat"][0]["alpha_rank"] is None


# CSV.


def opened(data):
    picture = Image.open(io.BytesIO(data))
    picture.load()
    assert picture.format == "PNG"
    return picture


def read_csv(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_tables_as_csv_hold_the_same_as_the_json(tmp_path):
    verdict, rules = small()
    paths = write_reports(tmp_path / "new" / "folder", verdict, rules, pictures(verdict, rules))
    assert [path.name for path in paths] == [
        "evaluation.json",
        "payoffs.csv",
        "ratings.csv",
        "payoff_cat.png",
        "payoff_mouse.png",
        "length.png",
    ]
    assert all(opened(path.read_bytes()).width > 300 for path in paths[3:])
    said = strict(paths[0].read_bytes())
    rows = read_csv(paths[1])
    assert len(rows) == 6 * 4
    for row in rows:
        pairing = next(each for each in said["payoffs"] if each["policies"] == {name: row[name] for name in TWO})
        assert float(row["mean"]) == pairing[row["quantity"]]["mean"]
        assert float(row["high"]) == pairing[row["quantity"]]["high"]
    ratings = read_csv(paths[2])
    assert [(row["species"], row["policy"]) for row in ratings] == [
        (name, rating["policy"]) for name in TWO for rating in said["ratings"][name]
    ]
    assert (ratings[0]["elo"], ratings[0]["own_minus_others"]) == ("", "")
    assert float(ratings[0]["lead"]) == said["ratings"]["cat"][0]["lead"]["mean"]
    assert ratings[1]["lead"] == ""
    assert float(ratings[2]["survived"]) == said["ratings"]["mouse"][0]["quantities"]["survived"]["mean"]
    assert float(ratings[0]["alpha_rank"]) == said["ratings"]["cat"][0]["alpha_rank"]["mean"]


def test_names_of_files_are_made_fit_for_any_disk(tmp_path):
    labels = {"../cat": ("tom",), 'a mouse:"é"': ("jerry",)}
    verdict, rules = verdict_on(league_of(labels), dict.fromkeys(labels, exact([[1]])))
    paths = write_reports(tmp_path / "out", verdict, rules, pictures(verdict, rules))
    names = ["payoff_.._cat.png", "payoff_a_mouse__é_.png", "length.png"]
    assert [path.name for path in paths[3:]] == names
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in paths)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_names_with_commas_quotes_and_lines_survive_csv():
    labels = {"cat": ('a,"b"', "c\nd", "=1+1"), "mouse": ("ü",)}
    cat = exact([[1], [2], [3]])
    verdict, _ = verdict_on(league_of(labels), {"cat": cat, "mouse": cat})
    for rows in (payoff_rows(verdict), rating_rows(verdict)):
        rows = [["" if cell is None else str(cell) for cell in row] for row in rows]
        file = io.StringIO()
        csv.writer(file).writerows(rows)
        assert list(csv.reader(io.StringIO(file.getvalue(), newline=""))) == rows


# Pictures.


def test_more_species_give_a_picture_for_each_pair_and_one_alone_none():
    found = pictures(*of_counts(2, 1, 2))
    assert sorted(found) == sorted(f"payoff_s{a}_against_s{b}" for a in range(3) for b in range(3) if a != b)
    assert opened(found["payoff_s2_against_s0"]).width > 300
    assert pictures(*of_counts(3)) == {}


def table(means, errors=None, rows=None, own=()):
    means = np.asarray(means, dtype=float)
    errors = np.zeros_like(means) if errors is None else errors
    names = [f"row {n}" for n in range(len(means))] if rows is None else rows
    columns = [f"column {n}" for n in range(means.shape[1])]
    return HeatMap("title", ("rows", names), ("columns", columns), means, errors, own)


def test_the_same_table_gives_the_same_picture():
    means = np.arange(6.0).reshape(2, 3)
    assert heat_map_png(table(means)) == heat_map_png(table(means)) != heat_map_png(table(means + 1))


def test_rows_and_columns_are_sorted_so_their_order_does_not_matter():
    means = np.array([[1.0, 5.0, 2.0], [7.0, 9.0, 8.0]])
    swapped = HeatMap(
        "title",
        ("rows", ["row 1", "row 0"]),
        ("columns", ["column 0", "column 1", "column 2"]),
        means[::-1],
        np.zeros((2, 3)),
        [(0, 2)],
    )
    assert heat_map_png(swapped) == heat_map_png(table(means, own=[(1, 2)])) != heat_map_png(table(means))


def test_gaps_single_cells_equal_values_and_unknown_errors_are_drawn():
    gaps = np.array([[np.nan, 1.0], [np.nan, np.nan]])
    for means in (gaps, [[3.0]], np.full((2, 2), 1e12)):
        opened(heat_map_png(table(means, np.full(np.shape(means), np.nan))))


def test_names_are_shown_as_they_are_and_long_ones_without_their_middle():
    odd = ["$\\frac$", "a_{b}^2$", "x" * 500, "", "{}%s"]
    picture = opened(heat_map_png(table(np.ones((5, 1)), rows=odd)))
    assert picture.width < 1500


def test_a_picture_of_a_large_table_is_no_larger_than_a_screen_or_two():
    picture = opened(heat_map_png(table(np.random.default_rng(0).normal(size=(700, 1)))))
    assert max(picture.size) < 5000


# TensorBoard.


def events(folder):
    return EventAccumulator(str(folder), STORE_EVERYTHING_SIZE_GUIDANCE).Reload()


def to_tensorboard(folder, verdict, rules):
    write_tensorboard(folder, verdict, pictures(verdict, rules))


def test_generations_of_a_member_make_a_curve_along_its_training(tmp_path):
    labels = {"cat": ("a:member_03@2", "a:member_03@4", "random"), "mouse": ("a:member_03@2", "b")}
    cards = {"a:member_03@2": card_at(2000), "a:member_03@4": card_at(4000), "b": card_at(100)}
    cat = exact([[1, 2], [5, 6], [0, 1]])
    league = league_of(labels, cards=cards)
    rule = WinRule.parse("cat: length > 10")
    verdict, rules = verdict_on(league, {"cat": cat, "mouse": -cat}, rule)
    to_tensorboard(tmp_path, verdict, rules)
    written = tmp_path / "evaluation"
    assert sorted(path.name for path in written.iterdir()) == ["a_member_03", "b", "league", "random"]
    found = events(written / "a_member_03")
    curve = [(point.step, point.value) for point in found.Scalars("evaluation/cat/return_mean")]
    assert curve == [(2000, 1.5), (4000, 5.5)]
    assert [point.step for point in found.Scalars("evaluation/mouse/return_mean")] == [2000]
    assert {"evaluation/cat/alpha_rank", "evaluation/cat/elo", "evaluation/cat/return_low"} <= set(
        found.Tags()["scalars"]
    )
    assert [point.step for point in events(written / "random").Scalars("evaluation/cat/return_mean")] == [0]


def test_the_tables_are_there_as_pictures_and_texts(tmp_path):
    to_tensorboard(tmp_path, *small())
    league = events(tmp_path / "evaluation" / "league")
    tags = league.Tags()
    assert tags["images"] == ["evaluation/payoff_cat", "evaluation/payoff_mouse", "evaluation/length"]
    text = league.Tensors("evaluation/cat")
    (table_of_cats,) = text[0].tensor_proto.string_val
    assert table_of_cats.decode().splitlines()[2].startswith("| 1 | felix | ")


def test_an_evaluation_into_the_same_folder_replaces_the_one_before(tmp_path):
    for _ in range(2):
        to_tensorboard(tmp_path, *of_counts(2))
    written = tmp_path / "evaluation"
    assert {len(list(folder.iterdir())) for folder in written.iterdir()} == {1}
    assert len(events(written / "p1").Scalars("evaluation/s0/return_mean")) == 1


def test_nothing_else_that_lies_there_is_touched(tmp_path):
    """A folder may hold the curves of trainings, and under our name also other things."""
    others = [
        tmp_path / "events.out.tfevents.1.x",
        tmp_path / "member_00" / "events.out.tfevents.2.x",
        tmp_path / "evaluation" / "events.out.tfevents.3.x",
        tmp_path / "evaluation" / "p1" / "notes.txt",
        tmp_path / "evaluation" / "p1" / "deep" / "events.out.tfevents.4.x",
    ]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    to_tensorboard(tmp_path, *of_counts(2))
    assert [path.read_text() for path in others] == ["mine"] * 5


def test_every_origin_has_a_folder_of_its_own_whatever_it_is_called(tmp_path):
    labels = {"cat": ("..", ".", "league", "a:b", "a_b", "a/b", "@", "x" * 200)}
    verdict, rules = verdict_on(league_of(labels), {"cat": exact(np.zeros(8))})
    to_tensorboard(tmp_path / "tb", verdict, rules)
    assert [path.name for path in tmp_path.rglob("evaluation")] == ["evaluation"]
    assert [path.name for path in tmp_path.iterdir()] == ["tb"]
    written = tmp_path / "tb" / "evaluation"
    folders = sorted(path.name for path in written.iterdir())
    assert folders == sorted(
        ["league", "policy", "policy_2", "policy_3", "league_2", "a_b", "a_b_2", "a_b_3", "x" * 200]
    )
    assert all(len(list((written / folder).iterdir())) == 1 for folder in folders)
