"""The layers that the network is built from, as the chapters teach them.

Taught in the chapters on convolution, pooling, flattening and the fully connected
layer (``notebooks/convolution.ipynb`` and those after it), where each is checked
against TensorFlow's own operations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mnist_helpers._checks import check_process
from mnist_helpers._quiet import quiet

with quiet():
    import tensorflow as tf

WEIGHT_STDDEV = 0.05
"""Spread of the starting weights; wide enough to tell filters apart, small enough to learn."""

BIAS_START = 0.05  # starting bias, a little above zero so that no ReLU unit starts dead


def new_weights(
    shape: Sequence[int], stddev: float = WEIGHT_STDDEV, seed: int | Sequence[int] | None = None
) -> tf.Variable:
    """Make a variable of small random weights.

    The numbers are drawn from a normal distribution around 0 and drawn again when they
    lie more than two standard deviations away (a truncated normal distribution).

    Args:
        shape: Size of each dimension, ``[height, width, in_channels, out_channels]`` for a
            convolution, ``[inputs, outputs]`` for a fully connected layer.
        stddev: Standard deviation before the cut.
        seed: The same seed gives the same weights on every machine: one number, or two.
            ``None`` draws new ones each time.

    Returns:
        A float32 variable of that shape.
    """
    check_process()
    if seed is None:
        start = tf.random.truncated_normal(shape, stddev=stddev)
    else:
        pair = list(seed) if isinstance(seed, Sequence) else [seed, 0]
        start = tf.random.stateless_truncated_normal(shape, pair, stddev=stddev, alg="philox")
    return tf.Variable(start, name="weights")


def new_biases(length: int, value: float = BIAS_START) -> tf.Variable:
    """Make a float32 variable ``[length]`` in which the bias of each output is ``value``.

    Outputs are the filters of a convolution, or the units of a dense layer.
    """
    return tf.Variable(tf.fill([length], float(value)), name="biases")


class ConvLayer(tf.Module):
    """A convolution, its bias, perhaps a 2×2 max-pooling, and ReLU.

    Calling the layer maps images ``[n, height, width, in_channels]`` to
    ``[n, height, width, num_filters]``, or, with pooling, to half the height and width
    (rounded up). All float32.

    Attributes:
        weights: The filters, ``[filter_size, filter_size, in_channels, num_filters]``.
        biases: One for each filter, ``[num_filters]``.
        use_pooling: Whether the output is pooled.
    """

    def __init__(
        self,
        num_input_channels: int,
        filter_size: int,
        num_filters: int,
        use_pooling: bool = True,
        seed: int | Sequence[int] | None = None,
    ) -> None:
        """Draw the filters; see :func:`new_conv_layer`."""
        super().__init__()
        shape = [filter_size, filter_size, num_input_channels, num_filters]
        self.weights = new_weights(shape, seed=seed)
        self.biases = new_biases(num_filters)
        self.use_pooling = use_pooling

    def __call__(self, images: Any) -> tf.Tensor:
        """Apply the layer to images ``[n, height, width, in_channels]``."""
        layer = tf.nn.conv2d(images, self.weights, strides=1, padding="SAME") + self.biases
        if self.use_pooling:
            layer = tf.nn.max_pool2d(layer, ksize=2, strides=2, padding="SAME")
        # ReLU comes after pooling: relu(max_pool(x)) == max_pool(relu(x)), and only a
        # quarter of the numbers are left to look at.
        return tf.nn.relu(layer)


class FullyConnectedLayer(tf.Module):
    """Every output looks at every input: ``x @ weights + biases``, perhaps with ReLU.

    Calling the layer maps ``[n, num_inputs]`` to ``[n, num_outputs]``, float32.

    Attributes:
        weights: ``[num_inputs, num_outputs]``.
        biases: ``[num_outputs]``.
        use_relu: Whether negative outputs become zero.
    """

    def __init__(
        self,
        num_inputs: int,
        num_outputs: int,
        use_relu: bool = True,
        seed: int | Sequence[int] | None = None,
    ) -> None:
        """Draw the weights; see :func:`new_fc_layer`."""
        super().__init__()
        self.weights = new_weights([num_inputs, num_outputs], seed=seed)
        self.biases = new_biases(num_outputs)
        self.use_relu = use_relu

    def __call__(self, inputs: Any) -> tf.Tensor:
        """Apply the layer to ``[n, num_inputs]``."""
        layer = tf.matmul(inputs, self.weights) + self.biases
        return tf.nn.relu(layer) if self.use_relu else layer


def new_conv_layer(
    num_input_channels: int,
    filter_size: int,
    num_filters: int,
    use_pooling: bool = True,
    seed: int | Sequence[int] | None = None,
) -> tuple[ConvLayer, tf.Variable]:
    """Make a convolutional layer with new random filters.

    Args:
        num_input_channels: Channels of the images that it will be given (1 for MNIST).
        filter_size: Height and width of each filter in pixels.
        num_filters: How many filters, which is how many channels come out.
        use_pooling: Halve height and width with 2×2 max-pooling.
        seed: See :func:`new_weights`.

    Returns:
        The layer, to be called with images, and its filters
        ``[filter_size, filter_size, num_input_channels, num_filters]``.
    """
    layer = ConvLayer(num_input_channels, filter_size, num_filters, use_pooling, seed)
    return layer, layer.weights


def flatten_layer(layer: Any) -> tuple[tf.Tensor, int]:
    """Lay the numbers of each image out in one row, so that a dense layer can read them.

    The last dimension (the channel) runs fastest, then the column, then the row: number
    ``(row * width + column) * channels + channel`` of the result is
    ``layer[image, row, column, channel]``.

    Returns:
        The same numbers as ``[n, height * width * channels]``, and how many there are for
        each image.
    """
    num_features = math.prod(layer.shape[1:])
    return tf.reshape(layer, [-1, num_features]), num_features


def new_fc_layer(
    num_inputs: int,
    num_outputs: int,
    use_relu: bool = True,
    seed: int | Sequence[int] | None = None,
) -> FullyConnectedLayer:
    """Make a fully connected layer with new random weights.

    Args:
        num_inputs: Numbers that come in for each image.
        num_outputs: Numbers that go out for each image.
        use_relu: Replace negative outputs by zero. The network's last layer does without:
            its outputs are logits.
        seed: See :func:`new_weights`.
    """
    return FullyConnectedLayer(num_inputs, num_outputs, use_relu, seed)
