"""Exercises of the chapter on attribution."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from mnist_helpers.attribution import loss_gradients, occlusion_map, pixel_gradients
from mnist_helpers.checkpoints import load_checkpoint
from mnist_helpers.data import load_mnist
from mnist_helpers.exercises._kinds import Choice, Function, Number

Numbers = npt.NDArray[Any]

SIZE = 0.2
DIGITS = ["the 0", "the 2", "the 6", "the 8"]


@cache
def _occluded(value: float) -> Numbers:
    """The occlusion map of the 7, the first test image."""
    test = load_mnist().test
    return occlusion_map(load_checkpoint(10_000), test.images[0], test.labels[0], value=value)


def _alike(one: float, other: float) -> float:
    """The rank correlation of two such maps."""
    return float(spearmanr(_occluded(one).ravel(), _occluded(other).ravel())[0])


@cache
def _logits() -> tuple[float, float, float]:
    """The logit of the 7, of blank paper, and the sum of gradient times input."""
    net, test = load_checkpoint(10_000), load_mnist().test
    image, label = test.images[:1], test.labels[:1]
    seven, blank = (float(net(pixels)[0, int(label[0])]) for pixels in (image, 0 * image))
    return seven, blank, float(np.sum(pixel_gradients(net, image, label) * image))


@cache
def _obeyed() -> dict[str, int]:
    """How many of a hundred test images one step turns into each digit."""
    net, images = load_checkpoint(10_000), load_mnist().test.images[:100]
    counts = {}
    for name in DIGITS:
        wanted = np.full(len(images), int(name[-1]))
        slopes = loss_gradients(net, images, wanted)
        asked = np.clip(images - np.float32(SIZE) * np.sign(slopes), 0, 1)
        counts[name] = int((net(asked).numpy().argmax(axis=1) == wanted).sum())
    return counts


EXERCISES = {
    1: Number(
        question="What is the rank correlation between the occlusion maps of the 7 made with paper "
        "and with ink?",
        decimals=2,
        within=2,
        answer=lambda: _alike(0, 1),
        mistakes=[
            (lambda: _alike(0.5, 1), "That is grey and ink."),
            (lambda: _alike(0, 0.5), "That is paper and grey."),
            (lambda: -_alike(0, 1), "Mind the sign: do both maps show probabilities that remain?"),
        ],
        nudge="Paper is `grey=0` and ink `grey=1`; compare the maps of the chapter's first 7.",
    ),
    2: Number(
        question="What do the integrated gradients of the 7 add up to?",
        decimals=1,
        within=1,
        answer=lambda: _logits()[0] - _logits()[1],
        mistakes=[
            (lambda: _logits()[2], "That is gradient × input, from the slopes at the 7 alone."),
            (lambda: _logits()[1] - _logits()[0], "The path leads from blank paper to the 7."),
            (lambda: _logits()[0] / 784, "Add up the map over its pixels; do not average it."),
        ],
        nudge="Take the mean of the slopes over the steps, then multiply by the ink and add up.",
    ),
    3: Choice(
        question="Which of these digits is the hardest to get?",
        options={
            "the 0": None,
            "the 2": "Its count is among the largest.",
            "the 6": "Close, but there is one that even fewer images can be turned into.",
            "the 8": "More than half of the images can be turned into it.",
        },
        answer=lambda: min(_obeyed(), key=_obeyed().__getitem__),
        nudge="For each class, count how many of the hundred images are read as that class.",
    ),
    4: Function(
        question="Write the cut that follows each of several small steps.",
        takes="takes changed images, the images that they were made from and ε, and returns the "
        "changed ones, no pixel more than ε from where it was, and none outside 0 to 1",
        cases=lambda random: [
            (random.normal(0.5, 0.5, [n, 784]), random.random([n, 784]), size)
            for n, size in [(1, 0.1), (3, 0.25), (5, 0.4)]
        ],
        answer=lambda changed, images, size: np.clip(
            changed, np.maximum(images - size, 0), np.minimum(images + size, 1)
        ),
        mistakes=[
            (
                lambda changed, images, size: np.clip(changed, images - size, images + size),
                "Some pixels have less than no ink, or more than full ink.",
            ),
            (
                lambda changed, images, size: np.clip(changed, 0, 1),
                "Some pixels are further than ε from where they were.",
            ),
            (
                lambda changed, images, size: np.clip(changed - images, -size, size),
                "That is the change: add it to the images.",
            ),
        ],
        nudge="`np.clip` takes an array for each of its two limits.",
    ),
}  # fmt: skip
