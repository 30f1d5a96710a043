"""What every `Worlds` promises to learners; join with one line: `class TestMine(WorldsContract): make_worlds = …`."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest

from marl_pbt.environments import interface_of
from marl_pbt.protocols import (
    LIVES_ON,
    TERMINATED,
    TRUNCATED,
    OffersParameters,
    OffersShaping,
    StepResult,
    Worlds,
)


class WorldsContract:
    make_worlds: ClassVar[Callable[[], Worlds]]
    num_steps: ClassVar[int] = 60
    """Enough for every world to see an episode end."""

    def test_speaks_of_every_species_in_one_order(self):
        worlds = self.make_worlds()
        assert len(set(worlds.species)) == len(worlds.species) == len(worlds.max_rows)
        assert set(worlds.observation_spaces) == set(worlds.action_spaces) == set(worlds.species)

    def test_says_whose_world_each_row_is_and_an_individual_stays_in_its_own(self):
        before = None
        for worlds, rows, result, _ in self.play(self.started(0)):
            for s, links in enumerate(result.next_rows):
                homes = worlds.worlds_of(s)
                assert (homes.shape, homes.dtype) == ((worlds.rows()[s],), np.int64)
                assert ((homes >= 0) & (homes < worlds.num_worlds)).all()
                if before is not None:
                    assert len(before[s]) == rows[s]
                    assert (homes[links[links >= 0]] == before[s][links >= 0]).all()
            before = [worlds.worlds_of(s) for s in range(len(rows))]

    def test_writes_the_living_and_nothing_else(self):
        worlds = self.started(0)
        for s, name in enumerate(worlds.species):
            space, rows = worlds.observation_spaces[name], worlds.rows()[s]
            assert 0 < rows <= worlds.max_rows[s]
            out = np.full((rows + 2, *space.shape), 99, space.dtype)
            assert worlds.observe(s, out) == rows
            assert all(space.contains(row) for row in out[:rows])
            assert (out[rows:] == 99).all()

    def test_tells_one_outcome_per_row_that_acted(self):
        for _, rows, result, _ in self.play(self.started(0)):
            for s, n in enumerate(rows):
                assert (result.rewards[s].shape, result.rewards[s].dtype) == ((n,), np.float32)
                assert (result.ended[s].shape, result.ended[s].dtype) == ((n,), np.uint8)
                assert (result.next_rows[s].shape, result.next_rows[s].dtype) == ((n,), np.int32)
                assert np.isin(result.ended[s], (LIVES_ON, TERMINATED, TRUNCATED)).all()

    def test_links_each_survivor_to_a_row_of_its_own(self):
        for worlds, _, result, _ in self.play(self.started(0)):
            for s, links in enumerate(result.next_rows):
                assert np.array_equal(links == -1, result.ended[s] != LIVES_ON)
                linked = links[links >= 0]
                assert len(np.unique(linked)) == len(linked)
                assert linked.max(initial=-1) < worlds.rows()[s]

    def test_gives_a_last_observation_for_every_truncated_row(self):
        truncated = 0
        for worlds, _, result, _ in self.play(self.started(0)):
            for s, name in enumerate(worlds.species):
                space, last = worlds.observation_spaces[name], result.truncated_observations[s]
                assert last.shape == ((result.ended[s] == TRUNCATED).sum(), *space.shape)
                assert last.dtype == space.dtype
                truncated += len(last)
        assert truncated > 0, "num_steps must be large enough for a time-out"

    def test_starts_out_of_phase_and_does_not_count_the_shortened_episodes(self):
        ends = [len(result.episodes) for _, _, result, _ in self.play(self.started(0))]
        episodes = [each for _, _, result, _ in self.play(self.started(0)) for each in result.episodes]
        assert max(ends) < self.make_worlds().num_worlds
        assert {each.counted for each in episodes} == {True, False}
        for each in episodes:
            assert each.length > 0
            assert set(each.returns) == set(self.make_worlds().species)
            assert np.isfinite([*each.returns.values(), *each.metrics.values()]).all()

    def test_is_a_function_of_the_seed(self):
        once, again, other = (self.tape(self.started(seed)) for seed in (3, 3, 4))
        assert once == again
        assert once != other

    def test_starts_anew_at_reset_whatever_was_before(self):
        worlds = self.started(8)
        self.tape(worlds)
        worlds.reset(3)
        assert self.tape(worlds) == self.tape(self.started(3))

    def test_goes_on_bit_for_bit_from_its_state_on_a_fresh_object(self):
        worlds, fresh = self.started(5), self.make_worlds()
        self.tape(worlds)
        state = worlds.get_state()
        kept = {name: array.copy() for name, array in state.items()}
        went_on = self.tape(worlds)
        assert all(np.array_equal(array, kept[name]) for name, array in state.items()), "the state must be a copy"
        fresh.set_state(state)
        assert self.tape(fresh) == went_on

    def test_travels_by_pickle(self):
        worlds = self.started(5)
        self.tape(worlds)
        travelled = pickle.loads(pickle.dumps(worlds))
        assert self.tape(travelled) == self.tape(worlds)

    def test_refuses_a_state_that_does_not_fit(self):
        worlds = self.started(0)
        state = worlds.get_state()
        name = next(iter(state))
        wrong_shape = {**state, name: np.zeros((*state[name].shape, 2), state[name].dtype)}
        wrong_dtype = {**state, name: state[name].astype(np.complex64)}
        missing = {other: array for other, array in state.items() if other != name}
        for faulty in (wrong_shape, wrong_dtype, missing, {**state, "stranger": np.zeros(1)}):
            with pytest.raises(ValueError, match=r"^[^\n]+$"):
                worlds.set_state(faulty)
        assert self.tape(worlds) == self.tape(self.started(0)), "a refused state must leave no trace"

    def test_refuses_actions_that_do_not_fit(self):
        worlds = self.started(0)
        with pytest.raises(ValueError):
            worlds.step([np.zeros(rows + 1, np.int64) for rows in worlds.rows()])

    def started(self, seed: int) -> Worlds:
        worlds = self.make_worlds()
        worlds.reset(seed)
        return worlds

    def play(self, worlds: Worlds):
        """Random actions; yields the worlds, the rows that acted, the result and the actions."""
        draws = np.random.default_rng(0)
        for _ in range(self.num_steps):
            rows = worlds.rows()
            limits = [worlds.action_spaces[name].n for name in worlds.species]
            actions = [draws.integers(0, n, k) for n, k in zip(limits, rows, strict=True)]
            yield worlds, rows, worlds.step(actions), actions

    def tape(self, worlds: Worlds) -> list[object]:
        """All that a learner gets to see while random actions are played."""
        return [self.seen(worlds, result) for _, _, result, _ in self.play(worlds)]

    def seen(self, worlds: Worlds, result: StepResult) -> object:
        outs = []
        for s, name in enumerate(worlds.species):
            space = worlds.observation_spaces[name]
            outs.append(np.zeros((worlds.rows()[s], *space.shape), space.dtype))
            worlds.observe(s, outs[-1])
        groups = (result.rewards, result.ended, result.next_rows, result.truncated_observations, outs)
        episodes = [(each.length, each.counted, each.returns, each.metrics) for each in result.episodes]
        return [array.tobytes() for group in groups for array in group], episodes


class ShapingContract(WorldsContract):
    """What worlds promise beside that offer shaping terms."""

    def test_offers_terms_for_species_that_there_are(self):
        worlds = self.started(0)
        assert isinstance(worlds, OffersShaping)
        assert set(interface_of(worlds).shaping_terms) <= set(worlds.species)
        assert any(worlds.shaping_terms.values())
        for terms in worlds.shaping_terms.values():
            assert len(set(terms)) == len(terms)

    def test_tells_finite_terms_of_every_row_that_acted(self):
        told = 0
        for worlds, rows, _, _ in self.play(self.started(0)):
            for s, name in enumerate(worlds.species):
                terms = worlds.shaping_terms.get(name, ())
                if terms:
                    earned = worlds.shaping(s)
                    assert (earned.shape, earned.dtype) == ((rows[s], len(terms)), np.float32)
                    assert np.isfinite(earned).all()
                    assert np.array_equal(earned, worlds.shaping(s)), "asking must not change the answer"
                    told += np.count_nonzero(earned)
        assert told

    def test_whoever_asks_for_terms_changes_nothing(self):
        worlds = self.started(3)
        asked = []
        for _, _, result, _ in self.play(worlds):
            asked.append(self.seen(worlds, result))
            for s, name in enumerate(worlds.species):
                if worlds.shaping_terms.get(name):
                    worlds.shaping(s)
        assert asked == self.tape(self.started(3))


class ParametersContract(WorldsContract):
    """What worlds promise beside that offer parameters."""

    def test_offers_parameters_whose_defaults_are_what_is_configured(self):
        worlds = self.started(3)
        assert isinstance(worlds, OffersParameters)
        assert set(interface_of(worlds).parameters) <= set(worlds.species)
        for species, own in worlds.parameters.items():
            assert all(each.low <= each.default <= each.high for each in own.values())
            worlds.set_parameters(species, {name: each.default for name, each in own.items()})
        assert self.tape(worlds) == self.tape(self.started(3))

    def test_every_parameter_changes_the_worlds_and_outlives_a_reset_and_a_restored_state(self):
        """D19."""
        for species, own in self.make_worlds().parameters.items():
            for name in own:
                worlds, fresh = self.with_another_value(species, name), self.make_worlds()
                worlds.reset(3)
                fresh.set_state(worlds.get_state())
                went_on = self.tape(worlds)
                assert went_on != self.tape(self.started(3)), name
                assert self.tape(fresh) == went_on

    def test_refuses_parameters_that_there_are_not_and_values_out_of_bounds(self):
        worlds = self.started(3)
        species, own = next(iter(worlds.parameters.items()))
        name, parameter = next(iter(own.items()))
        for wrong in ({"surely_unknown": 1}, {name: parameter.low - 1}, {name: float("nan")}):
            with pytest.raises(ValueError, match=r"^[^\n]+$"):
                worlds.set_parameters(species, {name: parameter.low, **wrong})
        assert self.tape(worlds) == self.tape(self.started(3)), "a refused value must leave no trace"

    def with_another_value(self, species: str, name: str) -> Worlds:
        worlds = self.started(0)
        parameter = worlds.parameters[species][name]
        value = parameter.low if parameter.low != parameter.default else parameter.high
        worlds.set_parameters(species, {name: value})
        return worlds
