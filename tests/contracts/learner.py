"""What every learner promises to the population; join with a class that names kind, settings and worlds.

class TestPPO(LearnerContract):
    kind, settings, make_worlds = agents.ppo.kind, {"n_steps": 8}, staticmethod(ToyWorlds)

A learner that plays nowhere says `make_worlds = None`: what is promised of environments is not asked of it then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from marl_pbt.protocols import Interface, Learner, LearnerKind, Tensors, UserError, Worlds


class LearnerContract:
    kind: ClassVar[LearnerKind]
    settings: ClassVar[Mapping[str, Any]]
    make_worlds: ClassVar[Callable[[], Worlds] | None]

    def test_fits_the_protocols(self):
        assert isinstance(self.kind, LearnerKind)
        assert isinstance(self.build(), Learner)

    def test_names_the_species_in_the_order_of_the_worlds_or_of_its_description(self):
        described = self.kind.describe(self.settings, self.interface())
        species = self.interface().species or tuple(described.hyperparameters)
        assert self.build().species == species
        assert set(described.hyperparameters) == set(described.snapshot_bytes) == set(described.architecture)

    def test_describes_itself_in_plain_data(self):
        described = self.kind.describe(self.settings, self.interface())
        assert json.loads(json.dumps(described.architecture)) == described.architecture
        for species in self.build().species:
            assert described.hyperparameters[species]

    def test_refuses_unknown_settings_all_at_once(self):
        known = next(iter(self.settings))
        with pytest.raises(UserError) as caught:
            self.kind.describe({**self.settings, f"{known}x": 3, "surely_unknown": 1}, self.interface())
        assert len(caught.value.faults) == 2
        assert f"{known}x: unknown key; did you mean '{known}'?" in caught.value.faults

    def test_a_snapshot_is_never_larger_than_described(self):
        described = self.kind.describe(self.settings, self.interface())
        learner = self.build()
        for _ in range(2):
            for species in learner.species:
                size = sum(array.nbytes for array in learner.snapshot(species).values())
                assert size <= described.snapshot_bytes[species]
            learner.update()

    def test_a_snapshot_holds_policy_and_optimizer_only_as_copies(self):
        learner = self.build()
        for species in learner.species:
            snapshot = learner.snapshot(species)
            assert {name.split("/")[0] for name in snapshot} <= {"policy", "optimizer"}
            for array in snapshot.values():
                array += 1
            assert_differ(snapshot, learner.snapshot(species))

    def test_clocks_grow_by_what_was_done(self):
        """All of them, whatever they count where nobody plays: intervals may be measured in any."""
        learner, worlds = self.build_with_worlds()
        for _ in range(3):
            clocks = learner.update().clocks
            assert clocks.updates == 1
            assert clocks.agent_steps >= clocks.env_steps > 0
            assert worlds is None or clocks.env_steps % worlds.num_worlds == 0
            assert clocks.seconds > 0

    def test_reports_finite_numbers_and_whole_episodes(self):
        learner = self.build()
        episodes = []
        for _ in range(8):
            report = learner.update()
            episodes += report.episodes
            assert all(type(value) is float and np.isfinite(value) for value in report.metrics.values())
        assert episodes
        for episode in episodes:
            assert episode.length > 0
            assert set(episode.returns) == set(episode.own) == set(learner.species)
            assert all(episode.own.values())

    def test_the_same_seed_gives_the_same_learner_another_seed_another_one(self):
        first, second, third = self.build(seed=7), self.build(seed=7), self.build(seed=8)
        reports = [learner.update() for learner in (first, second, third)]
        assert_same(first.get_state(), second.get_state())
        assert_differ(first.get_state(), third.get_state())
        assert reports[0].episodes == reports[1].episodes

    def test_goes_on_bit_for_bit_on_a_fresh_learner_while_another_one_trains(self):
        """D19: weights, moments, generators, worlds, hyperparameters and clocks go on."""
        learner, bystander = self.build(seed=1), self.build(seed=2)
        species, name, value = self.another_value(learner)
        learner.set_hyperparameters(species, {name: value})
        learner.update()
        state = learner.get_state()
        expected = [learner.update() for _ in range(2)]
        resumed = self.build(seed=3)
        resumed.set_state(through_a_file(state))
        bystander.update()
        reports = [resumed.update()]
        bystander.update()
        reports.append(resumed.update())
        assert [report.episodes for report in reports] == [report.episodes for report in expected]
        assert [untimed(report.metrics) for report in reports] == [untimed(report.metrics) for report in expected]
        assert_same(resumed.get_state(), learner.get_state())
        assert resumed.get_hyperparameters(species)[name] == value

    def test_refuses_a_state_that_is_not_whole(self):
        learner = self.build()
        state = learner.get_state()
        for name in (next(iter(state)), list(state)[-1]):
            with pytest.raises(ValueError, match=re.escape(name)):
                learner.set_state({key: array for key, array in state.items() if key != name})
        with pytest.raises(ValueError, match="surely_unknown"):
            learner.set_state({**state, "surely_unknown": np.zeros(1)})
        assert_same(learner.get_state(), state)

    def test_leaves_the_global_generators_alone(self):
        before = np.random.get_state()[1].copy()
        self.build().update()
        assert np.array_equal(np.random.get_state()[1], before)

    @pytest.mark.parametrize("optimizer_state", ["reset", "donor", "keep"])
    def test_adopting_leaves_the_other_species_bit_identical(self, optimizer_state):
        """D26."""
        loser, donor = self.build(seed=1), self.build(seed=2)
        loser.update(), donor.update()
        adopted, *others = loser.species
        before = {species: loser.snapshot(species) for species in others}
        loser.adopt(adopted, read_only(donor.snapshot(adopted)), optimizer_state)
        for species in others:
            assert_same(loser.snapshot(species), before[species])
        assert_same(policy_of(loser.snapshot(adopted)), policy_of(donor.snapshot(adopted)))

    def test_refuses_tensors_that_do_not_fit_and_stays_as_it_was(self):
        """D24: never a shape error in the middle of a copy."""
        learner = self.build()
        species = learner.species[0]
        before = learner.get_state()
        tensors = learner.snapshot(species)
        name = next(name for name in tensors if name.startswith("policy/"))
        for wrong in (tensors[name][..., :-1], tensors[name].astype(np.float64), np.full_like(tensors[name], np.nan)):
            with pytest.raises(ValueError, match=name):
                learner.adopt(species, {**tensors, name: wrong}, "donor")
        assert_same(learner.get_state(), before)

    def test_hyperparameters_are_in_force_and_typed_as_declared(self):
        """D15: an int stays an int, a float a float, whatever was given."""
        learner = self.build()
        kinds = {"float": float, "int": int, "bool": bool, "str": str}
        declared = self.kind.describe(self.settings, self.interface()).hyperparameters
        for species in learner.species:
            assert learner.get_hyperparameters(species).keys() == declared[species].keys()
            for name, spec in declared[species].items():
                given = np.float64(0.5) if spec.kind == "float" else np.int64(3)
                learner.set_hyperparameters(species, {name: given})
                value = learner.get_hyperparameters(species)[name]
                assert type(value) is kinds[spec.kind]
                assert value == given

    def test_starts_with_the_declared_defaults(self):
        learner = self.build()
        declared = self.kind.describe(self.settings, self.interface()).hyperparameters
        for species in learner.species:
            defaults = {name: spec.default for name, spec in declared[species].items()}
            assert learner.get_hyperparameters(species) == defaults

    def test_an_illegal_hyperparameter_is_refused_and_nothing_changes(self):
        """D16."""
        learner = self.build()
        species, name, value = self.another_value(learner)
        before = learner.get_hyperparameters(species)
        for wrong in ({"surely_unknown": 1}, {name: float("nan")}, {name: "high"}, {name: True}):
            with pytest.raises(ValueError, match=next(iter(wrong))):
                learner.set_hyperparameters(species, {name: value, **wrong})
            assert learner.get_hyperparameters(species) == before

    # ------------------------------------------------------------------------------------ what the tests need

    def interface(self) -> Interface:
        if self.make_worlds is None:
            return Interface((), {}, {})
        worlds = self.make_worlds()
        return Interface(worlds.species, worlds.observation_spaces, worlds.action_spaces)

    def build(self, seed: int = 0) -> Learner:
        return self.build_with_worlds(seed)[0]

    def build_with_worlds(self, seed: int = 0) -> tuple[Learner, Worlds | None]:
        worlds = None if self.make_worlds is None else self.make_worlds()
        return self.kind.build(self.settings, self.interface(), worlds, seed), worlds

    def another_value(self, learner: Learner) -> tuple[str, str, float]:
        """A species, one of its hyperparameters, and a value that is not in force."""
        species = learner.species[-1]
        declared = self.kind.describe(self.settings, self.interface()).hyperparameters[species]
        name = next(name for name, spec in declared.items() if spec.kind == "float")
        in_force = learner.get_hyperparameters(species)[name]
        assert isinstance(in_force, float)
        return species, name, in_force / 2 + 1e-3


class PlayingLearnerContract(LearnerContract):
    """What learners promise beside that play in worlds."""

    def test_episodes_in_progress_are_not_an_adopted_policys_own(self):
        """D10: what ends in them is no score of the new policy."""
        learner = self.build()
        adopted, *others = learner.species
        for _ in range(6):
            learner.update()
        learner.adopt(adopted, learner.snapshot(adopted), "reset")
        own = []
        for _ in range(6):
            for episode in learner.update().episodes:
                assert all(episode.own[species] for species in others)
                own.append(episode.own[adopted])
        assert not own[0] and own[-1]

    def test_a_policy_is_rebuilt_from_description_and_snapshot(self):
        learner = self.build()
        learner.update()
        described = self.kind.describe(self.settings, self.interface())
        for species, space in self.interface().observation_spaces.items():
            architecture = json.loads(json.dumps(described.architecture[species]))
            policy = self.kind.load_policy(architecture, read_only(policy_of(learner.snapshot(species))))
            observations = np.stack([space.sample() for _ in range(50)])
            actions = policy.act(observations, np.random.default_rng(0))
            again = policy.act(observations, np.random.default_rng(0))
            assert actions.shape == (50,) and actions.dtype == np.int64
            assert all(map(self.interface().action_spaces[species].contains, actions))
            assert np.array_equal(actions, again)
            observations.flags.writeable = False
            assert policy.act(observations[:0], np.random.default_rng(0)).shape == (0,)
            assert policy.act(observations, np.random.default_rng(0), greedy=True).dtype == np.int64

    def test_a_policy_is_not_rebuilt_from_what_does_not_fit(self):
        learner = self.build()
        species = learner.species[0]
        architecture = self.kind.describe(self.settings, self.interface()).architecture[species]
        tensors = policy_of(learner.snapshot(species))
        name, array = next(iter(tensors.items()))
        for wrong in ({}, {**tensors, name: array[:-1]}, {**tensors, name: np.full_like(array, np.inf)}):
            with pytest.raises(ValueError, match=name):
                self.kind.load_policy(architecture, wrong)
        with pytest.raises(ValueError, match="kind"):
            self.kind.load_policy({**architecture, "kind": "other"}, tensors)


def policy_of(snapshot: Tensors) -> Tensors:
    return {name: array for name, array in snapshot.items() if name.startswith("policy/")}


def read_only(tensors: Tensors) -> Tensors:
    """As a board's slot or a file gives them."""
    copies = {name: array.copy() for name, array in tensors.items()}
    for array in copies.values():
        array.flags.writeable = False
    return copies


def through_a_file(tensors: Tensors) -> Tensors:
    """What a file keeps of arrays: bytes, shape, dtype."""
    return {name: np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape) for name, array in tensors.items()}


def untimed(metrics: Mapping[str, float]) -> dict[str, float]:
    return {tag: value for tag, value in metrics.items() if not tag.startswith("time/")}


def assert_same(one: Tensors, other: Tensors) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.dtype == other[name].dtype and array.shape == other[name].shape, name
        assert array.tobytes() == other[name].tobytes(), name


def assert_differ(one: Tensors, other: Tensors) -> None:
    assert any(array.tobytes() != other[name].tobytes() for name, array in one.items())
