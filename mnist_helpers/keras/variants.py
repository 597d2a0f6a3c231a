"""The book's network with one thing changed, in Keras, trained for a thousand steps.

Taught in ``notebooks/studies.ipynb``, which draws what ``make studies`` stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_helpers._quiet import quiet
from mnist_helpers.batches import batch_indices, batches_of
from mnist_helpers.data import IMAGE_SIZE, IMAGE_SIZE_FLAT, NUM_CLASSES, Mnist
from mnist_helpers.layers import BIAS_START, WEIGHT_STDDEV
from mnist_helpers.network import FC_SIZE

with quiet():
    import keras
    import tensorflow as tf

LOG_EVERY = 100
NUM_ITERATIONS = 1_000
SEEDS = (0, 1, 2)

POOLING = ("max", "average", "stride")
RELU = ("after pooling", "before pooling", "fc1 alone", "nowhere")
INITIALIZERS = ("small", "He", "zeros")
OPTIMIZERS = ("Adam", "RMSprop", "SGD")


@dataclass(frozen=True)
class Variant:
    """A network and how it is trained. The defaults are those of the book.

    Attributes:
        learning_rate: The optimiser's.
        batch_size: Images in a step.
        num_filters: Filters of the first convolution; the second has 9/4 times as many, rounded
            down, which is 36 for 16.
        filter_size: Height and width of every filter, in pixels.
        pooling: What halves height and width after a convolution: ``"max"``, ``"average"`` or
            ``"stride"``: no pooling, the convolution itself takes every second position.
        dropout: Share of fc1's outputs that a training step sets to 0.
        relu: Where the ReLU of a convolution stands, ``"after pooling"`` or ``"before
            pooling"``; ``"fc1 alone"`` leaves both of them out, ``"nowhere"`` fc1's too.
        initializer: Where the weights start: ``"small"``, the book's truncated normal numbers;
            ``"He"``, larger where fewer inputs are added up (He and others, 2015); or
            ``"zeros"``.
        optimizer: ``"Adam"``, ``"RMSprop"`` or ``"SGD"``, with Keras's other settings.
    """

    learning_rate: float = 1e-4
    batch_size: int = 64
    num_filters: int = 16
    filter_size: int = 5
    pooling: str = "max"
    dropout: float = 0.0
    relu: str = "after pooling"
    initializer: str = "small"
    optimizer: str = "Adam"

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        words = {"pooling": POOLING, "relu": RELU}
        words |= {"initializer": INITIALIZERS, "optimizer": OPTIMIZERS}
        for name, allowed in words.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}; got {getattr(self, name)!r}")
        if not (self.learning_rate > 0 and 0 <= self.dropout < 1) or (
            min(self.batch_size, self.num_filters, self.filter_size) < 1
        ):
            raise ValueError(f"a rate or a size is out of range: {self}")


CHANGES: dict[str, tuple[Any, ...]] = {
    "learning_rate": (1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
    "batch_size": (16, 64, 256),
    "num_filters": (4, 8, 16, 32),
    "filter_size": (1, 3, 5, 7),
    "pooling": POOLING,
    "dropout": (0.0, 0.5),
    "relu": RELU,
    "initializer": INITIALIZERS,
    "optimizer": OPTIMIZERS,
}
"""The values of each parameter that the study tries; one of each is the book's."""


def variants() -> Iterator[tuple[str, Variant]]:
    """Yield what is changed in each of the study's variants, and the variant.

    The book's own network comes first, with ``"nothing"``.
    """
    book = Variant()
    yield "nothing", book
    for name, values in CHANGES.items():
        for value in values:
            if value != getattr(book, name):
                yield name, replace(book, **{name: value})


def build_variant(variant: Variant, seed: int | None = None) -> keras.Sequential:
    """Build a variant's network in Keras: images ``[n, 784]``, in 0..1, to logits ``[n, 10]``.

    The same seed gives the same weights and the same dropout; ``None`` draws new ones each time.
    """
    if seed is not None:
        keras.utils.set_random_seed(seed)
    initializers = {
        "small": lambda: keras.initializers.TruncatedNormal(stddev=WEIGHT_STDDEV),
        "He": keras.initializers.HeNormal,
        "zeros": keras.initializers.Zeros,
    }
    start = {
        "kernel_initializer": initializers[variant.initializer](),
        "bias_initializer": keras.initializers.Constant(BIAS_START),
    }
    layers = [keras.Input([IMAGE_SIZE_FLAT]), keras.layers.Reshape([IMAGE_SIZE, IMAGE_SIZE, 1])]
    for filters in (variant.num_filters, variant.num_filters * 9 // 4):
        layers += _conv_layers(variant, filters, start)
    layers += [
        keras.layers.Flatten(data_format="channels_last"),
        keras.layers.Dense(
            FC_SIZE, activation=None if variant.relu == "nowhere" else "relu", **start
        ),
        keras.layers.Dropout(variant.dropout),
        keras.layers.Dense(NUM_CLASSES, **start),
    ]
    return keras.Sequential(layers)


def _conv_layers(variant: Variant, filters: int, start: dict[str, Any]) -> list[Any]:
    """One convolution with its pooling and ReLU, in the variant's order."""
    convolution = keras.layers.Conv2D(
        filters,
        variant.filter_size,
        strides=2 if variant.pooling == "stride" else 1,
        padding="same",
        data_format="channels_last",
        **start,
    )
    pool = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}
    pooling = (
        [pool[variant.pooling](2, data_format="channels_last")] if variant.pooling in pool else []
    )
    relu = [keras.layers.ReLU()] if variant.relu in {"after pooling", "before pooling"} else []
    if variant.relu == "before pooling":
        return [convolution, *relu, *pooling]
    return [convolution, *pooling, *relu]


def train_variant(
    variant: Variant, data: Mnist, seed: int, num_iterations: int = NUM_ITERATIONS
) -> dict[str, npt.NDArray[Any]]:
    """Train a variant from its starting weights and judge it along the way.

    Args:
        variant: What to train.
        data: ``data.train`` to learn from, ``data.validation`` to be judged on.
        seed: Decides the starting weights and the order of the images.
        num_iterations: How many steps, a multiple of 100.

    Returns:
        Columns of equal length, one entry every 100 steps: ``iterations``; ``loss``, the mean
        cross-entropy of those 100 batches in nats; ``validation_accuracy``, 0 to 1.
    """
    if num_iterations < LOG_EVERY or num_iterations % LOG_EVERY:
        raise ValueError(f"need a positive multiple of {LOG_EVERY}; got {num_iterations}")
    model = build_variant(variant, seed)
    model.compile(
        optimizer=getattr(keras.optimizers, variant.optimizer)(variant.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        # Several steps in one call save the trips back to Python; XLA is slower on a CPU.
        steps_per_execution=20,
        jit_compile=False,
    )
    order = batch_indices(len(data.train), variant.batch_size, 0, num_iterations, seed)
    history = model.fit(
        batches_of(tf.constant(data.train.images), tf.constant(data.train.labels), order),
        epochs=num_iterations // LOG_EVERY,
        steps_per_epoch=LOG_EVERY,
        validation_data=(data.validation.images, data.validation.labels),
        validation_batch_size=500,
        shuffle=False,
        verbose=0,
    ).history
    return {
        "iterations": np.arange(LOG_EVERY, num_iterations + 1, LOG_EVERY),
        "loss": np.array(history["loss"]),
        "validation_accuracy": np.array(history["val_accuracy"]),
    }
