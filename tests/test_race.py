"""The race's network and recipes: what batch normalisation promises, and that they learn."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mnist_helpers import ConvNet, Mnist, evaluate, quiet
from mnist_helpers.augmentation import Distortion
from mnist_helpers.data import Split
from mnist_helpers.speed.race import (
    EPSILON,
    FIVE_SHIFTS,
    LARGER,
    RECIPES,
    SMALLER,
    BatchNormNet,
    Layers,
    RaceNetwork,
    RaceRecipe,
    evaluate_together,
    hardest_images,
    he_start,
    move_images,
    run_recipe,
    train_network,
)

with quiet():
    import tensorflow as tf


def few(data: Mnist, count: int = 1_000) -> Mnist:
    """The same data with fewer images to learn from."""
    return replace(data, train=Split(data.train.images[:count], data.train.labels[:count]))


def test_a_layer_normalises_each_channel_over_the_batch() -> None:
    net = BatchNormNet()
    layer = tf.constant(np.random.default_rng(0).normal(3, 5, [16, 7, 7, 64]), tf.float32)
    for training in (True, False):
        result = net._normalise(layer, 1, training).numpy()
        if training:
            np.testing.assert_allclose(result.mean(axis=(0, 1, 2)), 0, atol=1e-4)
            np.testing.assert_allclose(result.std(axis=(0, 1, 2)), 1, atol=1e-3)
        else:
            mean, variance = net.means[1].numpy(), net.variances[1].numpy()
            expected = (layer.numpy() - mean) / np.sqrt(variance + EPSILON)
            np.testing.assert_allclose(result, expected, atol=1e-4)


def test_running_means_move_towards_those_of_the_batches() -> None:
    net = BatchNormNet()
    layer = tf.constant(np.random.default_rng(0).normal(3, 5, [64, 7, 7, 64]), tf.float32)
    for _ in range(100):
        net._normalise(layer, 1, training=True)
    np.testing.assert_allclose(net.means[1].numpy(), layer.numpy().mean((0, 1, 2)), atol=1e-3)
    np.testing.assert_allclose(net.variances[1].numpy(), layer.numpy().var((0, 1, 2)), rtol=2e-3)


def test_judging_changes_nothing(mnist: Mnist) -> None:
    net = BatchNormNet()
    variables = [*net.weights.values(), *net.means, *net.variances]
    before = [variable.numpy() for variable in variables]
    first = net.fast_logits(mnist.test.images[:8]).numpy()
    # Each image is judged by itself, whoever else is in the batch.
    np.testing.assert_allclose(net.fast_logits(mnist.test.images[:3]).numpy(), first[:3], atol=1e-4)
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_a_network_looks_at_the_middle_of_an_image(mnist: Mnist) -> None:
    net = BatchNormNet()
    images = mnist.test.images[:8].reshape(-1, 28, 28)
    inked = {edge: images.copy() for edge in (2, 3)}
    for edge, changed in inked.items():
        middle = changed[:, edge:-edge, edge:-edge].copy()
        changed[:] = 1
        changed[:, edge:-edge, edge:-edge] = middle
    before = net.fast_logits(images.reshape(-1, 784)).numpy()
    for edge, changed in inked.items():
        after = net.fast_logits(changed.reshape(-1, 784)).numpy()
        assert np.array_equal(before, after) == (edge == 2), edge


def test_the_last_layer_knows_about_where_a_pattern_is(mnist: Mnist) -> None:
    net = BatchNormNet()
    images = mnist.test.images[:8].reshape(-1, 28, 28)
    # Through the filters, the ninth at the top left sees 22 of the 28 rows and columns.
    inked = images.copy()
    inked[:, 22:, 22:] = 1
    pair = [each.reshape(-1, 784) for each in (images, inked)]
    before, after = (net.fast_logits(each).numpy() for each in pair)
    assert np.abs(before - after).max() > 0.01
    net.dense[128:].assign(tf.zeros([8 * 128, 10]))
    before, after = (net.fast_logits(each).numpy() for each in pair)
    np.testing.assert_allclose(before, after, atol=1e-6)


@pytest.mark.parametrize("layers", [LARGER, SMALLER, ((3, 4, False),)])
def test_a_network_of_any_layers_gives_ten_logits(layers: Layers, mnist: Mnist) -> None:
    net = BatchNormNet(layers)
    assert net.fast_logits(mnist.test.images[:2]).shape == (2, 10)
    filters = [kernel.shape[-1] for kernel in net.kernels]
    assert filters == [number for _, number, _ in layers]


def test_hes_start_keeps_the_spread() -> None:
    net = ConvNet(seed=3)
    he_start(net, seed=3)
    for name, variable in net.weights.items():
        values = variable.numpy()
        if values.ndim == 1:
            assert not values.any(), name
        else:
            # Cut off at two standard deviations, a normal distribution keeps 88% of its own. Of
            # the 400 numbers of the first filters the spread is known to about 4%.
            spread = 0.88 * np.sqrt(2 / np.prod(values.shape[:-1]))
            assert values.std() == pytest.approx(spread, rel=0.15 if values.size < 1_000 else 0.1)


@pytest.mark.parametrize("network", get_args(RaceNetwork))
def test_a_recipe_learns_and_gives_the_same_again(network: RaceNetwork, mnist: Mnist) -> None:
    data = few(mnist, 500)
    recipe = RaceRecipe(
        network,
        epochs=4,
        peak=4e-3,
        distortion=Distortion(move=1),
        batch_size=50,
    )
    runs = [run_recipe(recipe, data, seed=1, precision="float32") for _ in range(2)]
    for net, history in runs:
        assert len(history.loss) == net.iterations == 40
        assert history.loss[-10:].mean() < 0.5 * history.loss[:3].mean()
        assert history.seconds > 0
    np.testing.assert_allclose(runs[0][1].loss, runs[1][1].loss, rtol=1e-3, atol=1e-4)


def test_a_scout_finds_images_with_wrong_labels_hard(mnist: Mnist) -> None:
    # Over and over where there are not so many: the scout needs some steps to learn.
    chosen = np.arange(8_000) % len(mnist.train)
    split = Split(mnist.train.images[chosen], mnist.train.labels[chosen])
    lied_about = np.arange(len(split)) % 200 == 7
    # The index of each image as a mark in its corner, to find it again.
    images = split.images.copy()
    images[:, 0] = np.arange(len(split)) * 1e-6
    marked = Split(images, np.where(lied_about, (split.labels + 1) % 10, split.labels))
    hard = hardest_images(marked, 0.25, seed=0, precision="float32")
    assert len(hard) == math.ceil(0.25 * len(split))
    kept = np.rint(hard.images[:, 0] * 1e6).astype(int)
    assert (np.diff(kept) > 0).all()
    np.testing.assert_array_equal(hard.labels, marked.labels[kept])
    np.testing.assert_array_equal(hard.images, images[kept])
    assert lied_about[kept].sum() > 0.9 * lied_about.sum()


def test_a_recipe_learns_from_the_hardest_images_for_as_many_steps(mnist: Mnist) -> None:
    data = few(mnist)
    recipe = RaceRecipe("larger", epochs=1, peak=4e-3, batch_size=100, hardest=0.25)
    net, history = run_recipe(recipe, data, seed=0, precision="float32")
    assert len(history.loss) == net.iterations == 10
    hard = hardest_images(data.train, 0.25, seed=0, precision="float32")
    _, again = train_network(recipe, hard, 10, seed=0, precision="float32")
    np.testing.assert_allclose(again.loss, history.loss, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
def test_a_share_that_is_none_is_refused(mnist: Mnist, share: float) -> None:
    with pytest.raises(ValueError, match="hardest must lie above 0"):
        replace(RECIPES["sprint"], hardest=share)
    with pytest.raises(ValueError, match="share must lie above 0"):
        hardest_images(few(mnist).train, share, seed=0, precision="float32")


def test_together_is_the_mean_of_what_each_gives(mnist: Mnist) -> None:
    split = Split(mnist.test.images[:300], mnist.test.labels[:300])
    nets = [ConvNet(seed=0), BatchNormNet(seed=1)]
    alone = [evaluate(net, split) for net in nets]
    together = evaluate_together(nets, split)
    mean = (alone[0].probabilities + alone[1].probabilities) / 2
    np.testing.assert_allclose(together.probabilities, mean, atol=1e-6)
    assert together.accuracy == (mean.argmax(axis=1) == split.labels).mean()
    of_one = evaluate_together(nets[:1], split)
    assert of_one.accuracy == alone[0].accuracy
    assert of_one.loss == pytest.approx(alone[0].loss, rel=1e-5)


@given(st.integers(-40, 40), st.integers(-40, 40))
@settings(max_examples=50, derandomize=True)
def test_moved_images_are_moved(rows: int, columns: int) -> None:
    images = np.random.default_rng(0).random((3, 784), np.float32)
    split = Split(images, np.arange(3))
    moved = move_images(split, rows, columns)
    expected = ndimage.shift(images.reshape(-1, 28, 28), (0, rows, columns), order=0)
    np.testing.assert_array_equal(moved.images, expected.reshape(-1, 784))
    np.testing.assert_array_equal(moved.labels, split.labels)


def test_five_shifts_are_judged_apart_and_averaged(mnist: Mnist) -> None:
    split = Split(mnist.test.images[:300], mnist.test.labels[:300])
    net = BatchNormNet(seed=1)
    of_five = evaluate_together([net], split, shifts=FIVE_SHIFTS)
    each = [
        evaluate(net, move_images(split, rows, columns)).probabilities
        for rows in (-1, 0, 1)
        for columns in (-1, 0, 1)
        if not (rows and columns)
    ]
    assert np.ptp(each, axis=0).max() > 1e-3
    np.testing.assert_allclose(of_five.probabilities, np.mean(each, axis=0), atol=1e-6)


def test_nobody_cannot_judge(mnist: Mnist) -> None:
    with pytest.raises(ValueError, match="at least one network"):
        evaluate_together([], mnist.test)
    with pytest.raises(ValueError, match="and one shift"):
        evaluate_together([ConvNet(seed=0)], mnist.test, shifts=())


def test_a_network_that_there_is_not_is_refused() -> None:
    with pytest.raises(
        ValueError, match="network must be one of book, smaller, larger; got 'deeper'"
    ):
        RaceRecipe("deeper", epochs=1, peak=1e-3)  # type: ignore[arg-type]
