"""The checker of environments: silent on honest ones, and every check fires on what is broken for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import faulty_herds as herds
import pytest
import toy_environments as toys

from marl_pbt.check_env import main
from marl_pbt.cli import main as cli
from marl_pbt.environment_checks import checks_elsewhere, checks_here
from marl_pbt.environment_checks.survey import survey_plays
from marl_pbt.environment_checks.verdict import (
    BATCHED,
    CLOSE,
    ELSEWHERE,
    KEPT,
    KEYS,
    KNOWN,
    LIVES,
    ORDER,
    PICTURE,
    SAME,
    SILENT,
    TURNS,
    VALUES,
)
from marl_pbt.environments import EnvironmentSource

ROOT = Path(__file__).parents[2]
CROWDED = {
    "width": 5,
    "height": 4,
    "max_steps": 60,
    "grass": {"count": 12, "growth": 0.9},
    "species": {
        "predator": {"initial_count": 3, "birth_energy": 6.0, "window": 3, "slots": 6},
        "prey": {"initial_count": 7, "birth_energy": 4.0, "window": 5, "slots": 15, "decay": 0.01},
    },
}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def found(make, steps=45):
    """What the checks of this process find: check → what failed."""
    survey = survey_plays(make, range(2), steps)
    return {verdict.check: verdict for verdict in checks_here(make, survey, steps)}


def failures(verdicts):
    return {check: verdict.failed for check, verdict in verdicts.items() if verdict.failed}


def found_elsewhere(toy, steps=30):
    source = EnvironmentSource(f"{toy.__module__}:{toy.__name__}", {})
    verdicts = checks_elsewhere(source, survey_plays(toy, range(1), steps), steps)
    return {verdict.check: verdict for verdict in verdicts}


def test_an_honest_environment_with_births_and_deaths_passes():
    verdicts = found(toys.Herd)
    assert failures(verdicts) == {}
    assert not any(verdict.warned for verdict in verdicts.values())
    assert [check for check, verdict in verdicts.items() if verdict.skipped] == [BATCHED]


@pytest.mark.parametrize("config", [{"max_steps": 50}, CROWDED], ids=["base", "crowded"])
def test_predator_prey_grass_passes(config):
    from envs.predator_prey_grass import parallel_env

    verdicts = found(lambda **more: parallel_env(**config, **more), steps=120)
    assert failures(verdicts) == {}
    assert not any(verdict.warned or verdict.skipped for verdict in verdicts.values())


def test_an_environment_of_pettingzoo_passes():
    pytest.importorskip("pygame")
    from pettingzoo.butterfly import knights_archers_zombies_v11

    assert failures(found(knights_archers_zombies_v11.parallel_env, steps=60)) == {}


@pytest.mark.parametrize(
    ("toy", "check", "told"),
    [
        (toys.NewSpaces, KNOWN, "cow_0: observation_space gives another object"),
        (toys.ShortReset, KNOWN, "seed 0, step 0, cow_0: reset gives no info; must give one for each of agents"),
        (toys.Unforeseen, KNOWN, "seed 0, step 9, cow_5: is in agents; must be in possible_agents, too"),
        (toys.Raises, KNOWN, "seed 0, step 5: step raised IndexError: no such cow (toy_environments.py:"),
        (herds.FourDicts, KNOWN, "seed 0, step 1: step must return 5 dictionaries (observation, reward,"),
        (
            herds.ForgetsTheNewborn,
            KEYS,
            "seed 0, step 3, cow_3: has no info; must be in all five dictionaries, it is new",
        ),
        (
            herds.DropsTheDead,
            KEYS,
            "seed 0, step 7, cow_0: has no observation; must be in all five dictionaries, it acted",
        ),
        (
            herds.UndeadReturn,
            LIVES,
            "seed 0, step 18, cow_0: is in agents again; an id that has ended must not return",
        ),
        (herds.LeavesSilently, LIVES, "seed 0, step 7, cow_1: left agents without an end flag"),
        (herds.StaysOnTheList, LIVES, "seed 0, step 7, cow_2: has ended and is still in agents; must leave"),
        (herds.DeadAppearTwice, LIVES, "seed 0, step 8, cow_0: is in the dictionaries again; must be there once only"),
        (
            herds.BornNowhere,
            LIVES,
            "seed 0, step 2, cow_29: is in the dictionaries; must not, it neither acted nor is in",
        ),
        (herds.RewardedAtBirth, LIVES, "seed 0, step 3, cow_3: is new and has reward 1.0; must be 0"),
        (herds.BornDead, LIVES, "seed 0, step 3, cow_3: is new and has an end flag; must not"),
        (herds.BornAtTheEnd, LIVES, "seed 0, step 20, cow_9: is new on the step that ends the episode"),
        (
            herds.Unseeded,
            SAME,
            "seed 0, step 0, cow_0: observation is not the same; must be as in the first play (after",
        ),
        (herds.Worn, SAME, "must be as in the first play (after a reset of the same instance)"),
        (herds.SharedGenerator, SAME, "(of two fresh instances that are stepped in turn)"),
        (herds.ReusesBuffers, KEPT, "seed 0, step 0, cow_1: observation was changed by a later step; must be a copy"),
        (herds.InsistsOnOrder, ORDER, "step raised AssertionError: one after the other"),
        (
            herds.FlatPicture,
            PICTURE,
            "render gives float32 of shape (4, 6); must be uint8 of shape (height, width, 3)",
        ),
        (herds.NeedsADisplay, PICTURE, "raised KeyError: 'DISPLAY'"),
        (herds.ClosesOnce, CLOSE, "the second close after a reset raised AssertionError: closed already"),
        (toys.BatchedWithoutSpecies, BATCHED, "batched: the environment lacks species, species_of; must be"),
        (herds.EatsItsActions, TURNS, "raised KeyError: 'cow_0'"),
        (herds.NewbornGoFirst, TURNS, "as in the parallel face"),
    ],
)
def test_a_check_fires_alone_on_what_is_broken_for_it(toy, check, told, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":99")
    failed = failures(found(toy))
    assert list(failed) == [check]
    assert any(told in line for line in failed[check]), failed[check][:5]


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("rows", "batched, seed 0, step 0: observe writes 19 rows of predator; must be rows(), 18"),
        ("spaces", "batched: the observation space of predator must be that of predator_0"),
        ("rewards", "batched, seed 0, step 1: predator: rewards is float64 of shape (18,); must be float32 of (18,)"),
        ("state", "batched, seed 0: differs 3 steps after set_state; must go on bit for bit"),
    ],
)
def test_the_batched_check_fires_on_crooked_worlds(what, told):
    failed = failures(found(lambda **more: toys.crooked(what, **more), steps=5))
    assert list(failed) == [BATCHED]
    assert told in failed[BATCHED]


def test_one_run_finds_every_fault_with_its_step_and_agent():
    (failed,) = failures(found(herds.WrongValues, steps=20)).items()
    assert failed[0] == VALUES
    assert [line for line in failed[1] if line.startswith("seed 0")] == [
        "seed 0, step 1, cow_0: observation has dtype float64; must be float32",
        "seed 0, step 2, cow_0: observation has shape (4,); must be (3,)",
        "seed 0, step 3, cow_0: observation holds 7.0; must be in [-5.0, 5.0]",
        "seed 0, step 4, cow_0: observation holds nan; must be finite",
        "seed 0, step 5, cow_0: observation is a list; must be an array",
        "seed 0, step 6, cow_0: reward is a float nan; must be a finite number",
        "seed 0, step 7, cow_0: reward is a str '1'; must be a finite number",
        "seed 0, step 8, cow_3: truncation is an int 0; must be a bool",
        "seed 0, step 9, cow_3: info is a NoneType; must be a dictionary",
    ]
    assert any(line.startswith("seed 1") for line in failed[1])


@pytest.mark.parametrize(
    ("toy", "check", "told"),
    [
        (herds.DeafToSeeds, SAME, "seeds 0 and 1 give the same play"),
        (herds.FirstComeFirstServed, ORDER, "reward is not the same"),
        (toys.NamesNobody, KNOWN, "possible_agents: there is none"),
    ],
)
def test_what_is_allowed_and_worth_knowing_is_a_warning(toy, check, told):
    verdicts = found(toy)
    assert failures(verdicts) == {}
    assert [each for each, verdict in verdicts.items() if verdict.warned] == [check]
    assert told in verdicts[check].warned[0]


def test_what_the_adapter_cannot_step_is_told_where_there_is_no_batched_face():
    told = found(toys.NamesNobody)[BATCHED].skipped
    assert "the adapter cannot step copies of it: environment.make: gives an environment without" in told


def test_a_play_that_depends_on_the_process_is_found(monkeypatch):
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    (failed,) = failures(found_elsewhere(herds.OrderOfASet)).items()
    assert failed[0] == ELSEWHERE
    assert "agents are in another order; must be as in this process" in failed[1][0]


def test_a_process_that_dies_is_told_with_its_exit_code():
    assert failures(found_elsewhere(herds.DiesElsewhere)) == {
        ELSEWHERE: ("the process ended in the middle of it, with exit code 7",)
    }


def test_what_is_written_to_the_screen_is_told_with_its_moment_and_warnings_as_such(capfd):
    verdicts = found_elsewhere(herds.Talks, steps=2)
    assert failures(verdicts) == {
        SILENT: (
            "seed 0, step 0: wrote 'moo'; must be silent",
            "seed 0, step 1: wrote 'said in C'; must be silent",
            "seed 0, step 2: wrote 'said in C'; must be silent",
        )
    }
    assert verdicts[SILENT].warned == ("UserWarning: the grass is wet",)


def test_the_command_tells_one_line_per_check_and_exits_with_0(capsys):
    assert cli(["check_env", "toy_environments:Herd", "--seeds", "1", "--steps", "30"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ok"] * 9 + ["skipped"] + ["ok"] * 3
    assert any(
        line.startswith("skipped  the batched face keeps the promises of worlds")
        and line.endswith("(offers none; the adapter will step copies of it, species by default: cow)")
        for line in lines
    )
    assert last == "12 ok, 1 skipped"


def test_the_command_shows_three_faults_with_their_number_and_exits_with_1(capsys):
    make = "faulty_herds:ReusesBuffers"
    assert main([make, "--seeds", "1", "--steps", "10"]) == 1
    out = capsys.readouterr().out
    begin = out.index("FAIL")
    told = out[begin:].splitlines()
    assert told[0] == "FAIL     observations that were handed out stay as they were (33 found)"
    assert (
        told[1]
        == "         seed 0, step 0, cow_0: observation was changed by a later step; must be a copy of the buffer"
    )
    assert told[4] == "         … 30 more"
    assert told[-1].startswith("11 ok, 1 FAIL")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["no_such_module:make"], "environment.make: no module 'no_such_module'"),
        (["toy_environments:Hard"], "environment.make: toy_environments has no 'Hard'; did you mean 'Herd'?"),
        (["toy_environments"], "must be an import string"),
        (["toy_environments:by_turns"], "which is stepped by turns (AEC); give its parallel_env"),
        (["builtins:dict"], "must make a PettingZoo parallel environment, got a dict, without reset, step"),
        (
            ["toy_environments:breaks"],
            "toy_environments:breaks raised RuntimeError: out of grass",
        ),
        (["toy_environments:refuses", "--config", "size=-1"], "environment.config.size: must be positive, got -1"),
        (["toy_environments:Herd", "--config", "size"], "--config size: must be KEY=VALUE"),
    ],
)
def test_a_mistake_of_the_users_is_one_line_and_exits_with_2(arguments, told, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert told in err


def test_an_environment_that_can_be_built_only_so_often_is_told_so(capsys, monkeypatch):
    monkeypatch.setattr(toys.TwoAtMost, "made", 0)
    assert main(["toy_environments:TwoAtMost", "--seeds", "2", "--steps", "5"]) == 1
    assert "RuntimeError: the port is in use" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["a:b", "--seeds", "0"], ["a:b", "--steps", "many"], []])
def test_arguments_that_do_not_fit_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "error:" in capsys.readouterr().err


def test_help_needs_nothing_heavy():
    program = (
        "import sys, marl_pbt.check_env as command\n"
        "try: command.main(['--help'])\n"
        "except SystemExit: print({'numpy', 'gymnasium', 'pettingzoo', 'pydantic', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("usage: python -m marl_pbt.check_env")
    assert done.stdout.endswith("set()\n")
