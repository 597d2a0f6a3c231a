"""Exercises of the chapter on optimisation."""

from __future__ import annotations

from functools import cache

import numpy as np

from mnist_helpers._quiet import quiet
from mnist_helpers.batches import BATCH_SIZE, batch_indices
from mnist_helpers.exercises._kinds import Choice, Number
from mnist_helpers.network import ConvNet
from mnist_helpers.optimizer import LEARNING_RATE, TrainingState, take_step

with quiet():
    import tensorflow as tf


@cache
def _chance() -> str:
    """Which of the seeds changes what a training run begins with."""
    nets = [ConvNet(seed=seed).weights["conv1/weights"].numpy() for seed in (0, 1)]
    orders = [batch_indices(1000, BATCH_SIZE, 0, 10, seed=seed) for seed in (0, 1)]
    differs = [not np.array_equal(*pair) for pair in (nets, orders)]
    names = ["neither", "only the order of the images", "only the starting weights", "both"]
    return names[2 * differs[0] + differs[1]]


def _first_step(gradient: float, rate: float) -> float:
    """How far Adam's first step moves a weight."""
    weight = tf.Variable([0.0])
    take_step([tf.constant([gradient])], TrainingState([weight]), tf.constant(rate))
    return abs(float(weight[0]))


def _spread(num_images: int) -> float:
    """How far apart the means of this many independent numbers lie."""
    numbers = np.random.default_rng(seed=0).normal(size=[4000, num_images])
    return float(numbers.mean(axis=1).std())


EXERCISES = {
    1: Choice(
        question="A training run has two seeds. Which of them changes what it does?",
        options={
            "both": None,
            "only the starting weights": "Other batches pull the weights in other directions.",
            "only the order of the images": "From another start, the same batches lead elsewhere.",
            "neither": "Draw the first filters of two seeds and compare them.",
        },
        answer=_chance,
        nudge="Change one of them and look at the losses.",
    ),
    2: Number(
        question="How far does Adam's first step move a weight whose gradient is 0.02, at a rate "
        "of 0.001?",
        decimals=5,
        answer=lambda: _first_step(0.02, 0.001),
        mistakes=[
            (lambda: 0.02 * 0.001, "Plain gradient descent would move it that far."),
            (lambda: _first_step(0.02, LEARNING_RATE), "That is at the book's rate."),
            (lambda: 0.02, "The first step does not depend on the size of the gradient."),
        ],
        nudge="In the first step, Adam divides the gradient by its own size.",
    ),
    3: Number(
        question="How many times smaller is the spread with batches of 256 than with batches of "
        "16, to the nearest whole number?",
        answer=lambda: _spread(16) / _spread(256),
        mistakes=[
            (lambda: 256 / 16, "A mean of more numbers is not that much steadier."),
            (lambda: _spread(16) / _spread(64), "That is for four times as many images."),
            (lambda: 256 / 16 / 2, "The spread falls with a root: which one?"),
        ],
        nudge="Four times as many images halve the spread.",
    ),
    4: Number(
        question="How many times has the network seen each training image after 10,000 iterations?",
        decimals=1,
        answer=lambda: 10_000 * BATCH_SIZE / 55_000,
        mistakes=[
            (lambda: 55_000 / (10_000 * BATCH_SIZE), "Turn the fraction over."),
            (lambda: 10_000 / 55_000, "Each iteration reads a whole batch."),
            (lambda: 55_000 / BATCH_SIZE, "That many iterations make one epoch."),
        ],
        nudge="How many images has it read in all?",
    ),
}
