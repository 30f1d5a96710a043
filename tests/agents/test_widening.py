"""A hidden layer of another width does the same, or says how much it lost."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from agents.widening import Dense, narrowed, resized, widened


def layers_of(*sizes: int, seed: int = 0) -> list[Dense]:
    rng = np.random.default_rng(seed)
    return [
        Dense(
            rng.normal(0, np.sqrt(2 / inputs), (units, inputs)).astype(np.float32),
            rng.normal(0, 0.1, units).astype(np.float32),
        )
        for inputs, units in pairwise(sizes)
    ]


def relu(numbers: np.ndarray) -> np.ndarray:
    return np.maximum(numbers, 0)


def sigmoid(numbers: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-numbers))


def outputs(layers: list[Dense], inputs: np.ndarray, activation=relu) -> np.ndarray:
    for layer in layers[:-1]:
        inputs = activation(inputs @ layer.weight.T + layer.bias)
    return inputs @ layers[-1].weight.T + layers[-1].bias


@pytest.fixture
def inputs() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(400, 64)).astype(np.float32)


@pytest.mark.parametrize(
    ("sizes", "widths"),
    [((64, 8, 5), (9,)), ((64, 8, 5), (100,)), ((64, 32, 24, 10), (100, 57)), ((64, 1, 1, 3), (7, 2))],
)
def test_widening_changes_nothing_but_rounding(sizes, widths, inputs):
    """D24: Net2WiderNet, also for two hidden layers."""
    layers = layers_of(*sizes)
    wide, loss = resized(layers, widths, np.random.default_rng(2))
    assert tuple(layer.width for layer in wide[:-1]) == widths
    assert {array.dtype for layer in wide for array in (layer.weight, layer.bias)} == {np.dtype(np.float32)}
    assert loss == 0
    expected = outputs(layers, inputs)
    assert np.abs(outputs(wide, inputs) - expected).max() <= 1e-5 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("activation", [relu, np.tanh, np.sin, sigmoid])
@pytest.mark.parametrize("seed", range(3))
def test_widening_changes_nothing_whatever_works_on_each_number_alone(activation, seed, inputs):
    """D24: to 1e-5, for random nets of three hidden layers."""
    layers = layers_of(64, 12, 30, 9, 4, seed=seed)
    wide, _ = resized(layers, (50, 31, 64), np.random.default_rng(seed), activation)
    expected = outputs(layers, inputs, activation)
    assert np.abs(outputs(wide, inputs, activation) - expected).max() <= 1e-5 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("activation", [np.tanh, np.sin, sigmoid])
def test_the_stated_loss_is_true_for_other_activations_too(activation):
    """For inputs of variance 1, of which there may be more or fewer than units."""
    for inputs in (6, 60):
        before, after = layers_of(inputs, 24, 5)
        fewer, shared, stated = narrowed(before, after, 6, activation)
        seen = np.random.default_rng(1).normal(size=(20_000, inputs))
        gives = outputs([before, after], seen, activation) - after.bias
        lost = outputs([fewer, shared], seen, activation) - after.bias - gives
        assert 0.005 < stated == pytest.approx(np.square(lost).sum() / np.square(gives).sum(), rel=0.1)


def test_copies_of_a_unit_part_from_each_other_when_they_learn():
    """With equal shares their gradients would be the same for ever: here those into the copies differ in direction."""
    before, after = widened(*layers_of(64, 4, 10), 8, np.random.default_rng(0))
    error = np.random.default_rng(1).normal(size=(10,))
    sent_back = error @ after.weight
    for copy in range(4, 8):
        original = next(unit for unit in range(4) if np.array_equal(before.weight[unit], before.weight[copy]))
        assert not np.isclose(sent_back[copy], sent_back[original])


def test_what_widening_added_is_taken_away_again_without_a_loss(inputs):
    layers = layers_of(64, 16, 12, 10)
    wide, _ = resized(layers, (40, 30), np.random.default_rng(2))
    back, loss = resized(wide, (16, 12), np.random.default_rng(3))
    assert loss < 1e-9
    assert np.allclose(outputs(back, inputs), outputs(layers, inputs), atol=1e-4)


@pytest.mark.parametrize("width", [28, 16, 4, 1])
def test_narrowing_says_what_it_loses_and_loses_less_than_cutting_does(width, inputs):
    before, after = layers_of(64, 32, 10)
    fewer, shared, stated = narrowed(before, after, width)
    assert fewer.weight.shape == (width, 64) and shared.weight.shape == (10, width)
    gives = outputs([before, after], inputs) - after.bias
    lost = np.square(outputs([fewer, shared], inputs) - after.bias - gives).sum() / np.square(gives).sum()
    assert stated == pytest.approx(lost, rel=0.1)
    importance = np.linalg.norm(before.weight, axis=1) * np.linalg.norm(after.weight, axis=0)
    kept = np.argsort(-importance)[:width]
    cut = [Dense(before.weight[kept], before.bias[kept]), Dense(after.weight[:, kept], after.bias)]
    assert lost < np.square(outputs(cut, inputs) - after.bias - gives).sum() / np.square(gives).sum()


def test_the_more_units_stay_the_less_is_lost():
    before, after = layers_of(20, 24, 10)
    losses = [narrowed(before, after, width)[2] for width in range(1, 25)]
    assert all(more >= less for more, less in pairwise(losses))
    assert losses[-1] == pytest.approx(0.0, abs=1e-9)


def test_units_that_nobody_listens_to_go_first():
    before, after = layers_of(20, 12, 10)
    weight = after.weight.copy()
    weight[:, [2, 5, 7]] = 0
    fewer, _, loss = narrowed(before, Dense(weight, after.bias), 9)
    heard = [unit for unit in range(12) if unit not in (2, 5, 7)]
    assert np.array_equal(fewer.weight, before.weight[heard])
    assert loss == pytest.approx(0.0, abs=1e-9)


def test_a_layer_without_any_weight_can_be_narrowed_too():
    nothing = Dense(np.zeros((6, 4), np.float32), np.zeros(6, np.float32))
    fewer, shared, loss = narrowed(nothing, Dense(np.zeros((3, 6), np.float32), np.ones(3, np.float32)), 2)
    assert fewer.weight.shape == (2, 4) and shared.weight.shape == (3, 2) and loss == 0
    assert np.isfinite(shared.weight).all()


def test_the_same_generator_gives_the_same_layers():
    one, other = (resized(layers_of(8, 4, 3), (9,), np.random.default_rng(5))[0] for _ in range(2))
    assert all(np.array_equal(a.weight, b.weight) for a, b in zip(one, other, strict=True))


def test_what_cannot_be_is_refused():
    before, after = layers_of(8, 4, 3)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="width: must be at least 4, got 3"):
        widened(before, after, 3, rng)
    for width in (0, 5):
        with pytest.raises(ValueError, match=f"width: must be from 1 to 4, got {width}"):
            narrowed(before, after, width)
    with pytest.raises(ValueError, match="widths: must be 1, one per hidden layer, got 2"):
        resized([before, after], (4, 4), rng)
