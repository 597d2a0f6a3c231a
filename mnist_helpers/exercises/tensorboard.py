"""Exercises of the chapter on TensorBoard."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnist_helpers._quiet import quiet
from mnist_helpers.exercises._kinds import Choice, Function, Number

with quiet():
    import tensorflow as tf

GRADIENTS = [np.array([3.0, 4.0]), np.array([12.0])]


def _smoothed(
    values: Sequence[float], share: float, corrected: bool = True, start: float = 0.0
) -> npt.NDArray[np.float64]:
    """A running mean, as TensorBoard's slider makes it."""
    mean, result = start, []
    for count, value in enumerate(values, start=1):
        mean = share * mean + (1 - share) * value
        result.append(mean / (1 - share**count) if corrected else mean)
    return np.array(result)


@cache
def _landed() -> str:
    """At which steps three values land, written by a traced function with Python numbers."""
    with tempfile.TemporaryDirectory() as folder:
        writer = tf.summary.create_file_writer(folder)

        @tf.function
        def write(value: tf.Tensor) -> None:
            tf.summary.scalar("square", value)

        for step in range(3):
            with writer.as_default(step=step):
                write(tf.constant(step**2))
        writer.close()
        files = [str(path) for path in Path(folder).iterdir()]
        records = [r.numpy() for r in tf.data.TFRecordDataset(files)]
    events = [tf.compat.v1.Event.FromString(record) for record in records]
    return ", ".join(str(event.step) for event in events if event.summary.value)


EXERCISES = {
    1: Function(
        question="Write TensorBoard's smoothing.",
        takes="takes values [n] and the share s, and returns the n smoothed values",
        cases=lambda random: [
            (random.random(n), share) for n, share in ((1, 0.6), (5, 0.6), (30, 0.95))
        ],
        answer=_smoothed,
        mistakes=[
            (
                lambda values, share: _smoothed(values, share, corrected=False),
                "It begins too low: the mean begins at 0, and must be divided by something.",
            ),
            (
                lambda values, share: _smoothed(values, 1 - share),
                "The share s belongs to the mean so far, and the rest, 1 − s, to the new value.",
            ),
            (
                lambda values, share: _smoothed(values, share, False, start=values[0]),
                "The mean begins at 0, and not at the first value.",
            ),
        ],
        nudge="The first smoothed value is the first value itself.",
    ),
    2: Choice(
        question="At which steps do the three values land?",
        options={
            "0, 1, 2": "How often does the Python code of a traced function run?",
            "0, 0, 0": None,
            "2, 2, 2": "What tracing saw stays: when was it traced?",
            "1, 1, 1": "Steps are counted from 0 here.",
        },
        answer=_landed,
        nudge="Read the events back.",
    ),
    3: Number(
        question="To begin with: what is `tf.linalg.global_norm` of the gradients [3, 4] and [12]?",
        answer=lambda: tf.linalg.global_norm([tf.constant(g) for g in GRADIENTS]),
        mistakes=[
            (
                lambda: sum(np.linalg.norm(g) for g in GRADIENTS),
                "Add up the squares, not the roots.",
            ),
            (lambda: sum((g**2).sum() for g in GRADIENTS), "Take the root of that."),
            (lambda: sum(g.sum() for g in GRADIENTS), "Square each number before you add."),
        ],
        nudge="It is the root of the sum of all squares.",
    ),
}
