"""Real members with toy learners on a real board, driven by hand in one process."""

from __future__ import annotations

import multiprocessing
import zlib
from dataclasses import replace

from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.decision import Rules
from marl_pbt.evolution import Evolution
from marl_pbt.explore import Explorer, Perturb
from marl_pbt.hyperparameters import DiscreteFactors, Hyperparameter, Integer, Real
from marl_pbt.member import Member, Place
from marl_pbt.policy_state import ScoreRules
from marl_pbt.reports import ReadyPassed
from marl_pbt.selection import Truncation
from marl_pbt.shared_board import BoardShape, SharedBoard
from marl_pbt.snapshot import decode
from marl_pbt.standings import BoardRow
from marl_pbt.streams import stream_seed
from tests.marl_pbt.toy_learner import SPECIES, ToyLearner, ToySettings

CONTEXT = multiprocessing.get_context("spawn")


def declared(species):
    return (
        Hyperparameter(species, "learning_rate", Real(1e-4, 0.1, log=True)),
        Hyperparameter(species, "n_epochs", Integer(1, 8)),
    )


def evolution(population, *, rules=None, **fields):
    """Three updates per interval, no gap, no burn-in; a score from four episodes on."""
    by = {"min_gap_standard_errors": 0.0} | (rules or {})
    told = {
        "seed": 0,
        "time_attr": "updates",
        "interval": 3.0,
        "stop": 1e9,
        "control": "pbt",
        "rules": Rules(Truncation(), population, **by),
        "score_rules": ScoreRules(window=10, min_episodes=4),
        "explorer": Explorer(Perturb(DiscreteFactors((0.8, 1.25)), 0.25)),
        "declared": {species: declared(species) for species in SPECIES},
    }
    return Evolution(**told | fields)


class WatchedLearner(ToyLearner):
    """Notes what was in force when an update began, and how it was told to adopt."""

    def __init__(self, settings, seed):
        super().__init__(settings, SPECIES, seed)
        self.in_force = []
        self.adopted = []

    def update(self):
        self.in_force.append({name: self.get_hyperparameters(name) for name in SPECIES})
        return super().update()

    def adopt(self, species, tensors, optimizer_state):
        self.adopted.append((species, optimizer_state))
        super().adopt(species, tensors, optimizer_state)

    def give_level(self, species, level):
        """Make the policy as good as `100 × (1 − (level − 1)²)`."""
        for name, array in self._tensors[species].items():
            array[...] = level if name == "policy/theta" else 0


class WatchedBoard(SharedBoard):
    """Remembers the checksum of every version that was ever published."""

    def __init__(self, shape, memory):
        super().__init__(shape, memory)
        self.versions = {}

    def publish_snapshot(self, member, species, snapshot):
        generation = decode(snapshot).metadata["generation"]
        self.versions.setdefault((member, SPECIES[species], generation), set()).add(f"{zlib.crc32(snapshot):08x}")
        super().publish_snapshot(member, species, snapshot)


class Population:
    """Members 0 to N − 1 under one folder, all started.

    Args:
        folder: Where `members/…` lie; members go on from what they find.
        by: What PBT does.
        settings: Of the toys; or one per member.
        levels: Per member, where its policies begin, for a fresh population.
    """

    def __init__(self, folder, by, settings=None, levels=()):
        self.folder, self.evolution = folder, by
        size = by.rules.population
        each = settings if isinstance(settings, list) else [settings or {}] * size
        largest = max(ToySettings.read(one).parameters for one in each)
        shape = BoardShape(size, (12 * largest + 8,) * len(SPECIES))
        self.board = WatchedBoard(shape, SharedBoard.allocate(shape, CONTEXT))
        self.reports = []
        self.members = [self._member(index, ToySettings.read(each[index])) for index in range(size)]
        for member, level in zip(self.members, levels, strict=False):
            for species in SPECIES:
                member.learner.give_level(species, level)
        for member in self.members:
            member.start()

    def __getitem__(self, index):
        return self.members[index]

    def live(self, *members):
        """One interval each, in this order; everybody where nobody is named."""
        for index in members or range(len(self.members)):
            self.members[index].live_one_interval()

    def stop_in(self, updates):
        """Let every member stop after so many more updates."""
        for member in self.members:
            member.place.must_stop = iter([*[False] * updates, True]).__next__
            assert not member.live_one_interval()
            member.place.must_stop = lambda: False

    @property
    def events(self):
        """Everything that was told at ready points."""
        return [event for report in self.reports if isinstance(report, ReadyPassed) for event in report.events]

    def learner(self, settings, seed):
        """A fresh one."""
        return WatchedLearner(settings, seed)

    def _member(self, index, settings):
        checkpoints = MemberCheckpoints(self.folder / f"member_{index:02d}", Retention())
        learner = self.learner(settings, stream_seed(self.evolution.seed, "learner", index))
        return Member(index, learner, self.evolution, Place(self.board, checkpoints, self.reports.append))


def timeless(events):
    """Events without the wall clock."""
    return [replace(event, time=0.0) for event in events]


def state_bytes(member):
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in member.learner.get_state().items()}


STEADY = {"noise": 0.001}
FIXED = {"explorer": Explorer(Perturb(DiscreteFactors((0.8, 1.25)), 0.0))}


def board_row(population, member, species=0):
    return BoardRow.from_bytes(population.board.row(member, species))


def pair(tmp_path, settings=STEADY, **fields):
    """Member 1 is better and has passed its ready point: member 0 copies it at its own."""
    population = Population(tmp_path, evolution(2, **FIXED | fields), settings, levels=(0.0, 0.9))
    population.live(1)
    return population


NOISY = {"noise": 30.0}


def lived(folder, rounds=6, members=4, settings=NOISY, **fields):
    population = Population(folder, evolution(members, **fields), settings)
    for _ in range(rounds):
        population.live()
    return population


def started(population):
    """The events of members that began afresh."""
    first = Population(population.folder / "first", population.evolution)
    return [event for member in first.members for event in member.events]


def assert_alike(one, other):
    for mine, yours in zip(one.members, other.members, strict=True):
        assert state_bytes(mine) == state_bytes(yours)
        assert (mine.generation, mine.clocks, mine.clocks_at_ready) == (
            yours.generation,
            yours.clocks,
            yours.clocks_at_ready,
        )
        assert mine.rows() == yours.rows()
        assert timeless(mine.events) == timeless(yours.events)
        for species in SPECIES:
            assert mine.policies[species].to_json() == yours.policies[species].to_json()
            assert mine.learner.get_hyperparameters(species) == yours.learner.get_hyperparameters(species)
