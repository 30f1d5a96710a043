"""One member at its ready points: score, publish, exploit, explore."""

import logging
import math
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from marl_pbt.constraints import Constraint
from marl_pbt.explore import Perturb
from marl_pbt.hyperparameters import DiscreteFactors
from marl_pbt.policy_state import ScoreRules
from marl_pbt.snapshot import decode
from marl_pbt.standings import BoardRow, Score, Source
from tests.marl_pbt.toy_learner import SPECIES, ToyLearner
from tests.marl_pbt.toy_population import Population, evolution, state_bytes

STEADY = {"noise": 0.001}
FIXED = {"explorer": Perturb(DiscreteFactors((0.8, 1.25)), 0.0)}
LEVELS = (0.0, 0.3, 0.5, 0.7, 0.9)


def board_row(population, member, species=0):
    return BoardRow.from_bytes(population.board.row(member, species))


def pair(tmp_path, settings=STEADY, **fields):
    """Member 1 is better and has passed its ready point: member 0 copies it at its own."""
    population = Population(tmp_path, evolution(2, **FIXED | fields), settings, levels=(0.0, 0.9))
    population.live(1)
    return population


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


def test_constraints_hold_from_the_start_on_and_see_what_is_not_declared(tmp_path):
    """D16: the toy's ent_coef of 0.01 is not declared."""
    explorer = replace(FIXED["explorer"], constraints=[Constraint.parse("learning_rate <= ent_coef")])
    population = Population(tmp_path, evolution(6, explorer=explorer))
    for _ in range(4):
        for member in range(6):
            assert board_row(population, member).hyperparameters["learning_rate"] <= 0.01
        population.live()


# ------------------------------------------------------------------------------------ an exploit


@pytest.mark.parametrize("loser", [0, 1])
def test_a_low_member_copies_one_of_the_two_best_at_its_own_ready_point(tmp_path, loser):
    """R06."""
    population = Population(tmp_path, evolution(5, rules={"burn_in": 4.0}), STEADY, levels=LEVELS)
    population.live()
    assert not any(member.learner.adopted for member in population.members)
    population.live(loser)
    parent = board_row(population, loser).parent
    assert parent in (Source(3, 1), Source(4, 1))
    assert board_row(population, loser).founder == parent.member


def test_what_was_explored_is_in_force_before_the_next_update(tmp_path):
    """D01: not the donor's values, not one's own old ones; for every name that may change."""
    population = pair(tmp_path)
    old = population[0].learner.get_hyperparameters("fox")
    donors = population[1].learner.get_hyperparameters("fox")
    population.live(0)
    explored = board_row(population, 0).hyperparameters
    population[0].learner.update()
    in_force = population[0].learner.in_force[-1]["fox"]
    assert {name: in_force[name] for name in explored} == explored
    for name in explored:
        assert explored[name] not in (old[name], donors[name])
        assert explored[name] == pytest.approx(donors[name] * 0.8, abs=0.5) or explored[name] > donors[name]
    assert in_force["ent_coef"] == old["ent_coef"]


def test_the_lineage_says_what_was_copied_and_how_every_value_moved(tmp_path):
    population = pair(tmp_path)
    donors = population[1].learner.get_hyperparameters("fox")
    old = population[0].learner.get_hyperparameters("fox")
    population.live(0)
    ready, exploit, explore = (event for event in population.events if event.member == 0 and event.policy == "fox")
    assert (ready.kind, exploit.kind, explore.kind) == ("ready", "exploit", "explore")
    assert ready.hyperparameters["learning_rate"] == old["learning_rate"]
    assert (ready.founder, exploit.founder, explore.founder) == (0, 1, 1)
    assert exploit.parent == Source(1, 1)
    assert exploit.checksum in population.board.versions[1, "fox", 1]
    assert exploit.hyperparameters["learning_rate"] == donors["learning_rate"]
    assert exploit.why["gap"] > 0 and exploit.why["rank"] == 2
    change = explore.changes["learning_rate"]
    assert (change.old, change.new) == (donors["learning_rate"], explore.hyperparameters["learning_rate"])
    assert change.operation in ("×0.8", "×1.25")
    assert ready.why["decision"] == "exploit"


@pytest.mark.parametrize("optimizer_state", ["reset", "donor", "keep"])
def test_the_optimizers_moments_become_what_was_asked_for(tmp_path, optimizer_state):
    """D02."""
    population = pair(tmp_path, optimizer_state=optimizer_state)
    donor = population[1].learner.snapshot("fox")
    twin = Population(tmp_path / "twin", replace(population.evolution, control="nothing"), STEADY, levels=(0.0, 0.9))
    for species in SPECIES:
        twin[0].learner.set_hyperparameters(species, population[0].learner.get_hyperparameters(species))
    twin.live(0)
    population.live(0)
    own = population[0].learner.snapshot("fox")
    assert population[0].learner.adopted == [("fox", optimizer_state), ("hare", optimizer_state)]
    assert np.array_equal(own["policy/theta"], donor["policy/theta"])
    kept = twin[0].learner.snapshot("fox")
    for name in ("optimizer/first", "optimizer/second", "optimizer/steps"):
        expected = {"reset": np.zeros_like(own[name]), "donor": donor[name], "keep": kept[name]}[optimizer_state]
        assert np.array_equal(own[name], expected), name
        assert np.any(kept[name]) and np.any(donor[name])


def test_the_score_window_is_empty_after_an_exploit_and_pending_until_enough_episodes(tmp_path):
    """D10: five updates of 20 steps end two episodes of 50; four of its own are needed."""
    population = pair(tmp_path, {"noise": 0.001, "episode_length": 50}, interval=15.0)
    population.live(0)
    row = board_row(population, 0)
    assert (row.last_exploit, row.newest, row.can_be_donor, row.snapshot_generation) == (1, None, False, -1)
    assert len(population[0].policies["fox"].window) == 0
    population[0].evolution = replace(population.evolution, interval=5.0)
    population.live(0)
    assert board_row(population, 0).newest is None
    population.live(0, 0)
    assert board_row(population, 0).newest.episodes >= 4
    assert board_row(population, 0).can_be_donor


def test_episodes_begun_before_an_exploit_do_not_count(tmp_path):
    """D11: three updates of 20 steps leave an episode of 25 in progress, which the old policy began."""
    settings = {"noise": 0.001, "episode_length": 25}
    by = {"score_rules": ScoreRules(window=10, min_episodes=2)}
    population = pair(tmp_path, settings, **by)
    population.live(0)
    assert population[0].learner.adopted
    population[0].evolution = replace(population.evolution, interval=1.0)
    population.live(0)  # ends at step 75 the episode begun at step 50
    assert len(population[0].policies["fox"].window) == 0
    population.live(0, 0)  # ends the one begun at step 75
    assert len(population[0].policies["fox"].window) == 1


def test_ones_own_clock_goes_on_and_a_whole_interval_passes_before_the_next_ready_point(tmp_path):
    """D13, R17."""
    population = pair(tmp_path)
    population.live(1, 1, 1)
    population.live(0)
    member = population[0]
    assert member.learner.adopted
    assert (member.clocks.updates, member.generation) == (3, 1)
    population.live(0)
    assert (member.clocks.updates, member.clocks_at_ready.updates, member.generation) == (6, 6, 2)
    assert board_row(population, 0).agent_steps == member.clocks.agent_steps == 6 * 40


def test_an_exploit_of_one_species_leaves_the_other_bit_identical(tmp_path):
    """D26."""
    population = Population(tmp_path, evolution(2), STEADY, levels=(0.0, 0.0))
    population[0].learner.give_level("hare", 0.9)
    population[1].learner.give_level("fox", 0.9)
    population.live(1)
    twin = Population(tmp_path / "twin", replace(population.evolution, control="nothing"), STEADY, levels=(0.0, 0.0))
    twin[0].learner.give_level("hare", 0.9)
    for species in SPECIES:
        twin[0].learner.set_hyperparameters(species, population[0].learner.get_hyperparameters(species))
    twin.live(0)
    population.live(0)
    assert [species for species, _ in population[0].learner.adopted] == ["fox"]
    for name, array in twin[0].learner.snapshot("hare").items():
        assert array.tobytes() == population[0].learner.snapshot("hare")[name].tobytes()
    assert population[0].learner.get_hyperparameters("hare") == twin[0].learner.get_hyperparameters("hare")
    assert board_row(population, 0, 0).parent == Source(1, 1)
    assert board_row(population, 0, 1).parent is None
    assert board_row(population, 0, 1).newest is not None


# ------------------------------------------------------------------------------------ a donor that cannot be had


def test_a_donor_that_is_publishing_is_passed_over_and_holds_nobody_up(tmp_path, caplog):
    """R32, D04: both halves of its slot are torn."""
    population = pair(tmp_path)
    for species in (0, 1):
        for half in population.board._snapshots[1, species]._halves:
            half[30] ^= 1
    with caplog.at_level(logging.WARNING):
        population.live(0)
    assert population[0].learner.adopted == []
    assert "donor 1 could not be read" in caplog.text
    assert [event.why["decision"] for event in population.events if event.member == 0] == ["donor_unreadable"] * 2
    assert board_row(population, 0).can_be_donor


def test_a_donor_whose_weights_do_not_fit_is_passed_over_with_a_message(tmp_path, caplog):
    """D24: never a shape error in a worker."""
    settings = [{**STEADY, "parameters": 8}, {**STEADY, "parameters": 9}]
    population = pair(tmp_path, settings)
    before = population[0].learner.get_hyperparameters("fox")
    with caplog.at_level(logging.WARNING):
        population.live(0)
    assert "donor 1 does not fit (policy/theta" in caplog.text
    assert population[0].learner.get_hyperparameters("fox") == before
    assert [event.why["decision"] for event in population.events if event.member == 0] == ["donor_does_not_fit"] * 2
    assert board_row(population, 0).newest is not None


def test_a_donor_that_has_published_again_since_it_was_chosen_is_copied_in_its_newest_version(tmp_path):
    """D04: source, weights, hyperparameters and checksum are all of that one version."""
    population = pair(tmp_path)
    real = population.board.snapshot

    def republished(member, species):
        population.board.snapshot = real
        population.live(1)
        return real(member, species)

    population.board.snapshot = republished
    population.live(0)
    exploit = next(event for event in population.events if event.kind == "exploit" and event.policy == "fox")
    assert exploit.parent == board_row(population, 0).parent == Source(1, 2)
    assert exploit.checksum in population.board.versions[1, "fox", 2]
    donor = decode(real(1, 0))
    assert np.array_equal(population[0].learner.snapshot("fox")["policy/theta"], donor.tensors["policy/theta"])
    assert exploit.hyperparameters == donor.metadata["hyperparameters"]


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


def test_where_nobody_sound_is_there_yet_it_waits_and_is_nobodys_donor(tmp_path):
    """D05."""
    settings = [{**STEADY, "nan_at": 2}, {**STEADY, "nan_at": 2}]
    population = Population(tmp_path, evolution(2), settings)
    population.live()
    population.live()
    assert not any(("fox", "reset") in member.learner.adopted for member in population.members)
    assert {event.why["decision"] for event in population.events if event.policy == "fox"} == {"no_donor"}
    assert not math.isfinite(board_row(population, 0).newest.mean)


# ------------------------------------------------------------------------------------ ends and controls


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


# ------------------------------------------------------------------------------------ cost


def test_an_exploit_of_a_megabyte_opens_no_file(tmp_path, capsys):
    """D23: and how long it takes is printed."""
    population = pair(tmp_path, {**STEADY, "parameters": 2**20 // 12})
    opened, watching, times = [], [], []
    sys.addaudithook(lambda name, args: opened.append(args) if watching and name in ("open", "os.listdir") else None)
    read, learner = population.board.snapshot, population[0].learner
    put_in_force = learner.set_hyperparameters

    def begin(member, species):
        watching.append(True)
        times.append(time.perf_counter())
        return read(member, species)

    def maybe_end(species, values):
        put_in_force(species, values)
        if len(learner.get_hyperparameters(species)) and values.keys() and watching:
            times.append(time.perf_counter())

    population.board.snapshot, learner.set_hyperparameters = begin, maybe_end
    score = population[0].learner.skill("fox")
    real_write = population[0].place.checkpoints.write

    def write(*args, **kwargs):
        watching.clear()
        return real_write(*args, **kwargs)

    population[0].place.checkpoints.write = write
    population.live(0)
    assert population[0].learner.adopted and score != population[0].learner.skill("fox")
    assert opened == []
    # Per species three times are noted: its beginning, the donor's values in force, the explored ones in force.
    megabytes = sum(array.nbytes for array in learner.snapshot("fox").values()) / 2**20
    fox, hare = 1000 * (times[2] - times[0]), 1000 * (times[5] - times[3])
    with capsys.disabled():
        print(f"\nexploit of {megabytes:.1f} MiB: {fox:.2f} ms, {hare:.2f} ms")
    assert len(times) == 6


def test_a_score_of_too_few_episodes_is_none(tmp_path):
    """D10."""
    population = Population(tmp_path, evolution(1, score_rules=ScoreRules(window=100, min_episodes=50)), STEADY)
    population.live(0)
    assert board_row(population, 0).newest is None
    assert population.events[0].score is None
    for _ in range(7):
        population.live(0)
    assert isinstance(board_row(population, 0).newest, Score)


def test_what_a_member_trains_is_not_disturbed_by_being_copied(tmp_path):
    """R32: nobody pauses for another's exploit; the donor's state does not change either."""
    population = pair(tmp_path)
    before = state_bytes(population[1])
    population.live(0)
    assert population[0].learner.adopted
    assert state_bytes(population[1]) == before
