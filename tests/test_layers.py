"""The layers against the same arithmetic written out in NumPy."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import truncnorm

from mnist_helpers import (
    flatten_layer,
    new_biases,
    new_conv_layer,
    new_fc_layer,
    new_weights,
)
from mnist_helpers._quiet import quiet

with quiet():
    import tensorflow as tf

Array = npt.NDArray[np.float64]

laws = settings(max_examples=25, derandomize=True)
sizes = st.integers(1, 9)
channels = st.integers(1, 4)
seeds = st.integers(0, 2**31 - 1)


def random_images(seed: int, *shape: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def convolve(images: Array, weights: Array) -> Array:
    """Move each filter over each image by hand: SAME padding, stride 1.

    The padding is as thick before as after; the odd pixel of an even filter comes after.
    """
    num_images, height, width, _ = images.shape
    rows, columns, _, num_filters = weights.shape
    padded = np.pad(
        images,
        [
            (0, 0),
            ((rows - 1) // 2, rows // 2),
            ((columns - 1) // 2, columns // 2),
            (0, 0),
        ],
    )
    output = np.empty((num_images, height, width, num_filters))
    for row in range(height):
        for column in range(width):
            patch = padded[:, row : row + rows, column : column + columns, :, np.newaxis]
            output[:, row, column] = (patch * weights).sum(axis=(1, 2, 3))
    return output


def max_pool(images: Array) -> Array:
    """Keep the largest of each 2×2 square; at an odd edge the square is cut off."""
    num_images, height, width, num_channels = images.shape
    output = np.empty((num_images, math.ceil(height / 2), math.ceil(width / 2), num_channels))
    for row in range(output.shape[1]):
        for column in range(output.shape[2]):
            square = images[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            output[:, row, column] = square.max(axis=(1, 2))
    return output


@given(sizes, sizes, channels, st.integers(1, 6), channels, st.booleans(), seeds)
@laws
def test_conv_layer_equals_the_sums_written_out(
    height: int,
    width: int,
    num_channels: int,
    filter_size: int,
    num_filters: int,
    use_pooling: bool,
    seed: int,
) -> None:
    images = random_images(seed, 2, height, width, num_channels)
    layer, weights = new_conv_layer(num_channels, filter_size, num_filters, use_pooling, seed=seed)
    layer.biases.assign(random_images(seed + 1, num_filters))

    expected = convolve(images.astype(float), weights.numpy().astype(float)) + layer.biases.numpy()
    if use_pooling:
        expected = max_pool(expected)

    np.testing.assert_allclose(layer(images), np.maximum(expected, 0), atol=1e-5)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.booleans(), seeds)
@laws
def test_fc_layer_equals_the_matrix_product_written_out(
    num_images: int, num_inputs: int, num_outputs: int, use_relu: bool, seed: int
) -> None:
    inputs = random_images(seed, num_images, num_inputs)
    layer = new_fc_layer(num_inputs, num_outputs, use_relu, seed=seed)
    layer.biases.assign(random_images(seed + 1, num_outputs))

    expected = np.array(
        [
            [
                math.fsum(inputs[i] * layer.weights.numpy()[:, j]) + layer.biases.numpy()[j]
                for j in range(num_outputs)
            ]
            for i in range(num_images)
        ]
    )
    if use_relu:
        expected = np.maximum(expected, 0)

    output = layer(inputs)
    np.testing.assert_allclose(output, expected, atol=1e-5)
    assert output.dtype == tf.float32


@given(st.integers(1, 13), st.integers(1, 13), channels, seeds)
@laws
def test_relu_after_pooling_is_relu_before_pooling(
    height: int, width: int, num_channels: int, seed: int
) -> None:
    images = random_images(seed, 2, height, width, num_channels)
    after = tf.nn.relu(tf.nn.max_pool2d(images, 2, 2, "SAME"))
    before = tf.nn.max_pool2d(tf.nn.relu(images), 2, 2, "SAME")
    np.testing.assert_array_equal(after, before)

    # A filter that is a single 1 lets the image through, so that what is left of the layer
    # is the pooling and the ReLU.
    layer, weights = new_conv_layer(num_channels, 1, num_channels)
    weights.assign(np.eye(num_channels)[np.newaxis, np.newaxis])
    layer.biases.assign(np.zeros(num_channels))
    np.testing.assert_array_equal(layer(images), before)


@given(st.integers(1, 4), sizes, sizes, channels)
@laws
def test_flatten_layer_runs_through_channels_then_columns_then_rows(
    num_images: int, height: int, width: int, num_channels: int
) -> None:
    shape = (num_images, height, width, num_channels)
    layer = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)

    rows, num_features = flatten_layer(layer)
    flat = rows.numpy()

    assert num_features == height * width * num_channels
    assert flat.shape == (num_images, num_features)
    for image, row, column, channel in np.ndindex(shape):
        place = (row * width + column) * num_channels + channel
        assert flat[image, place] == layer[image, row, column, channel]


def test_flatten_layer_in_a_graph_of_unknown_batch_size() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 7, 7, 36], tf.float32)])
    def flatten(layer: tf.Tensor) -> tf.Tensor:
        flat, num_features = flatten_layer(layer)
        assert num_features == 1764
        assert flat.shape.as_list() == [None, 1764]
        return flat

    layer = random_images(0, 3, 7, 7, 36)
    np.testing.assert_array_equal(flatten(layer), layer.reshape(3, 1764))


@pytest.mark.parametrize("seed", [0, 7, None])
@pytest.mark.parametrize("stddev", [0.05, 0.2])
def test_new_weights_are_from_a_truncated_normal_distribution(
    seed: int | None, stddev: float
) -> None:
    if seed is None:
        tf.random.set_seed(3)
    weights = new_weights([50, 40, 30], stddev=stddev, seed=seed)
    values = weights.numpy()

    assert weights.dtype == tf.float32
    assert weights.shape == (50, 40, 30)
    assert weights.trainable
    # Cut at two standard deviations, and reaching almost there.
    assert 1.99 * stddev < np.abs(values).max() <= 2 * stddev * (1 + 1e-6)
    # Of 60,000 numbers the mean strays by 0.0036 standard deviations, the spread by less.
    assert abs(values.mean()) < 0.02 * stddev
    assert values.std() == pytest.approx(truncnorm(-2, 2, scale=stddev).std(), rel=0.01)
    for share in (0.1, 0.25, 0.75, 0.9):
        expected = truncnorm(-2, 2, scale=stddev).ppf(share)
        assert np.quantile(values, share) == pytest.approx(expected, abs=0.03 * stddev)


@given(seeds, seeds)
@laws
def test_the_seed_decides_the_weights(one: int, other: int) -> None:
    first = new_weights([3, 5], seed=one).numpy()
    np.testing.assert_array_equal(first, new_weights([3, 5], seed=one))
    np.testing.assert_array_equal(first, new_weights([3, 5], seed=(one, 0)))
    assert np.array_equal(first, new_weights([3, 5], seed=other)) == (one == other)
    assert not np.array_equal(first, new_weights([3, 5], seed=(one, 1)))


def test_a_seed_may_be_a_numpy_integer() -> None:
    np.testing.assert_array_equal(
        new_weights([3, 5], seed=np.int64(4)), new_weights([3, 5], seed=4)
    )


def test_weights_of_a_seed_are_those_of_every_machine() -> None:
    # Drawn by the Philox generator; tolerance for another processor's rounding.
    expected = [-0.0848517, -0.0240688, -0.0331118]
    np.testing.assert_allclose(new_weights([3], seed=0), expected, rtol=1e-5)


def test_without_a_seed_every_draw_is_new() -> None:
    assert not np.array_equal(new_weights([20]), new_weights([20]))


def test_a_seed_leaves_the_global_random_numbers_alone() -> None:
    tf.random.set_seed(5)
    expected = tf.random.normal([4])
    tf.random.set_seed(5)
    new_weights([20], seed=1)
    np.testing.assert_array_equal(tf.random.normal([4]), expected)


@pytest.mark.parametrize("length", [1, 16, 128])
def test_new_biases_are_all_the_same(length: int) -> None:
    biases = new_biases(length)
    assert biases.dtype == tf.float32
    assert biases.trainable
    np.testing.assert_array_equal(biases, np.full(length, 0.05, np.float32))
    np.testing.assert_array_equal(new_biases(length, -1), np.full(length, -1, np.float32))


def test_layers_start_from_new_weights_and_biases() -> None:
    conv, _ = new_conv_layer(2, 5, 3, seed=(4, 2))
    np.testing.assert_array_equal(conv.weights, new_weights([5, 5, 2, 3], seed=(4, 2)))
    np.testing.assert_array_equal(conv.biases, new_biases(3))
    dense = new_fc_layer(6, 3, seed=8)
    np.testing.assert_array_equal(dense.weights, new_weights([6, 3], seed=8))
    np.testing.assert_array_equal(dense.biases, new_biases(3))


def test_layers_tell_tensorflow_their_variables() -> None:
    conv, _ = new_conv_layer(1, 5, 4)
    dense = new_fc_layer(4, 2)
    assert {id(v) for v in conv.trainable_variables} == {id(conv.weights), id(conv.biases)}
    assert {id(v) for v in dense.trainable_variables} == {id(dense.weights), id(dense.biases)}
