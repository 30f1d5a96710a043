"""`python -m marl_pbt.evaluate` as a user sees it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from marl_pbt.evaluate import main
from tests.marl_pbt.command import REPOSITORY, Command
from tests.marl_pbt.saved_runs import config_file, plan_of, saved_run

OURS = "envs.predator_prey_grass:parallel_env"
MEADOW = "tests.marl_pbt.adaptable_environments:Meadow"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    plan = plan_of(config_file(runs))
    saved_run(runs / "a", plan)
    saved_run(runs / "b", plan, {0: (2,)}, seed=1)
    return runs


@pytest.fixture
def evaluate(runs, tmp_path, capsys):
    """The command in this process: exit code, standard output, standard error."""

    def run(*arguments, out=tmp_path / "out"):
        code = main([*arguments, "--runs-dir", str(runs), "--workers", "1", *(("--out", str(out)) if out else ())])
        return code, *capsys.readouterr()

    return run


@contextlib.contextmanager
def started(*arguments, **more):
    """The command in a session of its own; whatever happens, nothing of it lives on."""
    command = Command(
        subprocess.Popen(
            [sys.executable, "-m", "marl_pbt.evaluate", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            start_new_session=True,
            **more,
        )
    )
    try:
        yield command
    finally:
        command.kill()


def said(folder: Path):
    return json.loads((folder / "evaluation.json").read_text())


def policies(folder: Path, species: str):
    return [each["label"] for each in said(folder)["policies"][species]]


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
    assert "4 pairings of 1 episodes in envs.predator_prey_grass:parallel_env(max_steps=5, width=13)" in out
    found = said(tmp_path / "out")
    assert (len(found["payoffs"]), found["seed"]) == (4, 7)
    assert {pairing["length"]["mean"] for pairing in found["payoffs"]} == {5.0}
    assert sorted(path.name for path in (tmp_path / "out" / "tb").iterdir()) == ["a", "a_member_00", "league"]


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
    assert out.startswith("1 a × 1 b × 1 c: 1 pairings of 1 episodes in")
    assert len(list((tmp_path / "out").glob("payoff_*.png"))) == 6
    assert "nan" not in out


def test_a_single_species_has_no_payoff_tables(evaluate, tmp_path):
    config = config_file(tmp_path, make="tests.marl_pbt.toy_environments:Herd", config={})
    code, out, err = evaluate("random", "--config", str(config), "--episodes", "2")
    assert (code, err) == (0, "")
    assert out.startswith("1 cow: 1 pairings of 2 episodes in tests.marl_pbt.toy_environments:Herd()")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "evaluation.json",
        "matches",
        "payoffs.csv",
        "ratings.csv",
    }


# What goes wrong.


def test_a_match_that_fails_is_told_in_two_lines(evaluate, tmp_path):
    config = config_file(tmp_path, make="tests.marl_pbt.adaptable_environments:Raises", config={})
    code, out, err = evaluate("random", "--config", str(config))
    assert code == 1
    assert out.count("\n") == 1
    first, second = err.splitlines()
    assert first.startswith("a match failed: random × random: ")
    assert "no such hare" in first
    assert second == "what was played is kept: the same command goes on from there"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nobody"], "nobody: no run or file; a baseline alone does not say which environment is played, "
         "give the config of a run that does: --config CONFIG"),
        (["a", "nobody"], f"nobody: no baseline of {OURS}; there are random, greedy, stay"),
        (["a", "--win", "x"], "--win: must read 'SPECIES: QUANTITY > NUMBER', e.g. 'prey: survived > 0.5', got 'x'"),
        (["a", "--set", "max_steps"], "--set max_steps: must be KEY=VALUE, such as pbt.population=16"),
        (["a", "--set", "max_steps=0"], "environment.config.max_steps: must be in [1, 1e+09], got 0"),
        (["a", "--against", "prey=stay"], "predator: --against names nobody of this species; add e.g. predator=random"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_a_line_and_nothing_is_played(evaluate, tmp_path, arguments, told):
    code, out, err = evaluate(*arguments)
    assert (code, out, err) == (2, "", f"error: {told}\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "the following arguments are required: POLICY"),
        (["a", "--episodes", "0"], "argument --episodes: must be a whole number of at least 1, got '0'"),
        (["a", "--seed=-1"], "argument --seed: must be a whole number of at least 0, got '-1'"),
        (["a", "--workers", "many"], "argument --workers: must be a whole number of at least 1, got 'many'"),
        (["a", "--pairings", "1.5"], "argument --pairings: must be a whole number of at least 1, got '1.5'"),
    ],
)
def test_a_wrong_argument_is_told_by_argparse(capsys, arguments, told):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(f"error: {told}\n")


def test_a_folder_that_cannot_be_written_is_told(evaluate, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = evaluate("a", "--episodes", "1", out=tmp_path / "file")
    assert code == 2
    assert err == f"error: {tmp_path}/file/matches: cannot be written (Not a directory)\n"


def test_help_comes_at_once_and_imports_next_to_nothing():
    code = "import sys\nfrom marl_pbt.evaluate import main\ntry: main(['--help'])\nfinally: print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert "python -m marl_pbt.evaluate runs/a:member_* --episodes 20" in run.stdout
    assert not {"numpy", "pydantic", "torch", "matplotlib", "gymnasium"} & set(run.stdout.split())


def test_ctrl_c_stops_everything_at_once(tmp_path):
    """The terminal sends the signal to all processes."""
    config = config_file(tmp_path, make=MEADOW, config={"max_steps": 10**9, "mortality": 0.0})
    arguments = ["random", "--config", str(config), "--out", str(tmp_path), "--workers", "2", "--episodes", "99"]
    with started(*arguments) as command:
        command.wait_until(lambda: len(command.workers) == 2)
        os.killpg(command.process.pid, signal.SIGINT)
        code, _, err = command.finish(timeout_s=5)
        command.assert_nothing_is_left()
    assert (code, err) == (130, "stopped\n")
    assert not (tmp_path / "evaluation.json").exists()


def test_whoever_stops_reading_is_not_told_of_it(tmp_path):
    """`evaluate … | head -1`."""
    config = config_file(tmp_path, make=MEADOW, config={})
    with started("random", "--config", str(config), "--workers", "1", "--out", str(tmp_path)) as command:
        assert command.process.stdout is not None
        command.process.stdout.readline()
        command.process.stdout.close()
        err = command.process.stderr.read()
        assert (command.process.wait(30), err) == (1, "")
