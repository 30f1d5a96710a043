"""The compiled gradients against float64 autograd: as close to it as torch's own float32 is."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents.ppo.fast.lists import SparseRows
from tests.agents.fast_rollouts import Reference, floats, gradient_of, invented, make_model, patterned, played

BYTES = spaces.Box(0, 255, (5, 6, 3), np.uint8)


def relative_errors(gradient, exact):
    """Per tensor: the norm of the difference over the norm of the exact one."""
    return {n: np.linalg.norm(gradient[n] - array) / (np.linalg.norm(array) + 1e-30) for n, array in exact.items()}


def errors_of(rollout, path, **settings):
    """Per tensor: our error against float64, and Stable-Baselines3's; one minibatch of all rows."""
    model = make_model(rollout, batch_size=1 << 20, n_epochs=1, max_grad_norm=1e9, **settings)
    exact = Reference(model, rollout, torch.float64).gradient(np.arange(len(rollout.actions)))
    ours = relative_errors(gradient_of(model, path), exact)
    model.update_path = "sb3"
    model.train()
    return ours, relative_errors({name: p.grad.numpy() for name, p in model.policy.named_parameters()}, exact)


def assert_as_exact_as_torch(rollout, path, **settings):
    """At most three times torch's error, beside four times the spacing of float32."""
    ours, torchs = errors_of(rollout, path, **settings)
    for name, error in ours.items():
        assert torchs[name] < 1e-5, f"the reference is not what Stable-Baselines3 computes: {name}"
        assert error <= 3 * torchs[name] + 2.0**-21, f"{name}: {error:.1e}, torch {torchs[name]:.1e}"


@pytest.mark.parametrize("normalize", [True, False], ids=["normalized", "raw"])
@pytest.mark.parametrize("rows", [2048, 2000, 777, 1])
@pytest.mark.parametrize("path", ["sparse", "dense"])
@pytest.mark.parametrize("species", ["predator", "prey"])
def test_gradients_are_as_close_to_float64_as_torchs(species, path, rows, normalize):
    assert_as_exact_as_torch(played(species).first(rows), path, normalize=normalize, ent_coef=0.01)


def test_the_rows_that_are_compared_are_clipped_on_both_sides_and_not_at_all():
    rollout = played("prey").first(777)
    model = make_model(rollout, "sb3", batch_size=1 << 20, n_epochs=1)
    with torch.no_grad():
        columns = torch.from_numpy(rollout.observations), torch.from_numpy(rollout.actions)
        log_ratios = model.policy.evaluate_actions(*columns)[1].numpy() - model.rollout_buffer.column("log_probs")
    for signs in (rollout.advantages > 0, rollout.advantages < 0):
        for part in (log_ratios > np.log(1.2), log_ratios < np.log(0.8), np.abs(log_ratios) < 1e-6):
            assert (signs & part).sum() > 20


@pytest.mark.parametrize("path", ["sparse", "dense"])
@pytest.mark.parametrize("n_actions", [2, 9, 17, 40])
@pytest.mark.parametrize(
    "net_arch",
    [
        ((32, 32), (32, 32)),
        ((256, 256), (256, 256)),
        ((33, 100), (100, 33)),
        ((48, 32), (64, 250)),
        ((127, 65), (32, 32)),
    ],
    ids=lambda net_arch: "-".join(f"{pi}x{vf}" for pi, vf in net_arch),
)
def test_gradients_are_right_whatever_the_widths_and_the_number_of_actions(net_arch, n_actions, path):
    prey = played("prey").first(300)
    rollout = invented(prey.space, prey.observations, n_actions)
    assert_as_exact_as_torch(rollout, path, net_arch=net_arch, ent_coef=0.05)


OBSERVATIONS = {
    "flat float32": floats(400),
    "flat float64": floats(400, dtype=np.float64),
    "flat float32, few not zero": floats(400, inputs=90, density=0.1),
    "dense bytes": invented(BYTES, np.random.default_rng(0).integers(0, 256, (400, 5, 6, 3), np.uint8)),
    "a channel of three patterns": invented(BYTES, patterned(np.random.default_rng(0), 400, (5, 6, 3), 3, 255)),
    "a channel of three patterns, then of 800": invented(
        BYTES,
        np.concatenate([patterned(np.random.default_rng(0), 400, (5, 6, 3), count, 255) for count in (3, 400, 400)]),
    ),
    "all zero": invented(BYTES, np.zeros((400, 5, 6, 3), np.uint8)),
    "signed integers": invented(
        spaces.Box(-9, 9, (4, 4, 2), np.int16), np.random.default_rng(0).integers(-9, 10, (400, 4, 4, 2), np.int16)
    ),
    "bytes that are no image": invented(
        spaces.Box(0, 1, (30,), np.uint8), np.random.default_rng(0).integers(0, 2, (400, 30), np.uint8)
    ),
}


@pytest.mark.parametrize("path", ["sparse", "dense"])
@pytest.mark.parametrize("kind", OBSERVATIONS)
def test_gradients_are_right_whatever_the_observations_are_made_of(kind, path):
    assert_as_exact_as_torch(OBSERVATIONS[kind], path, ent_coef=0.01)


@pytest.mark.parametrize("species", ["predator", "prey"])
def test_lists_that_the_rollout_left_behind_give_the_gradient_of_lists_made_anew(species):
    rollout = played(species).first(500)
    model = make_model(rollout, batch_size=500)
    expected = gradient_of(model, "sparse")
    lists = SparseRows(rollout.space.shape, rollout.space.dtype, is_image=True)
    for block in np.split(rollout.observations, [100, 100, 131]):
        lists.add(block)
    model.rollout_buffer.lists = lists
    for name, array in gradient_of(model, "auto").items():
        assert np.abs(array - expected[name]).max() <= 5e-6 * np.abs(expected[name]).max(), name
