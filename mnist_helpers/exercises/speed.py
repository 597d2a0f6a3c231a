"""Exercises of the chapter on the cost of a step."""

from __future__ import annotations

from functools import cache

import numpy as np

from mnist_helpers._quiet import quiet
from mnist_helpers.exercises._kinds import Number
from mnist_helpers.layers import new_conv_layer

with quiet():
    import tensorflow as tf


@cache
def _added(kind: str) -> float:
    """What comes out when 0.001 is added to 1 a thousand times."""
    with quiet():  # some processors report that they have no instructions for short numbers
        total, small = tf.constant(1.0, kind), tf.constant(0.001, kind)
        for _ in range(1000):
            total += small
    return float(total)


def _next_after_1() -> float:
    """The bfloat16 number after 1, which has the next pattern of bits."""
    bits = tf.bitcast(tf.constant(1.0, tf.bfloat16), tf.int16)
    return float(tf.bitcast(bits + 1, tf.bfloat16))


def _multiplications(channels: int, filters: int, side: int = 14) -> int:
    """Those of a 5×5 convolution on one image: one for each weight, at each place."""
    layer, _ = new_conv_layer(channels, 5, filters, use_pooling=False)
    places = layer(tf.zeros([1, side, side, channels])).shape[1:3]
    return int(np.prod(places) * tf.size(layer.weights).numpy())


def _speed_up(share: float, times: float) -> float:
    """How many times as fast a step is if a share of it becomes ``times`` times as fast."""
    return 1 / ((1 - share) + share / times)


EXERCISES = {
    2: Number(
        question="What do you get in bfloat16?",
        decimals=4,
        answer=lambda: _added("bfloat16"),
        mistakes=[
            (lambda: _added("float64"), "That is the exact sum: short numbers have gaps."),
            (lambda: 1 + 0.001, "Is there such a number in bfloat16?"),
            (_next_after_1, "That is the next number: is 0.001 enough to get there?"),
        ],
        nudge="Which number comes after 1 in bfloat16, and how far away is it?",
    ),
    3: Number(
        question="How many multiplications does the second convolution then need for one image?",
        answer=lambda: _multiplications(8, 18),
        mistakes=[
            (lambda: _multiplications(16, 36), "That is with all filters."),
            (lambda: _multiplications(16, 18), "Half as many channels come in, too."),
            (lambda: _multiplications(1, 18), "Each filter has a slice for each channel."),
        ],
        nudge="Multiply the places by the weights: 5 · 5 · channels in · filters.",
    ),
    4: Number(
        question="How many times as fast is the whole step?",
        decimals=2,
        within=1,
        answer=lambda: _speed_up(0.8, 2),
        mistakes=[
            (lambda: 2.0, "A fifth of the step takes as long as before."),
            (
                lambda: 0.2 + 0.8 / 2,
                "That is the new time: what is the old one divided by it?",
            ),
            (lambda: 0.2 * 1 + 0.8 * 2, "Times add up, speeds do not."),
        ],
        nudge="Let the step take 10 ms, and work out both parts.",
    ),
}
