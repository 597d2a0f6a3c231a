"""Exercises of the chapter on shapes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from mnist_helpers._quiet import quiet
from mnist_helpers.exercises._kinds import Choice, Function, Number
from mnist_helpers.shapes import output_size

with quiet():
    import tensorflow as tf


def _flattened(padding: str, pools: int = 2) -> int:
    """How many numbers the network's convolutions leave, pooled this many times."""
    side = 28
    for layer in range(2):
        side = output_size(side, 5, padding=padding)
        if layer < pools:
            side = output_size(side, 2, stride=2)
    return side * side * 36


@cache
def _linear() -> str:
    """Which kinds of pooling give, for a sum, the sum of what its parts give."""
    random = np.random.default_rng(seed=0)
    a, b = (random.normal(size=[1, 6, 6, 1]).astype(np.float32) for _ in range(2))
    pools = {"max-pooling": tf.nn.max_pool2d, "average pooling": tf.nn.avg_pool2d}
    linear = [
        name
        for name, pool in pools.items()
        if np.allclose(
            pool(a + b, 2, 2, "SAME"), pool(a, 2, 2, "SAME") + pool(b, 2, 2, "SAME"), atol=1e-5
        )
    ]
    return {0: "neither", 1: f"only {''.join(linear)}", 2: "both"}[len(linear)]


def _depth(block: Sequence[tuple[int, int]], pixels: int = 28) -> int:
    """How many blocks of layers (filter, stride) it takes until one number sees the pixels."""
    depth, seen = 0, 1
    while seen < pixels:
        depth, seen = depth + 1, 1
        for filter_size, stride in reversed(list(block) * depth):
            seen = (seen - 1) * stride + filter_size
    return depth


EXERCISES = {
    1: Function(
        question="Write the rule that rounds up.",
        takes="takes the size W, the filter's size F and the stride S, and returns the number of "
        "places without padding",
        cases=lambda random: [
            (int(f + random.integers(0, 20)), int(f), int(random.integers(1, 5)))
            for f in random.integers(1, 6, size=40)
        ],
        answer=lambda w, f, s: output_size(w, f, s, "VALID"),
        mistakes=[
            (lambda w, f, s: -(-w // s), "That is SAME, which pads the image."),
            (lambda w, f, s: (w - f) // s, "The first place counts too, before any step."),
            (lambda w, f, s: (w - f + 1) // s, "Where the division leaves a remainder, round up."),
        ],
        nudge="Try it where the filter is as large as the image.",
    ),
    2: Number(
        question="How many numbers does the flattened row then have?",
        answer=lambda: _flattened("VALID"),
        mistakes=[
            (lambda: _flattened("SAME"), "That is the network as it is, with SAME."),
            (lambda: _flattened("VALID", pools=1), "The second layer pools too."),
            (
                lambda: _flattened("VALID") // 36,
                "Those are the places: how many channels are there?",
            ),
        ],
        nudge="Work down from 28, one layer at a time; each filter takes off 4 rows.",
    ),
    3: Choice(
        question="Which pooling is linear?",
        options={
            "both": "Take two digits whose strokes lie in different places within a square.",
            "only max-pooling": "The largest of a sum is rarely the sum of the largest.",
            "only average pooling": None,
            "neither": "One of the two does nothing but multiply and add.",
        },
        answer=_linear,
        nudge="Try it on two small squares.",
    ),
    4: Number(
        question="How many 3×3 convolutions does it take without pooling?",
        answer=lambda: _depth([(3, 1)]),
        mistakes=[
            (lambda: _depth([(3, 1)]) - 1, "Count the pixels: do that many layers see all 28?"),
            (lambda: _depth([(3, 1), (2, 2)]), "That is with pooling after each of them."),
            (lambda: -(-28 // 3), "The filters overlap: each layer adds fewer than 3 pixels."),
        ],
        nudge="The first layer sees 3 pixels; how many more does each further one see?",
    ),
}
