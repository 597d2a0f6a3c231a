"""The book's network: two convolutional layers and two fully connected ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnist_helpers._quiet import quiet
from mnist_helpers.layers import flatten_layer, new_conv_layer, new_fc_layer
from mnist_helpers.precision import PRECISIONS, Precision

with quiet():
    import tensorflow as tf

if TYPE_CHECKING:
    from mnist_helpers.training import TrainingState

IMAGE_SIZE = 28
"""Height and width of an MNIST image in pixels."""

IMAGE_SIZE_FLAT = IMAGE_SIZE * IMAGE_SIZE
"""Pixels of an image laid out in one row: 784."""

NUM_CLASSES = 10
"""The digits 0 to 9."""

FILTER_SIZE = 5
NUM_FILTERS1 = 16
NUM_FILTERS2 = 36
FC_SIZE = 128


class Network(tf.Module):
    """What :func:`~mnist_helpers.training.optimize` and ``evaluate`` need of a network.

    Attributes:
        iterations: How many steps of optimisation the weights have had.
        training_state: What :func:`~mnist_helpers.training.optimize` needs in order to go on
            where it stopped; ``None`` before it was first called.
        in_batches: :meth:`logits_in_batches` as a graph, for each precision: takes images and
            the size of a batch.
    """

    def __init__(self) -> None:
        """Begin untrained."""
        super().__init__()
        self.iterations = 0
        self.training_state: TrainingState | None = None
        images = tf.TensorSpec([None, IMAGE_SIZE_FLAT], tf.float32)
        batch_size = tf.TensorSpec([], tf.int32)
        self.in_batches: dict[Precision, Callable[[Any, int], tf.Tensor]] = {
            precision: tf.function(
                partial(self.logits_in_batches, precision=precision),
                input_signature=[images, batch_size],
            )
            for precision in PRECISIONS
        }

    @property
    def weights(self) -> dict[str, tf.Variable]:
        """The variables that optimisation changes, by name, in order."""
        raise NotImplementedError

    def fast_logits(
        self, images: Any, precision: Precision = "float32", training: bool = False
    ) -> tf.Tensor:
        """Compute logits as quickly as is known.

        Args:
            images: ``[n, 784]``, numbers in 0..1 of any type.
            precision: What the layers compute with; the weights are float32 in either case.
            training: Whether a step of optimisation asks.

        Returns:
            ``[n, 10]``, float32.
        """
        raise NotImplementedError

    def logits_in_batches(
        self, images: tf.Tensor, batch_size: Any, precision: Precision = "float32"
    ) -> tf.Tensor:
        """Compute logits of any number of images, so many at a time.

        Inside a graph, as ``in_batches``, the loop saves going back to Python for each batch.

        Args:
            images: ``[n, 784]``, float32 in 0..1.
            batch_size: Images at a time; their layer outputs are what takes memory.
            precision: As for :meth:`fast_logits`.

        Returns:
            ``[n, 10]``, float32.
        """
        num_batches = tf.cast(tf.math.ceil(tf.shape(images)[0] / batch_size), tf.int32)
        logits = tf.TensorArray(
            tf.float32, num_batches, infer_shape=False, element_shape=[None, NUM_CLASSES]
        )
        for number in tf.range(num_batches):
            batch = images[number * batch_size : (number + 1) * batch_size]
            logits = logits.write(number, self.fast_logits(batch, precision))
        return logits.concat()


class ConvNet(Network):
    """The convolutional network that the chapters build.

    5×5 convolution with 16 filters, pooling, ReLU; 5×5 convolution with 36 filters,
    pooling, ReLU; flatten; fully connected with 128 units and ReLU; fully connected with
    10 units, the logits. Calling the network maps images ``[n, 784]``, float32 in 0..1, to
    logits ``[n, 10]``.

    Attributes:
        conv1: First :class:`~mnist_helpers.layers.ConvLayer`.
        conv2: Second one.
        fc1: First :class:`~mnist_helpers.layers.FullyConnectedLayer`.
        fc2: Second one; gives the logits.
        compiled: The network as a graph: called like the network, gives the same, sooner.
    """

    def __init__(self, seed: int | None = None) -> None:
        """Draw new weights.

        Args:
            seed: The same seed gives the same weights on every machine; ``None`` draws new
                ones each time.
        """
        super().__init__()

        def layer_seed(layer: int) -> tuple[int, int] | None:
            return None if seed is None else (seed, layer)

        self.conv1, _ = new_conv_layer(1, FILTER_SIZE, NUM_FILTERS1, seed=layer_seed(1))
        self.conv2, _ = new_conv_layer(NUM_FILTERS1, FILTER_SIZE, NUM_FILTERS2, seed=layer_seed(2))
        num_features = (IMAGE_SIZE // 4) ** 2 * NUM_FILTERS2
        self.fc1 = new_fc_layer(num_features, FC_SIZE, seed=layer_seed(3))
        self.fc2 = new_fc_layer(FC_SIZE, NUM_CLASSES, use_relu=False, seed=layer_seed(4))
        self.compiled = tf.function(
            self.__call__, input_signature=[tf.TensorSpec([None, IMAGE_SIZE_FLAT], tf.float32)]
        )

    def __call__(self, images: Any) -> tf.Tensor:
        """Compute the logits ``[n, 10]`` of images ``[n, 784]``."""
        return self.layer_outputs(images)["logits"]

    def fast_logits(
        self, images: Any, precision: Precision = "float32", training: bool = False
    ) -> tf.Tensor:
        """Compute the same logits with less work; see :meth:`Network.fast_logits`.

        In training the bias is added after the pooling, where a quarter of the numbers is left:
        max(a + b, c + b) = max(a, c) + b. Where no gradient is asked for, TensorFlow makes one
        operation of a convolution, its bias and ReLU, if they follow on each other.
        """
        dtype = tf.as_dtype(precision)
        layer = tf.reshape(tf.cast(images, dtype), [-1, IMAGE_SIZE, IMAGE_SIZE, 1])
        for name in ("conv1", "conv2"):
            conv = getattr(self, name)
            with tf.name_scope(name):
                layer = tf.nn.conv2d(layer, tf.cast(conv.weights, dtype), 1, padding="SAME")
                if training:
                    layer = tf.nn.max_pool2d(layer, ksize=2, strides=2, padding="SAME")
                layer = tf.nn.relu(tf.nn.bias_add(layer, tf.cast(conv.biases, dtype)))
                if not training:
                    layer = tf.nn.max_pool2d(layer, ksize=2, strides=2, padding="SAME")
        layer, _ = flatten_layer(layer)
        for name in ("fc1", "fc2"):
            fc = getattr(self, name)
            with tf.name_scope(name):
                layer = tf.matmul(layer, tf.cast(fc.weights, dtype))
                layer = tf.nn.bias_add(layer, tf.cast(fc.biases, dtype))
                layer = tf.nn.relu(layer) if fc.use_relu else layer
        return tf.cast(layer, tf.float32)

    def layer_outputs(self, images: Any) -> dict[str, tf.Tensor]:
        """Compute what each layer gives out, in order, as tensors.

        Args:
            images: ``[n, 784]``, float32 in 0..1.

        Returns:
            ``layer_conv1`` ``[n, 14, 14, 16]``, ``layer_conv2`` ``[n, 7, 7, 36]``,
            ``layer_flat`` ``[n, 1764]``, ``layer_fc1`` ``[n, 128]`` and ``logits``
            ``[n, 10]``.

        Raises:
            ValueError: If the images have another shape.
        """
        x = tf.cast(images, tf.float32)
        # Said here, because the reshape would take any multiple of 784 numbers as images.
        if x.shape.rank != 2 or x.shape[1] != IMAGE_SIZE_FLAT:
            raise ValueError(
                f"need images of shape [n, {IMAGE_SIZE_FLAT}] (a single one is "
                f"[1, {IMAGE_SIZE_FLAT}]); got shape {x.shape}"
            )
        x_image = tf.reshape(x, [-1, IMAGE_SIZE, IMAGE_SIZE, 1])
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
        """Compute what each layer gives out, as arrays to look at.

        Args:
            images: ``[n, 784]``, float32 in 0..1; a handful, for all are kept at once.

        Returns:
            What :meth:`layer_outputs` returns, and ``probabilities`` ``[n, 10]``, the softmax
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
        """How many numbers the network learns: 242,062."""
        return sum(int(np.prod(variable.shape)) for variable in self.weights.values())
