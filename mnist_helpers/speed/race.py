"""Two quick networks and their recipes, for the race against the clock.

Taught in ``notebooks/fewer_steps.ipynb``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from mnist_helpers._quiet import quiet
from mnist_helpers.augmentation import Distortion
from mnist_helpers.data import IMAGE_SIZE, IMAGE_SIZE_FLAT, NUM_CLASSES, Mnist, Split
from mnist_helpers.evaluation import Evaluation, evaluate
from mnist_helpers.layers import new_weights
from mnist_helpers.network import ConvNet, Network
from mnist_helpers.optimizer import one_cycle
from mnist_helpers.precision import Precision, fastest_precision
from mnist_helpers.shapes import output_size
from mnist_helpers.training import History, optimize

with quiet():
    import tensorflow as tf

EPSILON = 1e-3  # keeps batch normalisation from dividing by zero; as Keras has it
MOMENTUM = 0.9  # how much of a channel's running mean and variance stays in each step


def he_start(net: Network, seed: int) -> None:
    """Draw the filters and weights again, so that no layer makes its numbers larger or smaller.

    With a standard deviation of √(2 / inputs), the two because ReLU takes half away: K. He et
    al., "Delving Deep into Rectifiers" (2015), equation 10. Biases begin at 0. The same seed
    gives the same weights.
    """
    for number, variable in enumerate(net.weights.values()):
        if len(variable.shape) > 1:
            stddev = math.sqrt(2 / math.prod(variable.shape[:-1]))
            variable.assign(new_weights(variable.shape, stddev, [seed, number]))
        else:
            variable.assign(tf.zeros_like(variable))


Layers = tuple[tuple[int, int, bool], ...]
"""For each convolution, the size of its filters, their number, and whether it pools."""

LARGER: Layers = ((5, 32, True), (3, 64, True), (3, 64, False), (3, 128, False))
SMALLER: Layers = ((5, 16, True), (3, 32, True), (3, 64, False))
"""Half the filters, and one layer fewer."""


class BatchNormNet(Network):
    """Convolutions with batch normalisation, and the mean of each channel as features.

    It looks only at the middle of each image, as the rim is empty but for a few strokes. Each
    layer is a convolution, a 2×2 max-pooling or none, batch normalisation (S. Ioffe and
    C. Szegedy, 2015) and ReLU. After the last, each channel's means of 2×2 places, of which
    there are 3×3 in an image, go into one fully connected layer with 10 units, the logits.

    Attributes:
        crop: How many rows and columns in the middle of the image it looks at.
        kernels: The filters of each layer, ``[size, size, in_channels, filters]``.
        offsets: What is added to each channel after the normalisation, ``[filters]``.
        means: Each channel's running mean, used outside training, ``[filters]``.
        variances: Its running variance.
        dense: The last layer's weights, ``[9 · filters, 10]``.
        biases: Its biases, ``[10]``.
    """

    crop = 24

    def __init__(self, layers: Layers = LARGER, seed: int = 0) -> None:
        """Draw new weights; the same seed gives the same on every machine."""
        super().__init__()
        self.pools = [pool for _, _, pool in layers]
        self.kernels, self.offsets, self.means, self.variances = [], [], [], []
        channels = 1
        for number, (size, filters, _) in enumerate(layers):
            stddev = math.sqrt(2 / (size * size * channels))
            self.kernels.append(
                new_weights([size, size, channels, filters], stddev, [seed, number])
            )
            self.offsets.append(tf.Variable(tf.zeros([filters])))
            self.means.append(tf.Variable(tf.zeros([filters]), trainable=False))
            self.variances.append(tf.Variable(tf.ones([filters]), trainable=False))
            channels = filters
        side = self.crop
        for _ in range(sum(self.pools) + 1):
            side = output_size(side, 2, 2, "SAME")
        num_features = side * side * channels
        stddev = math.sqrt(2 / num_features)
        self.dense = new_weights([num_features, NUM_CLASSES], stddev, [seed, len(layers)])
        self.biases = tf.Variable(tf.zeros([NUM_CLASSES]))

    @property
    def weights(self) -> dict[str, tf.Variable]:
        """The variables that optimisation changes, by name, in order."""
        named: dict[str, tf.Variable] = {}
        for number, (kernel, offset) in enumerate(zip(self.kernels, self.offsets, strict=True), 1):
            named |= {f"conv{number}/weights": kernel, f"conv{number}/offsets": offset}
        return named | {"fc/weights": self.dense, "fc/biases": self.biases}

    def fast_logits(
        self, images: Any, precision: Precision = "float32", training: bool = False
    ) -> tf.Tensor:
        """Compute logits; in training by each batch's own mean and variance."""
        dtype = tf.as_dtype(precision)
        layer = tf.reshape(tf.cast(images, dtype), [-1, IMAGE_SIZE, IMAGE_SIZE, 1])
        middle = slice((IMAGE_SIZE - self.crop) // 2, (IMAGE_SIZE + self.crop) // 2)
        layer = layer[:, middle, middle]
        for number, (kernel, pool) in enumerate(zip(self.kernels, self.pools, strict=True)):
            with tf.name_scope(f"conv{number + 1}"):
                layer = tf.nn.conv2d(layer, tf.cast(kernel, dtype), strides=1, padding="SAME")
                if pool:
                    layer = tf.nn.max_pool2d(layer, ksize=2, strides=2, padding="SAME")
                layer = tf.nn.relu(self._normalise(layer, number, training))
        means = tf.nn.avg_pool2d(tf.cast(layer, tf.float32), ksize=2, strides=2, padding="SAME")
        features = tf.reshape(means, [-1, self.dense.shape[0]])
        return tf.matmul(features, self.dense) + self.biases

    def _normalise(self, layer: tf.Tensor, number: int, training: bool) -> tf.Tensor:
        """Give each channel mean 0 and variance 1, then its offset."""
        mean, variance = self.means[number], self.variances[number]
        offset = self.offsets[number]
        result = tf.raw_ops.FusedBatchNormV3(
            x=layer,
            scale=tf.ones_like(offset),
            offset=offset,
            mean=[] if training else mean,
            variance=[] if training else variance,
            epsilon=EPSILON,
            is_training=training,
        )
        if training:
            mean.assign_sub((1 - MOMENTUM) * (mean - result.batch_mean))
            variance.assign_sub((1 - MOMENTUM) * (variance - result.batch_variance))
        return result.y


Shifts = tuple[tuple[int, int], ...]
"""By how many rows and columns an image is moved, each time that a network judges it."""

NO_SHIFT: Shifts = ((0, 0),)
FIVE_SHIFTS: Shifts = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
"""As it is, and moved by a pixel up, down, left and right."""


RaceNetwork = Literal["book", "smaller", "larger"]  # which networks there are to race with


def _check_share(name: str, share: float) -> None:
    """Refuse a share of the images that keeps none, or more than there are."""
    if not 0 < share <= 1:
        raise ValueError(f"{name} must lie above 0 and be at most 1; got {share}")


@dataclass(frozen=True)
class RaceRecipe:
    """How the network of one distance of the race is trained, by one cycle of the learning rate.

    Attributes:
        network: ``"book"`` for the book's network, ``"smaller"`` or ``"larger"`` for a
            :class:`BatchNormNet` of these layers.
        epochs: How many times it sees the training images.
        peak: The highest learning rate.
        distortion: How far images may be distorted; not at all where left out.
        batch_size: Images in each step.
        label_smoothing: Share of certainty that the loss spreads over all classes.
        hardest: The share of the training images that it learns from, those that
            :func:`hardest_images` finds; an epoch is still as many images as there are in all.
    """

    network: RaceNetwork
    epochs: float
    peak: float
    distortion: Distortion | None = None
    batch_size: int = 64
    label_smoothing: float = 0.05
    hardest: float = 1.0

    def __post_init__(self) -> None:
        """Refuse an unknown network, and an impossible share."""
        if self.network not in get_args(RaceNetwork):
            raise ValueError(
                f"network must be one of {', '.join(get_args(RaceNetwork))}; got {self.network!r}"
            )
        _check_share("hardest", self.hardest)


WARM_UP = RaceRecipe("book", epochs=0.35, peak=8e-3, batch_size=32)
SPRINT = RaceRecipe("smaller", epochs=0.5, peak=3e-2, batch_size=128)
MIDDLE_DISTANCE = RaceRecipe(
    "smaller",
    epochs=2.4,
    peak=2.4e-2,
    batch_size=256,
    distortion=Distortion(move=1, turn=8, stretch=0.08, slant=0.1),
)
LONG_DISTANCE = RaceRecipe(
    "larger", epochs=5, peak=2e-2, batch_size=256, distortion=Distortion(), hardest=0.25
)
RECIPES = {
    "warm-up": WARM_UP,
    "sprint": SPRINT,
    "middle distance": MIDDLE_DISTANCE,
    "long distance": LONG_DISTANCE,
    "without a scout": replace(LONG_DISTANCE, hardest=1.0),
}
"""The recipes of the race, chosen on the validation images; the last shows what a scout brings."""

NUM_SEEDS = 5  # how many times ``make studies`` runs each


def train_network(
    recipe: RaceRecipe,
    split: Split,
    num_iterations: int,
    seed: int,
    precision: Precision | None = None,
) -> tuple[Network, History]:
    """Build the network of a recipe and train it.

    Args:
        recipe: What to do, but not how long.
        split: What it learns from.
        num_iterations: How many steps.
        seed: Decides the starting weights, the order of the images and how they are distorted.
        precision: What to compute with; the fastest on this machine where left out.

    Returns:
        The trained network and its history, whose ``seconds`` run from the built network to
        the last step.
    """
    net: Network
    if recipe.network == "book":
        net = ConvNet(seed=seed)
        he_start(net, seed)
    else:
        net = BatchNormNet(SMALLER if recipe.network == "smaller" else LARGER, seed=seed)
    history = optimize(
        net,
        split,
        num_iterations,
        learning_rate=one_cycle(num_iterations, recipe.peak),
        batch_size=recipe.batch_size,
        seed=seed,
        label_smoothing=recipe.label_smoothing,
        distortion=recipe.distortion,
        precision=fastest_precision() if precision is None else precision,
        verbose=False,
    )
    return net, history


def hardest_images(
    split: Split, share: float, seed: int, precision: Precision | None = None
) -> Split:
    """Keep the images that a scout, a network trained by the sprint's recipe, finds hardest.

    Images that are learned already teach little: A. H. Jiang et al., "Accelerating Deep Learning
    by Focusing on the Biggest Losers" (2019). They choose again at each step, not once.

    Args:
        split: Images and labels.
        share: How many to keep, as a share of all, above 0 and up to 1; at least one is kept.
        seed: Of the scout, as for :func:`train_network`.
        precision: Likewise.

    Returns:
        The images to whose label the scout gives the lowest probability, in their order.
    """
    _check_share("share", share)
    precision = fastest_precision() if precision is None else precision
    num_iterations = round(SPRINT.epochs * len(split) / SPRINT.batch_size)
    scout, _ = train_network(SPRINT, split, num_iterations, seed, precision)
    probabilities = evaluate(scout, split, precision=precision).probabilities
    of_labels = probabilities[np.arange(len(split)), split.labels]
    kept = np.sort(np.argsort(of_labels)[: math.ceil(share * len(split))])
    return Split(split.images[kept], split.labels[kept])


def run_recipe(
    recipe: RaceRecipe, data: Mnist, seed: int, precision: Precision | None = None
) -> tuple[Network, History]:
    """Train a recipe's network on ``data.train``, after the scout where the recipe wants one.

    Returns:
        What :func:`train_network` does, but the history's ``seconds``, the clock of the race,
        include what it took to find the hardest images.
    """
    num_iterations = round(recipe.epochs * len(data.train) / recipe.batch_size)
    split, began = data.train, time.perf_counter()
    if recipe.hardest < 1:
        split = hardest_images(data.train, recipe.hardest, seed, precision)
    scouting = time.perf_counter() - began
    net, history = train_network(recipe, split, num_iterations, seed, precision)
    return net, replace(history, seconds=scouting + history.seconds)


def move_images(split: Split, rows: int, columns: int) -> Split:
    """Move each image down by ``rows`` and right by ``columns``, or up and left where negative.

    What moves out is lost, and the background, 0, moves in.
    """
    most = max(abs(rows), abs(columns))
    images = split.images.reshape(-1, IMAGE_SIZE, IMAGE_SIZE)
    padded = np.pad(images, [(0, 0), (most, most), (most, most)])
    top, left = most - rows, most - columns
    moved = padded[:, top : top + IMAGE_SIZE, left : left + IMAGE_SIZE]
    return Split(moved.reshape(-1, IMAGE_SIZE_FLAT), split.labels)


def evaluate_together(
    networks: Sequence[Network],
    split: Split,
    precision: Precision = "float32",
    shifts: Shifts = NO_SHIFT,
) -> Evaluation:
    """Let one network or several judge every image of a split, and take the mean.

    Args:
        networks: One at least.
        split: Images and labels.
        precision: What the layers compute with.
        shifts: By how many rows and columns an image is moved, each time that a network
            judges it (test-time augmentation: A. Krizhevsky et al., "ImageNet Classification
            with Deep Convolutional Neural Networks", 2012, section 4.1).

    Returns:
        What :func:`~mnist_helpers.evaluation.evaluate` does, from the mean of all probabilities.
    """
    if not networks or not shifts:
        raise ValueError("need at least one network to judge, and one shift")
    judged = [
        evaluate(net, move_images(split, rows, columns), precision=precision).probabilities
        for rows, columns in shifts
        for net in networks
    ]
    probabilities = np.mean(judged, axis=0)
    of_labels = probabilities[np.arange(len(split)), split.labels]
    # The smallest number there is, where all are as sure as can be of another class.
    losses = -np.log(np.maximum(of_labels, np.finfo(np.float32).tiny))
    return Evaluation.from_probabilities(split, probabilities, losses)
