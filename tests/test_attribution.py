"""Maps of what an answer depends on, and changes that mislead, held against arithmetic by hand."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from mnist_helpers import ConvNet, Mnist, evaluate, load_checkpoint, quiet
from mnist_helpers.attribution import (
    fewest_pixels,
    grad_cam,
    loss_gradients,
    occlusion_map,
    pixel_gradients,
    projected_steps,
    sign_step,
)
from mnist_helpers.data import Split
from mnist_helpers.network import Network

with quiet():
    import tensorflow as tf


class Linear(Network):
    """Ten weighted sums of the pixels, whose slopes are its weights."""

    def __init__(self) -> None:
        super().__init__()
        drawn = np.random.default_rng(0).normal(size=(784, 10)) / 10
        self.matrix = tf.Variable(drawn.astype(np.float32))

    @property
    def weights(self) -> dict[str, tf.Variable]:
        return {"matrix": self.matrix}

    def fast_logits(self, images: Any, precision: Any = "float32", training: bool = False) -> Any:
        return tf.matmul(images, self.matrix)


@pytest.fixture(scope="module")
def net() -> ConvNet:
    return load_checkpoint(10_000)


@pytest.fixture(scope="module")
def split(mnist: Mnist, net: ConvNet) -> Split:
    """Twenty test images that the network reads correctly."""
    right = np.flatnonzero(evaluate(net, mnist.test).predictions == mnist.test.labels)[:20]
    return Split(mnist.test.images[right], mnist.test.labels[right])


@pytest.fixture(scope="module")
def linear() -> Linear:
    return Linear()


@pytest.fixture(scope="module")
def grey() -> Any:
    """Images on which nothing is blank or full."""
    return np.random.default_rng(1).uniform(0.3, 0.7, (6, 784)).astype(np.float32)


def probability(net: Network, image: Any, digit: int) -> float:
    images = np.asarray(image, np.float32).reshape(1, 784)
    return float(tf.nn.softmax(net(images))[0, digit])


def test_occlusion_is_the_probability_of_the_covered_image(net: ConvNet, split: Split) -> None:
    image, digit = split.images[0], int(split.labels[0])
    found = occlusion_map(net, image, digit, size=5, value=0.25)
    assert found.shape == (28, 28)
    for row, column in [(0, 0), (14, 14), (12, 20), (27, 3)]:
        covered = image.reshape(28, 28).copy()
        covered[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3] = 0.25
        assert found[row, column] == pytest.approx(probability(net, covered.ravel(), digit), 1e-4)
    np.testing.assert_array_equal(found, occlusion_map(net, image.reshape(28, 28), digit, 5, 0.25))


def test_a_square_over_all_of_the_image_gives_one_probability(net: ConvNet, split: Split) -> None:
    found = occlusion_map(net, split.images[0], 3, size=57)
    expected = probability(net, np.full(784, 0.5), 3)
    np.testing.assert_allclose(found, np.full((28, 28), expected), rtol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"size": 4}, ValueError, "must be odd"),
        ({"size": 2.5}, TypeError, "whole number"),
        ({"value": 1.5}, ValueError, "0 (paper) to 1 (ink)"),
        ({"digit": 10}, ValueError, "0 to 9"),
        ({"image": np.zeros((2, 784))}, ValueError, "got 2 images"),
    ],
)
def test_occlusion_refuses_what_is_no_question(
    net: ConvNet, wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    arguments: dict[str, Any] = {"image": np.zeros(784), "digit": 1} | wrong
    with pytest.raises(error, match=re.escape(message)):
        occlusion_map(net, **arguments)


def test_the_slopes_of_a_linear_network_are_its_weights(linear: Linear, grey: Any) -> None:
    classes = [0, 1, 2, 3, 4, 9]
    found = pixel_gradients(linear, grey, classes)
    np.testing.assert_allclose(found, linear.matrix.numpy().T[classes], rtol=1e-6)


def test_ink_and_biases_times_their_slopes_add_up_to_the_logit(net: ConvNet, split: Split) -> None:
    slopes = pixel_gradients(net, split.images, split.labels)
    biases = [layer.biases for layer in (net.conv1, net.conv2, net.fc1, net.fc2)]
    for image, label, of_image in zip(split.images, split.labels, slopes, strict=True):
        with tf.GradientTape() as tape:
            logit = net(image[np.newaxis])[0, int(label)]
        of_biases = tape.gradient(logit, biases)
        shares = [float(tf.reduce_sum(s * b)) for s, b in zip(of_biases, biases, strict=True)]
        assert float(of_image @ image) + sum(shares) == pytest.approx(float(logit), abs=1e-3)


def test_grad_cam_weights_each_channel_by_its_mean_slope(net: ConvNet, split: Split) -> None:
    found = grad_cam(net, split.images, split.labels)
    outputs = net.activations(split.images)
    first, second = net.fc1.weights.numpy(), net.fc2.weights.numpy()
    assert found.max() > 0
    for i, label in enumerate(split.labels):
        slopes = first @ (second[:, label] * (outputs["layer_fc1"][i] > 0))
        sums = outputs["layer_conv2"][i] @ slopes.reshape(49, 36).mean(axis=0)
        np.testing.assert_allclose(found[i], np.maximum(sums, 0), atol=1e-4)


def test_a_sign_step_moves_every_pixel_by_the_size_against_the_class(
    linear: Linear, grey: Any
) -> None:
    labels = np.arange(6)
    changed = sign_step(linear, grey, labels, 0.1)
    np.testing.assert_allclose(np.abs(changed - grey), 0.1, atol=1e-6)
    # The slope of the cross-entropy is the mean of the columns by probability, less the label's.
    given = tf.nn.softmax(linear(grey)).numpy()
    slopes = given @ linear.matrix.numpy().T - linear.matrix.numpy().T[labels]
    np.testing.assert_allclose(loss_gradients(linear, grey, labels), slopes, atol=1e-6)
    np.testing.assert_array_equal(np.sign(changed - grey), np.sign(slopes))


def test_changes_stay_within_the_size_and_within_the_range_of_ink(
    net: ConvNet, split: Split
) -> None:
    for change in (sign_step, projected_steps):
        changed = change(net, split.images, split.labels, 0.15)
        assert changed.dtype == np.float32
        assert np.abs(changed - split.images).max() <= 0.15 + 1e-6
        assert changed.min() >= 0
        assert changed.max() <= 1
        np.testing.assert_array_equal(change(net, split.images, split.labels, 0), split.images)


def test_several_steps_mislead_more_than_one_and_noise_hardly_at_all(
    net: ConvNet, split: Split
) -> None:
    def loss(images: Any) -> float:
        return evaluate(net, Split(images, split.labels)).loss

    coins = np.random.default_rng(2).choice([-1, 1], split.images.shape)
    noise = np.clip(split.images + np.float32(0.1) * coins, 0, 1)
    one = sign_step(net, split.images, split.labels, 0.1)
    several = projected_steps(net, split.images, split.labels, 0.1)
    assert loss(split.images) < loss(one) < loss(several)
    assert loss(noise) < loss(one) / 5


def test_the_seed_decides_where_projected_steps_start(net: ConvNet, split: Split) -> None:
    first, again, other = (
        projected_steps(net, split.images[:2], split.labels[:2], 0.1, num_steps=1, seed=seed)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("change", [sign_step, projected_steps])
def test_a_size_that_is_no_share_of_ink_is_refused(net: ConvNet, change: Any) -> None:
    for size in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="size must be from 0 to 1"):
            change(net, np.zeros((1, 784)), [0], size)


def test_the_fewest_pixels_make_the_network_read_the_target(net: ConvNet, split: Split) -> None:
    targets = (split.labels + 1) % 10
    changed, places = fewest_pixels(net, split.images, targets)
    assert (net(changed).numpy().argmax(axis=1) == targets).all()
    assert max(map(len, places)) < 100
    for before, after, chosen in zip(split.images, changed, places, strict=True):
        assert len(set(chosen)) == len(chosen) > 0
        assert set(np.flatnonzero(before != after)) == set(chosen)
        assert set(after[chosen]) <= {0, 1}


def test_each_pixel_is_the_one_from_which_the_target_has_most_to_gain(
    linear: Linear, grey: Any
) -> None:
    logits = linear(grey[:1]).numpy()[0]
    best, target = int(logits.argmax()), int(logits.argmin())
    _, (chosen,) = fewest_pixels(linear, grey[:1], [target], most=1)
    slopes = linear.matrix.numpy()[:, target] - linear.matrix.numpy()[:, best]
    gains = np.where(slopes > 0, slopes * (1 - grey[0]), -slopes * grey[0])
    assert chosen == [gains.argmax()]


def test_no_more_pixels_than_allowed_change_and_none_without_need(
    net: ConvNet, split: Split
) -> None:
    changed, places = fewest_pixels(net, split.images, split.labels)
    assert places == [[]] * len(split)
    np.testing.assert_array_equal(changed, split.images)
    changed, places = fewest_pixels(net, split.images[:3], (split.labels[:3] + 5) % 10, most=2)
    assert [len(chosen) for chosen in places] == [2, 2, 2]
    assert ((changed != split.images[:3]).sum(axis=1) == 2).all()


@pytest.mark.parametrize("ask", [pixel_gradients, grad_cam, fewest_pixels])
def test_a_class_is_needed_for_each_image(net: ConvNet, ask: Any) -> None:
    with pytest.raises(ValueError, match="one class for each image; got 3 for 2 images"):
        ask(net, np.zeros((2, 784)), [1, 2, 3])
