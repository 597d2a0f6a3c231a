"""Exercises of the chapter on many machines."""

from __future__ import annotations

from functools import cache

import numpy as np

from mnist_helpers.exercises._kinds import Number
from mnist_helpers.network import ConvNet
from mnist_helpers.scale.cost import Link, step_flops, step_seconds

ETHERNET = Link(latency=50e-6, bandwidth=1.25e9)


@cache
def _parameters() -> int:
    return ConvNet(seed=0).num_parameters


def _best(link: Link, most: int = 64) -> int:
    """How many machines take the shortest step, for a batch of 64 and the book's network."""
    of_first = 28 * 28 * 25 * 16
    multiply_adds = of_first + 14 * 14 * 25 * 16 * 36 + 1764 * 128 + 128 * 10
    operations = step_flops(multiply_adds, 64) - 2 * of_first * 64
    seconds = [
        step_seconds(operations / 200e9 / n, 4 * _parameters(), n, link) for n in range(1, most + 1)
    ]
    return int(np.argmin(seconds)) + 1


def _too_large(num_workers: int, divisor: int, whole: int = 64) -> float:
    """How many times too large the gradient is if each worker divides its own sum by this."""
    gradients = np.random.default_rng(seed=0).normal(size=whole)
    parts = np.split(gradients, num_workers)
    return float(sum(part.sum() / divisor for part in parts) / gradients.mean())


EXERCISES = {
    1: Number(
        question="In float32, what is (100,000,000 + 1) − 100,000,000?",
        answer=lambda: float(np.float32(1e8) + np.float32(1) - np.float32(1e8)),
        mistakes=[
            (lambda: 1e8 + 1 - 1e8, "That is exact: how many digits does a float32 have?"),
            (lambda: float(np.spacing(np.float32(1e8))), "That is the gap to the next number."),
            (lambda: float(np.float32(1e8)), "That is before the subtraction."),
        ],
        nudge="Which float32 is nearest to 100,000,001?",
    ),
    2: Number(
        question="Four workers share a batch of 64, and each divides by its own 16. How many times "
        "too large is the sum of their gradients?",
        answer=lambda: _too_large(4, 16),
        mistakes=[
            (lambda: _too_large(4, 64), "That is if each divides by the whole batch."),
            (lambda: _too_large(2, 32), "That is with two workers."),
            (lambda: _too_large(4, 16) * 4, "Compare a sixteenth with a sixty-fourth."),
        ],
        nudge="Compare what each image's gradient was divided by with what it should have been.",
    ),
    3: Number(
        question="At 10 gigabits a second, how many machines are best?",
        answer=lambda: _best(ETHERNET),
        mistakes=[
            (lambda: _best(Link(500e-6, 0.125e9)), "That is over the slow link."),
            (lambda: _best(Link(0.0, ETHERNET.bandwidth)), "Each message has a latency as well."),
            (lambda: _best(Link(ETHERNET.latency, 1e30)), "The bytes take time as well."),
        ],
        nudge="Compute the time of a step for each number of machines.",
    ),
}
