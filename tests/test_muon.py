"""Muon: what it does to a matrix, which weights it is for, and its step against NumPy."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_helpers import ConvNet, batch_indices, cross_entropy, optimize, quiet
from mnist_helpers.checkpoints import load_training, save_training
from mnist_helpers.data import Split
from mnist_helpers.muon import (
    COEFFICIENTS,
    LIKE_ADAM,
    MOMENTUM,
    ROUNDS,
    hidden_weights,
    orthogonalise,
)
from mnist_helpers.optimizer import Optimizer
from mnist_helpers.precision import fastest_precision
from mnist_helpers.speed.race import BatchNormNet

with quiet():
    import keras
    import tensorflow as tf

Matrix = npt.NDArray[np.float64]


def by_singular_values(matrix: Matrix) -> Matrix:
    """Muon's polynomial, done to the singular values themselves."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    values = values / np.linalg.norm(values)
    a, b, c = COEFFICIENTS
    for _ in range(ROUNDS):
        values = a * values + b * values**3 + c * values**5
    result: Matrix = left * values @ right
    return result


def drawn(rows: int, columns: int, seed: int) -> Matrix:
    return np.random.default_rng(seed).normal(size=(rows, columns))


sizes = st.integers(1, 40)


@given(sizes, sizes, st.integers(0, 100))
@settings(max_examples=30, derandomize=True)
def test_only_the_singular_values_change(rows: int, columns: int, seed: int) -> None:
    matrix = drawn(rows, columns, seed)
    np.testing.assert_allclose(orthogonalise(matrix), by_singular_values(matrix), atol=2e-3)


@given(sizes, sizes, st.integers(0, 100), st.floats(1e-3, 1e3))
@settings(max_examples=20, derandomize=True)
def test_size_and_orientation_do_not_matter(
    rows: int, columns: int, seed: int, factor: float
) -> None:
    matrix = drawn(rows, columns, seed)
    result = orthogonalise(matrix).numpy()
    np.testing.assert_allclose(orthogonalise(factor * matrix), result, atol=2e-3)
    np.testing.assert_allclose(orthogonalise(matrix.T), result.T, atol=2e-3)


def test_every_direction_comes_out_about_as_long() -> None:
    # Down to 0.002 of the norm, as the docstring has it.
    before = np.geomspace(1, 3.7e-3, 30)
    assert before.min() / np.linalg.norm(before) == pytest.approx(0.002, rel=0.2)
    left, right = (np.linalg.qr(drawn(60, 30, seed))[0] for seed in (0, 1))
    after = np.linalg.svd(orthogonalise(left * before @ right.T), compute_uv=False)[:30]
    assert 0.65 < after.min() < after.max() < 1.25


def test_no_gradient_gives_no_step() -> None:
    np.testing.assert_array_equal(orthogonalise(np.zeros([4, 7])), np.zeros([4, 7]))


@pytest.mark.skipif(
    not hasattr(keras.optimizers, "Muon"), reason="this version of Keras has no Muon"
)
def test_keras_has_the_same_matrix() -> None:
    matrix = drawn(50, 20, seed=0).astype(np.float32)
    theirs = keras.optimizers.Muon().zeropower_via_newtonschulz5(tf.constant(matrix), ROUNDS)
    np.testing.assert_allclose(orthogonalise(matrix), theirs, atol=2e-3)


@pytest.mark.skipif(fastest_precision() != "bfloat16", reason="no instructions for bfloat16")
def test_short_numbers_are_enough() -> None:
    matrix = drawn(300, 64, seed=0)
    short, long = orthogonalise(matrix, "bfloat16"), orthogonalise(matrix)
    assert short.dtype == tf.float32
    # Each multiplication rounds to 8 bits, and there are fifteen in a row.
    assert 0 < np.linalg.norm(short - long) < 0.1 * np.linalg.norm(long)


def test_muon_is_for_the_layers_between() -> None:
    found = {}
    for net in (ConvNet(seed=0), BatchNormNet(seed=0)):
        hidden = hidden_weights(list(net.weights.values()))
        found[type(net)] = [name for name, is_so in zip(net.weights, hidden, strict=True) if is_so]
    assert found == {
        ConvNet: ["conv2/weights", "fc1/weights"],
        BatchNormNet: ["conv2/weights", "conv3/weights", "conv4/weights"],
    }
    assert hidden_weights([]) == []


def problem(count: int = 50) -> Split:
    rng = np.random.default_rng(0)
    return Split(rng.random((count, 784), np.float32), rng.integers(0, 10, count))


def values(net: ConvNet) -> list[npt.NDArray[np.float32]]:
    return [variable.numpy() for variable in net.weights.values()]


def test_optimize_is_muon_step_by_step() -> None:
    """The same six steps in eager mode, with the formulas written out in NumPy."""
    split, rate = problem(), 1e-3
    trained, net = ConvNet(seed=0), ConvNet(seed=0)
    optimize(trained, split, 6, learning_rate=rate, batch_size=8, optimizer="muon", verbose=False)
    start = values(net)
    variables = list(net.weights.values())
    first, second = ([np.zeros(v.shape) for v in variables] for _ in range(2))
    for step, batch in enumerate(batch_indices(50, 8, 0, 6), start=1):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(cross_entropy(net(split.images[batch]), split.labels[batch]))
        for i, gradient in enumerate(tape.gradient(loss, variables)):
            g = gradient.numpy().astype(float)
            if list(net.weights)[i] in ("conv2/weights", "fc1/weights"):
                first[i] = MOMENTUM * first[i] + g
                ahead = (g + MOMENTUM * first[i]).reshape(-1, g.shape[-1])
                change = LIKE_ADAM * math.sqrt(max(ahead.shape)) * by_singular_values(ahead)
            else:
                first[i] = 0.9 * first[i] + 0.1 * g
                second[i] = 0.999 * second[i] + 0.001 * g**2
                corrected = math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
                change = corrected * first[i] / (np.sqrt(second[i]) + 1e-7)
            variables[i].assign_sub(rate * change.reshape(g.shape))
    for expected, found, before in zip(values(net), values(trained), start, strict=True):
        assert np.linalg.norm(found - expected) < 0.03 * np.linalg.norm(found - before)


def test_a_step_is_about_as_long_as_adams() -> None:
    moves = {}
    for optimizer in ("adam", "muon"):
        net = ConvNet(seed=0)
        before = net.fc1.weights.numpy()
        optimize(net, problem(), 20, learning_rate=1e-3, optimizer=optimizer, verbose=False)
        moves[optimizer] = np.linalg.norm(net.fc1.weights.numpy() - before)
    assert 0.3 < moves["muon"] / moves["adam"] < 3


def test_training_with_muon_goes_on_where_it_stopped(tmp_path: Path) -> None:
    split = problem()
    whole, halves = ConvNet(seed=0), ConvNet(seed=0)
    optimize(whole, split, 8, optimizer="muon", verbose=False)
    optimize(halves, split, 5, optimizer="muon", verbose=False)
    save_training(halves, tmp_path / "five.npz")
    resumed = load_training(tmp_path / "five.npz")
    optimize(resumed, split, 3, optimizer="muon", verbose=False)
    for one, other in zip(values(whole), values(resumed), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("first", "second"), [("adam", "muon"), ("muon", "adam")])
@pytest.mark.parametrize("stored", [False, True])
def test_an_optimiser_never_takes_up_anothers_memory(
    tmp_path: Path, first: Optimizer, second: Optimizer, stored: bool
) -> None:
    net = ConvNet(seed=0)
    optimize(net, problem(), 2, optimizer=first, verbose=False)
    if stored:
        save_training(net, tmp_path / "state.npz")
        net = load_training(tmp_path / "state.npz")
    before = values(net)
    with pytest.raises(ValueError, match=f'trained by {first}, .* optimizer="{first}", or forget'):
        optimize(net, problem(), 1, optimizer=second, verbose=False)
    for one, other in zip(before, values(net), strict=True):
        np.testing.assert_array_equal(one, other)
    net.training_state = None
    optimize(net, problem(), 1, optimizer=second, verbose=False)
    assert net.iterations == 3
