"""A run lived once more from its lineage gives the same bits, under uneven and chained exploits."""

import numpy as np
import pytest

from marl_pbt.ancestry import LineageEvent
from marl_pbt.protocols import Clocks, UserError
from marl_pbt.reconstruction import Reconstruction, Turn, needed, turns_of
from marl_pbt.standings import Source
from marl_pbt.streams import stream_seed
from tests.marl_pbt.toy_learner import SPECIES, ToyLearner, ToySettings
from tests.marl_pbt.toy_population import NOISY, Population, evolution

ORDERS = ((0, 1, 2, 3), (3, 3, 1, 0, 2), (2, 1, 1, 0, 3, 2), (1, 0, 3, 2, 0), (0, 1, 2, 3, 3))


@pytest.fixture
def population(tmp_path):
    """Four members that have lived by turns, some far ahead of others."""
    population = Population(tmp_path, evolution(4), NOISY)
    population.started = [event for member in population.members for event in member.events]
    for order in ORDERS:
        population.live(*order)
    return population


def told(population):
    return [*population.started, *population.events]


def fresh(population):
    """Makes a learner as the member's was at first."""
    return lambda member: ToyLearner(
        ToySettings.read(NOISY), SPECIES, stream_seed(population.evolution.seed, "learner", member)
    )


def test_every_member_comes_out_bit_for_bit(population, tmp_path):
    """Replay (section 5): an ancestry replayed from its founder's seed gives bit-identical weights."""
    events = told(population)
    copies = [event for event in events if event.kind == "exploit"]
    assert len({(event.parent.member, event.parent.generation) for event in copies}) > 2, "the run must have exploits"
    for member in population.members:
        again = Reconstruction(turns_of(events), population.evolution, fresh(population))
        lived = list(again.live(member.index, member.generation))
        assert (member.index, member.generation) in lived
        for species in SPECIES:
            mine, theirs = again.version(member.index, member.generation, species), member.learner.snapshot(species)
            assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)


def test_members_that_met_and_copied_each_other_come_out_bit_for_bit(tmp_path):
    """In synchronous mode what is copied is what came to the meeting, whatever its member has copied there itself."""
    population = Population(tmp_path, evolution(4, meeting_timeout_s=60.0, seed=3), NOISY)
    population.started = [event for member in population.members for event in member.events]
    for _ in range(6):
        population.live()  # to the meeting
        population.live()  # and past it
    copies = {(e.member, e.parent.member, e.generation) for e in population.events if e.kind == "exploit"}
    assert any((donor, member, at) in copies for member, donor, at in copies), "two must have copied each other"
    for member in population.members:
        again = Reconstruction(turns_of(told(population)), population.evolution, fresh(population))
        lived = list(again.live(member.index, member.generation))
        assert len(lived) == len(set(lived))
        for species in SPECIES:
            mine, theirs = again.version(member.index, 6, species), member.learner.snapshot(species)
            assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)


def test_only_what_is_needed_lives_again(population):
    turns = turns_of(told(population))
    for member in range(4):
        far = needed(turns, member, 2)
        again = Reconstruction(turns, population.evolution, fresh(population))
        lived = list(again.live(member, 2))
        assert sorted(lived) == sorted((who, at) for who, until in far.items() for at in range(1, until + 1))


def test_without_the_copies_it_comes_out_differently(population):
    """The test above can fail: what was copied matters."""
    events = [event for event in told(population) if event.kind != "exploit"]
    who = next(event.member for event in told(population) if event.kind == "exploit")
    member = population[who]
    again = Reconstruction(turns_of(events), population.evolution, fresh(population))
    list(again.live(who, member.generation))
    differences = [
        not np.array_equal(array, member.learner.snapshot(species)[name])
        for species in SPECIES
        for name, array in again.version(who, member.generation, species).items()
    ]
    assert any(differences)


def event(kind, member, generation, parent=None, rate=1.0):
    told = {"founder": member, "hyperparameters": {"rate": rate}, "parent": parent}
    return LineageEvent(kind, member, "fish", generation, Clocks(generation), 0.0, **told)


def test_a_turn_is_what_was_in_force_after_the_last_event_of_a_ready_point():
    events = [
        event("ready", 1, 2, rate=1.0),
        event("exploit", 1, 2, Source(0, 1), 2.0),
        event("explore", 1, 2, None, 3.0),
    ]
    assert turns_of(events) == {(1, 2): {"fish": Turn(Source(0, 1), {"rate": 3.0}, clocks=Clocks(2))}}


def test_a_gap_in_the_lineage_is_told():
    turns = turns_of([event("start", 0, 0), event("ready", 0, 1), event("ready", 0, 3)])
    with pytest.raises(UserError, match="does not tell of member_00@2"):
        needed(turns, 0, 3)


def test_intervals_of_seconds_cannot_be_lived_again(population):
    by = evolution(4, time_attr="seconds")
    with pytest.raises(UserError, match="cannot be repeated"):
        Reconstruction({}, by, fresh(population))
