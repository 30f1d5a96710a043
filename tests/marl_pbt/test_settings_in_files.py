"""Settings of the environment and the learner lie in every policy's file: what could not is refused before a run."""

from __future__ import annotations

import re

import pytest

from marl_pbt.config import load_config
from marl_pbt.evaluate import main
from marl_pbt.plan import RunPlan
from marl_pbt.policy_files import PolicyFileError, policies_in, read_policies
from marl_pbt.protocols import UserError
from marl_pbt.settings_in_files import check_card
from marl_pbt.snapshot import encode
from tests.marl_pbt.adaptable_environments import Meadow
from tests.marl_pbt.command import toy_config
from tests.marl_pbt.evaluations import in_this_process
from tests.marl_pbt.saved_runs import Line, config_file, forged, plan_of, saved_run

MAP = "#####\n#.\t.#\n#####"


class Mapped(Meadow):
    """Takes a map, which it does not look at."""

    def __init__(self, max_steps=15, ground=None, render_mode=None):
        super().__init__(max_steps, render_mode=render_mode)


def config(folder, ground):
    settings = {"max_steps": 12, "ground": ground}
    return config_file(folder, "tests.marl_pbt.test_settings_in_files:Mapped", settings)


def nested(depth):
    return [nested(depth - 1)] if depth else 1


@pytest.mark.parametrize(
    ("ground", "told"),
    [
        (nested(12), "metadata must be nested at most 16 deep"),
        ("\x1b[2J", r"strings must be printable and of at most 4096 characters, got '\x1b[2J'"),
        ("#" * 5000, f"strings must be printable and of at most 4096 characters, got '{'#' * 40}'"),
        ({"a\nb": 1}, r"strings must be printable and of at most 4096 characters, got 'a\nb'"),
        (["#" * 4000] * 20, "metadata must have at most 32768 bytes, has "),
    ],
)
def test_settings_that_no_policys_file_could_hold_are_refused_before_the_run_with_their_key(tmp_path, ground, told):
    with pytest.raises(UserError) as refused:
        plan_of(config(tmp_path, ground))
    (line,) = refused.value.faults
    assert line.startswith(f"environment.config.ground: cannot go into the files of policies: {told}")
    assert re.search(r"\(.*small\.yaml:\d+\)$", line)


def test_settings_as_deep_as_a_checkpoint_can_hold_are_written_and_read(tmp_path):
    plan = plan_of(config(tmp_path, nested(11)))
    run = saved_run(tmp_path / "a", plan)
    assert list(read_policies(run.member(1) / "000004.safetensors")) == list(plan.species)


def test_an_architecture_that_no_policys_file_could_hold_is_refused_with_the_setting_it_is_from(tmp_path):
    loaded = load_config(toy_config(tmp_path), ["learner.settings.tree=" + str(nested(14))])
    card = {"architecture": {"tree": nested(14)}, "learner": "a:b", "environment": None, "spaces": None}
    with pytest.raises(UserError, match=r"^learner\.settings\.tree: .* nested at most 16 deep"):
        check_card(loaded, card)
    with pytest.raises(UserError, match=r"^learner\.settings: .* nested at most 16 deep"):
        check_card(load_config(toy_config(tmp_path)), card)
    with pytest.raises(UserError, match=r"^learner\.settings: .* not JSON compliant"):
        check_card(load_config(toy_config(tmp_path)), card | {"architecture": {"slope": float("nan")}})


def test_policies_of_an_environment_with_a_map_of_several_lines_are_read_and_its_map_is_shown_on_one(tmp_path, capsys):
    run = saved_run(tmp_path / "a", plan_of(config(tmp_path, MAP)))
    name = RunPlan.of(load_config(run.config)).species[0]
    assert read_policies(run.best_policy(name))[name].card.environment.config["ground"] == MAP
    assert main([str(run.root), "random", *in_this_process(tmp_path, tmp_path / "out"), "--episodes", "1"]) == 0
    out = capsys.readouterr().out
    assert r"ground=#####\n#.\t.#\n#####" in out


@pytest.mark.parametrize("odd", ["\x1b[2J", "\r", "\u202e", "\x00"])
def test_nothing_else_that_cannot_be_printed_is_taken_and_lines_nowhere_else(tmp_path, odd):
    line = Line(plan_of(config(tmp_path, MAP)), 1, 4, seed=0)
    policy = line.policy(line.plan.species[0])
    environment = policy.metadata["environment"]
    path = tmp_path / "a.safetensors"
    assert policies_in(path, encode(policy))
    for changed in (
        {"environment": {**environment, "config": {"ground": f"#{odd}#"}}},
        {"environment": {**environment, "config": {"a\nb": 1}}},
        {"environment": {**environment, "make": "a\nb"}},
        {"learner": "a\nb"},
    ):
        with pytest.raises(PolicyFileError, match="strings must be printable") as refused:
            policies_in(path, forged(policy, **changed))
        assert all(fault.isprintable() for fault in refused.value.faults)
