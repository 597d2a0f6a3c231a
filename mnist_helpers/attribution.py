"""Why a network answers as it does, and how little it takes to mislead it.

Four maps of what an answer depends on, and three ways to change an image until the answer
changes. Taught in ``notebooks/attribution.ipynb``.

Images are ``[n, 784]``, float32 in 0..1, in small batches: the outputs of every layer are kept
for the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from mnist_helpers._checks import check_count
from mnist_helpers._quiet import quiet
from mnist_helpers.data import IMAGE_SIZE, IMAGE_SIZE_FLAT, NUM_CLASSES, as_images, as_labels
from mnist_helpers.evaluation import EVALUATION_BATCH_SIZE, cross_entropy
from mnist_helpers.network import ConvNet, Network

with quiet():
    import tensorflow as tf

Floats = npt.NDArray[np.float32]

OCCLUSION_SIZE = 7
GREY = 0.5


def occlusion_map(
    net: Network,
    image: npt.ArrayLike,
    digit: int,
    size: int = OCCLUSION_SIZE,
    value: float = GREY,
) -> Floats:
    """Compute the probability of a class while a square hides part of the image.

    M. D. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks" (2014),
    section 4.2.

    Args:
        net: The network.
        image: One image, ``[784]`` or ``[28, 28]``.
        digit: The class, 0 to 9.
        size: Rows and columns of the square, an odd number.
        value: What its pixels hold: 0 for paper, 1 for ink, or anything between.

    Returns:
        ``[28, 28]``: at each place, the probability while the square's middle lies there. At the
        edge, part of the square lies outside.

    Raises:
        TypeError: If the size is not a whole number.
        ValueError: If it is even, or the image, the class or the value is not a valid one.
    """
    pixels = as_images(np.reshape(image, (-1, IMAGE_SIZE, IMAGE_SIZE)))
    (digit,) = as_labels([digit])
    if len(pixels) != 1:
        raise ValueError(f"one image has shape [784] or [28, 28]; got {len(pixels)} images")
    if check_count("size", size) % 2 == 0:
        raise ValueError(f"size must be odd, so that the square has a middle; got {size}")
    if not 0 <= value <= 1:
        raise ValueError(f"value must be from 0 (paper) to 1 (ink); got {value}")
    rows, columns = np.divmod(np.arange(IMAGE_SIZE_FLAT), IMAGE_SIZE)
    apart = np.maximum(abs(rows[:, None] - rows), abs(columns[:, None] - columns))
    covered = np.where(apart <= size // 2, np.float32(value), pixels)
    logits = net.compiled_logits(covered, EVALUATION_BATCH_SIZE)
    probabilities: Floats = tf.nn.softmax(logits).numpy()[:, digit]
    return probabilities.reshape(IMAGE_SIZE, IMAGE_SIZE)


def pixel_gradients(net: Network, images: npt.ArrayLike, classes: npt.ArrayLike) -> Floats:
    """Compute how fast the logit of a class grows with each pixel.

    K. Simonyan, A. Vedaldi and A. Zisserman, "Deep Inside Convolutional Networks" (2013),
    section 3.

    Args:
        net: The network.
        images: ``[n, 784]``.
        classes: The class to ask about for each image, ``[n]``.

    Returns:
        ``[n, 784]``, in logits per unit of ink. Where pixels that are pooled together give equal
        numbers, as on blank paper, the slope goes to the first of them alone.
    """
    labels = _labels_of(images, classes)
    return _slopes(net, images, lambda logits: tf.gather(logits, labels, batch_dims=1))


def loss_gradients(net: Network, images: npt.ArrayLike, labels: npt.ArrayLike) -> Floats:
    """Compute how fast the cross-entropy of each image grows with its pixels.

    Args:
        net: The network.
        images: ``[n, 784]``.
        labels: The class numbers to compute the loss for, ``[n]``.

    Returns:
        ``[n, 784]``, in nats per unit of ink.
    """
    true = _labels_of(images, labels)
    return _slopes(net, images, lambda logits: cross_entropy(logits, true))


def grad_cam(net: ConvNet, images: npt.ArrayLike, classes: npt.ArrayLike) -> Floats:
    """Compute where the second layer found evidence for a class.

    Each channel is weighted by how fast the logit grows with it, averaged over its places; sums
    below zero become zero. R. R. Selvaraju et al., "Grad-CAM" (2017), equations 1 and 2.

    Args:
        net: The book's network, or one with its layers.
        images: ``[n, 784]``.
        classes: The class to ask about for each image, ``[n]``.

    Returns:
        ``[n, 7, 7]``, at least 0.
    """
    labels = _labels_of(images, classes)
    with tf.GradientTape() as tape:
        outputs = net.layer_outputs(as_images(images))
        logits = tf.gather(outputs["logits"], labels, batch_dims=1)
    layer = outputs["layer_conv2"]
    weights = tf.reduce_mean(tape.gradient(logits, layer), axis=(1, 2))
    sums: Floats = tf.nn.relu(tf.einsum("nhwc,nc->nhw", layer, weights)).numpy()
    return sums


def sign_step(net: Network, images: npt.ArrayLike, labels: npt.ArrayLike, size: float) -> Floats:
    """Move each pixel by the same amount, in the direction in which the loss grows.

    I. J. Goodfellow, J. Shlens and C. Szegedy, "Explaining and Harnessing Adversarial Examples"
    (2014), section 4: the fast gradient sign method.

    Args:
        net: The network that is to be misled.
        images: ``[n, 784]``.
        labels: True class numbers, ``[n]``.
        size: How far a pixel moves, from 0 to 1.

    Returns:
        The changed images, ``[n, 784]``, in 0..1. A pixel whose slope is 0 stays as it is.
    """
    pixels, step = as_images(images), np.float32(_check_size(size))
    return np.clip(pixels + step * np.sign(loss_gradients(net, pixels, labels)), 0, 1)


def projected_steps(
    net: Network,
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    size: float,
    num_steps: int = 10,
    seed: int = 0,
) -> Floats:
    """Take several smaller sign steps from a random start, never going beyond the size.

    A. Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks" (2018),
    section 2.1: projected gradient descent. Each step is 2.5 times the size, divided by the
    number of steps, so that the far side can be reached.

    Args:
        net: The network that is to be misled.
        images: ``[n, 784]``.
        labels: True class numbers, ``[n]``.
        size: How far a pixel may end up from where it was, from 0 to 1.
        num_steps: How many steps.
        seed: Decides the start.

    Returns:
        The changed images, ``[n, 784]``, in 0..1.
    """
    pixels, size = as_images(images), _check_size(size)
    count = check_count("num_steps", num_steps)
    low = np.maximum(pixels - np.float32(size), 0)
    high = np.minimum(pixels + np.float32(size), 1)
    start = np.random.default_rng(check_count("seed", seed, least=0)).random(pixels.shape)
    changed: Floats = low + (high - low) * start.astype(np.float32)
    step = np.float32(2.5 * size / count)
    for _ in range(count):
        moved = changed + step * np.sign(loss_gradients(net, changed, labels))
        changed = np.clip(moved, low, high)
    return changed


def fewest_pixels(
    net: Network, images: npt.ArrayLike, targets: npt.ArrayLike, most: int = IMAGE_SIZE_FLAT
) -> tuple[Floats, list[list[int]]]:
    """Change one pixel after another until the network reads what it is told to.

    Each time it chooses the pixel from which the target's logit, less the largest of the others,
    has most to gain: slope times the room that is left, to full ink where the slope is above 0
    and to paper otherwise. No pixel is changed twice. The choice is greedy, so fewer might do.

    Args:
        net: The network that is to be misled.
        images: ``[n, 784]``.
        targets: The class that each image is to be read as, ``[n]``.
        most: How many pixels of an image may change.

    Returns:
        The changed images, ``[n, 784]``, and for each the places of its changed pixels, 0 to
        783, in the order of the changes. An image with ``most`` of them may still be read as
        something else.
    """
    goals = _labels_of(images, targets)
    changed = as_images(images).copy()
    most = check_count("most", most, least=0)
    places: list[list[int]] = [[] for _ in changed]
    busy = np.arange(len(changed))
    for _ in range(min(most, IMAGE_SIZE_FLAT)):
        busy = busy[_leads(net.compiled(changed[busy]), goals[busy]).numpy() <= 0]
        if not len(busy):
            break
        now, wanted = changed[busy], goals[busy]
        slopes = _slopes(net, now, partial(_leads, goals=wanted))
        gains = np.where(slopes > 0, slopes * (1 - now), -slopes * now)
        for row, image in enumerate(busy):
            gains[row, places[image]] = -1
            place = int(gains[row].argmax())
            changed[image, place] = slopes[row, place] > 0
            places[image].append(place)
    return changed, places


def _leads(logits: tf.Tensor, goals: npt.NDArray[np.int64]) -> tf.Tensor:
    """How far the logit of each goal lies above the largest of the others, ``[n]``."""
    hot = tf.one_hot(goals, NUM_CLASSES, dtype=logits.dtype)
    others = tf.where(hot > 0, logits.dtype.min, logits)
    return tf.reduce_sum(hot * logits, axis=1) - tf.reduce_max(others, axis=1)


def _slopes(net: Network, images: npt.ArrayLike, score: Callable[[tf.Tensor], tf.Tensor]) -> Floats:
    """The slopes, with respect to the pixels, of a score of each image's logits, ``[n, 784]``."""
    pixels = tf.constant(as_images(images))
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        scores = score(net(pixels))
    slopes: Floats = tape.gradient(scores, pixels).numpy()
    return slopes


def _labels_of(images: npt.ArrayLike, classes: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """The class numbers, one for each image."""
    labels, count = as_labels(classes), len(np.asarray(images))
    if len(labels) != count:
        raise ValueError(f"need one class for each image; got {len(labels)} for {count} images")
    return labels


def _check_size(size: float) -> float:
    """Refuse a size that is not a share of full ink."""
    if not 0 <= size <= 1:
        raise ValueError(f"size must be from 0 to 1; got {size}")
    return size
