"""The ways to train the book's network that ``benchmarks/side_by_side.py`` compares.

Each computes the same thing: the same starting weights, the same batches in the same order, Adam
with the same constants. This module imports no library that it measures until a way is asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mnist_helpers.data import Mnist, Split, load_mnist
from mnist_helpers.precision import Precision, fastest_precision

SEED = 0
EVALUATION_BATCH = 256

Weights = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Task:
    """What to compute, in arrays and plain numbers, which PyTorch can take too.

    Attributes:
        batch_size: Images in a step.
        num_filters: Of the first and of the second convolution.
        weights: The starting weights, by the names that ``ConvNet`` has.
        learning_rate: Adam's.
        beta1: Adam's.
        beta2: Adam's.
        epsilon: Adam's.
    """

    batch_size: int
    num_filters: tuple[int, int]
    weights: Weights
    learning_rate: float
    beta1: float
    beta2: float
    epsilon: float


class Way(Protocol):
    """One way to train the network and to ask it.

    Made from a task and from the images to learn from.
    """

    def train(self, order: npt.NDArray[np.int32]) -> None:
        """Take a step for each row of the order, which holds the rows of a batch's images."""

    def predict(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """The classes ``[n]`` of images ``[n, 784]``."""

    def weights(self) -> Weights:
        """The weights as they are now."""


class Older:
    """The older tutorials' way: a session, and a batch fed in for each step."""

    def __init__(self, task: Task, split: Split) -> None:
        """Build the graph."""
        from mnist_helpers.speed.older import OlderTraining

        self._training = OlderTraining(SEED, task.batch_size, task.num_filters)
        self._split = split

    def train(self, order: npt.NDArray[np.int32]) -> None:
        """Let it choose the same batches itself, and take the steps."""
        self._training.train(self._split, len(order))

    def predict(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """The classes."""
        return self._training.predict(_unlabelled(images), EVALUATION_BATCH)

    def weights(self) -> Weights:
        """The weights."""
        return self._training.weights()


class Keras:
    """Keras's own ``fit``, without XLA: for this network XLA is slower on a processor.

    It learns from a tf.data pipeline. The thread that tunes a pipeline often keeps it from
    ending, for as long again as it ran (``notebooks/benchmarks.ipynb`` shows it), so there is a
    way with that tuning and one without.
    """

    def __init__(
        self,
        task: Task,
        split: Split,
        steps_per_execution: int,
        autotune: bool,
        precision: Precision = "float32",
    ) -> None:
        """Build and compile the model."""
        from mnist_helpers.keras.recipe import keras, tf, to_keras
        from mnist_helpers.network import ConvNet

        keras.config.set_dtype_policy("float32" if precision == "float32" else "mixed_bfloat16")
        self._model = to_keras(ConvNet(SEED, task.num_filters))
        self._model.compile(
            optimizer=keras.optimizers.Adam(
                task.learning_rate, task.beta1, task.beta2, task.epsilon
            ),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            steps_per_execution=steps_per_execution,
            jit_compile=False,
        )
        self._images, self._labels = tf.constant(split.images), tf.constant(split.labels)
        self._names = list(task.weights)
        self._options = tf.data.Options()
        self._options.autotune.enabled = autotune

    def train(self, order: npt.NDArray[np.int32]) -> None:
        """One epoch of ``fit`` over these batches."""
        from mnist_helpers.batches import batches_of

        batches = batches_of(self._images, self._labels, order).with_options(self._options)
        # The batches are in order already: Keras would warn that it cannot shuffle them.
        self._model.fit(batches, shuffle=False, verbose=0)

    def predict(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """The classes."""
        from mnist_helpers.keras.recipe import tf

        batches = tf.data.Dataset.from_tensor_slices(images).batch(EVALUATION_BATCH)
        logits = self._model.predict(batches.with_options(self._options), verbose=0)
        return np.asarray(logits.argmax(axis=1))

    def weights(self) -> Weights:
        """The weights."""
        return dict(zip(self._names, self._model.get_weights(), strict=True))


class PyTorch:
    """PyTorch, run eagerly, with channels last in memory and its fused Adam."""

    def __init__(self, task: Task, split: Split, precision: Precision = "float32") -> None:
        """Copy the weights into PyTorch's order of dimensions."""
        import torch

        def parameter(array: npt.NDArray[np.float32]) -> Any:
            tensor = torch.from_numpy(array.transpose(_TO_PYTORCH[array.ndim]).copy())
            last = torch.channels_last if array.ndim == 4 else torch.contiguous_format
            return tensor.contiguous(memory_format=last).requires_grad_()

        self._torch = torch
        self._precision = precision
        self._weights = {name: parameter(array) for name, array in task.weights.items()}
        self._adam = torch.optim.Adam(
            self._weights.values(),
            lr=task.learning_rate,
            betas=(task.beta1, task.beta2),
            eps=task.epsilon,
            fused=True,
        )
        self._images, self._labels = (torch.from_numpy(a) for a in (split.images, split.labels))

    def logits(self, images: Any) -> Any:
        """The logits ``[n, 10]``, float32, of images ``[n, 784]``, as tensors."""
        functional, w = self._torch.nn.functional, self._weights
        layer = images.reshape(-1, 1, 28, 28).contiguous(memory_format=self._torch.channels_last)
        bfloat16 = self._precision == "bfloat16"
        with self._torch.autocast("cpu", self._torch.bfloat16, enabled=bfloat16):
            for name in ("conv1", "conv2"):
                weights, biases = w[f"{name}/weights"], w[f"{name}/biases"]
                layer = functional.conv2d(layer, weights, biases, padding="same")
                layer = functional.relu(functional.max_pool2d(layer, 2))
            # Rows, columns, channels, as the book has them: in memory they already lie that way.
            layer = layer.permute(0, 2, 3, 1).flatten(1)
            layer = functional.linear(layer, w["fc1/weights"], w["fc1/biases"])
            layer = functional.linear(functional.relu(layer), w["fc2/weights"], w["fc2/biases"])
        return layer.float()

    def train(self, order: npt.NDArray[np.int32]) -> None:
        """One step after another."""
        for batch in self._torch.from_numpy(order):
            logits = self.logits(self._images[batch])
            loss = self._torch.nn.functional.cross_entropy(logits, self._labels[batch])
            self._adam.zero_grad()
            loss.backward()
            self._adam.step()

    def predict(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """The classes."""
        with self._torch.inference_mode():
            parts = self._torch.from_numpy(images).split(EVALUATION_BATCH)
            return np.concatenate([self.logits(part).argmax(1).numpy() for part in parts])

    def weights(self) -> Weights:
        """The weights, in TensorFlow's order of dimensions again."""
        return {
            name: weights.detach().numpy().transpose(_FROM_PYTORCH[weights.ndim])
            for name, weights in self._weights.items()
        }


# TensorFlow has filters as [height, width, in, out] and PyTorch as [out, in, height, width].
_TO_PYTORCH = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
_FROM_PYTORCH = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}


class Ours:
    """The package's ``optimize`` and ``evaluate``."""

    def __init__(self, task: Task, split: Split, precision: Precision = "float32") -> None:
        """Draw the weights."""
        from mnist_helpers.network import ConvNet

        self._net = ConvNet(SEED, task.num_filters)
        self._task, self._split, self._precision = task, split, precision

    def train(self, order: npt.NDArray[np.int32]) -> None:
        """Let it choose the same batches itself, and take the steps."""
        from mnist_helpers.training import optimize

        optimize(
            self._net,
            self._split,
            len(order),
            batch_size=self._task.batch_size,
            seed=SEED,
            precision=self._precision,
            log_every=len(order),
            verbose=False,
        )

    def predict(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """The classes."""
        from mnist_helpers.evaluation import evaluate

        split = _unlabelled(images)
        return evaluate(self._net, split, EVALUATION_BATCH, self._precision).predictions

    def weights(self) -> Weights:
        """The weights."""
        return {name: variable.numpy() for name, variable in self._net.weights.items()}


@dataclass(frozen=True)
class Contender:
    """A way, and what it is called.

    Attributes:
        label: What a reader is told.
        way: Makes the :class:`Way`.
        module: What has to be imported for it.
        needs: The library without which it is left out.
        precision: What it computes with.
    """

    label: str
    way: Any
    module: str
    needs: str = "tensorflow"
    precision: Precision = "float32"


def _keras(steps: int, autotune: bool, precision: Precision = "float32") -> Contender:
    """Keras with this many steps a call, with or without tf.data's tuning."""
    label = f"Keras, {steps} step{'s'[: steps > 1]} a call"
    label += "" if autotune else ", untuned"
    label += "" if precision == "float32" else f", {precision}"
    way = partial(Keras, steps_per_execution=steps, autotune=autotune, precision=precision)
    return Contender(label, way, "mnist_helpers.keras.recipe", precision=precision)


BASELINE = "older"
CONTENDERS = {
    BASELINE: Contender("the older tutorials' session", Older, "mnist_helpers.speed.older"),
    "keras_1": _keras(1, autotune=True),
    "keras_1_untuned": _keras(1, autotune=False),
    "keras_50": _keras(50, autotune=True),
    "keras_50_untuned": _keras(50, autotune=False),
    "torch": Contender("PyTorch", PyTorch, "torch", "torch"),
    "ours": Contender("this book", Ours, "mnist_helpers.training"),
    "keras_50_untuned_bfloat16": _keras(50, autotune=False, precision="bfloat16"),
    "torch_bfloat16": Contender(
        "PyTorch, bfloat16", partial(PyTorch, precision="bfloat16"), "torch", "torch", "bfloat16"
    ),
    "ours_bfloat16": Contender(
        "this book, bfloat16",
        partial(Ours, precision="bfloat16"),
        "mnist_helpers.training",
        precision="bfloat16",
    ),
}


def why_not(name: str) -> str | None:
    """Why a contender cannot take part on this machine; None where it can."""
    contender = CONTENDERS[name]
    if importlib.util.find_spec(contender.needs) is None:
        return f"{contender.needs} is not installed"
    if contender.precision == "bfloat16" and fastest_precision() != "bfloat16":
        return "no instructions for bfloat16"
    return None


# What follows runs in worker processes.

_built: dict[str, Way] = {}


@cache
def _data() -> Mnist:
    return load_mnist()


def start(name: str, task: Task, order: npt.NDArray[np.int32], num_images: int) -> dict[str, float]:
    """Measure a contender in a process that has done nothing yet but read the data.

    Returns:
        Seconds to import what it needs; seconds to the end of the first step, importing and
        building included; and, where the system reports it, the process's peak memory in bytes,
        once it had taken every step of the order and judged the images.
    """
    contender, data = CONTENDERS[name], _data()
    began = time.perf_counter()
    importlib.import_module(contender.module)
    imported = time.perf_counter()
    way: Way = contender.way(task, data.train)
    way.train(order[:1])
    stepped = time.perf_counter()
    found = {"import": imported - began, "first_step": stepped - began}
    way.train(order[1:])
    way.predict(some_images(num_images))
    return found | peak_memory()


def peak_memory() -> dict[str, float]:
    """The peak memory of this process so far, in bytes; nothing on Windows."""
    try:
        # On Linux getrusage starts from what the parent process had.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return {"memory": 1024.0 * int(status.partition("VmHWM:")[2].split()[0])}
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return {}
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"memory": float(most if sys.platform == "darwin" else most * 1024)}


def build(name: str, task: Task) -> None:
    """Make a contender ready to be trained, in place of what it had built before."""
    _built.pop(name, None)
    _built[name] = CONTENDERS[name].way(task, _data().train)


def train(name: str, order: npt.NDArray[np.int32]) -> float:
    """Seconds for the steps of an order."""
    began = time.perf_counter()
    _built[name].train(order)
    return time.perf_counter() - began


def predict(name: str, num_images: int) -> float:
    """Seconds to judge this many images."""
    images = some_images(num_images)
    began = time.perf_counter()
    _built[name].predict(images)
    return time.perf_counter() - began


def outcome(name: str, num_images: int) -> tuple[Weights, npt.NDArray[np.int64]]:
    """The weights now, and the classes of some images."""
    return _built[name].weights(), _built[name].predict(some_images(num_images))


def some_images(number: int) -> npt.NDArray[np.float32]:
    """This many test images, starting over where there are too few."""
    return np.resize(_data().test.images, (number, 784))


def _unlabelled(images: npt.NDArray[np.float32]) -> Split:
    return Split(images, np.zeros(len(images), np.int64))
