"""Exercises of the chapter on fully connected layers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy.typing as npt

from mnist_helpers._quiet import quiet
from mnist_helpers.checkpoints import load_checkpoint
from mnist_helpers.data import load_mnist
from mnist_helpers.exercises._kinds import Number, Shape
from mnist_helpers.layers import new_conv_layer, new_fc_layer

with quiet():
    import tensorflow as tf


def _parameters(units: int, inputs_of_last: int | None = None, biases: bool = True) -> int:
    """How many parameters the network has with this many units."""
    layers: list[Any] = [
        new_conv_layer(1, 5, 16)[0],
        new_conv_layer(16, 5, 36)[0],
        new_fc_layer(1764, units),
        new_fc_layer(units if inputs_of_last is None else inputs_of_last, 10),
    ]
    counted = [variable for layer in layers for variable in (layer.weights, layer.biases)]
    return sum(int(tf.size(v)) for v in counted if biases or v.shape.rank > 1)


@cache
def _units() -> npt.NDArray[Any]:
    """What the 128 units give for 1,000 test images."""
    return load_checkpoint(10_000).activations(load_mnist().test.images[:1000])["layer_fc1"]


def _convolved(padding: str) -> tuple[int, ...]:
    maps, filters = tf.zeros([9, 7, 7, 36]), tf.zeros([7, 7, 36, 128])
    return tuple(tf.nn.conv2d(maps, filters, 1, padding).shape)


EXERCISES = {
    1: Number(
        question="How many parameters would the whole network have?",
        answer=lambda: _parameters(64),
        mistakes=[
            (lambda: _parameters(128) // 2, "The convolutions keep all of theirs."),
            (lambda: _parameters(64, inputs_of_last=128), "The last layer has fewer inputs too."),
            (lambda: _parameters(64, biases=False), "Each layer also has biases."),
        ],
        nudge="Add up the four layers one by one.",
    ),
    3: Number(
        question="How many of the 128 units are silent for all 1,000 images?",
        answer=lambda: (_units().max(axis=0) == 0).sum(),
        mistakes=[
            (lambda: (_units().max(axis=0) > 0).sum(), "Those are the ones that speak."),
            (lambda: (_units()[0] == 0).sum(), "Those are silent for the first image."),
            (lambda: (_units().max(axis=1) == 0).sum(), "That asks each image, not each unit."),
        ],
        nudge="A unit is silent if the largest number that it gives is zero.",
    ),
    4: Shape(
        question="What is the shape of the convolution's output for the nine images?",
        answer=lambda: _convolved("VALID"),
        mistakes=[
            (lambda: _convolved("SAME"), "Without padding the filter fits in one place only."),
            (lambda: _convolved("VALID")[::3], "A convolution keeps the axes of rows and columns."),
            (lambda: [7, 7, 36, 128], "That is the shape of the filters."),
        ],
        nudge="A convolution gives images, rows, columns and channels.",
    ),
}
