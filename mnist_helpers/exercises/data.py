"""Exercises of the chapter on the data."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_helpers.data import load_mnist
from mnist_helpers.exercises._kinds import Number

Numbers = npt.NDArray[Any]


@cache
def _labels() -> tuple[Numbers, Numbers]:
    """The labels to learn from, and those of the test set."""
    data = load_mnist()
    return data.train.labels, data.test.labels


@cache
def _reader() -> tuple[Numbers, Numbers, Numbers]:
    """The first reader's sums without biases, its biases, and the test labels."""
    data = load_mnist()
    means = np.stack([data.train.images[data.train.labels == c].mean(axis=0) for c in range(10)])
    biases = -0.5 * (means**2).sum(axis=1)
    return data.test.images @ means.T, biases, data.test.labels


@cache
def _sides() -> Numbers:
    """For each test image, the first and the last row and column with ink, ``[n, 2, 2]``."""
    digits = load_mnist().test.images.reshape(-1, 28, 28)
    inked = np.stack([digits.any(axis=2), digits.any(axis=1)], axis=1)
    first, last = inked.argmax(axis=2), 27 - inked[:, :, ::-1].argmax(axis=2)
    return np.stack([first, last], axis=1)


def _common(split: int) -> float:
    """How many labels in a hundred are the class that is most common in the training set."""
    train, _ = _labels()
    return 100 * float((_labels()[split] == np.bincount(train).argmax()).mean())


def _recall() -> Numbers:
    sums, biases, labels = _reader()
    predictions = (sums + biases).argmax(axis=1)
    return np.array([(predictions[labels == c] == c).mean() for c in range(10)])


def _mistaken_for() -> int:
    """What the hardest class is taken for."""
    sums, biases, labels = _reader()
    predictions = (sums + biases).argmax(axis=1)[labels == _recall().argmin()]
    counts = np.bincount(predictions, minlength=10)
    counts[_recall().argmin()] = 0
    return int(counts.argmax())


def _answers() -> Numbers:
    """How often the first reader gives each answer without its biases."""
    return np.bincount(_reader()[0].argmax(axis=1), minlength=10)


def _size(both_ends: int = 1) -> int:
    """The commonest length of the ink's longer side."""
    first, last = _sides()[:, 0], _sides()[:, 1]
    return int(np.bincount((last - first + both_ends).max(axis=1)).argmax())


EXERCISES = {
    1: Number(
        question="For how many test images in a hundred is that answer right?",
        decimals=1,
        within=1,
        answer=lambda: _common(split=1),
        mistakes=[
            (lambda: 100 / 10, "Some classes are more common than others."),
            (lambda: _common(split=0), "Judge it on the test set."),
            (
                lambda: _common(split=1) / 100,
                "That is a share: how many in a hundred is it?",
            ),
        ],
        nudge="Find the class among the training labels, then count it among the test labels.",
    ),
    2: Number(
        question="Which class does the first reader get right least often?",
        answer=lambda: _recall().argmin(),
        mistakes=[
            (lambda: _recall().argmax(), "That is the class it gets right most often."),
            (_mistaken_for, "That is what the hardest class is taken for."),
            (lambda: np.argsort(_recall())[1], "That is the second hardest."),
        ],
        nudge="For each class, count the right answers among the images that show it.",
    ),
    3: Number(
        question="How many pixels does the ink of nearly every test image measure, along its "
        "longer side?",
        answer=_size,
        mistakes=[
            (lambda: 28, "That is the whole image, with its blank border."),
            (lambda: _size(both_ends=0), "The first and the last inked row both count."),
            (
                lambda: np.bincount((_sides()[:, 1] - _sides()[:, 0]).min(axis=1) + 1).argmax(),
                "That is along the shorter side.",
            ),
        ],
        nudge="Find the first and the last row with ink, then the same for the columns.",
    ),
    4: Number(
        question="Which class does the first reader never choose without its biases?",
        answer=lambda: _answers().argmin(),
        mistakes=[
            (lambda: _answers().argmax(), "That is the answer it gives most often."),
            (
                lambda: _reader()[1].argmin(),
                "Its bias takes away the most, so without it this class gains.",
            ),
            (lambda: _reader()[1].argmax(), "Its bias takes away the least, but it wins some."),
        ],
        nudge="Count how often each of the ten answers comes up.",
    ),
}
