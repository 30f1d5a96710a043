"""Who plays where: the environment, whose word is enough to run code, doubles, names, and what is missing."""

import sys
from dataclasses import replace

import pytest

from marl_pbt.league.addresses import find
from marl_pbt.league.assembly import Request, assemble
from marl_pbt.league.place import place_of
from marl_pbt.protocols import UserError
from marl_pbt.snapshot import encode
from tests.marl_pbt.saved_runs import PREDATOR_PREY_GRASS, SMALL, Line, config_file, forged, plan_of, saved_run

OTHER = "tests.marl_pbt.adaptable_environments:PlainPredatorPreyGrass"
NEEDS_CONFIG = "which is code; a file's word is not enough, give the config of a run that"


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return plan_of(config_file(tmp_path_factory.mktemp("config")))


@pytest.fixture(scope="module")
def runs(tmp_path_factory, plan):
    """`a` and `b` are alike but for their weights, `other` is another environment, `judged` is played otherwise."""
    runs = tmp_path_factory.mktemp("runs")
    saved_run(runs / "a", plan)
    saved_run(runs / "b", plan, seed=1)
    saved_run(runs / "other", plan_of(config_file(runs, make=OTHER)), seed=2)
    saved_run(runs / "judged", plan_of(config_file(runs, judge="{config: {max_steps: 40}}")), seed=3)
    (runs / "files").mkdir()
    (runs / "files" / "hunter.safetensors").write_bytes(encode(Line(plan, 0, 7, 5).policy("predator")))
    (runs / "files" / "grazer.safetensors").write_bytes(encode(Line(plan, 0, 7, 5).policy("prey")))
    return runs


def league(runs, *focal, against=(), **more):
    return assemble(Request(focal, against, runs, **more))


def labels(league):
    return {name: [entrant.label for entrant in of] for name, of in league.entrants.items()}


def refusal(runs, *focal, **more):
    with pytest.raises(UserError) as refused:
        league(runs, *focal, **more)
    assert all(line.isprintable() for line in refused.value.faults)
    return str(refused.value).replace(str(runs), "RUNS")


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
    assert league(runs, "a", changes={"max_steps": 3}).environment == plan.environment.changed({"max_steps": 3})
    told = "environment.config.max_stepss: unknown key; did you mean 'max_steps'?"
    assert refusal(runs, "a", changes={"max_stepss": 3}).startswith(told)


def test_files_by_themselves_are_played_where_the_first_of_them_trained(runs, plan):
    found = league(runs, str(runs / "files"))
    assert found.environment == plan.environment
    assert labels(found) == {"predator": ["hunter"], "prey": ["grazer"]}


def test_a_run_decides_over_files_that_come_before_it(runs, plan):
    assert league(runs, str(runs / "files"), "judged").environment == plan.environment.changed({"max_steps": 40})


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


def stranger(tmp_path, plan, **changes):
    path = tmp_path / "gift.safetensors"
    path.write_bytes(forged(Line(plan, 0, 7, 5).policy("predator"), **changes))
    return str(path)


def test_the_environment_of_a_strangers_file_is_not_imported(runs, plan, tmp_path, evil):
    gift = stranger(tmp_path, plan, environment={"make": "evil_module:make", "config": {}, "species": None})
    told = f"{gift}: names the environment evil_module:make, {NEEDS_CONFIG} does: --config CONFIG"
    assert refusal(runs, gift, "random") == told
    assert refusal(runs, "random", gift) == told
    found = league(runs, gift, "prey=random", "a")
    assert labels(found)["predator"] == ["gift", "a"]
    assert found.environment == plan.environment


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


# Who.


def test_labels_of_equal_names_are_told_apart(runs, plan, tmp_path):
    saved_run(tmp_path / "a", plan, seed=9)
    found = league(runs, "a", str(tmp_path / "a"), "random")
    assert labels(found) == {"predator": ["a", "a#2", "random"], "prey": ["a", "a#2", "random"]}
    assert [entrant.address for entrant in found.entrants["prey"]] == ["a", str(tmp_path / "a"), "random"]


def test_the_same_policy_plays_once_whatever_it_is_called(runs):
    """The best of `a` is its member 1's newest."""
    found = league(runs, "a", "a:member_*", "random", "a", "prey=random")
    assert labels(found) == {name: ["a", "a:member_00@4", "random"] for name in found.species}
    assert found.notices == tuple(
        f"a:member_01@4: the same {species} as a; it plays once" for species in ("predator", "prey")
    )


def test_a_species_alone_may_be_named_for_each(runs):
    found = league(runs, "predator=a", "prey=b:member_00@3", "prey=stay")
    assert labels(found) == {"predator": ["a"], "prey": ["b:member_00@3", "stay"]}


def test_policies_that_trained_together_know_it(runs):
    checkpoint = runs / "b" / "members" / "member_00" / "000003.safetensors"
    found = league(runs, "a", "a:member_00", "b", "random", str(runs / "files"), str(checkpoint))
    by_label = {name: {entrant.label: entrant.own for entrant in of} for name, of in found.entrants.items()}
    assert by_label["predator"]["a"] == by_label["prey"]["a"] == (str(runs / "a"), 1, 4)
    assert by_label["predator"]["a"] != by_label["predator"]["b"]
    assert by_label["predator"]["random"] is None
    assert by_label["predator"]["000003"] == by_label["prey"]["000003"] is not None
    assert by_label["predator"]["hunter"] is None  # of files of their own nobody knows


def test_whoever_cannot_play_is_told_in_a_line_each(runs, plan, tmp_path):
    assert refusal(runs, "a", "wolf=random", "gredy") == "\n".join(
        [
            f"wolf=random: wolf: no such species in {PREDATOR_PREY_GRASS}; there are predator, prey",
            f"gredy: no baseline of {PREDATOR_PREY_GRASS}; there are random, greedy, stay",
        ]
    )
    card = plan.evolution.card("predator")["spaces"]
    spaces = {**card, "observation": {**card["observation"], "shape": [9, 9, 4]}}
    gift = stranger(tmp_path, plan, spaces=spaces)
    assert refusal(runs, "a", gift) == (
        f"{gift}: predator: observations: the policy expects Box (9, 9, 4) uint8 in [0, 255], "
        f"{PREDATOR_PREY_GRASS} gives Box (7, 7, 4) uint8 in [0, 255]"
    )


def test_a_species_that_nobody_plays_is_told(runs):
    told = "prey: nobody plays this species; name somebody, e.g. prey=random"
    assert refusal(runs, "predator=a", "predator=b") == told


# Against a background.


def test_the_background_is_not_judged(runs):
    found = league(runs, "a", "b", against=("random", "greedy"))
    focal = {name: [entrant.is_focal for entrant in of] for name, of in found.entrants.items()}
    assert focal == {name: [True, True, False, False] for name in found.species}


def test_one_species_may_be_judged_by_another_alone(runs):
    found = league(runs, "predator=a", "predator=b", against=("prey=greedy", "prey=a"))
    assert labels(found) == {"predator": ["a", "b"], "prey": ["greedy", "a"]}


def test_the_judged_may_also_be_those_whom_they_meet(runs):
    found = league(runs, "a", "b", against=("a", "b", "random"))
    both = ["a", "b", "a (met)", "b (met)", "random"]
    assert labels(found) == {"predator": both, "prey": both}
    assert [entrant.is_focal for entrant in found.entrants["prey"]] == [True, True, False, False, False]
    assert found.notices == ()


def test_a_species_that_the_judged_would_not_meet_is_told(runs):
    told = "predator: --against names nobody of this species; add e.g. predator=random"
    assert refusal(runs, "a", against=("prey=greedy",)) == told
