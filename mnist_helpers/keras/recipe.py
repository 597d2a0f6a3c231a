"""The larger network of the chapter on Keras, and its training by the original recipe.

Taught in ``notebooks/keras.ipynb``, where the network is built in three ways and the package's
own network is rebuilt in Keras. The layers and the recipe are those of the tutorial "A guide to
TF layers" (The TensorFlow authors, 2017), in today's Keras.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_helpers._quiet import quiet
from mnist_helpers.batches import batch_indices, batches_of
from mnist_helpers.data import IMAGE_SIZE, IMAGE_SIZE_FLAT, NUM_CLASSES, Mnist
from mnist_helpers.evaluation import EVALUATION_BATCH_SIZE
from mnist_helpers.network import ConvNet

with quiet():
    import keras
    import tensorflow as tf

LEARNING_RATE = 0.001  # rate of the recipe's gradient descent

BATCH_SIZE = 100
DROPOUT_RATE = 0.4


def build_model() -> keras.Sequential:
    """Build the network, not compiled: images ``[n, 784]``, float32 in 0..1, to logits ``[n, 10]``.

    5×5 convolution with 32 filters and ReLU, pooling; 5×5 convolution with 64 filters and
    ReLU, pooling; flatten; fully connected with 1,024 units and ReLU; dropout; fully connected
    with 10 units, the logits. 3,274,634 parameters. The starting weights are Keras's default
    (Glorot and Bengio, 2010, uniform) and the biases zero; ``keras.utils.set_random_seed``
    settles them.
    """
    return _sequential("sequential", 5, (32, 64), 1024, DROPOUT_RATE)


def train_recipe(
    data: Mnist,
    steps: int,
    log_every: int,
    optimizer: keras.optimizers.Optimizer | None = None,
    seed: int = 0,
    verbose: bool = False,
) -> dict[str, npt.NDArray[Any]]:
    """Train a new :func:`build_model` and write down how it gets on.

    Images come in batches of 100 in the order of
    :func:`~mnist_helpers.batches.batch_indices`. The global seeds of Python, NumPy and
    TensorFlow are set (``keras.utils.set_random_seed``), so that the same arguments give the
    same numbers on the same machine.

    Args:
        data: What to learn from and be judged on.
        steps: How many steps to take, a multiple of ``log_every``.
        log_every: How many steps each row of the result covers.
        optimizer: Stochastic gradient descent with a rate of 0.001 where none is given.
        seed: Settles the starting weights, the order of the images and the dropout.
        verbose: Whether to print a line for each row.

    Returns:
        Columns of equal length: ``steps`` taken; ``train_loss`` and ``train_accuracy``, the
        mean over the row's ``log_every`` batches, each judged before its step and with
        dropout; ``validation_loss``, ``validation_accuracy``, ``test_loss`` and
        ``test_accuracy`` after the step, without dropout. Losses are mean cross-entropies in
        nats, accuracies lie in 0..1.
    """
    if log_every < 1 or steps < 1 or steps % log_every != 0:
        raise ValueError(
            "steps must be a positive multiple of log_every; got "
            f"steps={steps}, log_every={log_every}"
        )
    keras.utils.set_random_seed(seed)
    model = build_model()
    model.compile(
        optimizer=optimizer or keras.optimizers.SGD(LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    images, labels = tf.constant(data.train.images), tf.constant(data.train.labels)
    judges = {"validation": data.validation, "test": data.test}
    rows = []
    for first in range(0, steps, log_every):
        order = batch_indices(len(data.train), BATCH_SIZE, first, log_every, seed)
        batches = batches_of(images, labels, order)
        # The batches are in order already: Keras would warn that it cannot shuffle them.
        trained = model.fit(batches, shuffle=False, verbose=0).history
        row = {
            "steps": first + log_every,
            "train_loss": trained["loss"][0],
            "train_accuracy": trained["accuracy"][0],
        }
        for name, split in judges.items():
            options = {"batch_size": EVALUATION_BATCH_SIZE, "verbose": 0, "return_dict": True}
            judged = model.evaluate(split.images, split.labels, **options)
            row |= {f"{name}_{key}": judged[key] for key in ("loss", "accuracy")}
        rows.append(row)
        if verbose:
            print(", ".join(f"{name} {value:.5g}" for name, value in rows[-1].items()), flush=True)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def to_keras(net: ConvNet) -> keras.Sequential:
    """Rebuild the book's network in Keras, with its weights.

    The model maps images ``[n, 784]`` to the same logits ``[n, 10]``, but for rounding: Keras puts
    ReLU before pooling, the book after it, with the same result.
    """
    num_filters = net.conv1.weights.shape[-1], net.conv2.weights.shape[-1]
    filter_size, num_units = net.conv1.weights.shape[0], net.fc1.biases.shape[0]
    model = _sequential("convnet", filter_size, num_filters, num_units)
    model.set_weights([variable.numpy() for variable in net.weights.values()])
    return model


def _sequential(
    name: str,
    filter_size: int,
    num_filters: tuple[int, int],
    num_units: int,
    dropout: float | None = None,
) -> keras.Sequential:
    """Two convolutions, each with pooling, and two fully connected layers."""
    layers = keras.layers
    axes = {"data_format": "channels_last"}
    conv = {"kernel_size": filter_size, "padding": "same", "activation": "relu", **axes}
    return keras.Sequential(
        [
            keras.Input([IMAGE_SIZE_FLAT]),
            layers.Reshape([IMAGE_SIZE, IMAGE_SIZE, 1], name="image"),
            layers.Conv2D(num_filters[0], **conv, name="conv1"),
            layers.MaxPooling2D(**axes, name="pool1"),
            layers.Conv2D(num_filters[1], **conv, name="conv2"),
            layers.MaxPooling2D(**axes, name="pool2"),
            layers.Flatten(**axes, name="flatten"),
            layers.Dense(num_units, activation="relu", name="fc1"),
            *([] if dropout is None else [layers.Dropout(dropout, name="dropout")]),
            layers.Dense(NUM_CLASSES, name="fc2"),
        ],
        name=name,
    )
