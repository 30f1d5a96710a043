"""Guests in PPO's training worlds: pinned for an episode, never learned from, and gone when nobody is invited."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from agents.ppo import kind
from agents.ppo.guests import own_part
from marl_pbt.protocols import LIVES_ON, TERMINATED, TRUNCATED, Guest, HostsGuests
from marl_pbt.protocols.guests import guest_worlds
from tests.agents.toy_worlds import ToyWorlds

SETTINGS = {"n_steps": 24, "batch_size": 64, "n_epochs": 1, "net_arch": [32, 32]}


class Always:
    """Plays one action and notes how many rows it was shown."""

    def __init__(self, action):
        self.action, self.rows = action, 0

    def act(self, observations, rng, greedy=False):
        self.rows += len(observations)
        return np.full(len(observations), self.action, np.int64)


def guest(name="member_01@3", action=0):
    return Guest(name, {"bird": Always(action), "fish": Always(action)})


def learner_on(worlds, seed=0):
    return kind.build(SETTINGS, worlds.interface, worlds, seed)


def bytes_of(learner):
    return {name: array.tobytes() for name, array in learner.get_state().items()}


class PoisonedWhereGuestsPlay(ToyWorlds):
    """Rewards and last observations of rows that guests played are NaN: whoever learns from them shows it."""

    def step(self, actions):
        own = self.learner._guests.own_rows()
        result = super().step(actions)
        for species, rows in enumerate(own):
            if rows is None:
                continue
            result.rewards[species][~rows] = np.nan
            truncated = result.ended[species] == TRUNCATED
            if result.truncated_observations[species].dtype == np.float32:
                result.truncated_observations[species][~rows[truncated]] = np.nan
            self.poisoned += int((~rows).sum())
        return result


def test_what_guests_do_never_reaches_the_update():
    """D27: with every reward of a guest NaN, the update stays finite, and its rows are those that remain."""
    worlds = PoisonedWhereGuestsPlay(num_worlds=8)
    worlds.poisoned = 0
    learner = worlds.learner = learner_on(worlds)
    visitor = guest()
    learner.host([visitor], 0.5)
    for _ in range(4):
        learned, visited = 0, visitor.policies["bird"].rows + visitor.policies["fish"].rows
        report = learner.update()
        learned = sum(learner.species_ppo(name).buffer.size() for name in learner.species)
        visited = visitor.policies["bird"].rows + visitor.policies["fish"].rows - visited
        assert report.clocks.agent_steps == learned + visited
        assert report.metrics.get("guests/share_of_agent_steps", 0.0) == pytest.approx(visited / (learned + visited))
    assert worlds.poisoned == visitor.policies["bird"].rows + visitor.policies["fish"].rows > 1000
    for name in learner.species:
        assert all(np.isfinite(array).all() for array in learner.snapshot(name).values())


def test_in_a_guest_world_one_species_trains_and_one_guest_plays_the_other_to_the_end_of_the_episode():
    worlds = ToyWorlds(num_worlds=8)
    learner = learner_on(worlds)
    learner.host([guest("a"), guest("b"), guest("c")], 0.5)
    seen = set()
    for _ in range(6):
        for episode in learner.update().episodes:
            if episode.guest:
                assert sorted(episode.own.values()) == [False, True]
                seen.add((episode.guest, episode.own["bird"]))
            else:
                assert episode.own == {"bird": True, "fish": True}
    assert {name for name, _ in seen} == {"a", "b", "c"}
    assert {trained for _, trained in seen} == {True, False}


def test_nobody_changes_seats_in_the_middle_of_an_episode():
    worlds = ToyWorlds(num_worlds=4)
    learner = learner_on(worlds)
    learner.host([guest("first")], 0.5)
    for _ in range(3):
        learner.update()
    before = dict(learner._guests._seats)
    assert len(before) == 2
    learner.host([guest("second")], 0.5)
    assert learner._guests._seats == before
    names = [episode.guest for _ in range(3) for episode in learner.update().episodes if episode.guest]
    assert names[0] == "first"
    assert names == sorted(names)


def test_without_guests_everything_is_as_if_there_were_none():
    plain, invited = learner_on(ToyWorlds()), learner_on(ToyWorlds())
    invited.host([], 0.5)
    for _ in range(2):
        plain.update()
        invited.update()
    assert bytes_of(plain) == bytes_of(invited)


def test_a_learner_that_goes_on_plays_its_guests_episodes_to_the_end_and_nobody_counts_them():
    worlds = ToyWorlds(num_worlds=8)
    learner = learner_on(worlds)
    learner.host([guest()], 0.9)
    for _ in range(3):
        learner.update()
    hosting = learner.get_state()["guests/hosting"]
    assert hosting.sum() == 6
    again = learner_on(ToyWorlds(num_worlds=8), seed=1)
    again.set_state(learner.get_state())
    assert bytes_of(again) == bytes_of(learner)
    counted = sum(len(again.update().episodes) for _ in range(4))
    assert counted > 0
    assert not again.get_state()["guests/hosting"].any()


def test_worlds_are_shared_out_evenly_among_the_species():
    learner = learner_on(ToyWorlds(num_worlds=8))
    for share, worlds in ((0.0, 0), (0.2, 2), (0.5, 4), (0.9, 6)):
        learner.host([guest()], share)
        trained = learner._guests._trained
        assert [(trained == species).sum() for species in (0, 1)] == [worlds // 2, worlds // 2]


@pytest.mark.parametrize(
    ("share", "worlds", "species", "expected"),
    [(0.2, 2, 2, 0), (0.6, 2, 2, 0), (0.6, 3, 2, 2), (0.9, 8, 2, 6), (0.9, 2, 3, 0), (0.99, 9, 3, 6), (0.0, 8, 2, 0)],
)
def test_guest_worlds_are_as_many_for_each_species_and_one_world_is_none(share, worlds, species, expected):
    assert guest_worlds(share, worlds, species) == expected


@pytest.mark.parametrize("worlds", range(1, 10))
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_wherever_guests_play_ones_own_pair_does_too(worlds, share):
    learner = learner_on(ToyWorlds(num_worlds=worlds))
    learner.host([guest()], share)
    trained = learner._guests._trained
    assert (trained >= 0).sum() == guest_worlds(share, worlds, 2) < worlds  # none was given to two species
    assert (trained == 0).sum() == (trained == 1).sum()


class ExactWorlds(ToyWorlds):
    """Refuses an array of another dtype, as real worlds do."""

    def observe(self, species, out):
        assert out.dtype == self.observation_spaces[self.species[species]].dtype
        return super().observe(species, out)


def test_a_species_of_which_nobody_lives_is_observed_too():
    learner = learner_on(ExactWorlds(founders=(0, 3)))
    assert learner._guests.observe(0).shape == (0, 3, 3, 2)
    assert learner._guests.observe(1).shape == (12, 5)


def test_says_that_it_hosts_guests():
    worlds = ToyWorlds()
    assert isinstance(learner_on(worlds), HostsGuests)
    assert kind.describe(SETTINGS, worlds.interface).hosts_guests


def test_successors_are_counted_among_ones_own_rows():
    result = SimpleNamespace(
        rewards=[np.arange(5, dtype=np.float32)],
        ended=[np.array([LIVES_ON, TRUNCATED, LIVES_ON, TRUNCATED, TERMINATED], np.uint8)],
        next_rows=[np.array([0, -1, 2, -1, -1], np.int32)],
        truncated_observations=[np.array([[1.0], [3.0]])],
    )
    own = np.array([False, False, True, True, True])
    part = own_part(result, 0, own, np.array([False, False, True, True]))
    assert part.rewards.tolist() == [2, 3, 4]
    assert part.next_rows.tolist() == [0, -1, -1]
    assert part.truncated_observations.tolist() == [[3.0]]
    whole = own_part(result, 0, None, None)
    assert whole.next_rows is result.next_rows[0]
