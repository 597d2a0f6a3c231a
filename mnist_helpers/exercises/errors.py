"""Exercises of the chapter on errors."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_helpers.data import load_mnist
from mnist_helpers.exercises._kinds import Function, Number

ACCURACY, NUM_IMAGES = 0.988, 10_000


@cache
def _ones() -> float:
    """The share of ones in the test set."""
    return float((load_mnist().test.labels == 1).mean())


def _deviation(num_images: int = NUM_IMAGES, accuracies: int = 1) -> float:
    """The standard deviation of an accuracy, or of a difference of two, in points."""
    variance = accuracies * ACCURACY * (1 - ACCURACY) / num_images
    return 100 * float(np.sqrt(variance))


def _in_order(probabilities: npt.NDArray[Any], place: int) -> npt.NDArray[np.int64]:
    return np.asarray(np.argsort(probabilities, axis=1)[:, place])


EXERCISES = {
    1: Number(
        question="What is the precision, for the 1, of a network that calls every image a 1?",
        decimals=3,
        within=1,
        answer=_ones,
        mistakes=[
            (lambda: _ones() / _ones(), "That is its recall: it finds every 1."),
            (lambda: 1 - _ones(), "That is the share of its answers that are wrong."),
            (lambda: 1 / 10, "Ones are not exactly a tenth of the test images."),
        ],
        nudge="Of all images that it calls a 1, what share really shows one?",
    ),
    3: Function(
        question="Write a function that gives the second choice.",
        takes="takes probabilities [n, 10] and returns, for each row, the class with the second-"
        "largest probability, [n]",
        cases=lambda random: [(random.dirichlet(np.ones(10), size=n),) for n in (1, 7, 40)],
        answer=lambda probabilities: _in_order(probabilities, -2),
        mistakes=[
            (lambda probabilities: _in_order(probabilities, -1), "That is the first choice."),
            (lambda probabilities: _in_order(probabilities, 1), "It counts from the smallest up."),
            (
                lambda probabilities: np.sort(probabilities, axis=1)[:, -2],
                "It gives the probability, and not the class that has it.",
            ),
        ],
        nudge="Sort the classes of a row by their probabilities.",
    ),
    4: Number(
        question="At an accuracy of 98.8% on 10,000 images, how many percentage points is the "
        "standard deviation?",
        decimals=2,
        answer=_deviation,
        mistakes=[
            (lambda: _deviation(accuracies=2), "That is for the difference between two networks."),
            (
                lambda: _deviation(num_images=1),
                "That is for one image: divide the variance by the number of images.",
            ),
            (lambda: 100 * ACCURACY * (1 - ACCURACY) / NUM_IMAGES, "That is the variance."),
        ],
        nudge="Think of a coin, tossed once for each image.",
    ),
}
