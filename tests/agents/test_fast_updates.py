"""Whole updates of `FastPPO` against Stable-Baselines3's `train()`: the same steps, the same ends, the same reports."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from stable_baselines3.common.utils import FloatSchedule

from tests.agents.fast_rollouts import (
    MOMENTS,
    Orders,
    Reference,
    assert_equal_states,
    fill,
    floats,
    gradient_of,
    make_model,
    played,
    state_of,
    steps_of,
)

PATHS = ["sparse", "dense"]


def twins(rollout, path, **settings):
    """The same model twice, the second one on Stable-Baselines3's way, both updated once."""
    pair = make_model(rollout, path, **settings), make_model(rollout, "sb3", **settings)
    for model in pair:
        model.train()
    return pair


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("species", ["predator", "prey"])
@pytest.mark.parametrize("seed", range(8))
def test_one_step_from_one_minibatch_is_stable_baselines3s(seed, species, path):
    rollout = played(species).first(700)
    ours, theirs = twins(rollout, path, seed=seed, batch_size=1024, n_epochs=1, ent_coef=0.01)
    assert_equal_states(ours, theirs)
    assert steps_of(ours) == steps_of(theirs) == {1}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("rows", [512, 500, 385], ids=["whole", "with a tail", "with a tail of one row"])
@pytest.mark.parametrize("seed", range(4))
def test_one_epoch_of_several_minibatches_is_stable_baselines3s(seed, rows, path):
    ours, theirs = twins(played("prey").first(rows), path, seed=seed, batch_size=128, n_epochs=1)
    assert_equal_states(ours, theirs)
    assert steps_of(ours) == steps_of(theirs) == {4}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("rows", [1, 2, 100], ids=lambda rows: f"{rows} rows")
def test_fewer_rows_than_a_minibatch_are_one(rows, path):
    ours, theirs = twins(played("predator").first(rows), path, batch_size=128, n_epochs=2)
    assert_equal_states(ours, theirs)
    assert steps_of(ours) == steps_of(theirs) == {2}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("normalize", [True, False], ids=["normalized", "raw"])
@pytest.mark.parametrize(
    "name, value",
    [("ent_coef", 0.3), ("vf_coef", 2.0), ("clip_range", 0.05), ("max_grad_norm", 0.01), ("learning_rate", 1e-3)],
)
def test_every_number_of_the_update_counts_as_it_does_for_stable_baselines3(name, value, normalize, path):
    settings = {"batch_size": 256, "n_epochs": 1, "normalize": normalize, name: value}
    ours, theirs = twins(played("predator").first(400), path, **settings)
    assert_equal_states(ours, theirs, within=2e-6)


@pytest.mark.parametrize("path", PATHS)
def test_reports_say_what_stable_baselines3s_say(path):
    ours, theirs = twins(played("prey").first(500), path, batch_size=128, n_epochs=2, ent_coef=0.01)
    reports = [dict(model.logger.name_to_value) for model in (ours, theirs)]
    assert list(reports[0]) == list(reports[1])
    assert reports[0] == pytest.approx(reports[1], rel=1e-5, abs=1e-6)
    assert reports[0]["train/clip_fraction"] > 0.2
    assert ours._n_updates == theirs._n_updates == 2


def test_the_generator_is_left_as_stable_baselines3_leaves_it():
    rollout = played("predator").first(100)
    rngs = [np.random.default_rng(5) for _ in range(2)]
    for path, rng in zip(("auto", "sb3"), rngs, strict=True):
        make_model(rollout, path, rng=rng, batch_size=64, n_epochs=3).train()
    assert rngs[0].bit_generator.state == rngs[1].bit_generator.state


@pytest.mark.parametrize("first", ["sparse", "dense", "sb3"])
def test_a_member_changes_its_path_without_a_jump(first):
    """From one state each of the three paths makes the same step, moments of the path before included."""
    results = {}
    for second in ("sparse", "dense", "sb3"):
        rng = Orders([np.arange(300)] * 2)
        model = make_model(played("prey").first(300), first, rng=rng, batch_size=512, n_epochs=1)
        model.train()
        model.update_path = second
        model.train()
        assert model.path_in_use == second
        assert steps_of(model) == {2}
        results[second] = model
    assert_equal_states(results["sparse"], results["sb3"])
    assert_equal_states(results["dense"], results["sb3"])


def test_parameters_and_moments_stay_the_tensors_they_were():
    model = make_model(played("prey").first(100), batch_size=64, n_epochs=1)
    model.train()
    parameters = list(model.policy.parameters())
    tensors = parameters + [model.policy.optimizer.state[p][name] for p in parameters for name in (*MOMENTS, "step")]
    before = [(tensor.data_ptr(), tensor.clone()) for tensor in tensors]
    model.train()
    assert [tensor.data_ptr() for tensor in tensors] == [pointer for pointer, _ in before]
    assert not any(torch.equal(tensor, old) for tensor, (_, old) in zip(tensors, before, strict=True))


def test_the_path_is_told_when_it_changes(caplog):
    model = make_model(played("prey").first(100), "sparse", batch_size=64, n_epochs=1)
    with caplog.at_level(logging.DEBUG, "agents.ppo.fast.ppo"):
        model.train()
        model.train()
        model.update_path = "sb3"
        model.train()
    assert [record.getMessage() for record in caplog.records] == ["update path: sparse", "update path: sb3"]


# ------------------------------------------------------------------------------------------------- early ends


def marked(rollout, path, bad_minibatch, **settings):
    """A model whose rows come in order, four minibatches of 100; the ratios of one of them are far from 1."""
    model = make_model(rollout, path, rng=Orders([np.arange(400)] * 9), batch_size=100, **settings)
    log_ratios = np.zeros(400, np.float32)
    log_ratios[100 * bad_minibatch : 100 * (bad_minibatch + 1)] = 0.5
    fill(model, rollout, log_ratios)
    return model


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("bad_minibatch", [0, 1, 3])
def test_beyond_the_target_kl_no_step_is_made(bad_minibatch, path, capsys):
    rollout, said, models = played("prey").first(400), [], []
    for way in (path, "sb3"):
        model = marked(rollout, way, bad_minibatch, n_epochs=3, target_kl=0.05, learning_rate=1e-5)
        model.verbose = 1
        model.train()
        said.append(capsys.readouterr().out)
        models.append(model)
    ours, theirs = models
    assert steps_of(ours) == steps_of(theirs) == ({bad_minibatch} if bad_minibatch else set())
    assert ours._n_updates == theirs._n_updates == 1
    assert said[0] == said[1] == "Early stopping at step 0 due to reaching max kl: 0.15\n"
    assert ours.logger.name_to_value == pytest.approx(theirs.logger.name_to_value, rel=1e-5, abs=1e-6)
    assert_equal_states(ours, theirs)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("target_kl", [0.004, 0.008, 0.012])
def test_an_update_that_drives_the_policy_away_stops_in_the_same_epoch_after_as_many_steps(target_kl, path):
    rollout, settings = played("prey").first(400), {"n_epochs": 8, "batch_size": 100, "target_kl": target_kl}
    pair = [make_model(rollout, way, learning_rate=3e-3, **settings) for way in (path, "sb3")]
    for model in pair:
        fill(model, rollout, np.zeros(400, np.float32))
        model.train()
    ours, theirs = pair
    assert steps_of(ours) == steps_of(theirs)
    assert 4 < min(steps_of(ours)) < 32
    assert ours._n_updates == theirs._n_updates < 8


@pytest.mark.parametrize("path", PATHS)
def test_equal_advantages_pull_nowhere(path):
    rollout = played("prey").first(300)
    rollout.advantages[:] = 0.1
    gradient = gradient_of(make_model(rollout, batch_size=512), path)
    for name, array in gradient.items():
        pulls = "policy_net" in name or "action_net" in name
        assert np.isfinite(array).all() and (np.abs(array).max() < 1e-6 if pulls else array.any()), name
    rollout.advantages[:] = 2.0  # of which the mean is exact in float32 too
    assert_equal_states(*twins(rollout, path, batch_size=512, n_epochs=1))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", ["advantages", "returns"])
def test_a_number_that_is_none_stops_the_update_before_its_step(column, number, path):
    """Row 250 lies in the third minibatch: two steps stand, as they would have been without it."""
    rollout, settings = played("prey").first(400), {"batch_size": 100, "n_epochs": 1}
    sound = make_model(rollout.first(200), path, rng=Orders([np.arange(200)]), **settings)
    getattr(rollout, column)[250] = number
    model = make_model(rollout, path, rng=Orders([np.arange(400)]), **settings)
    with torch.no_grad():
        model.rollout_buffer.column("log_probs")[:200] = sound.rollout_buffer.column("log_probs")
    with pytest.raises(FloatingPointError, match="minibatch 3 of epoch 1"):
        model.train()
    sound.train()
    assert_equal_states(model, sound, within=1e-8)
    assert steps_of(model) == {2}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["mlp_extractor.policy_net.0.weight", "action_net.bias", "value_net.weight"])
def test_a_weight_that_is_no_number_is_noticed_before_any_step(name, path):
    model = make_model(played("prey").first(100), path, batch_size=64)
    with torch.no_grad():
        dict(model.policy.named_parameters())[name].view(-1)[0] = np.nan
    with pytest.raises(FloatingPointError, match="minibatch 1 of epoch 1"):
        model.train()
    assert steps_of(model) == set()


def stretched(path, factor, **settings):
    """A model whose gradient is so many times as large as its outputs are."""
    rollout = floats(100)
    huge = replace(rollout, observations=rollout.observations * np.float32(factor))
    model = make_model(huge, path, batch_size=128, n_epochs=1, **settings)
    with torch.no_grad():
        for net in (model.policy.mlp_extractor.policy_net, model.policy.mlp_extractor.value_net):
            net[0].weight.mul_(1 / factor)
    fill(model, huge, np.zeros(100, np.float32))
    return model


@pytest.mark.parametrize("path", PATHS)
def test_a_gradient_beyond_all_numbers_is_noticed_though_the_loss_is_finite(path):
    model = stretched(path, 1e37, vf_coef=1e4)
    before = state_of(model)
    with pytest.raises(FloatingPointError, match=r"loss is -?[0-9.]+ or its gradient is not finite"):
        model.train()
    assert all(np.array_equal(array, before[name]) for name, array in state_of(model).items())


@pytest.mark.parametrize("path", PATHS)
def test_a_gradient_whose_square_is_beyond_float32_is_shortened_like_any_other(path):
    model = stretched(path, 1e25)
    model.train()
    moments = [array for name, array in state_of(model).items() if name.endswith("/exp_avg")]
    length = np.sqrt(sum(np.sum(np.square(array, dtype=np.float64)) for array in moments))
    assert length == pytest.approx(0.1 * model.max_grad_norm, rel=1e-5)


# ------------------------------------------------------------------------------------------------ many steps


@pytest.mark.parametrize("path", PATHS)
def test_moments_of_a_constant_gradient_are_right_to_five_digits_after_many_steps(path):
    """1 − β₂ in float32 is off by 5e-5, which no single step shows beside other roundings."""
    rollout, steps = played("predator").first(64), 300
    model = make_model(rollout, path, batch_size=64, n_epochs=steps, max_grad_norm=1e9)
    model.learning_rate, model.lr_schedule = 0.0, FloatSchedule(0.0)
    exact = Reference(model, rollout, torch.float64).gradient(np.arange(64))
    model.train()
    moments = state_of(model)
    for name, gradient in exact.items():
        for moment, beta, power in (("exp_avg", 0.9, 1), ("exp_avg_sq", 0.999, 2)):
            expected = (1 - beta**steps) * gradient**power
            ours = moments[f"{name}/{moment}"]
            # Sums, so that what rounding does to tiny gradients does not count.
            assert np.abs(ours).sum() == pytest.approx(np.abs(expected).sum(), rel=1e-5), f"{name}/{moment}"


def drifts(path, seed, epochs=8):
    """Distances from float64 after 32 steps: ours, and torch's float32 with the rows of each minibatch reordered."""
    rollout, rng = played("prey").first(512), np.random.default_rng(seed)
    orders = [rng.permutation(512) for _ in range(epochs)]
    reordered = [np.concatenate([rng.permutation(part) for part in np.split(order, 4)]) for order in orders]
    settings = {"seed": seed, "batch_size": 128, "n_epochs": epochs}
    ours, theirs = (
        make_model(rollout, way, rng=Orders(way_orders), **settings)
        for way, way_orders in ((path, orders), ("sb3", reordered))
    )
    exact = Reference(ours, rollout, torch.float64)
    exact.update(orders)
    distances = []
    for model in (ours, theirs):
        model.train()
        pairs = zip(model.policy.parameters(), exact.policy.parameters(), strict=True)
        distances.append(np.concatenate([(p.double() - q).abs().detach().numpy().ravel() for p, q in pairs]))
    return distances


@pytest.mark.parametrize("path", PATHS)
def test_rounding_leads_no_farther_away_from_float64_than_stable_baselines3s(path):
    ours, theirs = (np.stack(distances) for distances in zip(*(drifts(path, seed) for seed in range(5)), strict=True))
    for quantile in (0.5, 0.9, 0.99):
        each = [np.quantile(distances, quantile, axis=1) for distances in (ours, theirs)]
        assert np.median(each[0]) <= 2 * np.median(each[1]), quantile
        assert each[0].max() <= 3 * each[1].max(), quantile
