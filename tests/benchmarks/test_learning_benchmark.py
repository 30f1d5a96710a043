"""PBT beside its controls: what is run, what is kept of it, what is read off it."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import pytest
from PIL import Image

from benchmarks.learning import __main__ as command
from benchmarks.learning import figure, tables, training
from benchmarks.learning.arms import ARMS, CONFIG, REFERENCES, SETTINGS, changes_of, jobs_of
from benchmarks.learning.measures import curve, final_score, level, steps_to
from benchmarks.learning.results import Reading, Reference, Result, ResultsFile
from benchmarks.learning.scoring import Order
from marl_pbt.config import load_config

PROVENANCE = {"agent_steps": 8_000_000, "wall_s": 90.0, "copies": 3, "commit": "0123456789abcdef", "changed_files": 0}
REFERENCE = Reference(
    {
        "predator": {
            "random": {"prey_a_1.5M": 900.0, "prey_a_8M": 0.0},
            "predator_a_1.5M": {"prey_a_1.5M": 1500.0, "prey_a_8M": 200.0},
            "predator_a_8M": {"prey_a_1.5M": 400.0, "prey_a_8M": 800.0},
        }
    }
)


def reading(steps, *members, best):
    scores = [{"prey_a_1.5M": 1000.0, "prey_a_8M": score} for score in (*members, best)]
    return Reading(steps, {"predator": tuple(scores[:-1])}, {"predator": scores[-1]}, {"predator": scores[0]})


def result(arm, seed, final, setting="default"):
    (job,) = jobs_of([arm], [setting], [seed], 1_000_000)
    readings = (reading(500_000.0, 50.0, 150.0, best=200.0), reading(1e6, final, final + 20.0, best=final + 50.0))
    return Result(job, readings, PROVENANCE)


def some_results():
    return [result(arm, seed, 300.0 + 10 * seed + len(arm)) for arm in ("pbt", *REFERENCES) for seed in range(3)]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_is_a_config_that_can_be_run(arm, setting):
    if setting in ARMS[arm].settings:
        config = load_config(training.REPOSITORY / CONFIG, changes_of(arm, setting, 1_000_000, ())).config
        assert config.stop.progress == 1_000_000 and config.judge is None


def test_a_low_start_is_low_and_may_rise():
    config = load_config(training.REPOSITORY / CONFIG, changes_of("pbt", "low_start", 1_000_000, ())).config
    rate = config.pbt.hyperparameters["prey.learning_rate"]
    assert (rate.arguments, rate.initial) == ((1e-4, 5e-3), (1e-4, 3e-4))
    assert config.learner.settings["learning_rate"] == 2e-4


def test_who_distrusts_the_low_start_searches_the_whole_range():
    changes = changes_of("random_search_wide", "low_start", 1_000_000, ())
    config = load_config(training.REPOSITORY / CONFIG, changes).config
    assert config.pbt.hyperparameters["predator.learning_rate"].initial is None


def test_all_arms_of_a_seed_come_before_the_next_seed():
    jobs = jobs_of(["pbt", "nothing"], ["default"], range(2), 1_000_000)
    assert [(job.seed, job.arm) for job in jobs] == [(0, "pbt"), (0, "nothing"), (1, "pbt"), (1, "nothing")]


def test_results_are_read_back_as_they_were_kept(tmp_path):
    file = ResultsFile(tmp_path / "new" / "results.jsonl")
    file.add(REFERENCE)
    file.add(result("pbt", 0, 300.0))
    again = ResultsFile(file.path)
    assert again.reference == REFERENCE and again.results == file.results


def test_a_line_that_was_torn_is_a_run_that_is_made_again(tmp_path):
    file = ResultsFile(tmp_path / "results.jsonl")
    file.add(result("pbt", 0, 300.0))
    file.add(result("pbt", 1, 300.0))
    file.path.write_bytes(file.path.read_bytes()[:-100])
    again = ResultsFile(file.path)
    again.add(result("pbt", 2, 300.0))
    assert [job.seed for job in ResultsFile(file.path).results] == [0, 2]


def test_a_run_that_was_made_otherwise_is_another_run():
    one, other = (jobs_of(["pbt"], ["default"], [0], 10**6, extra)[0] for extra in ((), ("pbt.population=4",)))
    assert one != other


def test_scores_are_of_the_late_half_of_the_panel_unless_called_whole():
    run = result("pbt", 0, 300.0)
    assert final_score(run, "predator", "best") == 350.0
    assert final_score(run, "predator", "best", is_whole=True) == 675.0
    assert final_score(run, "predator", "leader") == 300.0
    assert final_score(run, "predator", "mean") == 310.0


def test_a_level_lies_between_random_policies_and_the_late_ones_of_the_panel():
    assert level(REFERENCE, "predator", 0.25) == 200.0


def test_steps_to_a_level_lie_on_the_line_between_readings():
    points = curve(result("pbt", 0, 300.0), REFERENCE, "predator", "mean")
    assert points == [(0.0, 0.0), (500_000.0, 100.0), (1e6, 310.0)]
    assert steps_to(points, 50.0) == 250_000.0
    assert steps_to(points, 205.0) == 750_000.0


def test_a_level_that_was_never_reached_takes_for_ever():
    assert steps_to([(0.0, 0.0), (1e6, 100.0)], 400.0) == math.inf


def test_a_curve_that_begins_without_a_best_goes_on_with_the_first_there_is():
    assert steps_to([(0.0, 0.0), (5e5, math.nan), (1e6, 100.0)], 50.0) == 500_000.0


def test_who_is_ordered_twice_is_played_enough_for_both():
    assert Order(2, is_whole=True).joined(Order(10, is_whole=False)) == Order(10, is_whole=True)


def test_the_table_compares_an_arm_with_the_controls_seed_by_seed():
    text = tables.make_tables(tables.comparisons_of(some_results(), REFERENCE))
    row = next(line for line in text.splitlines() if line.startswith("| predator | mean of all | PBT, own pair"))
    # 303, 313, 323 and half of 20 more; random search's name is ten letters longer, that of nothing four.
    assert row.split(" | ")[3:] == [
        "323 (313 to 333)",
        "-10 (-10 to -10)",
        "22 % (0 % to 67 %)",
        "-4 (-4 to -4)",
        "33 % (0 % to 89 %) |",
    ]


def test_the_table_says_of_how_many_runs_a_level_was_reached():
    assert tables.millions([1e6, 2e6, math.inf, 2e6, 2e6]) == "2.00 (1.33 to never), 4 of 5 runs"
    assert tables.millions([math.inf, math.inf]) == "never"


def test_the_table_says_which_code_made_the_runs():
    changed = replace(result("pbt", 4, 300.0), provenance=PROVENANCE | {"changed_files": 2})
    text = tables.code_versions([*some_results(), changed])
    assert text == "Made by the code of 012345678: 9 runs; 012345678, changed: 1 run."


def test_seeds_that_only_one_arm_has_are_left_out_of_the_comparison():
    results = [result("pbt", seed, 300.0) for seed in range(3)] + [result("random_search", 0, 200.0)]
    assert "| +100 |" in tables.make_tables(tables.comparisons_of(results, REFERENCE))


def test_the_figure_has_a_row_for_each_setting(tmp_path):
    lows = [result("pbt", seed, 100.0, "low_start") for seed in range(2)]
    figure.draw(tables.comparisons_of(some_results(), REFERENCE), tmp_path / "one.png")
    figure.draw(tables.comparisons_of(some_results() + lows, REFERENCE), tmp_path / "two.png")
    one, two = (Image.open(tmp_path / name).size for name in ("one.png", "two.png"))
    assert one[0] == two[0] > 800 and two[1] > 1.7 * one[1]


def test_a_figure_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no run has been scored"):
        figure.draw([], tmp_path / "one.png")


def test_show_runs_nothing_and_tells_what_it_leaves_out(tmp_path, monkeypatch, capsys):
    file = ResultsFile(tmp_path / "results.jsonl")
    file.add(REFERENCE)
    for each in some_results():
        file.add(each)
    words = ["--show", "--results", str(file.path), "--progress", "1000000", "--arms", "pbt", "--table"]
    monkeypatch.setattr(sys, "argv", ["benchmarks.learning", *words, str(tmp_path / "table.md")])
    assert command.main() == 0
    assert "left out: 6 runs of the file" in capsys.readouterr().out
    assert "PBT, own pair" in (tmp_path / "table.md").read_text()


def test_an_arm_that_does_not_exist_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.parse(["--arms", "pbt,luck"])
    assert "got 'luck'" in capsys.readouterr().err


def test_a_run_that_fails_is_told_with_its_last_words_and_leaves_nothing(tmp_path):
    (job,) = jobs_of(["pbt"], ["default"], [0], 1_000_000, ["pbt.intervall=1"])
    with pytest.raises(training.RunFailedError, match=r"exit code 2: .*pbt.intervall: unknown key"):
        training.train(job, tmp_path)
    assert list(tmp_path.iterdir()) == []
