"""PPO with weights of shaping terms, and with parameters of its worlds, as hyperparameters."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from stable_baselines3 import PPO

from agents.ppo import kind
from agents.ppo.buffer import RaggedRolloutBuffer
from envs.predator_prey_grass import parallel_env
from marl_pbt.environments import interface_of
from marl_pbt.protocols import Guest, UserError
from tests.agents.portable_policies import portable
from tests.agents.toy_worlds import ToyWorlds
from tests.contracts.learner import PlayingLearnerContract, assert_differ, assert_same

SETTINGS = {"n_steps": 8, "batch_size": 64, "net_arch": [16], "learning_rate": 1e-2}


@dataclass(frozen=True)
class Mortality:
    default: float = 0.04
    kind: str = "float"
    low: float = 0.0
    high: float = 0.5


class OfferingWorlds(ToyWorlds):
    """Toy worlds in which being right is a term too, and mortality a parameter; who asked for terms is counted."""

    shaping_terms: ClassVar = {"bird": ("right",), "fish": ("right", "acted")}
    parameters: ClassVar = {"fish": {"mortality": Mortality()}}

    def __init__(self, **more):
        self.asked = 0
        super().__init__(**more)

    def step(self, actions):
        self._last = super().step(actions)
        return self._last

    def shaping(self, species):
        self.asked += 1
        right = self._last.rewards[species]
        return np.stack([right, np.ones_like(right)][: len(self.shaping_terms[self.species[species]])], 1)

    def set_parameters(self, species, values):
        assert species == "fish"
        self._mortality = values["mortality"]

    def get_state(self):
        return super().get_state() | {"mortality": np.array(self._mortality)}

    def set_state(self, state):
        super().set_state({name: array for name, array in state.items() if name != "mortality"})
        self._mortality = float(state["mortality"])


def build(worlds=None, seed=0, **settings):
    worlds = worlds or OfferingWorlds()
    return kind.build({**SETTINGS, **settings}, interface_of(worlds), worlds, seed)


def faults_of(settings, interface=None):
    with pytest.raises(UserError) as caught:
        kind.describe(settings, interface or interface_of(OfferingWorlds()))
    return caught.value.faults


class TestPPOInWorldsThatOffer(PlayingLearnerContract):
    kind, make_worlds = kind, staticmethod(OfferingWorlds)
    settings: ClassVar = {**SETTINGS, "reward_weight": {"acted": 0.25, "right": -0.5}}

    def interface(self):
        return interface_of(OfferingWorlds())


def test_every_term_that_is_offered_has_a_weight_of_zero_and_every_parameter_its_configured_value():
    declared = kind.describe(SETTINGS, interface_of(OfferingWorlds())).hyperparameters
    assert [name for name in declared["bird"] if "." in name] == ["reward_weight.right"]
    assert declared["fish"]["reward_weight.acted"].default == 0.0
    assert not declared["fish"]["reward_weight.acted"].changes_environment
    parameter = declared["fish"]["environment.mortality"]
    assert (parameter.default, parameter.low, parameter.high) == (0.04, 0.0, 0.5)
    assert parameter.changes_environment
    assert not any("." in name for name in kind.describe(SETTINGS, interface_of(ToyWorlds())).hyperparameters["fish"])


def test_with_weights_of_zero_every_number_is_as_in_worlds_that_offer_nothing_and_nobody_asks_for_terms():
    worlds = OfferingWorlds()
    shaped, plain = build(worlds, reward_weight={"right": 0.0}), build(ToyWorlds())
    for _ in range(3):
        assert shaped.update().episodes == plain.update().episodes
    for species in plain.species:
        assert_same(shaped.snapshot(species), plain.snapshot(species))
    assert worlds.asked == 0


def rewards_told(monkeypatch, learner):
    """Train once; what the buffers were told, step by step, birds and fish in turn."""
    told, keep = [], RaggedRolloutBuffer.reward

    def reward(buffer, rewards, *more):
        told.append(rewards.copy())
        keep(buffer, rewards, *more)

    with monkeypatch.context() as patch:
        patch.setattr(RaggedRolloutBuffer, "reward", reward)
        report = learner.update()
    return told, report


def test_the_learner_sees_reward_and_weighted_terms_scaled_while_returns_stay_what_they_are(monkeypatch):
    species = {"bird": {"reward_weight": {"right": 2.0}}, "fish": {"reward_weight": {"acted": -0.5}}}
    shaped, plain = build(species=species, reward_scale=0.5), build(reward_scale=0.5)
    told, report = rewards_told(monkeypatch, shaped)
    true, expected = rewards_told(monkeypatch, plain)
    for rewards, unshaped in zip(told[::2], true[::2], strict=True):
        assert np.array_equal(rewards, unshaped * np.float32(3.0))
        assert rewards.dtype == np.float32
    for rewards, unshaped in zip(told[1::2], true[1::2], strict=True):
        assert np.array_equal(rewards, unshaped - np.float32(0.25))
    assert report.episodes == expected.episodes
    assert_differ(shaped.snapshot("fish"), plain.snapshot("fish"))


def test_beside_guests_the_learner_is_told_the_terms_of_its_own_rows(monkeypatch):
    """D27: what guests earn goes no further than what they do."""
    worlds = OfferingWorlds(num_worlds=6, max_steps=6)
    learner = build(worlds, reward_weight={"right": 3.0}, reward_scale=1.0, n_steps=12)
    described = kind.describe(SETTINGS, interface_of(worlds)).architecture
    policies = {name: kind.load_policy(described[name], build().snapshot(name)) for name in learner.species}
    learner.host([Guest("stranger", policies)], 0.5)
    learner.update()
    told, report = rewards_told(monkeypatch, learner)
    assert report.metrics["guests/share_of_agent_steps"] > 0.1
    assert {*np.concatenate(told).tolist()} == {0.0, 4.0}


def test_a_policy_is_exported_with_the_weights_that_it_was_trained_with(tmp_path):
    values = {"reward_weight.catch": 0.5, "environment.birth_energy": 9.5}
    zipped = tmp_path / "prey.zip"
    zipped.write_bytes(kind.export_policy(portable(hyperparameters=values), ".zip"))
    assert PPO.load(zipped, device="cpu").reward_scale == 0.1
    with pytest.raises(ValueError, match=r"reward_weight\.catch: must be"):
        kind.export_policy(portable(hyperparameters={"reward_weight.catch": "much"}), ".zip")


@pytest.mark.parametrize(("name", "value"), [("reward_weight.right", -1.5), ("environment.mortality", 0.3)])
def test_a_new_value_is_in_force_in_the_next_rollout_and_for_its_species_alone(name, value):
    """D01."""
    changed, unchanged = build(), build()
    for learner in (changed, unchanged):
        learner.update()
    changed.set_hyperparameters("fish", {name: value})
    for learner in (changed, unchanged):
        learner.update()
    assert_differ(changed.snapshot("fish"), unchanged.snapshot("fish"))
    assert changed.get_hyperparameters("fish")[name] == value
    if name.startswith("reward_weight"):
        assert_same(changed.snapshot("bird"), unchanged.snapshot("bird"))
        assert changed.get_hyperparameters("bird")[name] == 0.0


def test_weights_and_parameters_go_on_with_the_state():
    """D19: also where a value has been set and no rollout been played with it yet."""
    learner, fresh = build(), build(seed=5)
    learner.update()
    learner.set_hyperparameters("fish", {"reward_weight.acted": 0.5, "environment.mortality": 0.2})
    fresh.set_state(learner.get_state())
    assert fresh.get_hyperparameters("fish") == learner.get_hyperparameters("fish")
    learner.update(), fresh.update()
    assert_same(fresh.get_state(), learner.get_state())
    assert fresh.get_state()["worlds/mortality"] == 0.2


def test_a_weight_at_the_top_holds_for_those_who_have_the_term_unless_they_have_their_own():
    given = {"reward_weight": {"right": 1, "acted": 0.5}, "species": {"fish": {"reward_weight": {"right": -1}}}}
    declared = kind.describe(given, interface_of(OfferingWorlds())).hyperparameters
    assert declared["bird"]["reward_weight.right"].default == 1.0
    assert [declared["fish"][f"reward_weight.{term}"].default for term in ("right", "acted")] == [-1.0, 0.5]


def test_a_weight_of_a_term_that_is_not_offered_is_one_line_with_the_nearest_that_is():
    settings = {
        "reward_weight": {"rigth": 1.0, "acted": float("inf")},
        "species": {"bird": {"reward_weight": {"acted": 1.0}}, "fish": {"reward_weight": 3}},
    }
    assert faults_of(settings) == (
        "reward_weight.rigth: unknown shaping term; did you mean 'right'?",
        "reward_weight.acted: must be a finite float ≥ -1000 and ≤ 1000, got inf",
        "species.bird.reward_weight.acted: unknown shaping term; known are right",
        "species.fish.reward_weight: must map shaping terms to weights, got 3",
    )


def test_weights_where_nothing_is_offered_are_one_line():
    (fault,) = faults_of({"reward_weight": {"right": 1.0}}, interface_of(ToyWorlds()))
    assert fault == "reward_weight: must be empty where the environment offers no shaping terms, got {'right': 1.0}"
    kind.describe({"reward_weight": {}}, interface_of(ToyWorlds()))


@pytest.mark.parametrize(
    ("offer", "told"),
    [
        ({"shaping_terms": {"owl": ("right",)}}, "environment.make: offers right for 'owl', which is no species"),
        ({"shaping_terms": {"fish": ("a.b",)}}, "environment.make: offers 'a.b' for fish; must be a word"),
        ({"parameters": {"fish": {"a/b": Mortality()}}}, "environment.make: offers 'a/b' for fish; must be a word"),
    ],
)
def test_worlds_that_offer_what_has_no_name_are_told_so(monkeypatch, offer, told):
    for attribute, value in offer.items():
        monkeypatch.setattr(OfferingWorlds, attribute, value)
    with pytest.raises(UserError, match=told):
        interface_of(OfferingWorlds())


def test_hunters_learn_from_their_catches_and_are_scored_by_their_births(monkeypatch):
    worlds = parallel_env(max_steps=40).batched(4)
    learner = build(worlds, species={"predator": {"reward_weight": {"catch": 1.0, "starved": -2.0}}}, reward_scale=1.0)
    kills, told, episodes = 0, [], []
    for _ in range(8):
        before = worlds.counters()
        rewards, report = rewards_told(monkeypatch, learner)
        gained = {tag: value - before[tag] for tag, value in worlds.counters().items()}
        told.append(float(np.concatenate(rewards[::2]).sum()))
        caught, starved = gained["prey/deaths_eaten"], gained["predator/deaths_starved"]
        assert told[-1] == caught - 2 * starved + 10 * gained["predator/births"]
        assert np.concatenate(rewards[1::2]).sum() == 10 * gained["prey/births"]
        kills += caught
        episodes += report.episodes
    assert kills and any(total % 10 for total in told)
    assert all(each.returns["predator"] == 10 * each.metrics["predator/births"] for each in episodes)


def test_the_worlds_of_a_learner_have_the_parameters_that_it_was_given_and_other_worlds_have_not():
    environment = parallel_env(max_steps=40)
    worlds = environment.batched(2)
    learner = build(worlds)
    learner.set_hyperparameters("prey", {"environment.initial_count": 3, "environment.decay": 0.2})
    learner.update()
    assert worlds.get_state()["parameters"][:2, 1].tolist() == [3.0, 0.2]
    assert environment.batched(2).get_state()["parameters"][:2, 1].tolist() == [8.0, 0.05]
