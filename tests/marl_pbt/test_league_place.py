"""Where a league is played, and whose word is enough to run code."""

import sys
from dataclasses import replace

import pytest

from marl_pbt.league.addresses import find
from marl_pbt.league.place import Place, place_of
from marl_pbt.league.trust import settings_of_our_configs
from marl_pbt.protocols import UserError
from tests.marl_pbt.league_requests import OTHER, labels, league, refusal, stranger
from tests.marl_pbt.saved_runs import PREDATOR_PREY_GRASS, SMALL, config_file

NEEDS_CONFIG = "which is code; a file's word is not enough, give the config of a run that"


@pytest.fixture
def runs(runs_of_all_kinds):
    return runs_of_all_kinds


# Where.


def test_a_run_is_played_in_its_own_environment(runs, plan):
    assert league(runs, "a", "b").environment == plan.environment
    assert league(runs, "a").species == ("predator", "prey")
    assert league(runs, "a", "b", "a:member_00").notices == ()


def test_a_run_is_played_as_its_closing_judgement_plays_it(runs, plan):
    found = league(runs, "judged")
    assert found.environment == plan.environment.changed({"max_steps": 40})
    assert found.notices == ()


def test_the_first_run_decides_and_those_that_are_played_elsewhere_are_named(runs, plan):
    found = league(runs, "a", "judged", "b")
    assert found.environment == plan.environment
    assert found.notices == (
        f"played as {runs}/a says, in {PREDATOR_PREY_GRASS} {{'max_steps': 12}}; "
        f"{runs}/judged would be judged otherwise (--config and --set decide)",
    )


def test_a_config_that_is_named_decides_over_all_runs(runs, tmp_path, plan):
    config = config_file(tmp_path, config={**SMALL, "width": 12}, judge="{config: {max_steps: 15}}")
    found = league(runs, "a", "judged", config=config)
    assert found.environment == plan.environment.changed({"width": 12, "max_steps": 15})
    assert found.notices == ()


def test_settings_are_changed_on_top_of_what_was_decided(runs, plan):
    assert league(runs, "a", changes=["max_steps=3"]).environment == plan.environment.changed({"max_steps": 3})
    told = "environment.config.max_stepss: unknown key; did you mean 'max_steps'?"
    assert refusal(runs, "a", changes=["max_stepss=3"]).startswith(told)
    assert refusal(runs, "a", changes=["max_steps"]).startswith("--set max_steps: must be KEY=VALUE")


SIZED = """\
from tests.marl_pbt.adaptable_environments import Meadow
class Sized(Meadow):
    def __init__(self, sizes, render_mode=None):
        super().__init__(max_steps=sizes["fox"] + sizes["hare"])
"""


def test_a_setting_inside_a_setting_is_changed_and_its_neighbours_stay(runs, tmp_path, monkeypatch):
    (tmp_path / "sized_meadow.py").write_text(SIZED)
    monkeypatch.syspath_prepend(tmp_path)
    config = config_file(tmp_path, make="sized_meadow:Sized", config={"sizes": {"fox": 2, "hare": 3}})
    found = league(runs, "random", config=config, changes=["sizes.hare=5", "sizes.cow.calves=[1, 2]"])
    assert found.environment.config == {"sizes": {"fox": 2, "hare": 5, "cow": {"calves": [1, 2]}}}
    told = "--set sizes.fox.old: sizes.fox is 2, which holds no keys"
    assert refusal(runs, "random", config=config, changes=["sizes.fox.old=1"]) == told


def test_files_by_themselves_are_played_where_the_first_of_them_trained(runs, plan):
    found = league(runs, str(runs / "files"))
    assert found.environment == plan.environment
    assert labels(found) == {"predator": ["hunter"], "prey": ["grazer"]}


def test_a_run_decides_over_files_that_come_before_it_and_they_are_named(runs, plan):
    found = league(runs, str(runs / "files"), "judged")
    assert found.environment == plan.environment.changed({"max_steps": 40})
    assert found.notices == (
        f"played as {runs}/judged says, in {PREDATOR_PREY_GRASS} {{'max_steps': 40}}; "
        f"{runs}/files would be judged otherwise (--config and --set decide)",
    )


def test_the_panel_is_there_for_our_environment_and_fits_it(runs):
    found = league(runs, "a", against=("panel",))
    assert found.environment.make == PREDATOR_PREY_GRASS
    assert len(found.notices) == 1
    for of in found.entrants.values():
        assert of[0].label == "a"
        assert len(of) > 1
        assert all(each.label.startswith("panel:") and not each.is_focal for each in of[1:])


def test_the_panel_decides_over_runs(runs, plan):
    """Whoever meets the reference policies does so in the one world in which all meet them."""
    panel = [replace(each, is_panel=True) for each in find(str(runs / "files"), runs)]
    place = place_of([*find("judged", runs), *panel], None)
    assert place.environment == plan.environment
    assert place.notices == (
        f"played as panel says, in {PREDATOR_PREY_GRASS} {{'max_steps': 12}}; "
        f"{runs}/judged would be judged otherwise (--config and --set decide)",
    )
    assert place_of([*find("a", runs), *panel], None).notices == ()


def test_reference_policies_of_other_environments_are_left_out(runs, plan):
    ours = [replace(each, is_panel=True) for each in find(str(runs / "files"), runs)]
    theirs = [replace(each, is_panel=True) for each in find("other", runs)]
    random = find("random", runs)
    place = Place(plan.environment, frozenset(), ())

    def left_of(*found):
        return [each.label for each in place.without_other_panels(found)]

    assert left_of(*theirs, *ours, *random) == ["grazer", "hunter", "random"]
    assert left_of(*find("other", runs), *random) == ["other", "random"]  # no reference policy: who is named plays
    assert left_of() == []
    with pytest.raises(UserError, match=rf"^panel: there are no reference policies of {PREDATOR_PREY_GRASS}$"):
        place.without_other_panels([*theirs, *random])


def test_a_config_of_an_environment_without_reference_policies_is_told(runs):
    told = f"panel: there are no reference policies of {OTHER}"
    assert refusal(runs, "other", against=("panel",), config=runs / "other" / "config.yaml") == told


def test_without_any_word_about_the_environment_there_is_nothing_to_play(runs, plan):
    told = (
        "a baseline alone does not say which environment is played, give the config of a run that does: --config CONFIG"
    )
    assert refusal(runs, "random", "greedy") == f"random, greedy: no run or file; {told}"
    gift = stranger(runs, plan, environment=None)
    told = "nothing here says which environment is played; give the config of a run that does: --config CONFIG"
    assert refusal(runs, gift) == told
    found = league(runs, "random", "greedy", config=runs / "a" / "config.yaml")
    assert labels(found) == {"predator": ["random", "greedy"], "prey": ["random", "greedy"]}


def test_a_run_without_an_environment_is_told(runs, tmp_path):
    config = tmp_path / "toy.yaml"
    config.write_text(
        "name: toy\nenvironment: {make: null}\nlearner: {make: tests.marl_pbt.toy_learner:kind}\n"
        "pbt: {interval: 100, hyperparameters: {learning_rate: {uniform: [0.1, 0.2]}}}\nstop: {progress: 100}\n"
    )
    told = "toy: its learner has no environment, so there is nothing to play"
    assert refusal(runs, "random", config=config) == told
    assert refusal(runs, "a", config=tmp_path / "none.yaml").startswith(f"{tmp_path}/none.yaml: no such file")


# Whose word is enough.


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A module that leaves a marker when it is imported."""
    marker = tmp_path / "marker"
    (tmp_path / "evil_module.py").write_text(
        f"import pathlib\npathlib.Path({str(marker)!r}).touch()\nkind = make = 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield marker
    assert not marker.exists()
    assert "evil_module" not in sys.modules


def test_the_environment_of_a_strangers_file_is_not_imported(runs, plan, tmp_path, evil):
    gift = stranger(tmp_path, plan, environment={"make": "evil_module:make", "config": {}, "species": None})
    told = f"{gift}: names the environment evil_module:make, {NEEDS_CONFIG} does: --config CONFIG"
    assert refusal(runs, gift, "random") == told
    assert refusal(runs, "random", gift) == told
    found = league(runs, gift, "prey=random", "a")
    assert labels(found)["predator"] == ["gift", "a"]
    assert found.environment == plan.environment


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"config": {"width": 10_000, "max_steps": 5, "height": 9}, "species": None}, "height, width"),
        ({"config": dict(SMALL), "species": {"predator": ["predator_*"], "prey": ["prey_*"]}}, "its own species"),
    ],
)
def test_a_file_alone_does_not_say_how_large_a_world_is_built(runs, plan, tmp_path, said, what):
    gift = stranger(tmp_path, plan, environment={"make": PREDATOR_PREY_GRASS, **said})
    told = (
        f"{gift}: was trained in {PREDATOR_PREY_GRASS} with settings that a file's word is not enough for ({what}); "
        "give the config that has them: --config CONFIG"
    )
    assert refusal(runs, gift, "random") == told
    assert refusal(runs, gift, "random", changes=["width=12"]) == told
    config = runs / "a" / "config.yaml"
    assert league(runs, gift, "random", config=config).environment == plan.environment
    beside_a_run = league(runs, gift, "a")  # which says where
    assert beside_a_run.environment == plan.environment
    assert f"{gift} would be judged otherwise" in beside_a_run.notices[0]


def test_settings_that_our_configs_have_are_taken_from_a_file(runs, plan, tmp_path):
    gift = stranger(
        tmp_path, plan, environment={"make": PREDATOR_PREY_GRASS, "config": {"max_steps": 7}, "species": None}
    )
    assert league(runs, gift, "prey=random").environment == plan.environment.changed({"max_steps": 7})
    assert settings_of_our_configs(PREDATOR_PREY_GRASS) >= {"max_steps"}
    assert settings_of_our_configs(OTHER) == frozenset()


def test_the_learner_of_a_strangers_file_is_not_imported(runs, plan, tmp_path, evil):
    gift = stranger(tmp_path, plan, learner="evil_module:kind")
    told = f"{gift}: names the learner evil_module:kind, {NEEDS_CONFIG} names it: --config CONFIG"
    assert refusal(runs, gift, "random") == told
    assert refusal(runs, "a", gift) == told
    assert refusal(runs, gift, "random", config=runs / "a" / "config.yaml") == told


@pytest.mark.parametrize(
    "learner", ["os:system", "builtins:eval", "subprocess:run", "agents.ppo.kind:kind", "agents.ppo"]
)
def test_no_other_import_string_is_followed_either(runs, plan, tmp_path, learner):
    assert f"names the learner {learner}, " in refusal(runs, stranger(tmp_path, plan, learner=learner), "random")


def test_import_strings_of_a_config_that_the_user_named_are_followed(runs, plan, tmp_path):
    """Also for a file that names the same: its weights are only data."""
    config = config_file(tmp_path, make=OTHER)
    gift = stranger(tmp_path, plan, environment={"make": OTHER, "config": dict(SMALL), "species": None})
    assert refusal(runs, gift, "prey=random").startswith(f"{gift}: names the environment {OTHER}, ")
    assert league(runs, gift, "prey=random", config=config).environment.make == OTHER
