"""Exercises of the chapter on studies."""

from __future__ import annotations

import numpy as np

from mnist_helpers._quiet import quiet
from mnist_helpers.exercises._kinds import Number
from mnist_helpers.network import ConvNet

with quiet():
    import keras
    import tensorflow as tf

WINDOW = np.array([3.0, -1.0, -1.0, -1.0])


def _one_layer(biases: bool = True) -> int:
    """The parameters of a layer from 784 pixels to ten logits."""
    layer = keras.layers.Dense(10, use_bias=biases)
    layer.build([None, 784])
    return int(layer.count_params())


def _flattened(num_pools: int, padding: str = "valid", filters: int = 64) -> int:
    """The numbers that 28×28 pixels leave after this many of Keras's poolings."""
    pool = keras.layers.MaxPooling2D(padding=padding)
    maps = tf.zeros([1, 28, 28, filters])
    for _ in range(num_pools):
        maps = pool(maps)
    return int(tf.size(maps))


EXERCISES = {
    2: Number(
        question="What is left of 3, −1, −1, −1 if ReLU comes first, and then the average?",
        decimals=2,
        answer=lambda: np.maximum(WINDOW, 0).mean(),
        mistakes=[
            (lambda: np.maximum(WINDOW.mean(), 0), "That is the average first, and then ReLU."),
            (lambda: np.maximum(WINDOW, 0).max(), "That is the maximum."),
            (lambda: np.abs(WINDOW).mean(), "ReLU turns negative numbers into zeros."),
        ],
        nudge="Cut off the negative numbers, then divide the sum by four.",
    ),
    3: Number(
        question="One layer could say the same. How many numbers does it learn?",
        answer=_one_layer,
        mistakes=[
            (lambda: _one_layer(biases=False), "Each class also has a bias."),
            (lambda: ConvNet(seed=0).num_parameters, "That is the book's network."),
            (lambda: _one_layer(biases=False) // 10, "That is how many belong to one class."),
        ],
        nudge="It reads 784 pixels and gives ten logits.",
    ),
    4: Number(
        question="With a third convolution of 64 filters, all three pooled by Keras's "
        "`MaxPooling2D()`, how many numbers does Flatten give?",
        answer=lambda: _flattened(3),
        mistakes=[
            (lambda: _flattened(3, "same"), "Seven rows do not pair up: what becomes of the last?"),
            (lambda: _flattened(2), "The third convolution is pooled too."),
            (lambda: _flattened(2, filters=36), "That is without the third convolution."),
        ],
        nudge="Halve 28 three times, rounding down, and count the channels.",
    ),
}
