"""Exercises of the chapter on flattening."""

from __future__ import annotations

import numpy as np

from mnist_helpers.exercises._kinds import Number
from mnist_helpers.layers import new_fc_layer

ROWS = np.arange(9 * 1764).reshape(9, 1764)
"""Nine flattened images, in which each number says where it stands."""


def _place(axes: list[int], axis: int) -> int:
    """Where number 1,000 of a row comes from, if the maps are laid out like this."""
    return int(np.unravel_index(1000, axes)[axis])


def _weights(inputs: int, outputs: int = 128) -> int:
    return int(np.prod(new_fc_layer(inputs, outputs).weights.shape))


EXERCISES = {
    1: Number(
        question="Which feature of the first image is at row 100, column 4 of "
        "`tf.reshape(layer_flat, [1764, 9])`?",
        answer=lambda: ROWS.reshape(1764, 9)[100, 4],
        mistakes=[
            (lambda: ROWS.T[100, 4] % 1764, "That is what a transpose would put there."),
            (lambda: 100 * 4, "Count how many numbers come before it."),
            (lambda: ROWS.reshape(1764, 9)[100, 0], "That one is in column 0 of the row."),
        ],
        nudge="A hundred rows of 9 numbers come before it.",
    ),
    2: Number(
        question="From which channel does number 1,000 come now?",
        answer=lambda: _place([36, 7, 7], 0),
        mistakes=[
            (lambda: _place([7, 7, 36], 2), "That is where it came from with the channels last."),
            (lambda: _place([36, 7, 7], 2), "That is its column."),
            (lambda: _place([36, 7, 7], 0) + 1, "Channels are counted from 0."),
        ],
        nudge="Each map is now one run of 49 numbers.",
    ),
    3: Number(
        question="How many weights does the fully connected layer then need?",
        answer=lambda: _weights(np.zeros([9, 7, 7, 36]).mean(axis=(1, 2)).shape[1]),
        mistakes=[
            (lambda: _weights(7 * 7 * 36), "That is with the flattened row."),
            (
                lambda: _weights(np.zeros([9, 7, 7, 36]).mean(axis=3)[0].size),
                "The mean runs over rows and columns, and leaves the channels.",
            ),
            (lambda: _weights(36, 1), "That is how many means come in; each is read by 128 units."),
        ],
        nudge="How many numbers are left for each image?",
    ),
}
