"""Judging a network: its loss and accuracy on a split.

Taught in ``notebooks/loss.ipynb``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_helpers._checks import check_count, check_process
from mnist_helpers._quiet import quiet
from mnist_helpers.data import Mnist, Split
from mnist_helpers.network import Network
from mnist_helpers.precision import Precision, check_precision

with quiet():
    import tensorflow as tf

EVALUATION_BATCH_SIZE = 256


def cross_entropy(logits: Any, labels: Any) -> tf.Tensor:
    """Compute how surprised the network is by each label.

    ``-log(softmax(logits)[label])``, straight from the logits, because the softmax written out
    overflows for large ones.

    Args:
        logits: ``[n, 10]``, float32.
        labels: Class numbers ``[n]``, int.

    Returns:
        One number for each image, ``[n]``, float32, in nats: 0 for a sure and right guess,
        log(10) = 2.303 for one that knows nothing.
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(labels, tf.int64), logits)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a network judges a split.

    Attributes:
        predictions: The class that it gives each image, ``[n]``, int64.
        probabilities: The softmax of its logits, ``[n, 10]``, float32.
        num_correct: How many predictions equal the label.
        accuracy: Their share, 0 to 1.
        loss: Mean cross-entropy, in nats.
    """

    predictions: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32] = field(repr=False)
    num_correct: int
    accuracy: float
    loss: float

    @classmethod
    def from_probabilities(
        cls,
        split: Split,
        probabilities: npt.NDArray[np.float32],
        losses: npt.NDArray[np.float32],
    ) -> Evaluation:
        """Compare the images' probabilities ``[n, 10]`` and losses ``[n]`` with the labels."""
        predictions = probabilities.argmax(axis=1)
        num_correct = int((predictions == split.labels).sum())
        return cls(
            predictions=predictions,
            probabilities=probabilities,
            num_correct=num_correct,
            accuracy=num_correct / len(split),
            loss=float(losses.mean(dtype=np.float64)),
        )


def check_kinds(net: Any, **splits: Any) -> None:
    """Refuse what is not a network, or not a split with images in it, naming the argument."""
    check_process()
    if not isinstance(net, Network):
        order = ", then the split" if isinstance(net, Split | Mnist) else ""
        raise TypeError(
            f"pass the network first{order}. It must be a ConvNet, or another "
            f"Network; got {type(net).__name__}"
        )
    for name, split in splits.items():
        if isinstance(split, Mnist):
            raise TypeError(
                f"{name} must be one split, but this is the whole data set: pass data.train, "
                "data.validation or data.test"
            )
        if not isinstance(split, Split):
            raise TypeError(
                f"{name} must be a Split, such as data.train or Split(images, labels); got "
                f"{type(split).__name__}"
            )
        if len(split) == 0:
            raise ValueError(f"{name} has no images: it needs at least one")


def evaluate(
    net: Network,
    split: Split,
    batch_size: int = EVALUATION_BATCH_SIZE,
    precision: Precision = "float32",
) -> Evaluation:
    """Let the network judge every image of a split, such as ``data.test``.

    Args:
        net: The network.
        split: Images and labels.
        batch_size: Images at a time; affects memory and time, not the result. The layer outputs
            of all images together would need gigabytes.
        precision: What the layers compute with; see :func:`optimize`.
    """
    check_kinds(net, split=split)
    batch_size = check_count("batch_size", batch_size)
    logits = net.compiled_logits(split.images, batch_size, check_precision(precision)).numpy()
    losses = cross_entropy(logits, split.labels).numpy()
    return Evaluation.from_probabilities(split, tf.nn.softmax(logits).numpy(), losses)
