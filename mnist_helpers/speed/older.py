"""The way the older tutorials trained: a graph, a session, and a batch fed in for each step.

Taught in ``notebooks/graph.ipynb`` and measured against in ``notebooks/speed.ipynb``; TensorFlow
keeps it as ``tf.compat.v1``.
"""

from __future__ import annotations

import os
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from mnist_helpers._quiet import quiet
from mnist_helpers.batches import BATCH_SIZE, batch_indices
from mnist_helpers.data import IMAGE_SIZE_FLAT, NUM_CLASSES, Split, load_mnist
from mnist_helpers.evaluation import EVALUATION_BATCH_SIZE
from mnist_helpers.network import NUM_FILTERS1, NUM_FILTERS2, ConvNet
from mnist_helpers.optimizer import BETA1, BETA2, EPSILON, LEARNING_RATE

with quiet():
    import tensorflow as tf


class OlderTraining:
    """The book's network in a graph of the old kind, with a session to run it in.

    Attributes:
        iterations: How many steps it has had.
    """

    def __init__(
        self,
        seed: int = 0,
        batch_size: int = BATCH_SIZE,
        num_filters: tuple[int, int] = (NUM_FILTERS1, NUM_FILTERS2),
    ) -> None:
        """Build the graph and draw the weights, those of ``ConvNet(seed, num_filters)``."""
        v1 = tf.compat.v1
        self.iterations = 0
        self._seed, self._batch_size = seed, batch_size
        graph = tf.Graph()
        with graph.as_default():
            self._x = v1.placeholder(tf.float32, [None, IMAGE_SIZE_FLAT])
            self._y = v1.placeholder(tf.float32, [None, NUM_CLASSES])
            net = ConvNet(seed, num_filters)
            logits = net(self._x)
            cost = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(self._y, logits))
            adam = v1.train.AdamOptimizer(LEARNING_RATE, BETA1, BETA2, EPSILON)
            self._optimize = adam.minimize(cost, var_list=list(net.weights.values()))
            self._classes = tf.argmax(logits, axis=1)
            start = v1.global_variables_initializer()
        self._session = v1.Session(graph=graph)
        self._session.run(start)
        self._weights = net.weights

    def train(self, split: Split, num_iterations: int) -> None:
        """Take steps: choose a batch in Python, copy it into the session, run one step."""
        one_hot = np.eye(NUM_CLASSES, dtype=np.float32)
        for batch in batch_indices(
            len(split), self._batch_size, self.iterations, num_iterations, self._seed
        ):
            feed = {self._x: split.images[batch], self._y: one_hot[split.labels[batch]]}
            self._session.run(self._optimize, feed_dict=feed)
        self.iterations += num_iterations

    def predict(
        self, split: Split, batch_size: int = EVALUATION_BATCH_SIZE
    ) -> npt.NDArray[np.int64]:
        """Judge each image of a split: the classes ``[n]``."""
        parts = [
            self._session.run(self._classes, {self._x: split.images[start : start + batch_size]})
            for start in range(0, len(split), batch_size)
        ]
        return np.concatenate(parts)

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """The weights as they are now, by the names that ``ConvNet`` has."""
        values: dict[str, npt.NDArray[np.float32]] = self._session.run(self._weights)
        return values


class TrainingWithoutOneDNN:
    """:class:`OlderTraining` in a process of its own, with TensorFlow's own kernels.

    A kernel is the routine that does an operation's arithmetic. On x86 processors TensorFlow has
    two sets, and decides when it starts which to use (see :func:`mnist_helpers.quiet`); so
    the other set needs another process. On other processors there is one set, and this one
    trains as fast as :class:`OlderTraining`. The process ends with the one that started it.
    """

    def __init__(self, seed: int = 0) -> None:
        """Start the process, and build the graph there; it looks for the data by itself.

        Raises:
            RuntimeError: If the process ended.
        """
        context = get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, seed), daemon=True)
        with patch.dict(os.environ, TF_ENABLE_ONEDNN_OPTS="0"):
            self._process.start()
        # Now that the process holds its end alone, each side notices when the other is gone.
        other.close()
        self._weights = self._ask(0)

    def train(self, num_iterations: int) -> None:
        """Take steps on the training set.

        Raises:
            RuntimeError: If the process ended.
        """
        self._weights = self._ask(num_iterations)

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """The weights as they are now, by the names that ``ConvNet`` has."""
        return self._weights

    def _ask(self, num_iterations: int) -> dict[str, npt.NDArray[np.float32]]:
        try:
            self._connection.send(num_iterations)
            weights: dict[str, npt.NDArray[np.float32]] = self._connection.recv()
        except (EOFError, OSError):
            raise RuntimeError(
                "the process with TensorFlow's own kernels has ended; what it wrote before is in "
                "this one's standard error. Make a new TrainingWithoutOneDNN to start another."
            ) from None
        return weights


def _serve(connection: Connection, seed: int) -> None:
    """Take as many steps as are asked for, and give the weights; end when nobody asks any more."""
    training, split = OlderTraining(seed), load_mnist().train
    # An interrupt reaches every process of the terminal; the one that asks reports it.
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        while True:
            num_iterations = connection.recv()
            if num_iterations:
                training.train(split, num_iterations)
            connection.send(training.weights())
