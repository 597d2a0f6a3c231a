"""The book's network: its shapes, its parameters, and what a batch may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_helpers import ConvNet, flatten_layer, new_biases, new_weights
from mnist_helpers._quiet import quiet
from mnist_helpers.precision import fastest_precision

with quiet():
    import tensorflow as tf

laws = settings(max_examples=15, derandomize=True)

SHAPES = {
    "layer_conv1": (14, 14, 16),
    "layer_conv2": (7, 7, 36),
    "layer_flat": (1764,),
    "layer_fc1": (128,),
    "logits": (10,),
}


@pytest.fixture(scope="module")
def net() -> ConvNet:
    return ConvNet(seed=1)


def random_images(n: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).random((n, 784), np.float32)


def test_number_of_parameters_layer_by_layer(net: ConvNet) -> None:
    counts = {name: int(tf.size(variable)) for name, variable in net.weights.items()}
    assert counts == {
        "conv1/weights": 5 * 5 * 1 * 16,
        "conv1/biases": 16,
        "conv2/weights": 5 * 5 * 16 * 36,
        "conv2/biases": 36,
        "fc1/weights": 7 * 7 * 36 * 128,
        "fc1/biases": 128,
        "fc2/weights": 128 * 10,
        "fc2/biases": 10,
    }
    assert net.num_parameters == sum(counts.values()) == 242_062


@given(st.integers(1, 9), st.integers(1, 9))
@laws
def test_a_network_has_as_many_filters_as_are_asked_for(first: int, second: int) -> None:
    outputs = ConvNet(1, (first, second)).layer_outputs(random_images(2))
    assert [tuple(output.shape[1:]) for output in outputs.values()] == [
        (14, 14, first),
        (7, 7, second),
        (49 * second,),
        (128,),
        (10,),
    ]


def test_a_layer_without_filters_is_refused() -> None:
    with pytest.raises(ValueError, match="num_filters must be at least 1"):
        ConvNet(num_filters=(16, 0))


def test_weights_are_the_layers_variables_and_all_that_tensorflow_knows(net: ConvNet) -> None:
    assert net.weights["conv1/weights"] is net.conv1.weights
    assert net.weights["conv2/biases"] is net.conv2.biases
    assert net.weights["fc1/weights"] is net.fc1.weights
    assert net.weights["fc2/biases"] is net.fc2.biases
    assert {id(v) for v in net.variables} == {id(v) for v in net.weights.values()}
    assert all(v.trainable and v.dtype == tf.float32 for v in net.weights.values())


@given(st.integers(1, 9))
@laws
def test_shape_and_type_of_each_layers_output(net: ConvNet, n: int) -> None:
    outputs = net.layer_outputs(random_images(n))
    assert {name: tuple(output.shape) for name, output in outputs.items()} == {
        name: (n, *shape) for name, shape in SHAPES.items()
    }
    assert list(outputs) == list(SHAPES)
    assert {output.dtype for output in outputs.values()} == {tf.float32}


def test_each_layer_reads_the_one_before_it(net: ConvNet) -> None:
    images = random_images(3)
    outputs = net.activations(images)
    conv1, conv2 = outputs["layer_conv1"], outputs["layer_conv2"]
    np.testing.assert_array_equal(net.conv1(images.reshape(3, 28, 28, 1)), conv1)
    np.testing.assert_array_equal(net.conv2(conv1), conv2)
    np.testing.assert_array_equal(flatten_layer(conv2)[0], outputs["layer_flat"])
    np.testing.assert_array_equal(net.fc1(outputs["layer_flat"]), outputs["layer_fc1"])
    np.testing.assert_array_equal(net.fc2(outputs["layer_fc1"]), outputs["logits"])
    np.testing.assert_array_equal(net(images), outputs["logits"])


def test_relu_everywhere_but_on_the_logits(net: ConvNet) -> None:
    outputs = net.activations(random_images(50))
    for name in ("layer_conv1", "layer_conv2", "layer_flat", "layer_fc1"):
        assert outputs[name].min() == 0 < outputs[name].max()
    assert outputs["logits"].min() < 0


def test_activations_are_arrays_and_the_softmax_of_the_logits(net: ConvNet) -> None:
    outputs = net.activations(random_images(6))
    assert list(outputs) == [*SHAPES, "probabilities"]
    assert {type(output) for output in outputs.values()} == {np.ndarray}
    assert {output.dtype for output in outputs.values()} == {np.dtype(np.float32)}
    powers = np.exp(outputs["logits"].astype(float))
    np.testing.assert_allclose(
        outputs["probabilities"], powers / powers.sum(axis=1, keepdims=True), rtol=1e-5
    )


@given(st.integers(1, 40), st.integers(0, 1000))
@laws
def test_compiled_gives_what_the_network_gives(net: ConvNet, n: int, seed: int) -> None:
    images = random_images(n, seed)
    logits = net.compiled(images)
    assert logits.shape == (n, 10)
    np.testing.assert_allclose(logits, net(images), atol=1e-5)


@given(st.integers(1, 40), st.integers(0, 1000))
@laws
def test_the_fast_way_gives_what_the_network_gives(net: ConvNet, n: int, seed: int) -> None:
    images = random_images(n, seed)
    for training in (False, True):
        fast = net.fast_logits(images, training=training)
        np.testing.assert_allclose(fast, net(images), atol=1e-5)
    for batch_size in (1, 7, n, 50):
        fast = net.compiled_logits(images, batch_size)
        np.testing.assert_allclose(fast, net(images), atol=1e-5)


@pytest.mark.skipif(fastest_precision() != "bfloat16", reason="no instructions for bfloat16")
def test_in_bfloat16_the_logits_are_near_and_float32(net: ConvNet) -> None:
    images = random_images(5)
    logits, near = net(images).numpy(), net.compiled_logits(images, 5, "bfloat16")
    assert near.dtype == tf.float32
    np.testing.assert_allclose(near, logits, atol=0.02)
    assert not np.array_equal(near, logits)


def test_compiled_follows_the_weights() -> None:
    net = ConvNet(seed=1)
    images = random_images(2)
    before = net.compiled(images).numpy()
    net.fc2.biases.assign_add(tf.ones(10))
    np.testing.assert_allclose(net.compiled(images), before + 1, atol=1e-5)


def test_one_graph_serves_every_batch_size(net: ConvNet) -> None:
    graphs = set()
    for n in (1, 2, 64, 256):
        net.compiled(random_images(n))
        graphs.add(net.graphs._graphs["compiled"][1])
    assert len(graphs) == 1


@given(st.integers(2, 30), st.data())
@laws
def test_an_image_gets_the_same_logits_in_any_batch(
    net: ConvNet, n: int, data: st.DataObject
) -> None:
    images = random_images(n)
    logits = net(images).numpy()
    order = data.draw(st.permutations(range(n)))
    first, last = sorted(data.draw(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))))
    np.testing.assert_allclose(net(images[order]), logits[order], atol=1e-5)
    np.testing.assert_allclose(net(images[first : last + 1]), logits[first : last + 1], atol=1e-5)


def test_the_seed_decides_all_weights() -> None:
    one, same, other = ConvNet(seed=3), ConvNet(seed=3), ConvNet(seed=4)
    unseeded = ConvNet(), ConvNet()
    for name in one.weights:
        np.testing.assert_array_equal(one.weights[name], same.weights[name])
        if name.endswith("/weights"):
            assert not np.array_equal(one.weights[name], other.weights[name])
            assert not np.array_equal(unseeded[0].weights[name], unseeded[1].weights[name])
    np.testing.assert_array_equal(one(random_images(2)), same(random_images(2)))


def test_layers_start_from_the_layers_chapters_weights() -> None:
    net = ConvNet(seed=6)
    np.testing.assert_array_equal(net.conv2.weights, new_weights([5, 5, 16, 36], seed=(6, 2)))
    np.testing.assert_array_equal(net.fc1.weights, new_weights([1764, 128], seed=(6, 3)))
    np.testing.assert_array_equal(net.fc1.biases, new_biases(128))


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (-1, "seed must be at least 0; got -1"),
        (0.0, "seed must be a whole number; got 0.0"),
        ("a", "seed must be a whole number; got 'a'"),
        ((0, 1), r"seed must be a whole number; got \(0, 1\)"),
    ],
)
def test_a_seed_that_is_none_is_refused(seed: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        ConvNet(seed)


def test_images_may_be_float64_or_lists(net: ConvNet) -> None:
    images = random_images(2)
    np.testing.assert_array_equal(net(images.astype(np.float64)), net(images))
    np.testing.assert_array_equal(net(images.tolist()), net(images))
    np.testing.assert_array_equal(net(tf.constant(images)), net(images))


@pytest.mark.parametrize(
    "shape", [(784,), (2, 28, 28), (2, 28, 28, 1), (4, 392), (1, 1568), (), (2, 0)]
)
def test_images_of_another_shape_are_refused(net: ConvNet, shape: tuple[int, ...]) -> None:
    images = np.zeros(shape, np.float32)
    for call in (net, net.layer_outputs, net.activations, net.compiled):
        with pytest.raises(ValueError, match=r"shape \[n, 784\] .*; got shape \("):
            call(images)


def test_the_network_lives_in_a_graph_of_the_old_kind() -> None:
    images = random_images(3)
    with tf.Graph().as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None, 784])
        net = ConvNet(seed=1)
        logits = net(x)
        with tf.compat.v1.Session() as session:
            session.run([v.initializer for v in net.variables])
            then = session.run(logits, {x: images})
    np.testing.assert_allclose(then, ConvNet(seed=1)(images), atol=1e-5)
