"""Exercises of the chapter on the inside of the network."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_helpers.checkpoints import load_checkpoint
from mnist_helpers.data import load_mnist
from mnist_helpers.exercises._kinds import Choice, Number

Numbers = npt.NDArray[Any]

# Upper left corners of squares of 13×13 that hide a part of the first test image.
COVERS = {
    "the left end of the bar": (4, 0),
    "the corner and the upper half of the stroke": (7, 11),
    "the lower half of the stroke": (15, 7),
    "the paper below the bar, on the left": (15, 0),
}


@cache
def _needed() -> str:
    """The part of the 7 without which the least probability is left for it."""
    image = load_mnist().test.images[0].reshape(28, 28)
    covered = np.tile(image, [len(COVERS), 1, 1])
    for picture, (row, column) in zip(covered, COVERS.values(), strict=True):
        picture[row : row + 13, column : column + 13] = 0
    outputs = load_checkpoint(10_000).activations(covered.reshape(-1, 784))
    return list(COVERS)[outputs["probabilities"][:, 7].argmin()]


@cache
def _lost() -> Numbers:
    """How many more of 1,000 test images are misread without each filter of the first layer."""
    data, lost = load_mnist().test, []
    images, labels = data.images[:1000], data.labels[:1000]
    net = load_checkpoint(10_000)
    weights, biases = net.conv1.weights.numpy(), net.conv1.biases.numpy()
    for channel in range(16):
        others = np.arange(16) != channel
        net.conv1.weights.assign(weights * others)
        net.conv1.biases.assign(biases * others)
        lost.append((net.compiled(images).numpy().argmax(axis=1) != labels).sum())
    return np.array(lost)


@cache
def _responses() -> tuple[Numbers, Numbers]:
    """The second layer's outputs for 1,000 test images, and the labels."""
    data = load_mnist().test
    outputs = load_checkpoint(10_000).activations(data.images[:1000])["layer_conv2"]
    return outputs, data.labels[:1000]


def _sevens(channel: int = 6, count: int = 9) -> int:
    """How many of the images that excite a channel most are sevens."""
    outputs, labels = _responses()
    favourites = np.argsort(-outputs[..., channel].max(axis=(1, 2)))[:count]
    return int((labels[favourites] == 7).sum())


EXERCISES = {
    1: Choice(
        question="Which part, when it is covered, leaves the lowest probability of a 7?",
        options={
            "the left end of the bar": "Many a 7 is written with a short bar.",
            "the corner and the upper half of the stroke": None,
            "the lower half of the stroke": "What is left still looks like a short 7.",
            "the paper below the bar, on the left": "Nothing is hidden there.",
        },
        answer=_needed,
        nudge="Look at the dark part of the map.",
    ),
    2: Number(
        question="Which filter is missed most? (Filters are counted from 0.)",
        answer=lambda: _lost().argmax(),
        mistakes=[
            (lambda: np.argsort(_lost())[-2], "That one comes second."),
            (lambda: _lost().argmax() + 1, "Count them from 0, as Python does."),
            (lambda: 16, "There are 16 filters, and the last one's number is 15."),
        ],
        nudge="Silence them one by one, and count the mistakes each time.",
    ),
    3: Number(
        question="How many of the nine are sevens?",
        answer=_sevens,
        mistakes=[
            (lambda: 9, "The channel knows nothing of classes: look at the pictures again."),
            (lambda: _sevens(count=1000), "Those are all the sevens among the 1,000 images."),
            (lambda: _sevens(channel=5), "Channels are counted from 0; 5 is the one before."),
        ],
        nudge="Print the labels of the nine.",
    ),
}
