"""Divided populations: the config's section, and real members on a real board."""

import json
import math
from collections import Counter

import numpy as np
import pytest

from marl_pbt.ancestry import LineageEvent
from marl_pbt.config.binding import rules_of
from marl_pbt.evaluations import Roles
from marl_pbt.fire import FIRE
from marl_pbt.hyperparameters import Hyperparameter, Real
from marl_pbt.mf_pbt import MFPBT
from marl_pbt.standings import Source
from marl_pbt.sub_populations import members_of, place_of
from tests.marl_pbt.board_rows import ask, row, rules
from tests.marl_pbt.config_files import SOUND, faults, load
from tests.marl_pbt.toy_learner import SPECIES
from tests.marl_pbt.toy_population import STEADY, Population, assert_alike, board_row, evolution

EIGHT = MFPBT(8, (1, 2))
TEN = FIRE(Roles((4, 4), 2), p_value=0.3)
STEADY_IS_BETTER = (0.0, 0.1, 0.2, 0.3, 0.6, 0.7, 0.8, 0.9)
DYNAMIC_IS_BETTER = (0.6, 0.7, 0.8, 0.9, 0.0, 0.1, 0.2, 0.3)


ALMOST_STILL = {species: (Hyperparameter(species, "learning_rate", Real(1e-7, 1e-6, log=True)),) for species in SPECIES}
"""So that members stay as good as the test has made them."""


def divided(sub_populations, population):
    return evolution(population, rules={"sub_populations": sub_populations, "quorum": 0.0}, declared=ALMOST_STILL)


# ------------------------------------------------------------------------------------ who is where


@pytest.mark.parametrize("sizes", [(4, 4, 4, 4), (8, 4), (5, 6, 7)])
def test_every_member_is_in_one_sub_population(sizes):
    found = [index for place in range(len(sizes)) for index in members_of(place, sizes)]
    assert found == list(range(sum(sizes)))
    assert all(index in members_of(place_of(index, sizes), sizes) for index in found)


# ------------------------------------------------------------------------------------ the rules of all copies


def random_rows(rng, members=16):
    """Rows as they might lie on a board: some pending, diverged, retired, behind, copied from each other."""

    def one(index):
        points = int(rng.integers(1, 12))
        means = rng.choice([0.0, 1.0, 2.0, 1e308, -1e308, math.nan, math.inf, None], points, p=[0.26] * 3 + [0.044] * 5)
        copied = int(rng.integers(0, points + 1))
        sources = [Source(int(other), int(rng.integers(1, 12))) for other in rng.integers(0, members, 2)]
        return row(
            index,
            *means,
            last_exploit=copied,
            parent=sources[0] if copied else None,
            teacher=sources[1] if copied and rng.random() < 0.7 else None,
            is_retired=bool(rng.random() < 0.1),
        )

    return [one(index) for index in range(members)]


@pytest.mark.parametrize(
    "sub_populations", [MFPBT(16, (1, 2, 3, 4)), FIRE(Roles((6, 6), 4)), FIRE(Roles((4, 4, 4), 4))]
)
@pytest.mark.parametrize("maximize", [True, False])
def test_whatever_lies_on_the_board_a_copy_is_of_anothers_sound_version(sub_populations, maximize):
    """D05, R39: and the reasons are strict JSON."""
    rng, by = np.random.default_rng(0), rules(16, sub_populations=sub_populations, maximize=maximize, quorum=0.3)
    reasons = Counter()
    for seed in range(60):
        rows = random_rows(rng)
        for own in rows:
            decision = ask(rows, own.member, by, seed, compared_at=int(rng.integers(0, own.generation)))
            reasons[decision.reason] += decision.donor is not None
            json.dumps(decision.why, allow_nan=False)
            if decision.donor is not None:
                assert decision.donor.member != own.member
                assert decision.donor.can_be_donor
                assert own.parent != Source(decision.donor.member, decision.donor.generation)
    copies = {"exploit", "not_finite"} | ({"migration"} if isinstance(sub_populations, MFPBT) else {"evaluation"})
    assert all(reasons[reason] for reason in copies)


# ------------------------------------------------------------------------------------ the config


def test_the_config_says_how_a_population_is_divided():
    told = {
        "{kind: mf_pbt}": MFPBT(16, (1, 10, 25, 50)),
        "{kind: mf_pbt, frequencies: [1, 4]}": MFPBT(16, (1, 4)),
        "{kind: fire, sizes: [6, 6], evaluators: 4}": FIRE(Roles((6, 6), 4), 10, 0.05),
        "{kind: fire, sizes: [4, 4, 4], evaluators: 4, max_intervals: 5, p_value: 0.01}": FIRE(
            Roles((4, 4, 4), 4), 5, 0.01
        ),
        "null": None,
    }
    for text, expected in told.items():
        config = load(SOUND, "pbt.population=16", f"pbt.sub_populations={text}").config
        assert rules_of(config.pbt).sub_populations == expected


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (
            ("{kind: mf_pbt}",),
            "pbt.population: must be a multiple of 4, the number of sub_populations.frequencies, and 4",
        ),
        (("{kind: mf_pbt}", "pbt.population=18"), "pbt.population: must be a multiple of 4"),
        (("{kind: mf_pbt, frequencies: [1, 2, 4]}",), "pbt.population: must be a multiple of 3"),
        (("{kind: mf_pbt, frequencies: [1]}",), "pbt.sub_populations.frequencies: must be a list of at least two"),
        (("{kind: mf_pbt, frequencies: [2, 1]}",), "pbt.sub_populations.frequencies: must rise"),
        (("{kind: mf_pbt, frequencies: [1, 1]}",), "pbt.sub_populations.frequencies: must rise"),
        (("{kind: mf_pbt, frequencies: [0, 1]}",), "pbt.sub_populations.frequencies.0: must be a whole number of at l"),
        (("{kind: mf_pbt, frequency: [1, 2]}",), "pbt.sub_populations.frequency: unknown key; did you mean 'frequenc"),
        (
            ("{kind: mf_pbt, frequencies: [1, 2]}", "pbt.quantile_bottom=0.3"),
            "pbt.quantile_bottom: must be at most 0.25",
        ),
        (("{kind: mf_pbt, frequencies: [1, 2]}", "pbt.copy=weights"), "pbt.copy: must be weights+hyperparameters with"),
        (
            ("{kind: fire, sizes: [4, 2], evaluators: 2}",),
            "pbt.sub_populations.sizes.1: must be a whole number of at l",
        ),
        (("{kind: fire, sizes: [6], evaluators: 2}",), "pbt.sub_populations.sizes: must be a list of at least two"),
        (
            ("{kind: fire, sizes: [4, 4], evaluators: 1}",),
            "pbt.sub_populations.evaluators: must be at least 2, two for",
        ),
        (
            ("{kind: fire, sizes: [4, 4], evaluators: 2}",),
            "pbt.population: must be 10, the sum of sub_populations.sizes",
        ),
        (("{kind: fire, sizes: [4, 4]}",), "pbt.sub_populations.evaluators: is missing"),
        (("{kind: fire, sizes: [4, 4], evaluator: 4}",), "pbt.sub_populations.evaluators: is missing"),
        (
            ("{kind: fire, sizes: [4, 4], evaluators: 2, p_value: 0}",),
            "pbt.sub_populations.p_value: must be in (0, 0.5]",
        ),
        (("{kind: islands}",), "pbt.sub_populations.kind: must be 'mf_pbt' or 'fire', got 'islands'"),
        (("{sizes: [4, 4]}",), "pbt.sub_populations.kind: is missing"),
        (("fire",), "pbt.sub_populations: must hold keys with values, got 'fire'"),
    ],
)
def test_what_cannot_work_is_one_line(overrides, told):
    found = faults(SOUND, f"pbt.sub_populations={overrides[0]}", *overrides[1:])
    assert found
    assert found[0].startswith(told)


def test_a_frequency_that_no_member_reaches_is_noticed():
    overrides = ("pbt.population=8", "pbt.interval=500_000", "stop.progress=5_000_000")
    late, soon = (f"pbt.sub_populations={{kind: mf_pbt, frequencies: [1, {rare}]}}" for rare in (10, 9))
    assert [notice.split(":")[0] for notice in load(SOUND, *overrides, late).notices] == [
        "pbt.sub_populations.frequencies"
    ]
    assert load(SOUND, *overrides, soon).notices == ()


# ------------------------------------------------------------------------------------ members that live it


def events_of(population, member, species="fox"):
    return [event for event in population.events if event.member == member and event.policy == species]


def test_a_migrant_from_a_steadier_sub_population_comes_whole_and_does_not_explore(tmp_path):
    population = Population(tmp_path, divided(EIGHT, 8), STEADY, levels=STEADY_IS_BETTER)
    population.live(7, 6, 5, 4, 3, 2, 0, 1)
    ready, exploit = events_of(population, 1)
    assert (ready.why["decision"], exploit.kind, exploit.parent) == ("migration", "exploit", Source(7, 1))
    assert population[1].learner.get_hyperparameters("fox") == population[7].learner.get_hyperparameters("fox")
    assert board_row(population, 1).teacher is None


def test_a_migrant_from_a_more_dynamic_one_is_trained_as_the_best_here_is(tmp_path):
    population = Population(tmp_path, divided(EIGHT, 8), STEADY, levels=DYNAMIC_IS_BETTER)
    for _ in range(2):
        population.live(3, 2, 1, 0, 7, 6, 4, 5)
    ready, exploit, explore = [event for event in events_of(population, 5) if event.generation == 2]
    assert (ready.why["decision"], ready.why["migrant_from"], ready.why["copied"]) == ("migration", 0, "weights")
    assert exploit.parent.member in range(4)
    assert explore.why == {"hyperparameters_of": {"member": 7, "generation": 2}}
    assert {change.operation for change in explore.changes.values()} == {"copied"}
    assert population[5].learner.get_hyperparameters("fox") == population[7].learner.get_hyperparameters("fox")
    assert board_row(population, 5).teacher == Source(7, 2)


def test_evaluators_train_a_parents_weights_with_the_childs_hyperparameters(tmp_path):
    population = Population(tmp_path, divided(TEN, 10), STEADY, levels=(*STEADY_IS_BETTER, 0.0, 0.0))
    population.live()
    ready, exploit, explore = events_of(population, 8)
    child = explore.why["hyperparameters_of"]["member"]
    assert (ready.why["decision"], ready.why["sub_population"], ready.why["of"]) == ("evaluation", "evaluators", "P2")
    assert (exploit.parent.member in range(4, 8), child in range(4)) == (True, True)
    assert population[8].learner.get_hyperparameters("fox") == population[child].learner.get_hyperparameters("fox")
    population.live()
    assert events_of(population, 8)[-1].why["decision"] == "evaluating"


def test_a_promoted_child_has_the_evaluators_weights_and_its_own_hyperparameters(tmp_path):
    levels = (0.0, 0.0, 0.0, 0.1, 0.8, 0.8, 0.8, 0.8, 0.0, 0.0)  # all parents are far better than the best child
    population = Population(tmp_path, divided(TEN, 10), STEADY, levels=levels)
    promoted = []
    for _ in range(6):
        population.live()
        promoted = [event for event in population.events if event.why.get("decision") == "promotion"]
        if promoted:
            break
    ready = next(event for event in promoted if event.policy == "fox")
    member, generation = ready.member, ready.generation
    told = [event for event in events_of(population, member) if event.generation == generation]
    assert [event.kind for event in told] == ["ready", "exploit"]
    assert told[1].parent.member in (8, 9)
    assert told[1].hyperparameters == told[0].hyperparameters
    assert population[member].learner.skill("fox") > 90


@pytest.mark.parametrize(("sub_populations", "order"), [(EIGHT, (3, 2, 1, 0, 7, 6, 4, 5)), (TEN, range(10))])
def test_a_resumed_population_goes_on_as_if_it_had_not_stopped(tmp_path, sub_populations, order):
    """D19: teachers and evaluations are in the checkpoint, and the lineage is strict JSON."""
    by = divided(sub_populations, len(order))
    whole = Population(tmp_path / "whole", by, STEADY, levels=DYNAMIC_IS_BETTER)
    first = Population(tmp_path / "parts", by, STEADY, levels=DYNAMIC_IS_BETTER)
    for population in (whole, whole, whole, whole, first, first):
        population.live(*order)
    second = Population(tmp_path / "parts", by, STEADY)
    for _ in range(2):
        second.live(*order)
    assert_alike(whole, second)
    assert any(policy.teacher for member in whole.members for policy in member.policies.values())
    assert all(LineageEvent.from_line(event.to_line()) == event for event in whole.events)
