"""Exercises of the chapter on graphs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_helpers._quiet import quiet
from mnist_helpers.exercises._kinds import Choice, Function, Number

with quiet():
    import tensorflow as tf

Numbers = npt.NDArray[Any]

IMAGES = tf.TensorSpec([None, 784], tf.float32)


@cache
def _frozen() -> str:
    """What a graph gives after a number and a variable that it uses were changed."""
    settings, variable = {"number": 10.0}, tf.Variable(10.0)

    @tf.function
    def times(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return x * settings["number"], x * variable

    times(tf.constant(1.0))
    settings["number"] = 20.0
    variable.assign(20.0)
    by_number, by_variable = times(tf.constant(1.0))
    return f"{float(by_number):g} and {float(by_variable):g}"


@cache
def _accepted() -> str:
    """Which of two shapes a graph for images ``[None, 784]`` takes."""
    ink = tf.function(lambda images: tf.reduce_mean(images, axis=1), input_signature=[IMAGES])
    taken = []
    for shape in ([3, 28, 28], [784]):
        try:
            ink(tf.zeros(shape))
        except TypeError:
            continue
        taken.append(str(shape))
    return {0: "neither", 1: f"only {''.join(taken)}", 2: "both"}[len(taken)]


def _sigmoid(w: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-np.asarray(w, float))))


@cache
def _operations() -> list[tuple[str, int]]:
    """Each operation of the chapter's ``read``: its type, and the rank of what it gives."""
    weights, biases = tf.Variable(tf.zeros([784, 10])), tf.Variable(tf.zeros([10]))
    read = tf.function(lambda images: tf.matmul(images, weights) + biases, input_signature=[IMAGES])
    operations = read.get_concrete_function().graph.get_operations()
    return [(op.type, op.outputs[0].shape.rank if op.outputs else 0) for op in operations]


def _placeholders(ranks: set[int]) -> int:
    return sum(kind == "Placeholder" and rank in ranks for kind, rank in _operations())


EXERCISES = {
    1: Choice(
        question="A traced function returned 1 · number and 1 · variable: 10 and 10. Now both are "
        "set to 20. What does it give?",
        options={
            "10 and 10": "One of the two is read again at each call.",
            "10 and 20": None,
            "20 and 10": "Which of the two belongs to TensorFlow, so that the graph can read it?",
            "20 and 20": "Tracing ran the Python code once; what it saw then stays.",
        },
        answer=_frozen,
        nudge="Run it and see.",
    ),
    2: Choice(
        question="Which of the shapes [3, 28, 28] and [784] does `ink_graph` accept?",
        options={
            "both": "The graph knows how many axes to expect.",
            "only [3, 28, 28]": "Each image has to be a row of 784 numbers.",
            "only [784]": "One image is not a batch: an axis is missing.",
            "neither": None,
        },
        answer=_accepted,
        nudge="Run it and see.",
    ),
    3: Function(
        question="Write the derivative of the sigmoid.",
        takes="takes numbers [n] and returns the slope of the sigmoid at each",
        cases=lambda random: [(random.normal(scale=3, size=n),) for n in (1, 5, 20)],
        answer=lambda w: _sigmoid(w) * (1 - _sigmoid(w)),
        mistakes=[
            (_sigmoid, "That is the sigmoid itself."),
            (lambda w: w * (1 - w), "The formula's s is the sigmoid of the number."),
            (lambda w: -_sigmoid(w) * (1 - _sigmoid(w)), "The sigmoid rises everywhere."),
        ],
        nudge="Compare it with a tape's gradient at 0.",
    ),
    4: Number(
        question="How many Placeholders does the graph of `read` have?",
        answer=lambda: _placeholders({0, 1, 2}),
        mistakes=[
            (lambda: _placeholders({2}), "The images are not all that comes in."),
            (lambda: _placeholders({0}), "The images come in as well."),
            (lambda: len(_operations()), "Those are all the operations."),
        ],
        nudge="Print the type of each operation.",
    ),
}
