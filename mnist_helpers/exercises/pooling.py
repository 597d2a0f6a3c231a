"""Exercises of the chapter on pooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_helpers._quiet import quiet
from mnist_helpers.exercises._kinds import Function, Number

with quiet():
    import tensorflow as tf

Numbers = npt.NDArray[Any]


def _pooled(window: int, stride: int, padding: str) -> int:
    """The side of what comes out when a picture of 28×28 is pooled."""
    picture = tf.zeros([1, 28, 28, 1])
    return int(tf.nn.max_pool2d(picture, window, stride, padding).shape[1])


def _squares(image: Numbers, reduce: Callable[..., Any]) -> Numbers:
    """Reduce each square of 2×2, as the chapter's ``pool`` does."""
    height, width = image.shape
    squares = image.reshape(height // 2, 2, width // 2, 2)
    return np.asarray(reduce(squares, axis=(1, 3)))


def _numbers_after(*strides: int) -> int:
    """How many numbers 36 filters give when the layers before were pooled with these strides."""
    side = 28
    for stride in strides:
        side = math.ceil(side / stride)
    return side * side * 36


EXERCISES = {
    1: Number(
        question="How many rows come out of 28 when squares of 3×3 are pooled with a stride of 2 "
        "and `padding=\"SAME\"`?",
        answer=lambda: _pooled(3, 2, "SAME"),
        mistakes=[
            (lambda: _pooled(3, 2, "VALID"), "With SAME, the last square may reach over the rim."),
            (lambda: _pooled(3, 3, "SAME"), "The squares begin 2 pixels apart, and overlap."),
            (lambda: _pooled(3, 1, "VALID"), "The square moves by 2 pixels at a time, not by 1."),
        ],
        nudge="With SAME the size of the square does not matter: what does?",
    ),
    2: Function(
        question="Write the pooling that keeps the smallest number of each 2×2 square.",
        takes="takes an image [height, width], both even, and returns the smallest number of "
        "each 2×2 square",
        cases=lambda random: [
            (random.normal(size=shape),) for shape in ([2, 2], [4, 6], [10, 4], [28, 28])
        ],
        answer=lambda image: _squares(image, np.min),
        mistakes=[
            (lambda image: _squares(image, np.max), "It keeps the strongest, not the weakest."),
            (lambda image: -_squares(image, np.max), "Which image should the maximum be taken of?"),
            (lambda image: _squares(-image, np.max), "The sign is turned once, and stays turned."),
        ],
        nudge="Try it by hand on a single square, with one negative number in it.",
    ),
    4: Number(
        question="How many weights would the fully connected layer with 128 outputs need?",
        answer=lambda: _numbers_after(1, 1) * 128,
        mistakes=[
            (lambda: _numbers_after(1, 1), "That many numbers are read; each needs 128 weights."),
            (lambda: _numbers_after(2, 2) * 128, "That is with pooling after both layers."),
            (lambda: _numbers_after(2, 1) * 128, "The first layer does not pool either."),
        ],
        nudge="Count what the second layer gives: rows, columns, channels.",
    ),
}  # fmt: skip
