"""Which images make up a batch.

Taught in ``notebooks/optimisation.ipynb``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mnist_helpers._checks import check_count
from mnist_helpers._quiet import quiet

with quiet():
    import tensorflow as tf

BATCH_SIZE = 64


def batch_indices(
    num_images: int, batch_size: int, start: int, count: int, seed: int = 0
) -> npt.NDArray[np.int32]:
    """Choose the images of some consecutive batches.

    The images come in a random order, each once before any comes again; then in another
    random order, and so on. Images left over at the end of one epoch, too few for a
    batch, begin the first batch of the next. The choice depends on the arguments alone, so that
    training can stop and go on anywhere.

    Args:
        num_images: How many there are to choose from.
        batch_size: Images in each batch.
        start: Number of the first batch wanted, from 0.
        count: How many batches are wanted.
        seed: The same seed gives the same batches.

    Returns:
        Row numbers ``[count, batch_size]``, int32, each in ``0 … num_images - 1``.
    """
    num_images = check_count("num_images", num_images)
    batch_size, count = check_count("batch_size", batch_size), check_count("count", count)
    start, seed = check_count("start", start, least=0), check_count("seed", seed, least=0)
    first, last = start * batch_size, (start + count) * batch_size
    first_epoch = first // num_images
    order = np.concatenate(
        [
            np.random.default_rng([seed, epoch]).permutation(num_images)
            for epoch in range(first_epoch, (last - 1) // num_images + 1)
        ]
    )
    offset = first_epoch * num_images
    return order[first - offset : last - offset].reshape(count, batch_size).astype(np.int32)


def batches_of(
    images: tf.Tensor, labels: tf.Tensor, order: npt.NDArray[np.int32]
) -> tf.data.Dataset:
    """Hand out batches, images and their labels, in the order of :func:`batch_indices`."""
    return tf.data.Dataset.from_tensor_slices(order).map(
        lambda batch: (tf.gather(images, batch), tf.gather(labels, batch))
    )
