"""`python -m marl_pbt.evaluate` as a user sees it."""

from __future__ import annotations

import pytest

from marl_pbt.evaluate import main
from tests.marl_pbt.evaluations import MEADOW, policies, said, started
from tests.marl_pbt.saved_runs import config_file, plan_of, saved_run


@pytest.fixture(scope="module")
def runs(runs_to_evaluate):
    return runs_to_evaluate


# What comes out.


EVERYBODY = ("a", "b", "random", "--episodes", "4")


@pytest.fixture(scope="module")
def everybody(runs, tmp_path_factory):
    """Where an evaluation of two runs has left its results."""
    folder = tmp_path_factory.mktemp("everybody") / "out"
    assert main([*EVERYBODY, "--runs-dir", str(runs), "--workers", "1", "--out", str(folder)]) == 0
    return folder


def test_everybody_meets_everybody_and_is_rated_and_what_was_played_is_not_played_again(evaluate, everybody):
    before = {path.name: path.read_bytes() for path in everybody.iterdir() if path.is_file()}
    code, out, err = evaluate(*EVERYBODY, out=everybody)
    assert (code, err) == (0, "")
    assert before == {path.name: path.read_bytes() for path in everybody.iterdir() if path.is_file()}
    lines = out.splitlines()
    assert lines[:2] == [
        "3 predator × 3 prey: 9 pairings of 4 episodes in envs.predator_prey_grass:parallel_env(max_steps=12)",
        "all of it was played before",
    ]
    assert "predator: mean return against the field, 95 % interval" in lines
    assert "prey's return ± standard error, by predator" in lines
    assert sorted(lines[-6:]) == sorted(map(str, everybody.glob("*.*")))
    found = said(everybody)
    assert [pairing["return/prey"]["n"] for pairing in found["payoffs"]] == [4] * 9
    assert found["coadaptation"].keys() == {"predator", "prey"}


def test_other_processes_from_another_folder_give_the_same_bytes(everybody, runs, tmp_path):
    with started(*EVERYBODY, "--workers", "2", "--runs-dir", str(runs), "--out", "two", cwd=tmp_path) as command:
        code, out, err = command.finish()
        command.assert_nothing_is_left()
    assert (code, err) == (0, "")
    assert out.splitlines()[1].startswith("played ")
    assert (tmp_path / "two" / "evaluation.json").read_bytes() == (everybody / "evaluation.json").read_bytes()


MINE = """\
from tests.marl_pbt.adaptable_environments import Meadow
class Mine(Meadow):
    def step(self, actions):
        seen, rewards, *rest = super().step(actions)
        return seen, {agent: 1 * value for agent, value in rewards.items()}, *rest
"""


def test_whoever_edits_the_environment_gets_other_matches(evaluate, tmp_path, monkeypatch):
    module = tmp_path / "meadow_of_mine.py"
    module.write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    config = config_file(tmp_path, make="meadow_of_mine:Mine", config={"max_steps": 6})
    evaluate("random", "--config", str(config), "--episodes", "2")
    before = said(tmp_path / "out")["payoffs"]
    module.write_text(MINE.replace("1 * value", "2 * value"))
    # In a process of its own: in this one the module is as it was.
    arguments = ["random", "--config", str(config), "--episodes", "2", "--workers", "1", "--out", str(tmp_path / "out")]
    with started(*arguments, cwd=tmp_path) as command:
        code, out, _ = command.finish()
    assert (code, out.splitlines()[1][:7]) == (0, "played ")
    (was,), (now,) = before, said(tmp_path / "out")["payoffs"]
    assert now["length"] == was["length"]
    assert now["return/fox"]["mean"] == 2 * was["return/fox"]["mean"] > 0


def test_results_go_beside_the_runs_where_all_evaluations_find_what_was_played(evaluate, runs):
    _, out, _ = evaluate("a", "--episodes", "1", out=None)
    assert len(list((runs / "evaluations" / "matches").iterdir())) == 1
    assert out.splitlines()[-1].startswith(str(runs / "evaluations" / "20"))


def test_against_whom_they_play(evaluate, tmp_path):
    code, out, _ = evaluate("predator=a", "predator=b", "--against", "prey=greedy", "prey=stay", "--episodes", "2")
    assert code == 0
    assert "2 predator × 2 prey: 4 pairings" in out
    assert "prey: mean return" not in out
    assert policies(tmp_path / "out", "prey") == ["greedy", "stay"]
    assert said(tmp_path / "out")["ratings"]["prey"] == []


def test_the_user_says_what_a_win_is(evaluate, tmp_path):
    code, out, _ = evaluate("a", "random", "--episodes", "2", "--win", "prey: survived > 0.5")
    assert code == 0
    assert "Elo" in out
    assert "note: Elo counts 'prey: survived > 0.5' as a win." in out
    assert all(rating["elo"] is not None for rating in said(tmp_path / "out")["ratings"]["prey"])


def test_what_is_not_counted_as_a_win_here_costs_no_more_than_elo(evaluate, tmp_path):
    code, out, err = evaluate("a", "random", "--episodes", "2", "--win", "prey: surveyed > 0.5")
    assert (code, err) == (0, "")
    assert "note: --win: surveyed is not counted here, so there is no Elo; what is: return/predator, " in out
    assert "prey: mean return against the field, 95 % interval" in out
    assert {rating["elo"] for rating in said(tmp_path / "out")["ratings"]["prey"]} == {None}


def test_the_likeliest_actions_instead_of_sampled_ones(evaluate, everybody, tmp_path):
    evaluate("a", "--episodes", "4", "--greedy")
    greedy, sampled = said(tmp_path / "out"), said(everybody)
    assert (greedy["greedy"], sampled["greedy"]) == (True, False)
    assert greedy["payoffs"][0]["policies"] == sampled["payoffs"][0]["policies"]
    assert greedy["payoffs"][0] != sampled["payoffs"][0]


def test_a_part_of_the_pairings_another_seed_other_settings_and_tensorboard(evaluate, tmp_path):
    more = ["--pairings", "4", "--seed", "7", "--set", "max_steps=5", "--set", "width=13", "--tensorboard"]
    code, out, _ = evaluate("a", "a:member_00@*", "--episodes", "1", *more)
    assert code == 0
    assert "4 pairings of 1 episode in envs.predator_prey_grass:parallel_env(max_steps=5, width=13)" in out
    found = said(tmp_path / "out")
    assert (len(found["payoffs"]), found["seed"]) == (4, 7)
    assert {pairing["length"]["mean"] for pairing in found["payoffs"]} == {5.0}
    written = tmp_path / "out" / "tb" / "evaluation"
    assert sorted(path.name for path in written.iterdir()) == ["a", "a_member_00", "league"]
    assert out.splitlines()[-1] == str(tmp_path / "out" / "tb")
    assert "note: predator: not all met the same others, so a better mean may only mean easier company" in out


# Other environments.


def test_any_pettingzoo_environment_by_its_config(evaluate, tmp_path, runs):
    plan = plan_of(config_file(tmp_path, make=MEADOW, config={"max_steps": 6}, judge="{config: {max_steps: 9}}"))
    run = saved_run(tmp_path / "meadow", plan)
    code, out, err = evaluate(str(run.root), f"{run.root}:member_00", "random", "--episodes", "3")
    assert (code, err) == (0, "")
    assert out.startswith(f"3 fox × 3 hare: 9 pairings of 3 episodes in {MEADOW}(max_steps=9)\n")
    assert "fox: mean return against the field, 95 % interval" in out
    code, _, err = evaluate("a", str(run.root))
    assert code == 2
    assert "fox: no such species in envs.predator_prey_grass:parallel_env; there are predator, prey" in err


def test_three_species(evaluate, tmp_path):
    config = config_file(tmp_path, make=MEADOW, config={"max_steps": 6})
    patterns = '{a: "fox_*", b: "hare_?", c: "hare_??"}'
    config.write_text(config.read_text().replace("learner:", f"  species: {patterns}\nlearner:"))
    code, out, err = evaluate("random", "--config", str(config), "--episodes", "1")
    assert (code, err) == (0, "")
    assert out.startswith("1 a × 1 b × 1 c: 1 pairing of 1 episode in")
    assert len(list((tmp_path / "out").glob("payoff_*.png"))) == 6
    assert "nan" not in out


def test_a_single_species_has_no_payoff_tables(evaluate, tmp_path):
    config = config_file(tmp_path, make="tests.marl_pbt.toy_environments:Herd", config={})
    code, out, err = evaluate("random", "--config", str(config), "--episodes", "2")
    assert (code, err) == (0, "")
    assert out.startswith("1 cow: 1 pairing of 2 episodes in tests.marl_pbt.toy_environments:Herd()")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "evaluation.json",
        "matches",
        "payoffs.csv",
        "ratings.csv",
    }
