"""Images moved, turned, stretched and slanted at random, so that none is seen twice.

Taught in ``notebooks/fewer_steps.ipynb``.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from mnist_helpers._quiet import quiet
from mnist_helpers.data import IMAGE_SIZE, IMAGE_SIZE_FLAT

with quiet():
    import tensorflow as tf


@dataclass(frozen=True)
class Distortion:
    """How far an image may be distorted; every amount up to that is equally likely.

    Lines stay straight and parallel: what is done to an image is an affine map. P. Y. Simard,
    D. Steinkraus and J. C. Platt, "Best Practices for Convolutional Neural Networks" (2003),
    section 2, does this for MNIST.

    Attributes:
        move: By how many pixels, both down and to the right; negative amounts are equally likely.
        turn: By how many degrees, to either side.
        stretch: How far its width and, independently, its height grow or shrink, as the
            logarithm of the factor: 0.1 is about 10%.
        slant: By how many pixels each row moves to the side, relative to the row below.
    """

    move: float = 2.0
    turn: float = 12.0
    stretch: float = 0.12
    slant: float = 0.2

    def __post_init__(self) -> None:
        """Refuse amounts that are negative or not finite."""
        for name, amount in asdict(self).items():
            if not (math.isfinite(amount) and amount >= 0):
                raise ValueError(
                    f"a distortion's {name} must be finite and at least 0; got {amount}"
                )


def distort_images(images: Any, distortion: Distortion, seed: Any) -> tf.Tensor:
    """Distort each image in its own way, at random.

    Each pixel of the result mixes the image's four nearest; what moves out is lost, and the
    background, 0, moves in.

    Args:
        images: ``[n, 784]``, of any type; they come back as float32.
        distortion: How far each may be distorted.
        seed: Two whole numbers, which decide what is done to each.
    """
    chance = tf.random.stateless_uniform([tf.shape(images)[0], 6], seed, -1.0, 1.0)
    down, right, turn, wide, high, slant = tf.unstack(chance, axis=1)
    angle = turn * math.radians(distortion.turn)
    cos, sin = tf.cos(angle), tf.sin(angle)
    slant *= distortion.slant
    wide, high = tf.exp(wide * distortion.stretch), tf.exp(high * distortion.stretch)
    # Row by row, the matrix that takes a place in the result, seen from the image's middle, to
    # the place in the image from which its pixel comes: slanted, then turned, then stretched.
    across = [wide * cos, wide * (slant * cos - sin)]
    along = [high * sin, high * (slant * sin + cos)]
    middle = (IMAGE_SIZE - 1) / 2
    right = middle - middle * (across[0] + across[1]) - right * distortion.move
    down = middle - middle * (along[0] + along[1]) - down * distortion.move
    zero = tf.zeros_like(angle)
    distorted = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(tf.reshape(images, [-1, IMAGE_SIZE, IMAGE_SIZE, 1]), tf.float32),
        transforms=tf.stack([*across, right, *along, down, zero, zero], axis=1),
        output_shape=[IMAGE_SIZE, IMAGE_SIZE],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.reshape(distorted, [-1, IMAGE_SIZE_FLAT])
