"""Stand-ins and what they say of where a worker is."""

import copy
import multiprocessing
import pickle
import time
import timeit

import numpy as np
import pytest

from marl_pbt import protocols
from marl_pbt.adapted import AdaptedWorlds
from marl_pbt.environments import EnvironmentSource, interface_of
from marl_pbt.supervision.mailbox import Mailbox, Unreadable
from marl_pbt.supervision.stand_in import stand_in
from marl_pbt.supervision.watched import WatchedSource, watched
from marl_pbt.supervision.whereabouts import DOINGS, Whereabouts

GRASS = EnvironmentSource("envs.predator_prey_grass:parallel_env", {"width": 12, "height": 12})
HERD = EnvironmentSource("tests.marl_pbt.toy_environments:Herd", {})
OPTIONAL = [each for each in vars(protocols).values() if getattr(each, "_is_runtime_protocol", False)]


@pytest.fixture
def seen():
    return Whereabouts(Whereabouts.allocate(multiprocessing.get_context("spawn")))


def step(worlds):
    return worlds.step([np.zeros(rows, dtype=np.int64) for rows in worlds.rows()])


def done(seen, doing):
    return seen.look().done[DOINGS.index(doing)]


@pytest.mark.parametrize("source", [GRASS, HERD], ids=["batched", "adapted"])
def test_watched_worlds_pass_for_the_bare_ones(source, seen):
    """For every optional protocol, and for whoever asks for the class."""
    bare, ours = source.open_worlds(2), WatchedSource.of(source, seen).open_worlds(2)
    assert OPTIONAL
    for each in (*OPTIONAL, AdaptedWorlds, type(bare)):
        assert isinstance(ours, each) == isinstance(bare, each), each
    one, another = source.open(), WatchedSource.of(source, seen).open()
    for each in (*OPTIONAL, type(one)):
        assert isinstance(another, each) == isinstance(one, each), each
    assert interface_of(ours) == interface_of(bare)


def test_protocols_hold_also_for_those_who_look_at_the_class_alone(seen):
    """As Python does from 3.12 on: what is asked for must be in the class, whatever `__getattr__` would give."""
    ours = WatchedSource.of(GRASS, seen).open_worlds(2)
    for protocol in (protocols.OffersShaping, protocols.OffersParameters):
        names = [name for name in vars(protocol) if not name.startswith("_")]
        assert names
        assert all(name in vars(type(ours)) for name in names)


@pytest.mark.parametrize("source", [GRASS, HERD], ids=["batched", "adapted"])
def test_watched_worlds_step_as_the_bare_ones_and_count(source, seen):
    bare, ours = source.open_worlds(2), WatchedSource.of(source, seen).open_worlds(2)
    for worlds in (bare, ours):
        worlds.reset(3)
    before = done(seen, "env.step")
    for _ in range(5):
        one, other = step(bare), step(ours)
        assert [each.tobytes() for each in one.rewards] == [each.tobytes() for each in other.rewards]
    assert done(seen, "env.step") - before >= 5
    assert done(seen, "env.reset") >= 1


def test_resets_of_adapted_worlds_show_progress_copy_by_copy(seen):
    """They may play thousands of slow steps: that is no hang."""
    WatchedSource.of(HERD, seen).open_worlds(4).reset(0)
    assert done(seen, "env.step") > 10


def test_a_copy_and_a_pickle_are_of_the_bare_thing(seen):
    ours = WatchedSource.of(GRASS, seen)
    assert type(pickle.loads(pickle.dumps(ours))) is EnvironmentSource
    assert type(copy.deepcopy(ours.open_worlds(2))) is type(GRASS.open_worlds(2))
    assert ours.changed({"width": 14}).whereabouts is seen


def test_what_is_set_on_a_stand_in_is_set_on_the_thing():
    thing = type("Thing", (), {"colour": "red"})()
    other = stand_in(thing, {})
    other.colour = "blue"
    other.size = 3
    assert (thing.colour, other.size) == ("blue", 3)
    del other.size
    assert not hasattr(thing, "size")


def test_what_a_worker_is_in_is_seen_inside_and_forgotten_behind_it_also_when_it_raises(seen):
    class Game:
        def outer(self):
            assert seen.look().doing == "matches"
            with pytest.raises(ZeroDivisionError):
                game.inner()
            return seen.look().doing

        def inner(self):
            assert seen.look().doing == "env.step"
            raise ZeroDivisionError

    game = watched(Game(), seen, outer="matches", inner="env.step")
    assert game.outer() == "matches"
    assert seen.look().doing == DOINGS[0]
    assert (done(seen, "matches"), done(seen, "env.step")) == (1, 1)


def test_to_be_watched_costs_less_than_a_microsecond_a_step(seen):
    """In processor time, so that whoever else computes here does not matter."""

    def act(actions):
        return actions

    def cost(function):
        return min(timeit.repeat(lambda: function(None), number=20_000, repeat=7, timer=time.process_time)) / 20_000

    assert cost(seen.stepping(act)) - cost(act) < 1e-6


class Odd:
    """Can be pickled, and not unpickled."""

    def __reduce__(self):
        return int, ("no number",)


class TestMailbox:
    @pytest.fixture
    def ends(self):
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        mailbox = Mailbox(ours)
        yield mailbox, theirs
        mailbox.close()
        theirs.close()

    def test_messages_come_whole_and_in_order(self, ends):
        mailbox, theirs = ends
        for message in ("one", {"two": 2}, b"3" * 100_000):
            theirs.send(message)
        assert mailbox.take() == (["one", {"two": 2}, b"3" * 100_000], False)
        assert mailbox.take() == ([], False)

    def test_one_that_nobody_can_read_is_told_as_such_between_the_others(self, ends):
        """A class of a learner's own, or shared memory of a process that is gone."""
        mailbox, theirs = ends
        for message in ("one", Odd(), "two"):
            theirs.send(message)
        (one, unreadable, two), _ = mailbox.take()
        assert (one, two) == ("one", "two")
        assert unreadable == Unreadable("ValueError: invalid literal for int() with base 10: 'no number'")

    def test_half_a_message_blocks_nobody(self, ends):
        """A worker may be stopped in the middle of it."""
        mailbox, theirs = ends
        theirs.send("whole")
        theirs._send(b"\0\0\1\0half")  # 256 bytes are announced
        assert mailbox.take() == (["whole"], False)
        assert mailbox.take() == ([], False)
        theirs.close()
        assert mailbox.take() == ([], True)

    def test_the_end_comes_behind_the_last_message(self, ends):
        mailbox, theirs = ends
        theirs.send("last")
        theirs.close()
        assert mailbox.take() == (["last"], True)
        mailbox.send("to nobody")
