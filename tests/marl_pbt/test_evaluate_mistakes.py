"""`python -m marl_pbt.evaluate` where something goes wrong, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from marl_pbt.evaluate import main
from tests.marl_pbt.command import REPOSITORY
from tests.marl_pbt.evaluations import MEADOW, OURS, started
from tests.marl_pbt.saved_runs import config_file


@pytest.fixture(scope="module")
def runs(runs_to_evaluate):
    return runs_to_evaluate


def test_a_match_that_fails_is_told_in_two_lines(evaluate, tmp_path):
    config = config_file(tmp_path, make="tests.marl_pbt.adaptable_environments:Raises", config={})
    code, out, err = evaluate("random", "--config", str(config))
    assert code == 1
    assert out.count("\n") == 1
    first, second = err.splitlines()
    assert re.match(
        r"a match failed: random × random \(seed \d+\): IndexError: no such hare; world \d, step 3: ", first
    )
    assert re.search(r" \(.*adaptable_environments\.py:\d+\)$", first)
    assert second == "what was played is kept: the same command goes on from there"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nobody"], "nobody: no run or file; a baseline alone does not say which environment is played, "
         "give the config of a run that does: --config CONFIG"),
        (["a", "nobody"], f"nobody: no baseline of {OURS}; there are random, greedy, stay"),
        (["a", "--win", "x"], "--win: must read 'SPECIES: QUANTITY > NUMBER', e.g. 'prey: survived > 0.5', got 'x'"),
        (["a", "--win", "wolf: survived > 0.5"], "--win: wolf: no such species; there are predator, prey"),
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


def test_a_file_or_a_runs_folder_is_no_place_for_results_and_nothing_is_played(evaluate, runs, tmp_path):
    """Matches that were played would have been told."""
    (tmp_path / "file").touch()
    for out, told in (
        (tmp_path / "file", "cannot be written (File exists)"),
        (tmp_path / "file" / "deeper", "cannot be written (Not a directory)"),
        (runs / "a", "is a run's folder; give another --out"),
    ):
        code, said_before, err = evaluate("a", "--episodes", "1", out=out)
        assert (code, err) == (2, f"error: {out}: {told}\n")
        assert said_before.count("\n") == 1
    assert not (runs / "a" / "matches").exists()


def test_tables_are_shown_also_when_they_cannot_be_written(evaluate, tmp_path):
    (tmp_path / "out" / "ratings.csv").mkdir(parents=True)
    code, out, err = evaluate("a", "random", "--episodes", "1")
    assert code == 2
    assert err.startswith(f"error: {tmp_path}/out/ratings.csv")
    assert err.count("\n") == 1
    assert "predator: mean return against the field, 95 % interval" in out
    assert "prey's return ± standard error, by predator" in out


def test_what_a_strangers_name_holds_is_made_fit_for_a_terminal(evaluate):
    code, _, err = evaluate("a\x1b[31m\nb/c")
    assert (code, err) == (2, "error: a?[31m?b/c: no such file, run or folder\n")
    code, _, err = evaluate("a/" * 1900)
    assert (code, len(err)) == (2, len("error: \n") + 2000)


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
