"""What a member copies and moves in each control and copy mode, and that the lineage says just that."""

import os
from dataclasses import replace

import numpy as np
import pytest

from marl_pbt.ancestry import ancestry, distinct_founders, schedule
from marl_pbt.explore import Explorer, Perturb
from marl_pbt.hyperparameters import DiscreteFactors
from marl_pbt.own_functions import OwnDonor, OwnLastWord, OwnProposal, OwnSelection
from marl_pbt.pb2 import PB2
from marl_pbt.records import following_lines
from marl_pbt.selection import BinaryTournament, TTest
from marl_pbt.standings import Source
from tests.marl_pbt.toy_learner import SPECIES, ToyLearner
from tests.marl_pbt.toy_population import (
    NOISY,
    STEADY,
    Population,
    assert_alike,
    board_row,
    evolution,
    lived,
    pair,
    started,
    timeless,
)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


LEVELS = (0.0, 0.3, 0.5, 0.9)
WITHOUT_WEIGHTS = ("hyperparameters", "nothing")
ALL_MOVE = Explorer(Perturb(DiscreteFactors((0.5, 2.0)), 0.0))


def controlled(folder, control, rounds=4, **fields):
    population = Population(folder, evolution(4, control=control, explorer=ALL_MOVE, **fields), STEADY, levels=LEVELS)
    before = [population.members[member].rows() for member in range(4)]
    for _ in range(rounds):
        population.live()
    return population, before


def kinds(population):
    return {event.kind for event in population.events}


def draws(rows):
    return [{species: dict(row[species].hyperparameters) for species in SPECIES} for row in rows]


# ------------------------------------------------------------------------------------ controls (D29)


def test_in_random_search_members_keep_their_draws_and_copy_nobody(tmp_path):
    """D29."""
    population, before = controlled(tmp_path, "random_search")
    assert kinds(population) == {"ready"}
    assert {event.why["decision"] for event in population.events} == {"control"}
    assert draws([member.rows() for member in population.members]) == draws(before)
    assert len({row["fox"].hyperparameters["learning_rate"] for row in before}) == 4
    assert all(member.learner.adopted == [] for member in population.members)


def test_without_explore_members_copy_and_no_value_ever_moves(tmp_path):
    """D29."""
    population, before = controlled(tmp_path, "exploit_only")
    assert kinds(population) == {"ready", "exploit"}
    drawn = [row["fox"].hyperparameters["learning_rate"] for row in before]
    held = [board_row(population, member).hyperparameters["learning_rate"] for member in range(4)]
    assert set(held) < set(drawn)
    for event in population.events:
        if event.kind == "exploit":
            assert event.hyperparameters == before[event.parent.member][event.policy].hyperparameters


def test_without_exploit_every_member_moves_its_own_values_at_every_ready_point_and_copies_nobody(tmp_path):
    """D29."""
    population, before = controlled(tmp_path, "explore_only")
    assert kinds(population) == {"ready", "explore"}
    explores = [event for event in population.events if event.kind == "explore"]
    assert len(explores) == 4 * 4 * 2
    assert all(member.learner.adopted == [] for member in population.members)
    assert all(board_row(population, member).founder == member for member in range(4))
    value = before[0]["fox"].hyperparameters["learning_rate"]
    for event in (event for event in explores if (event.member, event.policy) == (0, "fox")):
        assert event.changes["learning_rate"].old == value
        value = event.changes["learning_rate"].new
        assert event.parent is None
    assert population[0].learner.get_hyperparameters("fox")["learning_rate"] == value


def test_without_exploit_values_rest_in_the_burn_in_and_at_the_very_last_ready_point(tmp_path):
    """R36."""
    population, _ = controlled(tmp_path, "explore_only", rules={"burn_in": 6.0}, stop=12.0)
    at = {event.generation for event in population.events if event.kind == "explore"}
    assert at == {2, 3}


def test_with_nothing_members_train_with_the_learners_own_settings(tmp_path):
    """D29."""
    population, _ = controlled(tmp_path, "nothing")
    defaults = ToyLearner(population[0].learner.settings, SPECIES, 0).get_hyperparameters("fox")
    assert kinds(population) == {"ready"}
    assert all(member.learner.get_hyperparameters("fox") == defaults for member in population.members)


@pytest.mark.parametrize("control", ["pbt", "random_search", "exploit_only", "explore_only", "nothing"])
def test_in_every_control_members_built_again_go_on_bit_for_bit(tmp_path, control):
    """D19."""
    original = lived(tmp_path, 3, control=control)
    again = Population(tmp_path, original.evolution, NOISY)
    assert_alike(original, again)
    assert original.events or control == "nothing"


# ------------------------------------------------------------------------------------ what is copied


def copying(folder, copied, **fields):
    """Member 1 is better; member 0 has decided to copy it."""
    population = pair(folder, copied=copied, explorer=ALL_MOVE, **fields)
    own, donors = (member.learner.get_hyperparameters("fox") for member in population.members)
    weights = population[1].learner.snapshot("fox")["policy/theta"]
    population.live(0)
    events = [event for event in population.events if event.member == 0 and event.policy == "fox"]
    assert events[0].why["decision"] == "exploit"
    assert events[0].why["copied"] == copied
    assert np.array_equal(population[0].learner.snapshot("fox")["policy/theta"], weights) == ("weights" in copied)
    return population, events, own, donors


def test_weights_alone_are_copied_and_ones_own_values_move_on(tmp_path):
    """D29, D02: the policy is the donor's, so is the ancestry."""
    population, (_, exploit, explore), own, _ = copying(tmp_path, "weights")
    assert (exploit.kind, exploit.parent, exploit.founder) == ("exploit", Source(1, 1), 1)
    assert exploit.hyperparameters["learning_rate"] == own["learning_rate"]
    change = explore.changes["learning_rate"]
    assert (change.old, change.operation) in [(own["learning_rate"], f"×{factor:.4g}") for factor in (0.5, 2.0)]
    assert board_row(population, 0).newest is None


def test_hyperparameters_alone_are_copied_and_the_policy_stays_its_own(tmp_path):
    """D29: no exploit in the lineage, which would make the donor an ancestor; nothing is pending."""
    population, (_, explore), own, donors = copying(tmp_path, "hyperparameters")
    change = explore.changes["learning_rate"]
    assert explore.kind == "explore"
    assert (change.old, change.new) in [(own["learning_rate"], donors["learning_rate"] * each) for each in (0.5, 2.0)]
    assert change.operation in ("copied ×0.5", "copied ×2")
    assert explore.why == {"hyperparameters_of": {"member": 1, "generation": 1}}
    row = board_row(population, 0)
    assert (row.parent, row.founder, row.last_exploit) == (None, 0, 0)
    assert row.can_be_donor
    assert len(population[0].policies["fox"].window) > 0
    assert explore.parent is None and explore.founder == 0


def test_where_nothing_is_copied_the_loser_moves_its_own_values(tmp_path):
    """D29."""
    population, (_, explore), own, _ = copying(tmp_path, "nothing")
    change = explore.changes["learning_rate"]
    assert (change.old, change.operation) in [(own["learning_rate"], f"×{factor:.4g}") for factor in (0.5, 2.0)]
    assert explore.why == {}
    assert population[0].learner.adopted == []
    assert population[1].generation == 1 and not any(event.kind == "explore" for event in population[1].events)


def test_hyperparameters_alone_without_explore_are_taken_as_they_are(tmp_path):
    _, (_, explore), own, donors = copying(tmp_path, "hyperparameters", control="exploit_only")
    assert explore.changes["learning_rate"].operation == "copied"
    assert (explore.changes["learning_rate"].old, explore.changes["learning_rate"].new) == (
        own["learning_rate"],
        donors["learning_rate"],
    )


@pytest.mark.parametrize("copied", WITHOUT_WEIGHTS)
def test_without_copied_weights_everybody_stays_its_own_founder_and_the_schedule_is_what_was_in_force(tmp_path, copied):
    """R20: the schedule along an ancestry, by values that were in force when updates began."""
    population = lived(tmp_path, 8, copied=copied)
    events = started(population) + population.events
    assert any(event.kind == "explore" for event in events)
    for member in population.members:
        assert member.policies["fox"].founder == member.index
        segments = ancestry(events, "fox", member.index, member.generation)
        assert [segment.member for segment in segments] == [member.index]
        in_force = [values["fox"]["learning_rate"] for values in member.learner.in_force]
        changes = [value for place, value in enumerate(in_force) if place == 0 or in_force[place - 1] != value]
        assert [value for _, value in schedule(segments, "learning_rate")] == changes
    assert distinct_founders(member.policies["fox"].founder for member in population.members) == 4


@pytest.mark.parametrize("copied", WITHOUT_WEIGHTS)
def test_a_member_gone_not_finite_is_not_saved_where_no_weights_are_copied(tmp_path, copied):
    """R39: told, and never published."""
    settings = [{**STEADY, "diverge_at": 2}, STEADY]
    population = Population(tmp_path, evolution(2, copied=copied), settings, levels=(0.9, 0.5))
    population.live(1)
    with pytest.raises(FloatingPointError, match="no sound weights could be copied"):
        population.live(0)
    assert population.board.snapshot(0, 0) is None


def test_every_exploit_and_every_explore_is_said_in_one_line(tmp_path):
    said = {}
    for control, copied in (
        ("pbt", "weights+hyperparameters"),
        ("exploit_only", "weights+hyperparameters"),
        ("pbt", "hyperparameters"),
    ):
        population = pair(tmp_path / control / copied, control=control, copied=copied, explorer=ALL_MOVE)
        population.live(0)
        said[control, copied] = next(iter(following_lines(population.events)))
    whole, exploit, explore = said.values()
    assert whole.startswith("exploit: fox of member_00@1 ← member_01@1: learning_rate ") and "(×" in whole
    assert exploit == "exploit: fox of member_00@1 ← member_01@1"
    assert explore.startswith("explore: fox of member_00@1: learning_rate ") and "(copied ×" in explore


# ------------------------------------------------------------------------------------ strategies in members


class Everything:
    """A user's own, by import string as from a config; on the module as tests import it."""

    @staticmethod
    def select(member, ranking, rng):
        return ranking.order[:1]

    @staticmethod
    def choose(donors, ranking, rng):
        return donors[0]

    @staticmethod
    def explore(values, declared, rng, experience):
        return {each.name: each.distribution.sample(rng) for each in declared}

    @staticmethod
    def after(values):
        return {"n_epochs": 5}


def named(name):
    return f"tests.marl_pbt.test_member_controls:Everything.{name}"


def test_functions_of_ones_own_decide_and_move(tmp_path):
    """R22: and D19, as they are asked with the member's own streams."""
    rules = {"selection": OwnSelection("s", named("select")), "donor": OwnDonor("d", named("choose"))}
    explorer = Explorer(OwnProposal("e", named("explore")), last_word=OwnLastWord("a", named("after")))
    by = replace(evolution(4, explorer=explorer), rules=replace(evolution(4).rules, **rules))
    populations = [Population(tmp_path / name, by, NOISY) for name in "ab"]
    for population in populations:
        for _ in range(5):
            population.live()
    assert_alike(*populations)
    explores = [event for event in populations[0].events if event.kind == "explore"]
    assert explores
    assert all(event.hyperparameters["n_epochs"] == 5 for event in explores)


@pytest.mark.parametrize("selection", [TTest(), BinaryTournament()])
def test_by_any_selection_copies_are_whole_and_the_lineage_is_acyclic(tmp_path, selection):
    """D09."""
    by = evolution(5)
    population = Population(tmp_path, replace(by, rules=replace(by.rules, selection=selection)), NOISY)
    population.live(*np.random.default_rng(0).choice(5, size=80, p=[0.1, 0.15, 0.2, 0.25, 0.3]).tolist())
    exploits = [event for event in population.events if event.kind == "exploit"]
    assert exploits
    for event in exploits:
        assert event.parent.member != event.member
        assert population.board.versions[event.parent.member, event.policy, event.parent.generation] == {event.checksum}
    events = started(population) + population.events
    for member in population.members:
        segments = ancestry(events, "fox", member.index, member.generation)
        assert segments[0].events[0].kind == "start"


def test_with_pb2_members_learn_from_each_other_and_repeat(tmp_path):
    """D17, D19: proposals come from rows of the board and the member's own stream alone; also after a resume."""
    explorer = Explorer(PB2(Perturb(DiscreteFactors((0.8, 1.25)), 0.25)))
    one, two = (lived(tmp_path / name, 5, explorer=explorer) for name in "ab")
    assert timeless(one.events) == timeless(two.events)
    again = Population(tmp_path / "a", one.evolution, NOISY)
    assert_alike(one, again)
    for population in (again, two):
        population.live()
    assert_alike(again, two)
    operations = {change.operation for event in two.events for change in event.changes.values()}
    assert "pb2" in operations
