"""Exercises of the chapter on the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_helpers.evaluation import cross_entropy
from mnist_helpers.exercises._kinds import Number

BELIEFS = np.array([0.5, 0.25, 0.125])
"""The probabilities that three images' true classes get in the last exercise."""


def _losses() -> npt.NDArray[Any]:
    """The loss of each image, from logits of two classes that give these beliefs."""
    logits = np.stack([np.log(BELIEFS), np.log(1 - BELIEFS)], axis=1)
    return np.asarray(cross_entropy(logits, np.zeros(3, int)), float)


def _squared_error(believed: int, true: int) -> npt.NDArray[Any]:
    return np.asarray((np.eye(10)[believed] - np.eye(10)[true]) ** 2)


EXERCISES = {
    1: Number(
        question="What probability of the true class costs 0.1 nats?",
        decimals=3,
        answer=lambda: np.exp(-0.1),
        mistakes=[
            (lambda: 1 - 0.1, "That is close, but only an approximation."),
            (lambda: -np.log(0.1), "That is what a probability of 0.1 costs."),
            (lambda: 10**-0.1, "The logarithm is the natural one."),
        ],
        nudge="Solve the formula for p, or try values near 1.",
    ),
    2: Number(
        question="How large can the sum of the ten squares get?",
        answer=lambda: max(_squared_error(0, true).sum() for true in range(10)),
        mistakes=[
            (lambda: _squared_error(0, 1).max(), "One class was believed in, another is true."),
            (lambda: (1 - np.zeros(10)).sum(), "The ten probabilities add up to 1."),
            (lambda: _squared_error(0, 0).sum(), "That is as small as it can get."),
        ],
        nudge="Which answer could be more wrong than any other?",
    ),
    4: Number(
        question="To begin with: three true classes get probabilities of 0.5, 0.25 and 0.125. What "
        "is the cost, the mean loss, in nats?",
        decimals=2,
        within=1,
        answer=lambda: _losses().mean(),
        mistakes=[
            (lambda: _losses().sum(), "That is the sum: divide it by the number of images."),
            (lambda: -np.log(BELIEFS.mean()), "Take the logarithms first, and then their mean."),
            (lambda: _losses().mean() / np.log(2), "That is in bits, with logarithms to base 2."),
        ],
        nudge="Work out the loss of each image, and take the mean.",
    ),
}
