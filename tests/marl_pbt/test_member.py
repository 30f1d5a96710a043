"""One member on its own clock: start, score, publish, end."""

import os
from dataclasses import replace

import numpy as np
import pytest

from marl_pbt.constraints import Constraint
from marl_pbt.explore import Explorer, Perturb
from marl_pbt.hyperparameters import DiscreteFactors, Hyperparameter, Integer, Real
from marl_pbt.policy_state import ScoreRules
from marl_pbt.standings import Score, Source
from tests.marl_pbt.toy_learner import SPECIES, ToyLearner
from tests.marl_pbt.toy_population import STEADY, Population, board_row, evolution


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


LEVELS = (0.0, 0.3, 0.5, 0.7, 0.9)


def kinds(events, member, species="fox"):
    return [event.kind for event in events if event.member == member and event.policy == species]


# ------------------------------------------------------------------------------------ before the first ready point


def test_a_fresh_member_tells_its_start_and_has_no_score(tmp_path):
    """R04."""
    population = Population(tmp_path, evolution(2))
    row = board_row(population, 0)
    assert (row.generation, row.newest, row.history, row.can_be_donor) == (0, None, (), False)
    assert population.board.snapshot(0, 0) is None
    assert [event.kind for event in population[0].events] == ["start", "start"]
    assert population[0].events[0].hyperparameters == row.hyperparameters


def test_nothing_is_recorded_before_an_interval_has_passed(tmp_path):
    """R04, R06."""
    population = Population(tmp_path, evolution(2), STEADY, levels=(0.0, 0.9))
    population.live(1)
    population.stop_in(2)
    assert board_row(population, 0).history == ()
    assert kinds(population.events, 0) == []
    assert population[0].learner.adopted == []


def test_members_start_within_the_declared_bounds_each_with_its_own_draw(tmp_path):
    """D15, R43."""
    population = Population(tmp_path, evolution(6))
    rows = [board_row(population, member, species) for member in range(6) for species in range(2)]
    assert len({row.hyperparameters["learning_rate"] for row in rows}) == 12
    for row in rows:
        assert row.hyperparameters.keys() == {"learning_rate", "n_epochs"}
        assert type(row.hyperparameters["learning_rate"]) is float
        assert type(row.hyperparameters["n_epochs"]) is int


def test_a_given_initial_value_is_kept_and_a_missing_one_drawn(tmp_path):
    """R43."""
    given = Hyperparameter("fox", "learning_rate", Real(1e-4, 0.1, log=True), initial=0.03)
    missing = Hyperparameter("fox", "n_epochs", Integer(3, 90))
    population = Population(tmp_path, evolution(6, declared={"fox": (given, missing), "hare": ()}))
    started = [member.learner.get_hyperparameters("fox") for member in population.members]
    assert {values["learning_rate"] for values in started} == {0.03}
    assert all(3 <= values["n_epochs"] <= 90 for values in started)
    assert len({values["n_epochs"] for values in started}) > 3


def test_constraints_hold_from_the_start_on_and_see_what_is_not_declared(tmp_path):
    """D16: the toy's ent_coef of 0.01 is not declared."""
    constraints = [Constraint.parse("learning_rate <= ent_coef")]
    explorer = Explorer(Perturb(DiscreteFactors((0.8, 1.25)), 1.0), constraints)
    population = Population(tmp_path, evolution(6, explorer=explorer), {"noise": 30.0})
    for _ in range(6):
        for member in range(6):
            assert board_row(population, member).hyperparameters["learning_rate"] <= 0.01
        population.live()
    repaired = [event for event in population.events if "repaired" in str(event.changes)]
    assert repaired
    assert all(event.hyperparameters["learning_rate"] == 0.01 for event in repaired)


# ------------------------------------------------------------------------------------ not finite


@pytest.mark.parametrize("nan_at", [1, 3])
def test_a_member_gone_not_finite_is_never_published_and_follows_somebody_at_once(tmp_path, nan_at):
    """R39, D05: at update 3 all its episodes were still finite, and its weights no longer are."""
    settings = [{**STEADY, "nan_at": nan_at}, STEADY]
    population = Population(tmp_path, evolution(2, rules={"burn_in": 100.0}), settings, levels=(0.9, 0.5))
    population.live(1)
    population.live(0)
    assert population.board.snapshot(0, 0) is None
    assert population[0].learner.adopted == [("fox", "reset")]
    assert board_row(population, 0).parent == Source(1, 1)
    assert not board_row(population, 0).history[-1][1].is_finite
    assert all(np.isfinite(array).all() for array in population[0].learner.snapshot("fox").values())
    population.live(0)
    assert board_row(population, 0).newest.is_finite


def test_an_update_that_diverges_ends_the_interval_and_the_member_follows_a_sound_donor(tmp_path):
    """R39: what trained is lost, the member and its other species are not."""
    settings = [{**STEADY, "diverge_at": 2}, STEADY]
    population = Population(tmp_path, evolution(2, rules={"burn_in": 100.0}), settings, levels=(0.9, 0.5))
    population.live(1)
    hare = population[0].learner.skill("hare")
    population.live(0)
    assert population[0].learner.adopted == [("fox", "reset")]
    assert board_row(population, 0).parent == Source(1, 1)
    assert population[0].learner.skill("hare") >= hare
    population.live(0)
    assert board_row(population, 0).newest.is_finite


def test_a_species_that_stopped_short_of_diverging_is_sick_though_its_parameters_are_finite(tmp_path):
    """R39: it would be the better one by its episodes, but follows, and nobody follows it."""
    settings = [{**STEADY, "stop_short_at": 2}, STEADY]
    population = Population(tmp_path, evolution(2, rules={"burn_in": 100.0}), settings, levels=(0.9, 0.5))
    population.live(1)
    population.live(0)
    assert population[0].learner.adopted == [("fox", "reset")]
    assert not board_row(population, 0).history[-1][1].is_finite
    assert board_row(population, 0).parent == Source(1, 1)


def test_an_update_that_diverges_without_a_sound_donor_is_a_failure(tmp_path):
    population = Population(tmp_path, evolution(2), [{**STEADY, "diverge_at": 2}, STEADY])
    with pytest.raises(FloatingPointError, match="no sound weights could be copied"):
        population.live(0)
    assert population.board.snapshot(0, 0) is None


def test_where_nobody_sound_is_there_it_fails_and_is_nobodys_donor(tmp_path):
    """D05."""
    settings = [{**STEADY, "nan_at": 2}, {**STEADY, "nan_at": 2}]
    population = Population(tmp_path, evolution(2), settings)
    for member in range(2):
        with pytest.raises(FloatingPointError, match=r"an episode returned nan.*no sound weights could be copied"):
            population.live(member)
        assert population[member].learner.adopted == []
        assert board_row(population, member).newest is None
        assert population.board.snapshot(member, 0) is None


# ------------------------------------------------------------------------------------ ends and controls


def test_in_pbt_losers_copy_and_move_and_nobody_else_does_either(tmp_path):
    """D29."""
    population = Population(tmp_path, evolution(5, control="pbt"), STEADY, levels=LEVELS)
    for _ in range(4):
        population.live()
    at = {kind: [] for kind in ("exploit", "explore", "ready")}
    for event in population.events:
        if event.kind != "ready" or event.why["decision"] == "exploit":
            at[event.kind].append((event.member, event.policy, event.generation))
    assert at["exploit"] == at["explore"] == at["ready"] != []


def test_without_pbt_members_keep_the_learners_own_values_and_copy_nobody(tmp_path):
    """D29: control `nothing` is N runs of the declared defaults."""
    population = Population(tmp_path, evolution(4, control="nothing"), STEADY, levels=LEVELS)
    defaults = ToyLearner(population[0].learner.settings, SPECIES, 0).get_hyperparameters("fox")
    for _ in range(4):
        population.live()
    for member in population.members:
        assert member.learner.adopted == []
        assert all(values == {"fox": defaults, "hare": defaults} for values in member.learner.in_force)
    assert {event.kind for event in population.events} == {"ready"}


def test_nobody_copies_at_its_very_last_ready_point(tmp_path):
    """What would be trained no further is worth its own score."""
    population = Population(tmp_path, evolution(2, stop=6.0), STEADY, levels=(0.0, 0.9))
    population.live(1, 1)
    population.live(0)
    assert population[0].learner.adopted and not population[0].is_done
    population.live(0)
    assert population[0].is_done
    assert population.events[-1].why["decision"] == "finished"


def test_one_member_alone_trains_on(tmp_path):
    """D08."""
    population = Population(tmp_path, evolution(1), STEADY)
    population.live(0, 0)
    assert [event.why["decision"] for event in population.events] == ["alone"] * 4


def test_a_clock_that_nobody_keeps_is_an_error_that_names_it(tmp_path):
    """R02/R03."""
    with pytest.raises(AttributeError, match="no_such_clock"):
        Population(tmp_path, evolution(1, time_attr="no_such_clock")).live(0)


def test_a_missing_return_is_an_error_that_names_the_species_and_never_a_zero(tmp_path):
    """R02/R03."""
    population = Population(tmp_path, evolution(1))
    report = population[0].learner.update()
    broken = replace(report, episodes=tuple(replace(episode, returns={"fox": 1.0}) for episode in report.episodes))
    population[0].learner.update = lambda: broken
    with pytest.raises(KeyError, match="hare"):
        population.live(0)


@pytest.mark.parametrize("time_attr", ["agent_steps", "env_steps", "updates", "seconds"])
def test_an_interval_is_measured_in_any_of_the_clocks(tmp_path, time_attr):
    interval = {"agent_steps": 120.0, "env_steps": 60.0, "updates": 3.0, "seconds": 0.06}[time_attr]
    population = Population(tmp_path, evolution(1, time_attr=time_attr, interval=interval))
    population.live(0)
    assert population[0].clocks.updates == 3


def test_a_score_of_too_few_episodes_is_none(tmp_path):
    """D10."""
    population = Population(tmp_path, evolution(1, score_rules=ScoreRules(window=100, min_episodes=50)), STEADY)
    population.live(0)
    assert board_row(population, 0).newest is None
    assert population.events[0].score is None
    for _ in range(7):
        population.live(0)
    assert isinstance(board_row(population, 0).newest, Score)
