"""What is traced or remembered follows the network: settings, layers, variables, copies, forks."""

from __future__ import annotations

import copy
import os
import pickle
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from mnist_helpers import ConvNet, Split, evaluate, new_conv_layer, new_fc_layer, optimize
from mnist_helpers._quiet import quiet
from mnist_helpers._tracing import first_difference, parts_of
from mnist_helpers.layers import ConvLayer
from mnist_helpers.network import Network
from mnist_helpers.precision import Precision
from mnist_helpers.speed.race import BatchNormNet

with quiet():
    import tensorflow as tf

RNG = np.random.default_rng(0)
SPLIT = Split(RNG.random((32, 784), np.float32), RNG.integers(0, 10, 32))


def learn(net: Network, num_iterations: int = 1, **arguments: Any) -> np.ndarray:
    """Train on all images in each step, so that the loss before it is that of the split."""
    return optimize(net, SPLIT, num_iterations, batch_size=32, verbose=False, **arguments).loss


def assert_all_ways_agree(net: Network) -> np.ndarray:
    """Compare calling, ``compiled``, ``evaluate`` and ``optimize``; give the logits."""
    logits = net(SPLIT.images).numpy()
    tolerance = 1e-4 * np.abs(logits).max()
    np.testing.assert_allclose(net.compiled(SPLIT.images), logits, atol=tolerance)
    result = evaluate(net, SPLIT)
    np.testing.assert_allclose(result.probabilities, tf.nn.softmax(logits), atol=1e-4)
    assert learn(net)[0] == pytest.approx(result.loss, rel=1e-3, abs=1e-4)
    return logits


def unpooled(net: ConvNet) -> None:
    net.conv2.use_pooling = False
    net.fc1 = new_fc_layer(14 * 14 * 36, 128, seed=5)


def with_relu(net: ConvNet) -> None:
    net.fc2.use_relu = True


def without_relu(net: ConvNet) -> None:
    net.fc1.use_relu = False


def another_variable(net: ConvNet) -> None:
    net.conv1.weights = tf.Variable(-2 * net.conv1.weights)


def another_layer(net: ConvNet) -> None:
    net.conv2, _ = new_conv_layer(16, 3, 36, seed=9)


class LeakyLayer(ConvLayer):
    def __call__(self, images: Any) -> tf.Tensor:
        """Let a little of the negative numbers through."""
        layer = tf.nn.conv2d(images, self.weights, 1, "SAME") + self.biases
        return tf.nn.leaky_relu(tf.nn.max_pool2d(layer, 2, 2, "SAME"), 0.5)


def a_layer_of_another_kind(net: ConvNet) -> None:
    net.conv2 = LeakyLayer(16, 5, 36, seed=9)


CHANGES = [
    unpooled,
    with_relu,
    without_relu,
    another_variable,
    another_layer,
    a_layer_of_another_kind,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_counts_everywhere(change: Callable[[ConvNet], None]) -> None:
    net = ConvNet(seed=0)
    before = assert_all_ways_agree(net)
    change(net)
    assert np.abs(assert_all_ways_agree(net) - before).max() > 1e-3


class Louder(ConvNet):
    """Multiplies its logits, in one place for all."""

    factor = 3.0

    def __call__(self, images: Any) -> tf.Tensor:
        """Compute louder logits."""
        return self.factor * super().__call__(images)


class OneLayerLess(ConvNet):
    """Leaves out what the last convolution's features pass through."""

    def layer_outputs(self, images: Any) -> dict[str, tf.Tensor]:
        """Compute the logits from the pixels alone."""
        outputs = super().layer_outputs(images)
        return outputs | {"logits": tf.convert_to_tensor(images)[:, :128] @ self.fc2.weights}


class CallsItsFastWay(ConvNet):
    def __call__(self, images: Any) -> tf.Tensor:
        """Compute louder logits in another way."""
        return 2 * self.fast_logits(images)


class BothWays(ConvNet):
    def __call__(self, images: Any) -> tf.Tensor:
        """Compute louder logits."""
        return 2 * super().__call__(images)

    def fast_logits(
        self, images: Any, precision: Precision = "float32", training: bool = False
    ) -> tf.Tensor:
        """Compute the same."""
        return 2 * super().fast_logits(images, precision, training)


@pytest.mark.parametrize("kind", [Louder, OneLayerLess, CallsItsFastWay, BothWays])
def test_a_subclass_is_evaluated_and_trained_in_its_own_way(kind: type[ConvNet]) -> None:
    logits = assert_all_ways_agree(kind(seed=0))
    assert np.abs(logits - ConvNet(seed=0)(SPLIT.images)).max() > 1e-3


def test_layers_that_are_left_out_do_not_move() -> None:
    net = OneLayerLess(seed=0)
    before = net.conv1.weights.numpy(), net.fc2.weights.numpy()
    learn(net, 3)
    np.testing.assert_array_equal(net.conv1.weights, before[0])
    assert not np.array_equal(net.fc2.weights, before[1])


def test_a_class_changed_after_tracing_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Louder(seed=0)
    before = assert_all_ways_agree(net)
    net.factor = 5.0
    assert not np.allclose(assert_all_ways_agree(net), before, atol=1e-3)

    def quieter(self: Louder, images: Any) -> tf.Tensor:
        return self.layer_outputs(images)["logits"]

    monkeypatch.setattr(Louder, "__call__", quieter)
    assert_all_ways_agree(net)


@dataclass
class Config:
    scale: float = 1.0


class Configured(Network):
    """A network of an engineer's own: one layer, an array and an object of settings."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = new_fc_layer(784, 10, use_relu=False, seed=1)
        self.mask = np.ones(784, np.float32)
        self.config = Config()
        self.shifts = [0.0]

    @property
    def weights(self) -> dict[str, tf.Variable]:
        """Its two variables."""
        return {"weights": self.dense.weights, "biases": self.dense.biases}

    def fast_logits(
        self, images: Any, precision: Precision = "float32", training: bool = False
    ) -> tf.Tensor:
        """Compute logits."""
        images = tf.cast(images, tf.float32) * self.mask
        return self.config.scale * self.dense(images) + self.shifts[0]


def test_arrays_lists_and_objects_of_settings_are_watched() -> None:
    net = Configured()
    seen = [assert_all_ways_agree(net)]
    net.mask[:400] = 0
    seen.append(assert_all_ways_agree(net))
    net.config.scale = 4.0
    seen.append(assert_all_ways_agree(net))
    net.shifts[0] = 1.5
    seen.append(assert_all_ways_agree(net))
    for one, other in zip(seen, seen[1:], strict=False):
        assert not np.allclose(one, other, atol=1e-2)


def test_without_a_change_nothing_is_traced_again() -> None:
    for net in (ConvNet(seed=0), Configured()):
        assert_all_ways_agree(net)
        graphs = [graph for _, graph in net.graphs._graphs.values()]
        net.iterations += 5
        assert_all_ways_agree(net)
        assert [graph for _, graph in net.graphs._graphs.values()] == graphs
        assert first_difference(parts_of(net), parts_of(net)) is None


class Different(ConvNet):
    def fast_logits(
        self, images: Any, precision: Precision = "float32", training: bool = False
    ) -> tf.Tensor:
        """Compute other logits than calling the network."""
        return 2 * super().fast_logits(images, precision, training)


@pytest.mark.parametrize("use", [learn, lambda net: evaluate(net, SPLIT)])
def test_what_cannot_be_followed_is_refused(use: Callable[[Network], Any]) -> None:
    with pytest.raises(ValueError, match=r"Different.fast_logits disagrees with the network's own"):
        use(Different(seed=0))

    net = ConvNet(seed=0)
    net.layer_outputs = lambda images: {"logits": images}  # type: ignore[method-assign]
    with pytest.raises(TypeError, match=r"net.layer_outputs was .* subclass of ConvNet"):
        use(net)
    net = ConvNet(seed=0)
    net.conv1.__call__ = lambda images: images  # type: ignore[method-assign]
    with pytest.raises(TypeError, match=r"net.conv1.__call__ was .* subclass of ConvLayer"):
        use(net)

    for value in (np.zeros([5, 5, 1, 16], np.float32), tf.Variable(np.zeros([5, 5, 1, 16]))):
        net = ConvNet(seed=0)
        net.conv1.weights = value
        with pytest.raises(TypeError, match=r"conv1/weights must be a tf.Variable of float32"):
            use(net)


def test_a_subclasss_own_way_has_one_precision() -> None:
    with pytest.raises(ValueError, match="Louder .* in float32: leave out precision"):
        Louder(seed=0).quickest_logits(SPLIT.images, "bfloat16")


def test_the_optimisers_memory_is_of_the_variables_that_it_changed() -> None:
    net, fresh = ConvNet(seed=0), ConvNet(seed=0)
    learn(net, 4, learning_rate=1e-3, seed=3)
    for name in ("conv1", "conv2", "fc1", "fc2"):
        for kind in ("weights", "biases"):
            layer = getattr(net, name)
            setattr(layer, kind, tf.Variable(getattr(getattr(fresh, name), kind)))
    found, expected = learn(net, 3), learn(fresh, 3)
    # The images come in another order, which rounds otherwise.
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert net.iterations == 7
    assert net.training_state is not None
    assert net.training_state.seed == 3


# Copies

NETWORKS = [lambda: ConvNet(seed=2), lambda: BatchNormNet(((3, 4, True),)), Configured]
COPIES = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
}


@pytest.mark.parametrize("make", NETWORKS, ids=["book", "batch norm", "own"])
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES.keys())
def test_a_copy_goes_on_as_the_original_would(
    make: Callable[[], Network], copied: Callable[[Network], Network]
) -> None:
    original = make()
    untrained = copied(original)
    optimize(original, SPLIT, 3, batch_size=8, seed=4, verbose=False)
    evaluate(original, SPLIT)
    original.compiled(SPLIT.images)
    other = copied(original)
    optimize(original, SPLIT, 3, verbose=False)
    assert other.iterations == 3
    before = evaluate(other, SPLIT).loss
    assert before == evaluate(copied(other), SPLIT).loss
    assert before != evaluate(original, SPLIT).loss, "the original went on alone"
    optimize(other, SPLIT, 3, verbose=False)
    optimize(untrained, SPLIT, 6, batch_size=8, seed=4, verbose=False)
    for net in (other, untrained):
        assert net.iterations == 6
        for one, two in zip(original.variables, net.variables, strict=True):
            assert one.numpy().tobytes() == two.numpy().tobytes()
            assert one is not two


def test_a_pickle_holds_neither_graphs_nor_images() -> None:
    net = ConvNet(seed=0)
    learn(net)
    assert len(pickle.dumps(net)) < 3.1e6


# Eager calls

UINT8 = np.full((2, 784), 200, np.uint8)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (UINT8, "uint8 up to 200, .* divide"),
        (UINT8 // 200, "uint8 up to 1, "),
        (UINT8.tolist(), "int32 up to 200, "),
        (UINT8.astype(np.float32), "float32 up to 200, "),
        (SPLIT.images * 16, "float32 up to 15.9"),
    ],
)
@pytest.mark.parametrize("make", NETWORKS, ids=["book", "batch norm", "own"])
def test_a_call_warns_once_of_another_range(
    make: Callable[[], Network], images: Any, message: str
) -> None:
    net = make()
    with pytest.warns(UserWarning, match=message) as found:
        net(images)
        net.compiled(images)
        net(images)
    assert len(found) == 1
    assert found[0].filename == __file__


def test_gradients_are_climbed_without_a_warning() -> None:
    net = ConvNet(seed=0)
    images = tf.Variable(SPLIT.images[:2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            with tf.GradientTape() as tape:
                goal = tf.reduce_sum(net(images)[:, 3])
            gradient = tape.gradient(goal, images)
            assert np.abs(gradient).max() > 0
            images.assign_add(0.5 * gradient / tf.reduce_max(tf.abs(gradient)))
        assert images.numpy().min() < 0 or images.numpy().max() > 1
        net(SPLIT.images > 0.5)
        # In a graph numbers are not known yet, and nothing is added to it.
        graph = tf.function(net.__call__).get_concrete_function(tf.TensorSpec([2, 784], tf.uint8))
        assert not [op for op in graph.graph.get_operations() if op.type == "Max"]


# Processes made by fork

FORKED = """
import multiprocessing, sys
import numpy as np
from mnist_helpers import ConvNet, Split, evaluate, optimize
from mnist_helpers._quiet import quiet
with quiet():
    import tensorflow as tf

split = Split(np.zeros([4, 784], np.float32), np.arange(4))
net = ConvNet(0) if sys.argv[1] == "started" else None

def use(what):
    mine = net or ConvNet(0)
    if what == "evaluate":
        return evaluate(mine, split).loss
    if what == "optimize":
        return optimize(mine, split, 1, verbose=False).loss[0]
    if what == "call":
        return mine(split.images).shape[0]
    if what == "compiled":
        return mine.compiled(split.images).shape[0]
    return ConvNet(1).iterations

with multiprocessing.get_context("fork").Pool(1) as pool:
    for what in ("evaluate", "optimize", "call", "compiled", "new"):
        try:
            print(what, pool.apply(use, [what]) is not None)
        except RuntimeError as error:
            print(what, error)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("parent", ["started", "imported"])
def test_a_forked_process_says_so_where_it_would_hang(parent: str) -> None:
    """The children end with the pool; a child that hangs fails the test by its timeout."""
    process = subprocess.run(
        [sys.executable, "-c", FORKED, parent],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    lines = process.stdout.splitlines()
    assert len(lines) == 5
    expected = r"\w+ TensorFlow cannot compute .*get_context\(\"spawn\"\) instead"
    if parent == "imported":
        # TensorFlow starts its threads when it first computes, here in the child.
        expected = r"\w+ True"
    for line in lines:
        assert re.fullmatch(expected + r"\.?", line), line
