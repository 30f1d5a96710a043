"""What PBT changes is in force at once: compared with learners that were built with the value, step by step."""

import numpy as np
import pytest

from agents.ppo import kind
from agents.ppo.settings import HYPERPARAMETERS
from tests.agents.toy_worlds import ToyWorlds

SETTINGS = {"n_steps": 8, "batch_size": 64, "net_arch": [16], "learning_rate": 1e-2, "n_epochs": 3}
OTHER = {
    "learning_rate": 5e-3,
    "n_epochs": 2,
    "batch_size": 32,
    "gamma": 0.5,
    "gae_lambda": 0.3,
    "clip_range": 0.01,
    "ent_coef": 0.3,
    "vf_coef": 2.0,
    "max_grad_norm": 0.01,
    "reward_scale": 1.0,
}


def build(seed=0, worlds=None, **settings):
    worlds = worlds or ToyWorlds()
    return kind.build({**SETTINGS, **settings}, worlds.interface, worlds, seed)


def optimizer_steps(learner, species="fish"):
    """Train once; per optimiser step: the learning rates of the groups, then all gradients."""
    optimizer = learner._species[species].model.policy.optimizer
    step, steps = optimizer.step, []

    def record():
        rates = [group["lr"] for group in optimizer.param_groups]
        gradients = [p.grad.numpy().tobytes() for group in optimizer.param_groups for p in group["params"]]
        steps.append((rates, gradients))
        step()

    optimizer.step = record
    try:
        learner.update()
    finally:
        optimizer.step = step
    return steps


def test_every_mutable_hyperparameter_is_tested_here():
    assert OTHER.keys() == HYPERPARAMETERS.keys()


@pytest.mark.parametrize("name", OTHER)
def test_a_new_value_is_in_force_before_the_first_optimiser_step(name):
    """D01: learning rate of every group, entropy coefficient in the loss, and so for every name."""
    value = {name: OTHER[name]}
    changed, built_with_it, unchanged = build(), build(**value), build()
    changed.set_hyperparameters("fish", value)
    steps = optimizer_steps(changed)
    assert steps == optimizer_steps(built_with_it)
    assert steps != optimizer_steps(unchanged)


@pytest.mark.parametrize("name", OTHER)
def test_a_new_value_is_in_force_before_the_first_optimiser_step_after_an_exploit(name):
    """D01: the copy of the donor's weights and moments brings no value of the donor's with it."""
    value, donor = {name: OTHER[name]}, build(seed=1, learning_rate=1e-4, ent_coef=0.1)
    donor.update()
    changed, built_with_it = build(), build(**value)
    for learner in (changed, built_with_it):
        learner.adopt("fish", donor.snapshot("fish"), "donor")
    changed.set_hyperparameters("fish", value)
    assert optimizer_steps(changed) == optimizer_steps(built_with_it)


def test_the_learning_rate_shows_in_the_groups_even_before_training():
    learner = build()
    learner.set_hyperparameters("fish", {"learning_rate": 0.25})
    groups = learner._species["fish"].model.policy.optimizer.param_groups
    assert [group["lr"] for group in groups] == [0.25]


@pytest.mark.parametrize("name", OTHER)
def test_the_other_species_keeps_its_own_value(name):
    learner = build()
    learner.set_hyperparameters("fish", {name: OTHER[name]})
    assert learner.get_hyperparameters("bird")[name] == SETTINGS.get(name, HYPERPARAMETERS[name].default)
    untouched = build()
    assert optimizer_steps(learner, "bird") == optimizer_steps(untouched, "bird")


@pytest.mark.parametrize("tail", [10**9, 1])
def test_any_batch_size_goes_with_any_rollout(tail):
    """D16: larger than the rollout, or such that a single row is left over."""
    learner = build()
    state = learner.get_state()
    learner.update()
    rows = learner._species["fish"].buffer.size()
    learner.set_state(state)
    learner.set_hyperparameters("fish", {"batch_size": rows - 1 if tail == 1 else tail})
    assert len(optimizer_steps(learner)) == 3 * (2 if tail == 1 else 1)


def test_rewards_are_scaled_for_the_learner_only():
    small, large = build(reward_scale=1e-3), build(reward_scale=10.0)
    losses = [learner.update().metrics["fish/value_loss"] for learner in (small, large)]
    assert losses[0] < 1e-3 * losses[1]
    reports = [learner.update() for learner in (small, large) for _ in range(4)]
    returns = [episode.returns["fish"] for report in reports for episode in report.episodes]
    assert returns and all(float(value).is_integer() for value in returns)


def test_a_numpy_scalar_becomes_a_plain_value():
    learner = build()
    learner.set_hyperparameters("fish", {"n_epochs": np.int32(5), "gamma": np.float32(0.5), "ent_coef": 1})
    values = learner.get_hyperparameters("fish")
    assert [type(values[name]) for name in ("n_epochs", "gamma", "ent_coef")] == [int, float, float]


@pytest.mark.parametrize(
    ("name", "value"), [("n_epochs", 2.5), ("n_epochs", 0), ("batch_size", 1), ("gamma", 1.01), ("learning_rate", 0.0)]
)
def test_an_illegal_value_is_refused_with_name_and_range(name, value):
    """D16."""
    with pytest.raises(ValueError, match=rf"fish\.{name}: must be .*, got {value}"):
        build().set_hyperparameters("fish", {name: value})
