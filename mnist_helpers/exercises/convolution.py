"""Exercises of the chapter on convolution."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_helpers.data import load_mnist
from mnist_helpers.exercises._kinds import Function, Number
from mnist_helpers.layers import new_conv_layer

Numbers = npt.NDArray[Any]

UPPER_EDGE = np.array([[-1.0, -1, -1], [0, 0, 0], [1, 1, 1]])


def _convolve(image: Numbers, kernel: Numbers) -> Numbers:
    """Slide a filter over an image, without padding."""
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.asarray(np.einsum("rcij,ij->rc", windows, kernel))


@cache
def _digit() -> Numbers:
    """The first test image."""
    return np.asarray(load_mnist().test.images[0].reshape(28, 28))


def _change(weight: float = 1 / 9, first: int = 1) -> Numbers:
    """What nine equal weights add to each pixel of the image, from some row and column on."""
    blurred = _convolve(_digit(), np.full([3, 3], weight))
    return np.asarray(blurred - _digit()[first : first + 26, first : first + 26])


def _reach(*sides: int) -> int:
    """How many pixels of a row affect what filters of these sizes give, one after another."""
    dot = np.zeros([28, 28])
    dot[14, 14] = 1
    for side in sides:
        dot = _convolve(dot, np.ones([side, side]))
    return int((dot > 0).any(axis=0).sum())


def _parameters(channels: int = 40, filters: int = 10) -> tuple[int, int]:
    """The weights and the biases of a layer with filters of 3×3."""
    layer, _ = new_conv_layer(channels, 3, filters)
    return int(np.prod(layer.weights.shape)), int(np.prod(layer.biases.shape))


EXERCISES = {
    1: Function(
        question="Write the convolution with the filter for left edges, with weights of −1, 0 "
        "and 1.",
        takes="takes an image [height, width] and returns the filter's answers at all places, "
        "without padding",
        cases=lambda random: [
            (random.random(size=shape),) for shape in ([3, 3], [5, 8], [28, 28])
        ],
        answer=lambda image: _convolve(image, UPPER_EDGE.T),
        mistakes=[
            (lambda image: -_convolve(image, UPPER_EDGE.T), "It finds where ink ends."),
            (lambda image: _convolve(image, UPPER_EDGE), "It finds where ink begins, going down."),
            (
                lambda image: _convolve(np.pad(image, 1), UPPER_EDGE.T),
                "The image is padded: only places where the whole filter fits are asked for.",
            ),
        ],
        nudge="Try it on a picture with one vertical line.",
    ),
    2: Number(
        question="How large is the largest difference between the output and the image? (The "
        "image is the first of the test set.)",
        decimals=2,
        within=1,
        answer=lambda: np.abs(_change()).max(),
        mistakes=[
            (lambda: (-_change()).max(), "Ink may be gained too: drop the sign first."),
            (
                lambda: np.abs(_change(first=0)).max(),
                "Without padding, the output's first row belongs to row 1 of the image.",
            ),
            (lambda: np.abs(_change(weight=1)).max(), "Nine ones add up to 9: each should be 1/9."),
        ],
        nudge="Compare each number of the output with the pixel under the middle of the filter.",
    ),
    3: Number(
        question="A single filter does the work of two 3×3 filters. How many rows does it have?",
        answer=lambda: _reach(3, 3),
        mistakes=[
            (lambda: _reach(3), "The second filter reads three answers in a row from the first."),
            (lambda: 3 + 3, "The three patches that the first filter reads overlap."),
            (lambda: 3 * 3, "The first filter moves on by one pixel, not by three."),
        ],
        nudge="Which rows of the image can change one answer of the second filter?",
    ),
    4: Number(
        question="How many numbers does the layer learn, weights and biases together?",
        answer=lambda: sum(_parameters()),
        mistakes=[
            (lambda: _parameters()[0], "Each filter also has a bias."),
            (lambda: sum(_parameters(channels=1)), "A filter has a slice for each input channel."),
            (lambda: sum(_parameters(filters=1)), "That is one filter: there are more."),
        ],
        nudge="Multiply height, width, input channels and filters; then count the biases.",
    ),
}  # fmt: skip
