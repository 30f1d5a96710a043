"""Who plays: doubles, names, who trained together, and what is missing."""

import pytest

from marl_pbt.league.code_digest import digest_of_code
from tests.marl_pbt.league_requests import labels, league, refusal, stranger
from tests.marl_pbt.saved_runs import PREDATOR_PREY_GRASS, config_file, saved_run


@pytest.fixture
def runs(runs_of_all_kinds):
    return runs_of_all_kinds


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


def test_the_code_of_the_environment_and_of_all_learners_belongs_to_a_league(runs, tmp_path):
    config = runs / "a" / "config.yaml"
    assert league(runs, "a").code == digest_of_code([PREDATOR_PREY_GRASS, "agents.ppo:kind"])
    assert league(runs, "random", config=config).code == digest_of_code([PREDATOR_PREY_GRASS])


SHY = """\
from tests.marl_pbt.adaptable_environments import Meadow
class Shy(Meadow):
    baselines = ("shy",)
    def baseline(self, name, species):
        return self
    def act(self, observations, rng, greedy=False):
        raise IndexError("no observation like this")
"""


def test_whoever_says_nothing_to_zeros_may_play_nevertheless(runs, tmp_path, monkeypatch):
    """Everybody is asked once, to compile what is compiled, with an observation that there may be nowhere."""
    (tmp_path / "shy_meadow.py").write_text(SHY)
    monkeypatch.syspath_prepend(tmp_path)
    config = config_file(tmp_path, make="shy_meadow:Shy", config={})
    assert labels(league(runs, "shy", config=config)) == {"fox": ["shy"], "hare": ["shy"]}


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


def test_of_one_species_alone_there_is_nobody_to_be_judged_against(runs, tmp_path):
    config = config_file(tmp_path, make="tests.marl_pbt.toy_environments:Herd", config={})
    told = "--against: needs a second species, here there is cow alone"
    assert refusal(runs, "random", against=("random",), config=config) == told
    assert labels(league(runs, "random", config=config)) == {"cow": ["random"]}


def test_a_species_that_the_judged_would_not_meet_is_told(runs):
    told = "predator: --against names nobody of this species; add e.g. predator=random"
    assert refusal(runs, "a", against=("prey=greedy",)) == told
