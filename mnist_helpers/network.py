"""The book's network: two convolutional layers and two fully connected ones."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Hashable
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from mnist_helpers._checks import check_count, check_process
from mnist_helpers._quiet import quiet
from mnist_helpers._tracing import GraphCache
from mnist_helpers.data import IMAGE_SIZE, IMAGE_SIZE_FLAT, NUM_CLASSES
from mnist_helpers.layers import (
    ConvLayer,
    FullyConnectedLayer,
    flatten_layer,
    new_conv_layer,
    new_fc_layer,
)
from mnist_helpers.optimizer import TrainingState
from mnist_helpers.precision import Precision

with quiet():
    import tensorflow as tf


FILTER_SIZE = 5
NUM_FILTERS1 = 16
NUM_FILTERS2 = 36
FC_SIZE = 128

IMAGES = tf.TensorSpec([None, IMAGE_SIZE_FLAT], tf.float32)
"""Any number of images, as a graph takes them."""


class Network(tf.Module):
    """What :func:`~mnist_helpers.training.optimize` and ``evaluate`` need from a network.

    Calling the network, ``compiled``, ``evaluate`` and ``optimize`` give the same logits for the
    same images. Graphs are traced again when something that they were traced from has changed:
    a layer, a layer's setting, a variable replaced by another, a method of the class, an array
    or a list of settings. A subclass that overrides ``__call__`` or ``layer_outputs`` is
    evaluated and trained with these, in float32.

    It refuses, saying why, a method replaced on one object alone (write a subclass), weights that
    are not float32 variables, and a ``fast_logits`` that disagrees with the network's own
    logits. It does not see what changes behind a graph's back: global variables, the inside of
    Keras layers, and ``iterations`` where a method computes with it.

    ``copy.deepcopy(net)`` and ``copy.copy(net)`` both give an independent network that goes
    on training as this one would; so do pickles.

    Attributes:
        iterations: How many steps of optimisation the weights have had.
        training_state: What :func:`~mnist_helpers.training.optimize` needs in order to carry on
            where it left off; ``None`` until it is first called.
        graphs: The graphs traced so far.
        warned: Whether it has warned of images that are not in 0..1.
    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Refuse a process in which TensorFlow would hang, before any variable is made."""
        check_process()
        net: Self = super().__new__(cls)
        return net

    def __init__(self) -> None:
        """Begin untrained."""
        super().__init__()
        self.iterations = 0
        self.training_state: TrainingState | None = None
        self.graphs = GraphCache()
        self.warned = False

    def __copy__(self) -> Self:
        """Copy the variables too: two networks never share weights."""
        return copy.deepcopy(self)

    @property
    def weights(self) -> dict[str, tf.Variable]:
        """The variables that optimisation changes, by name, in order."""
        raise NotImplementedError

    def fast_logits(
        self, images: Any, precision: Precision = "float32", training: bool = False
    ) -> tf.Tensor:
        """Compute logits ``[n, 10]``, float32, as fast as we know how.

        Args:
            images: ``[n, 784]``, numbers in 0..1 of any type.
            precision: What the layers compute with; the weights are float32 in either case.
            training: Whether they are for a step of optimisation.
        """
        raise NotImplementedError

    def __call__(self, images: Any) -> tf.Tensor:
        """Compute the logits ``[n, 10]`` of images ``[n, 784]``, float32 in 0..1."""
        return self.fast_logits(self._as_images(images))

    def compiled(self, images: Any) -> tf.Tensor:
        """Compute what calling the network gives, but faster: as a graph."""
        graph = self.look_up(
            self.graphs,
            "compiled",
            lambda: tf.function(self.__call__).get_concrete_function(IMAGES),
        )
        return graph(self._as_images(images))

    def compiled_logits(
        self, images: Any, batch_size: int, precision: Precision = "float32"
    ) -> tf.Tensor:
        """Compute logits of any number of images, as a graph, ``batch_size`` at a time.

        It is the layer outputs of a batch that take memory.
        """
        graph = self.look_up(self.graphs, precision, lambda: _trace_batches(self, precision))
        return graph(tf.convert_to_tensor(images, tf.float32), tf.constant(batch_size, tf.int32))

    def quickest_logits(
        self, images: tf.Tensor, precision: Precision = "float32", training: bool = False
    ) -> tf.Tensor:
        """Compute logits by :meth:`fast_logits`, unless a subclass computes in its own way."""
        if self.has_fast_logits():
            return self.fast_logits(images, precision, training)
        if precision != "float32":
            raise ValueError(
                f"{type(self).__name__} computes its logits in a way of its own, in float32: "
                f"leave out precision={precision!r}, or write a fast_logits that uses it"
            )
        return tf.cast(self(tf.cast(images, tf.float32)), tf.float32)

    def has_fast_logits(self) -> bool:
        """Whether :meth:`fast_logits` was written for the class's own way of computing logits."""
        return self._owner("fast_logits") <= min(
            self._owner("__call__"), self._owner("layer_outputs")
        )

    def look_up(
        self, graphs: GraphCache, key: Hashable, build: Callable[[], Callable[..., Any]]
    ) -> Callable[..., Any]:
        """Look up a graph of this network as it is now; trace it first where there is none.

        Args:
            graphs: Where to look.
            key: Tells the graphs apart.
            build: Traces the graph, once the network has passed the checks named above.
        """

        def checked() -> Callable[..., Any]:
            for name, variable in self.weights.items():
                if not isinstance(variable, tf.Variable) or variable.dtype != tf.float32:
                    raise TypeError(
                        f"{name} must be a tf.Variable of float32; got "
                        f"{type(variable).__name__} of {getattr(variable, 'dtype', 'no dtype')}. "
                        "To change weights, assign to the variable: variable.assign(values)."
                    )
            self._check_fast_logits()
            return build()

        return graphs.look_up(self, key, checked)

    def _owner(self, method: str) -> int:
        """How many steps up the class hierarchy a method is defined."""
        owners = type(self).__mro__
        return next((i for i, owner in enumerate(owners) if method in vars(owner)), len(owners))

    def _check_fast_logits(self) -> None:
        """Compare a subclass's own :meth:`fast_logits` with calling the network."""
        owner = type(self).__mro__[self._owner("fast_logits")]
        if owner.__module__.startswith("mnist_helpers.") or not self.has_fast_logits():
            return
        images = tf.constant(np.random.default_rng(0).random((2, IMAGE_SIZE_FLAT), np.float32))
        expected, found = self(images).numpy(), self.fast_logits(images).numpy()
        if not np.allclose(found, expected, 1e-3, 1e-3 * np.abs(expected).max(), equal_nan=True):
            raise ValueError(
                f"{type(self).__name__}.fast_logits disagrees with the network's own logits: "
                "make them agree, or override layer_outputs or __call__ alone"
            )

    def _as_images(self, images: Any, stacklevel: int = 3) -> tf.Tensor:
        """Turn a call's argument into float32 images; outside graphs, warn of a wrong range."""
        check_process()
        x = tf.convert_to_tensor(images)
        # Checked here, because the reshape would take any multiple of 784 numbers as images.
        if x.shape.rank != 2 or x.shape[1] != IMAGE_SIZE_FLAT:
            raise ValueError(
                f"need images of shape [n, {IMAGE_SIZE_FLAT}] (a single one is "
                f"[1, {IMAGE_SIZE_FLAT}]); got shape {x.shape}"
            )
        if tf.executing_eagerly() and not self.warned:
            # In NumPy, which no gradient tape records. Climbing a gradient goes a little
            # beyond 0..1; images of 0..255, of 0..16 or standardised reach beyond 2.
            largest = x.numpy().max(initial=0)
            if x.dtype.is_integer or largest > 2:
                self.warned = True
                warnings.warn(
                    f"the images are {x.dtype.name} up to {largest:g}, but the network reads "
                    "float32 in 0..1: divide whole numbers in 0..255 by 255",
                    stacklevel=stacklevel,
                )
        return tf.cast(x, tf.float32)


def _trace_batches(net: Network, precision: Precision) -> Callable[..., Any]:
    """Trace a loop over batches; inside a graph it saves going back to Python for each."""

    @tf.function(input_signature=[IMAGES, tf.TensorSpec([], tf.int32)])
    def logits_in_batches(images: tf.Tensor, batch_size: tf.Tensor) -> tf.Tensor:
        num_batches = tf.cast(tf.math.ceil(tf.shape(images)[0] / batch_size), tf.int32)
        logits = tf.TensorArray(
            tf.float32, num_batches, infer_shape=False, element_shape=[None, NUM_CLASSES]
        )
        for number in tf.range(num_batches):
            batch = images[number * batch_size : (number + 1) * batch_size]
            logits = logits.write(number, net.quickest_logits(batch, precision))
        return logits.concat()

    return logits_in_batches.get_concrete_function()  # type: ignore[no-any-return]


class ConvNet(Network):
    """The convolutional network that the chapters build.

    5×5 convolution with 16 filters, pooling, ReLU; 5×5 convolution with 36 filters,
    pooling, ReLU; flatten; fully connected with 128 units and ReLU; fully connected with
    10 units, the logits. Calling the network maps images ``[n, 784]``, float32 in 0..1, to
    logits ``[n, 10]``.

    Its layers are ``conv1`` and ``conv2``, each a :class:`~mnist_helpers.layers.ConvLayer`, and
    ``fc1`` and ``fc2``, each a :class:`~mnist_helpers.layers.FullyConnectedLayer`.
    """

    def __init__(
        self,
        seed: int | None = None,
        num_filters: tuple[int, int] = (NUM_FILTERS1, NUM_FILTERS2),
    ) -> None:
        """Draw new weights.

        Args:
            seed: The same seed gives the same weights on every machine, a whole number from 0;
                ``None`` draws new ones each time.
            num_filters: Of the first and of the second convolution. The chapters and the stored
                weights have 16 and 36.
        """
        super().__init__()
        first, second = (check_count("num_filters", count) for count in num_filters)
        if seed is not None:
            seed = check_count("seed", seed, least=0)

        def layer_seed(layer: int) -> tuple[int, int] | None:
            return None if seed is None else (seed, layer)

        self.conv1, _ = new_conv_layer(1, FILTER_SIZE, first, seed=layer_seed(1))
        self.conv2, _ = new_conv_layer(first, FILTER_SIZE, second, seed=layer_seed(2))
        num_features = (IMAGE_SIZE // 4) ** 2 * second
        self.fc1 = new_fc_layer(num_features, FC_SIZE, seed=layer_seed(3))
        self.fc2 = new_fc_layer(FC_SIZE, NUM_CLASSES, use_relu=False, seed=layer_seed(4))

    def __call__(self, images: Any) -> tf.Tensor:
        """Compute the logits ``[n, 10]`` of images ``[n, 784]``."""
        return self.layer_outputs(images)["logits"]

    def fast_logits(
        self, images: Any, precision: Precision = "float32", training: bool = False
    ) -> tf.Tensor:
        """Compute the same logits with less work; see :meth:`Network.fast_logits`.

        In training the bias is added after the pooling, where a quarter of the numbers are left:
        max(a + b, c + b) = max(a, c) + b. Where no gradient is asked for, TensorFlow fuses
        a convolution, its bias and ReLU into one operation, if they follow each other directly.
        """
        dtype = tf.as_dtype(precision)
        layer = tf.reshape(tf.cast(images, dtype), [-1, IMAGE_SIZE, IMAGE_SIZE, 1])
        for name in ("conv1", "conv2"):
            conv = getattr(self, name)
            with tf.name_scope(name):
                layer = tf.nn.conv2d(layer, tf.cast(conv.weights, dtype), 1, padding="SAME")
                if conv.use_pooling and training:
                    layer = tf.nn.max_pool2d(layer, ksize=2, strides=2, padding="SAME")
                layer = tf.nn.relu(tf.nn.bias_add(layer, tf.cast(conv.biases, dtype)))
                if conv.use_pooling and not training:
                    layer = tf.nn.max_pool2d(layer, ksize=2, strides=2, padding="SAME")
        layer, _ = flatten_layer(layer)
        for name in ("fc1", "fc2"):
            fc = getattr(self, name)
            with tf.name_scope(name):
                layer = tf.matmul(layer, tf.cast(fc.weights, dtype))
                layer = tf.nn.bias_add(layer, tf.cast(fc.biases, dtype))
                layer = tf.nn.relu(layer) if fc.use_relu else layer
        return tf.cast(layer, tf.float32)

    def has_fast_logits(self) -> bool:
        """Whether :meth:`fast_logits` fits; a layer of another class is called instead."""
        kinds = [type(layer) for layer in (self.conv1, self.conv2, self.fc1, self.fc2)]
        ours = [ConvLayer, ConvLayer, FullyConnectedLayer, FullyConnectedLayer]
        return super().has_fast_logits() and kinds == ours

    def layer_outputs(self, images: Any) -> dict[str, tf.Tensor]:
        """Compute each layer's output, in order, as tensors.

        Args:
            images: ``[n, 784]``, float32 in 0..1.

        Returns:
            ``layer_conv1`` ``[n, 14, 14, 16]``, ``layer_conv2`` ``[n, 7, 7, 36]``,
            ``layer_flat`` ``[n, 1764]``, ``layer_fc1`` ``[n, 128]`` and ``logits``
            ``[n, 10]``.
        """
        x_image = tf.reshape(self._as_images(images, stacklevel=4), [-1, IMAGE_SIZE, IMAGE_SIZE, 1])
        layer_conv1 = self.conv1(x_image)
        layer_conv2 = self.conv2(layer_conv1)
        layer_flat, _ = flatten_layer(layer_conv2)
        layer_fc1 = self.fc1(layer_flat)
        return {
            "layer_conv1": layer_conv1,
            "layer_conv2": layer_conv2,
            "layer_flat": layer_flat,
            "layer_fc1": layer_fc1,
            "logits": self.fc2(layer_fc1),
        }

    def activations(self, images: Any) -> dict[str, npt.NDArray[np.float32]]:
        """Compute each layer's output for a handful of images, as arrays to look at.

        They are what :meth:`layer_outputs` returns, and ``probabilities`` ``[n, 10]``, the softmax
        of the logits.
        """
        outputs = self.layer_outputs(images)
        outputs["probabilities"] = tf.nn.softmax(outputs["logits"])
        return {name: output.numpy() for name, output in outputs.items()}

    @property
    def weights(self) -> dict[str, tf.Variable]:
        """The eight variables by name, in order: ``conv1/weights``, ``conv1/biases``, …."""
        return {
            f"{name}/{kind}": getattr(getattr(self, name), kind)
            for name in ("conv1", "conv2", "fc1", "fc2")
            for kind in ("weights", "biases")
        }

    @property
    def num_parameters(self) -> int:
        """How many numbers the network learns: 242,062 with 16 and 36 filters."""
        return sum(int(np.prod(variable.shape)) for variable in self.weights.values())
