"""Exercises of the chapter on softmax regression."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from mnist_helpers.batches import batch_indices
from mnist_helpers.data import load_mnist
from mnist_helpers.exercises._kinds import Choice, Function, Number

Numbers = npt.NDArray[Any]


def _decided() -> str:
    """What differs between two seeds of the chapter's training."""
    starts = [np.zeros([784, 10]) for _ in range(2)]
    orders = [batch_indices(1000, 100, 0, 10, seed=seed) for seed in range(2)]
    differs = [not np.array_equal(*pair) for pair in (starts, orders)]
    names = ["neither", "the order of the images", "the starting weights", "both"]
    return names[2 * differs[0] + differs[1]]


def _moved(images: Numbers, by: int = 3) -> Numbers:
    """Images ``[n, 784]`` this many pixels further left, blank where nothing moved in."""
    squares = images.reshape(-1, 28, 28)
    wide = np.pad(squares, [(0, 0), (0, 0), (max(0, -by), max(0, by))])
    start = max(0, by)
    return np.asarray(wide[:, :, start : start + 28].reshape(-1, 784))


@cache
def _surprise() -> float:
    """The first reader's mean cross-entropy on the test set, in nats."""
    data = load_mnist()
    means = np.stack([data.train.images[data.train.labels == c].mean(axis=0) for c in range(10)])
    logits = data.test.images @ means.T - 0.5 * (means**2).sum(axis=1)
    return float(-(log_softmax(logits, axis=1) * data.test.one_hot).sum(axis=1).mean())


EXERCISES = {
    1: Choice(
        question="What does the seed decide in these training runs?",
        options={
            "the starting weights": "Look at how `train` begins.",
            "the order of the images": None,
            "both": "All weights begin at zero here.",
            "neither": "Then all runs would end at the same place.",
        },
        answer=_decided,
        nudge="Read `train` once more.",
    ),
    2: Function(
        question="Write a function that moves images three pixels to the left.",
        takes="takes images [n, 784] and returns them, [n, 784] again, three pixels further left, "
        "blank where nothing moved in",
        cases=lambda random: [(random.random([n, 784]),) for n in (1, 4)],
        answer=_moved,
        mistakes=[
            (lambda images: _moved(images, -3), "It moves them to the right."),
            (
                lambda images: np.roll(images.reshape(-1, 28, 28), -3, axis=2).reshape(-1, 784),
                "What leaves on the left comes back on the right.",
            ),
            (
                lambda images: np.pad(images[:, 3:], [(0, 0), (0, 3)]),
                "In the flat row, the start of each row of pixels moves into the row above.",
            ),
        ],
        nudge="Give the images their rows and columns first.",
    ),
    3: Number(
        question="How large is the first reader's mean cross-entropy per test image, in nats?",
        decimals=2,
        within=1,
        answer=_surprise,
        mistakes=[
            (lambda: _surprise() * 10_000, "That is the sum over all test images."),
            (lambda: _surprise() / np.log(2), "That is in bits: the book uses the natural log."),
            (lambda: np.log(10), "That is the surprise of someone who knows nothing."),
        ],
        nudge="Divide the sum over the test set by its number of images.",
    ),
}
