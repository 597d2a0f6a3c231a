"""Exercises of the chapter on fewer steps."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from mnist_helpers._quiet import quiet
from mnist_helpers.exercises._kinds import Number
from mnist_helpers.optimizer import one_cycle

with quiet():
    import keras


def _top(warm_up: float) -> int:
    """The step at which one cycle of 515 steps reaches its highest rate."""
    return int(one_cycle(515, 0.006, warm_up).argmax()) + 1


@cache
def _smoothed(smoothing: float) -> float:
    """What label smoothing asks of the true class: what makes Keras's loss smallest."""
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
    label = np.eye(10, dtype=np.float32)[:1]
    asked = np.arange(1, 1000) / 1000
    rows = np.where(label[0] == 1, asked[:, None], (1 - asked[:, None]) / 9).astype(np.float32)
    losses = [float(loss(label, row[np.newaxis])) for row in rows]
    return float(asked[np.argmin(losses)])


EXERCISES = {
    1: Number(
        question="At which of the 515 steps is the rate of one cycle highest, if it rises for a "
        "quarter of them?",
        answer=lambda: _top(0.25),
        within=1,
        mistakes=[
            (lambda: _top(0.75), "It rises for a quarter, and falls for the rest."),
            (lambda: _top(0.5), "The top does not lie in the middle."),
            (lambda: _top(0.0), "The rate begins low."),
        ],
        nudge="The rise ends where the fall begins.",
    ),
    2: Number(
        question="With a smoothing of 0.2, what is asked of the true class?",
        decimals=2,
        answer=lambda: _smoothed(0.2),
        mistakes=[
            (lambda: 1 - 0.2, "The true class gets its own tenth of what is taken away."),
            (lambda: 0.2 / 10, "That is what each of the other classes gets."),
            (lambda: 1.0, "That is without smoothing."),
        ],
        nudge="What is taken away is given to all ten classes alike.",
    ),
    3: Number(
        question="How many steps of 32 images make 0.35 epochs? (Round up to whole batches.)",
        answer=lambda: math.ceil(0.35 * 55_000 / 32),
        mistakes=[
            (lambda: math.ceil(55_000 / 32), "That is a whole epoch."),
            (lambda: math.ceil(0.35 * 55_000 / 64), "These batches are half as large."),
            (
                lambda: math.ceil(0.35 * 55_000),
                "That is the number of images: they come in batches of 32.",
            ),
        ],
        nudge="An epoch has 55,000 images.",
    ),
}
