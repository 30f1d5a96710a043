"""Many members, each on its own clock."""

import os
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from marl_pbt.ancestry import ancestry, distinct_founders
from marl_pbt.explore import Explorer, Perturb
from marl_pbt.hyperparameters import DiscreteFactors, Hyperparameter, Real
from marl_pbt.protocols import Clocks
from marl_pbt.worker import most_behind
from tests.marl_pbt.toy_learner import SPECIES
from tests.marl_pbt.toy_population import (
    NOISY,
    Population,
    assert_alike,
    declared,
    evolution,
    lived,
    started,
    timeless,
)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path):
    """D17's ground: in a fixed order of turns."""
    one, two = lived(tmp_path / "one"), lived(tmp_path / "two")
    assert_alike(one, two)
    assert timeless(one.events) == timeless(two.events)
    assert timeless(lived(tmp_path / "three", seed=1).events) != timeless(one.events)


# ------------------------------------------------------------------------------------ lineage of many


def test_copies_of_copies_are_whole_versions_of_one_acyclic_lineage(tmp_path):
    """D09: A copies B while B copies C, two copy the same donor; uneven speeds, chained exploits."""
    population = Population(tmp_path, evolution(6), NOISY)
    turns = np.random.default_rng(0).choice(6, size=150, p=[0.05, 0.1, 0.15, 0.2, 0.2, 0.3])
    population.live(*turns.tolist())
    events = started(population) + population.events
    exploits = [event for event in events if event.kind == "exploit"]
    assert len(exploits) > 15
    for event in exploits:
        assert event.parent.member != event.member
        assert population.board.versions[event.parent.member, event.policy, event.parent.generation] == {event.checksum}
    for species in SPECIES:
        founders = []
        for member in population.members:
            segments = ancestry(events, species, member.index, member.generation)
            before = next(e for e in segments[-1].events[::-1] if e.kind == "ready" or e.kind == "start")
            assert segments[0].member == before.founder
            assert segments[0].events[0].kind == "start"
            founders.append(member.policies[species].founder)
        assert 1 <= distinct_founders(founders) < 6


def test_no_version_is_ever_published_twice_with_another_content(tmp_path):
    """D03, D04: also by members that were built again."""
    population = lived(tmp_path, 5)
    assert all(len(checksums) == 1 for checksums in population.board.versions.values())
    again = Population(tmp_path, population.evolution, NOISY)
    for key, checksums in again.board.versions.items():
        assert population.board.versions[key] == checksums


def test_a_whole_own_interval_lies_between_two_exploits(tmp_path):
    """R17, D13."""
    population = lived(tmp_path, 12, members=5)
    for member in range(5):
        for species in SPECIES:
            at = [
                e.clocks.updates
                for e in population.events
                if (e.kind, e.member, e.policy) == ("exploit", member, species)
            ]
            assert all(after - before >= 3 for before, after in pairwise(at))


def test_no_ready_point_is_judged_twice_by_the_same_member(tmp_path):
    """Section 3: also over a resume; the fast are compared at older ready points until the others have come."""
    by, compared = evolution(5), {}
    for part in range(2):
        population = Population(tmp_path, by, NOISY)
        population.live(*np.random.default_rng(part).choice(5, size=50, p=[0.05, 0.1, 0.15, 0.3, 0.4]).tolist())
        for event in population.events:
            at = event.why.get("compared_at")
            if event.kind == "ready" and at is not None:
                compared.setdefault((event.member, event.policy), []).append(at)
    assert sum(map(len, compared.values())) > 50
    for compared_at in compared.values():
        assert compared_at == sorted(set(compared_at))


def test_hyperparameters_stay_within_their_declaration_all_the_way(tmp_path):
    """D14, D15."""
    population = lived(tmp_path, 12, members=5)
    for event in population.events:
        for hyperparameter in declared(event.policy):
            value = event.hyperparameters[hyperparameter.name]
            assert hyperparameter.distribution.contains(value)
            assert type(value) is (int if hyperparameter.name == "n_epochs" else float)


# ------------------------------------------------------------------------------------ speeds


def test_a_member_ten_times_slower_blocks_nobody_and_is_not_punished(tmp_path):
    """D22."""
    population = Population(tmp_path, evolution(5), {"noise": 1.0})
    for turn in range(20):
        population.live(1, 2, 3, 4)
        if turn % 10 == 9:
            population.live(0)
    assert [member.generation for member in population.members] == [2, 20, 20, 20, 20]
    fast = [event for event in population.events if event.kind == "exploit" and event.member != 0]
    assert len(fast) > 10
    compared_at = [
        e.why.get("compared_at") for e in population.events if (e.kind, e.member, e.policy) == ("ready", 0, "fox")
    ]
    assert all(at is None or at <= 2 for at in compared_at)


def test_a_member_that_never_arrives_blocks_nobody(tmp_path):
    """D22: it is dead, or hangs; four of five are a quorum."""
    population = Population(tmp_path, evolution(5), NOISY)
    for _ in range(5):
        population.live(1, 2, 3, 4)
    assert any(event.kind == "exploit" for event in population.events)
    assert all(event.parent.member != 0 for event in population.events if event.kind == "exploit")


def test_the_member_that_is_most_behind_runs_next():
    """R15."""
    by = evolution(3)
    waiting = [
        SimpleNamespace(index=index, evolution=by, clocks_at_ready=Clocks(updates=updates))
        for index, updates in ((2, 4), (0, 9), (1, 4))
    ]
    assert most_behind(waiting).index == 1
    assert most_behind(waiting[:2]).index == 2
    assert most_behind([replace_clock(waiting[0], 20), waiting[1]]).index == 0


def replace_clock(member, updates):
    return SimpleNamespace(index=member.index, evolution=member.evolution, clocks_at_ready=Clocks(updates=updates))


# ------------------------------------------------------------------------------------ what it is for


def test_where_learning_rates_start_too_low_pbt_finds_better_ones(tmp_path):
    """Section 8: a convincing case is one whose starting learning rates are drawn too low."""
    low = {
        species: (Hyperparameter(species, "learning_rate", Real(1e-4, 0.1, log=True), Real(1e-4, 1e-3, log=True)),)
        for species in SPECIES
    }
    explorer = Explorer(Perturb(DiscreteFactors((0.5, 2.0)), 0.25))
    skills = {}
    for control in ("pbt", "exploit_nothing"):
        by = evolution(6, declared=low, explorer=explorer)
        if control != "pbt":
            by = replace(by, rules=replace(by.rules, burn_in=1e9))
        population = Population(tmp_path / control, by, {"noise": 2.0})
        for _ in range(12):
            population.live()
        skills[control] = np.mean(
            [member.learner.skill(species) for member in population.members for species in SPECIES]
        )
    assert skills["pbt"] > skills["exploit_nothing"] + 20
