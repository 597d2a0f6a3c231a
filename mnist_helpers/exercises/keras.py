"""Exercises of the chapter on Keras."""

from __future__ import annotations

from functools import cache

import numpy as np

from mnist_helpers._quiet import quiet
from mnist_helpers.exercises._kinds import Function, Number
from mnist_helpers.keras.recipe import DROPOUT_RATE, build_model

with quiet():
    import tensorflow as tf


def _kept() -> float:
    """The factor by which dropout multiplies the numbers that it keeps."""
    numbers = tf.nn.experimental.stateless_dropout(tf.ones([1000]), DROPOUT_RATE, seed=[0, 0])
    return float(tf.reduce_max(numbers))


@cache
def _sizes() -> dict[str, list[int]]:
    """How many weights and how many biases each layer has, if any."""
    layers = [layer for layer in build_model().layers if layer.weights]
    return {each.name: [int(tf.size(w)) for w in each.weights] for each in layers}


def _count(*starts: str, biases: bool = True) -> int:
    return sum(
        weights + biases * of_bias
        for name, (weights, of_bias) in _sizes().items()
        if name.startswith(starts)
    )


EXERCISES = {
    1: Function(
        question="Work out what the logs say, given the loss of each batch.",
        takes="takes the loss of each batch of an epoch, [n], and returns what the logs hold after "
        "each, [n]",
        cases=lambda random: [(random.gamma(2, size=n),) for n in (1, 4, 30)],
        answer=lambda losses: np.cumsum(losses) / np.arange(1, len(losses) + 1),
        mistakes=[
            (lambda losses: losses, "Those are the batches' own losses."),
            (np.cumsum, "That is the sum so far: what must it be divided by?"),
            (
                lambda losses: np.cumsum(losses) / len(losses),
                "After the second batch, the mean is over two losses.",
            ),
        ],
        nudge="Work out the third value by hand.",
    ),
    2: Number(
        question="By what factor does the chapter's dropout, with a rate of 0.4, multiply the "
        "numbers that it keeps?",
        decimals=2,
        answer=_kept,
        mistakes=[
            (lambda: 1.0, "Then the next layer would get less than it is used to."),
            (
                lambda: 1 - DROPOUT_RATE,
                "It makes up for what is missing: must they grow or shrink?",
            ),
            (lambda: 1 / DROPOUT_RATE, "What share is left if 0.4 of them are silent?"),
        ],
        nudge="The sum of the numbers should stay about the same.",
    ),
    3: Number(
        question="How many parameters are left to train?",
        answer=lambda: _count("fc"),
        mistakes=[
            (lambda: _count("conv"), "Those are the frozen ones."),
            (lambda: _count("fc", "conv"), "Those are all of them."),
            (lambda: _count("fc", biases=False), "The biases are trained too."),
        ],
        nudge="Add up both fully connected layers.",
    ),
}
