"""Exercises of the chapter on tensors."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_helpers.data import load_mnist
from mnist_helpers.exercises._kinds import Function, Number, Shape

Numbers = npt.NDArray[Any]

COLOUR = np.zeros([5, 28, 28, 3])


@cache
def _ink() -> dict[str, Numbers]:
    """The most ink in each pixel of each split, in the first image, and in each image."""
    data = load_mnist()
    return {
        "train": data.train.images.max(axis=0),
        "test": data.test.images.max(axis=0),
        "first": data.train.images[0],
        "images": data.train.images.max(axis=1),
    }


def _blank(of: str) -> int:
    return int((_ink()[of] == 0).sum())


def _square(image: Numbers) -> Numbers:
    return image.reshape(28, 28)


EXERCISES = {
    1: Shape(
        question="What is the shape of the batch of films?",
        answer=lambda: np.zeros([8, 10 * 25, 28, 28, 3], bool).shape,
        mistakes=[
            (lambda: np.zeros([10 * 25, 28, 28, 3], bool).shape, "That is one film of the batch."),
            (
                lambda: np.zeros([8, 10 * 25, 28, 28], bool).shape,
                "A colour pixel is more than one number.",
            ),
            (
                lambda: np.zeros([8, 10, 25, 28, 28, 3], bool).shape,
                "A film is one row of pictures, second after second.",
            ),
        ],
        nudge="Start from the outside: films, then what a film consists of, down to the "
        "numbers of a pixel.",
    ),
    2: Shape(
        question="What is the shape of the mean of `colour`, `[5, 28, 28, 3]`, along the channels, "
        "without `keepdims`?",
        answer=lambda: COLOUR.mean(axis=3).shape,
        mistakes=[
            (
                lambda: COLOUR.mean(axis=3, keepdims=True).shape,
                "Only keepdims would leave that axis in place.",
            ),
            (lambda: COLOUR.mean(axis=0).shape, "That is the mean of the five images."),
            (lambda: COLOUR.shape, "A mean removes the axis along which it is taken."),
        ],
        nudge="Which of the four axes counts the colours?",
    ),
    3: Number(
        question="How many pixels are blank in every training image?",
        answer=lambda: _blank("train"),
        mistakes=[
            (lambda: _blank("test"), "That is for the test images."),
            (lambda: _blank("first"), "Those pixels are blank in one image only."),
            (lambda: _blank("images"), "Along axis 1 you ask each image, not each pixel."),
        ],
        nudge="Each pixel needs the maximum over all images; count where it is zero.",
    ),
    4: Function(
        question="Write a function that stands a flat image on its head: the last row first.",
        takes="takes an image [784] and returns it, flat again, with the order of its rows "
        "reversed",
        cases=lambda random: [(random.random(784),) for _ in range(3)],
        answer=lambda image: _square(image)[::-1].ravel(),
        mistakes=[
            (lambda image: image[::-1], "It also reverses the pixels within each row."),
            (lambda image: _square(image)[:, ::-1].ravel(), "It swaps left and right."),
            (lambda image: _square(image)[::-1], "The result is not flat again."),
        ],
        nudge="Reshape it before you reverse anything.",
    ),
}
