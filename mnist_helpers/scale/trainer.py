"""Training one network on several devices, in one process or in several.

    python -m mnist_helpers.scale.launcher --workers 2 -- -m mnist_helpers.scale.worker --folder job

Taught in ``notebooks/scale.ipynb``. Every device holds the whole network, computes the
gradient of its share of the batch, and adds its gradient to those of the others (an
*all-reduce*); then each takes the same step. :mod:`mnist_helpers.scale.cost`
computes how long that should take.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_helpers._quiet import quiet
from mnist_helpers.batches import BATCH_SIZE, batch_indices
from mnist_helpers.checkpoints import CheckpointError
from mnist_helpers.data import Split
from mnist_helpers.evaluation import cross_entropy
from mnist_helpers.network import ConvNet
from mnist_helpers.optimizer import BETA1, BETA2, EPSILON, LEARNING_RATE

with quiet():
    import keras
    import tensorflow as tf

MEASURED_BYTES = (4, 30_000, 100_000, 300_000, 968_248, 3_000_000)
"""Sizes of the all-reduces that a worker times; 968,248 is the book's network."""

BYTES_PER_NUMBER = 4  # a float32

_GPU_PART_MB = 2_048


def local_devices(count: int = 2) -> list[str]:
    """Find this many devices on this machine, or make them.

    GPUs if there are enough; otherwise one GPU, or else the processor, divided into *logical
    devices*, which TensorFlow treats as if they were separate. Dividing must come before
    TensorFlow's first operation.

    Returns:
        Their names, such as ``["CPU:0", "CPU:1"]``.

    Raises:
        RuntimeError: If TensorFlow is already at work on undivided devices.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1; got {count}")
    gpus = tf.config.list_physical_devices("GPU")
    kind = "GPU" if gpus else "CPU"
    if len(gpus) < count:
        one = (gpus or tf.config.list_physical_devices("CPU"))[0]
        memory = _GPU_PART_MB if gpus else None
        parts = [tf.config.LogicalDeviceConfiguration(memory_limit=memory)] * count
        try:
            tf.config.set_logical_device_configuration(one, parts)
        except RuntimeError as error:
            if len(tf.config.list_logical_devices(kind)) < count:
                raise RuntimeError(
                    f"the {kind} can only be divided before TensorFlow's first operation: "
                    "restart the kernel, and call local_devices first"
                ) from error
    return [f"{kind}:{number}" for number in range(count)]


@dataclass(frozen=True, eq=False)
class Steps:
    """What :meth:`DistributedTrainer.train` measured.

    Attributes:
        loss: Mean cross-entropy of each step's whole batch before the step, ``[k]``, in nats.
        seconds: How long each step took, ``[k]``; the first of a trainer builds the graph.
    """

    loss: npt.NDArray[np.float32] = field(repr=False)
    seconds: npt.NDArray[np.float64] = field(repr=False)


class DistributedTrainer:
    """The book's network, its optimiser and its training step, on the devices of a strategy.

    Without a strategy there is one device, and the same code does what
    :func:`~mnist_helpers.training.optimize` does.

    Attributes:
        strategy: Knows the devices, and adds up what they computed.
        net: The network; every device holds all of its weights.
        optimizer: Keras's Adam with the book's constants.
    """

    def __init__(
        self,
        split: Split,
        strategy: tf.distribute.Strategy | None = None,
        *,
        batch_size: int = BATCH_SIZE,
        learning_rate: float = LEARNING_RATE,
        seed: int = 0,
    ) -> None:
        """Draw new weights, the same on every device.

        Args:
            split: Images and labels to learn from.
            strategy: A ``tf.distribute`` strategy; by default, the one in whose scope this is.
            batch_size: Images in each step, on all devices together.
            learning_rate: Adam's.
            seed: Decides the starting weights and the order of the images.
        """
        self.strategy = tf.distribute.get_strategy() if strategy is None else strategy
        self._num_replicas: int = self.strategy.num_replicas_in_sync
        if len(split) == 0 or batch_size < self._num_replicas or not learning_rate > 0:
            raise ValueError(
                "need at least one image to learn from, at least one image of the batch for "
                f"each of {self._num_replicas} devices, and a positive learning rate; got "
                f"{len(split)} images, batch_size={batch_size} and learning_rate={learning_rate}"
            )
        self._split, self._batch_size, self._seed = split, batch_size, seed
        with self.strategy.scope():
            self.net = ConvNet(seed=seed)
            self.optimizer = keras.optimizers.Adam(
                learning_rate, beta_1=BETA1, beta_2=BETA2, epsilon=EPSILON
            )
            self._variables = list(self.net.weights.values())
            # Otherwise its variables would be made inside the first step's graph.
            self.optimizer.build(self._variables)
        self._checkpoint = tf.train.Checkpoint(net=self.net, optimizer=self.optimizer)
        self._run_step = self._on_all_devices(self._step)

    @property
    def iterations(self) -> int:
        """How many steps the weights have had."""
        return int(self.optimizer.iterations.numpy())

    def _gradients(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """Compute one device's share of the cost, and its gradient."""
        with tf.GradientTape() as tape:
            # Divided by the whole batch, so that the shares add up to its mean.
            cost = tf.reduce_sum(cross_entropy(self.net(images), labels)) / self._batch_size
        return cost, tape.gradient(cost, self._variables)

    def _step(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Take one step on one device."""
        cost, gradients = self._gradients(images, labels)
        # Keras adds up the gradients of all devices first: here is the all-reduce.
        self.optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
        return cost

    def _on_all_devices(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Make a graph that runs a function on each device, with each device's arguments."""
        return tf.function(  # type: ignore[no-any-return]
            lambda *arguments: self.strategy.run(function, arguments), autograph=False
        )

    def _deal(self, parts: Sequence[npt.NDArray[Any]]) -> Any:
        """Give each device its part; devices are numbered across all processes."""
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group])
        )

    def _share(self, rows: npt.NDArray[np.int32]) -> tuple[Any, Any]:
        """Deal one batch out to the devices: images and labels."""
        shares = np.array_split(rows, self._num_replicas)
        images = self._deal([self._split.images[share] for share in shares])
        return images, self._deal([self._split.labels[share] for share in shares])

    def _batches(self, count: int) -> npt.NDArray[np.int32]:
        """The rows of the next batches: they depend only on the number of steps so far."""
        return batch_indices(len(self._split), self._batch_size, self.iterations, count, self._seed)

    def train(self, num_iterations: int) -> Steps:
        """Take this many steps, each with the next batch.

        In a job of several processes, all of them must make the same call.

        Raises:
            FloatingPointError: If the loss or a weight is no longer a finite number.
            tf.errors.UnavailableError: If another process of the job is gone.
        """
        if num_iterations < 1:
            raise ValueError(f"num_iterations must be at least 1; got {num_iterations}")
        costs, seconds = [], []
        for rows in self._batches(num_iterations):
            began = time.perf_counter()
            cost = self._run_step(*self._share(rows))
            costs.append([one.numpy() for one in self.strategy.experimental_local_results(cost)])
            seconds.append(time.perf_counter() - began)
        # Added up over all devices, once for all steps: step by step, each would cost a message.
        # Each device contributes its process's mean, as only that process's devices are known here.
        share = self._deal([np.mean(costs, axis=1)] * self._num_replicas)
        loss = self.strategy.reduce(tf.distribute.ReduceOp.SUM, share, axis=None).numpy()
        # The weights too: ReLU turns NaN into 0, so that the loss alone may look sound.
        numbers = [loss, *(variable.numpy() for variable in self._variables)]
        if not all(np.isfinite(array).all() for array in numbers):
            raise FloatingPointError(
                "the loss or a weight is no longer a finite number: start again with a smaller "
                "learning_rate"
            )
        return Steps(loss=loss, seconds=np.array(seconds))

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write weights, and all that the optimiser remembers, about 3 MB.

        In a job of several processes all call this; the chief alone writes, as the others hold
        the same. A checkpoint appears whole or not at all, and the last two are kept. It does
        not depend on the number of devices: a different number of them can go on from it. The
        folder is made if it is missing.
        """
        resolver = self.strategy.cluster_resolver
        if resolver is None or resolver.task_id in (None, 0):
            self._manager(folder).save(checkpoint_number=self.iterations)

    def resume(self, folder: str | os.PathLike[str]) -> int:
        """Go on from the last checkpoint of a folder, if there is one; every process must see it.

        Returns:
            How many steps the network has now had; 0 if there was no checkpoint.

        Raises:
            CheckpointError: If the checkpoint there is damaged, or belongs to another network.
        """
        latest = self._manager(folder).latest_checkpoint
        if latest is not None:
            try:
                # "Partial" only suppresses a log line of TensorFlow's that would follow the error.
                self._checkpoint.restore(latest).expect_partial().assert_consumed()
            except (AssertionError, IndexError, ValueError, tf.errors.OpError) as error:
                raise CheckpointError(
                    f"{latest} is damaged, or belongs to another network: choose another folder"
                ) from error
        return self.iterations

    def _manager(self, folder: str | os.PathLike[str]) -> tf.train.CheckpointManager:
        path = os.path.expanduser(folder)
        return tf.train.CheckpointManager(self._checkpoint, path, max_to_keep=2)

    def time_parts(self) -> dict[str, Any]:
        """Time the parts of a step once more: the gradient by itself, and all-reduces.

        Called between two steps, it finds the machine as busy as they do. The weights stay as
        they are. In a job of several processes all must call this.

        Returns:
            ``gradient_seconds``, for this device's share of a batch, and
            ``all_reduce_seconds``, pairs of a number of bytes and a time. Each time is the
            median of all calls so far.
        """
        gradient, *all_reduces = self._parts
        gradient_seconds = gradient.time()
        # No all-reduce begins before the slowest process is there: that wait is not its own time.
        all_reduces[0].run()
        seconds = [part.time() for part in all_reduces]
        pairs = list(zip(MEASURED_BYTES, seconds, strict=True))
        return {"gradient_seconds": gradient_seconds, "all_reduce_seconds": pairs}

    @cached_property
    def _parts(self) -> list[_Part]:
        """The gradient, and an all-reduce of each size; each has run once, to build its graph."""

        def all_reduce(vector: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            # An argument is on no device, and the all-reduce asks for one: hence the identity.
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(vector))

        parts = [_Part(self._on_all_devices(self._gradients), self._share(self._batches(1)[0]))]
        sum_up = self._on_all_devices(all_reduce)
        for num_bytes in MEASURED_BYTES:
            ones = np.ones(num_bytes // BYTES_PER_NUMBER, np.float32)
            parts.append(_Part(sum_up, (self._deal([ones] * self._num_replicas),)))
        for part in parts:
            part.run()
        return parts


@dataclass
class _Part:
    """Something that is run again and again, and how long it took, in seconds."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    seconds: list[float] = field(default_factory=list)

    def run(self) -> None:
        results = tf.nest.flatten(self.function(*self.arguments), expand_composites=True)
        results[0].numpy()  # waits for the result

    def time(self) -> float:
        """Run it once more; give the median of all its times so far."""
        began = time.perf_counter()
        self.run()
        self.seconds.append(time.perf_counter() - began)
        return float(np.median(self.seconds))
