"""Weights to look at without training: the book's network at five moments of its training.

A checkpoint is an ``.npz`` file of float32 arrays, one for each variable, and the number of
iterations. It holds no pickle, and none is ever loaded. Those that come with the package were
made by ``make checkpoints`` from real MNIST, with the seed that the chapters use.

A training state, three times as large, holds what the optimiser remembers as well, so that
training can stop, and go on in another process as if it had not.

Both are for the book's network as it is. Any other, or one with another layer or setting, is
refused, because the file would not say so; ``pickle`` keeps such a network whole.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Set
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_helpers._checks import check_count
from mnist_helpers._files import replacing, user_path
from mnist_helpers._quiet import quiet
from mnist_helpers._tracing import Parts, first_difference, parts_of
from mnist_helpers.network import ConvNet, Network
from mnist_helpers.optimizer import TrainingState

with quiet():
    import tensorflow as tf

CHECKPOINT_ITERATIONS = (0, 1, 100, 1_000, 10_000)
"""How many steps of optimisation the stored networks have had."""

CHECKPOINT_SEED = 0  # of the stored networks' starting weights and the order of their images


_WHAT_NUMBERS_TELL = {
    "iterations": "how many iterations its network has had",
    "steps": "how many steps its optimiser has taken",
    "batch_size": "how many images a step takes",
    "seed": "in which order the images come",
}


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or of another network; or a network that fits none."""


def save_checkpoint(net: ConvNet, path: str | os.PathLike[str]) -> None:
    """Write a network's weights, about 1 MB; an older file there is replaced.

    The file appears whole or not at all: it is written under another name first.

    Raises:
        CheckpointError: If it is not the book's network.
        OSError: If the file cannot be written.
    """
    _write(path, _weights(net))


def save_training(net: ConvNet, path: str | os.PathLike[str]) -> None:
    """Write all that training needs to go on: weights, Adam's memory, the order of images.

    About 3 MB; otherwise as :func:`save_checkpoint`.

    Raises:
        CheckpointError: If it is not the book's network.
        OSError: If the file cannot be written.
    """
    arrays = _weights(net)
    state = net.training_state
    if state is None or not state.is_of(list(net.weights.values())):
        state = net.training_state = TrainingState(list(net.weights.values()))
    for name, mean, square in zip(net.weights, state.means, state.squares, strict=True):
        arrays[f"mean/{name}"] = mean.numpy()
        arrays[f"square/{name}"] = square.numpy()
    numbers = {"steps": state.steps.numpy(), "batch_size": state.batch_size, "seed": state.seed}
    arrays |= {name: np.asarray(number, np.int64) for name, number in numbers.items()}
    _write(path, arrays)


def load_training(path: str | os.PathLike[str]) -> ConvNet:
    """Make a network that goes on training where :func:`save_training` left it.

    With the same images, :func:`~mnist_helpers.training.optimize` then gives, to the bit, the
    weights that it would have given on the same machine without the stop; the batch size and
    the order of the images stay as they were.

    Raises:
        CheckpointError: If the file is missing or damaged, belongs to another network, or
            holds weights alone or anything but plain numbers.
    """
    source = user_path(path)
    arrays = _read(source)
    if arrays and "steps" not in arrays:
        raise CheckpointError(
            f"{source} holds no training state: if save_checkpoint wrote it, open it with "
            "load_checkpoint(path); the optimiser then starts afresh"
        )
    net = ConvNet(seed=0)
    state = net.training_state = TrainingState(list(net.weights.values()))
    means = dict(zip((f"mean/{name}" for name in net.weights), state.means, strict=True))
    squares = dict(zip((f"square/{name}" for name in net.weights), state.squares, strict=True))
    _fill(net.weights | means | squares, arrays, source, {"steps", "batch_size", "seed"})
    net.iterations = _number(arrays, "iterations", source)
    state.steps.assign(_number(arrays, "steps", source))
    state.batch_size = _number(arrays, "batch_size", source, least=1)
    state.seed = _number(arrays, "seed", source)
    return net


def load_checkpoint(checkpoint: int | str | os.PathLike[str]) -> ConvNet:
    """Make a network with stored weights; its ``iterations`` tell how long it was trained.

    Args:
        checkpoint: 0, 1, 100, 1,000 or 10,000 for a network that comes with the package, or
            the path of a file that :func:`save_checkpoint` wrote.

    Raises:
        CheckpointError: If there is no such checkpoint, or the file is damaged, belongs to
            another network, or holds anything but plain float32 numbers.
    """
    if isinstance(checkpoint, str | os.PathLike):
        source = user_path(checkpoint)
        arrays = _read(source)
        if "steps" in arrays:
            raise CheckpointError(
                f"{source} holds a training state, not weights alone: open it with "
                "load_training(path)"
            )
        return _network(arrays, source)
    iterations = check_count("checkpoint", checkpoint, least=0)
    if iterations not in CHECKPOINT_ITERATIONS:
        known = ", ".join(f"{number:,}" for number in CHECKPOINT_ITERATIONS)
        raise CheckpointError(
            f"there is no checkpoint at {iterations:,} iterations; those that come with the "
            f"book are at {known}. Train one yourself with optimize(net, data.train, …)."
        )
    folder = resources.files("mnist_helpers") / "checkpoints"
    with resources.as_file(folder / f"{iterations}.npz") as path:
        return _network(_read(path), path)


def _read(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    # Only a zip archive is opened: a bare pickle is not even looked at.
    if not zipfile.is_zipfile(path):
        problem = "is missing"
        if path.is_dir():
            problem = "is a folder, not a checkpoint"
        elif path.exists():
            problem = "is not a checkpoint, or is cut short"
        elif not path.parent.is_dir():
            problem = f"is missing, and so is the folder {path.parent}"
        raise CheckpointError(
            f"{path} {problem}: write it again with save_checkpoint(net, path) or "
            "save_training(net, path), or name another file"
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            # A member that is not an array comes as bytes, which make an array of another shape.
            return {name: np.asarray(archive[name]) for name in archive.files}
    except Exception as error:
        # A damaged file makes zipfile, the decompressors and NumPy raise errors of a dozen
        # kinds, from BadZipFile to MemoryError; to the caller they all mean the same.
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {error}") from error


def _network(arrays: dict[str, npt.NDArray[np.generic]], path: Path) -> ConvNet:
    net = ConvNet(seed=0)
    _fill(net.weights, arrays, path)
    net.iterations = _number(arrays, "iterations", path)
    return net


def _weights(net: ConvNet) -> dict[str, npt.NDArray[np.generic]]:
    """What a checkpoint holds: all of the book's network; of any other it would lose something."""
    if not isinstance(net, Network):
        raise TypeError(f"pass the network first, then the path; got {type(net).__name__}")
    if changed := first_difference(_shapes(net), _shapes(ConvNet(seed=0))):
        what = f"{changed} differs" if type(net) is ConvNet else f"this is a {type(net).__name__}"
        raise CheckpointError(
            f"a checkpoint holds only the weights of the book's network, but {what}: the "
            "difference would be lost. pickle.dump(net, file) keeps all of it."
        )
    arrays = {name: variable.numpy() for name, variable in net.weights.items()}
    return {"iterations": np.asarray(net.iterations, np.int64), **arrays}


def _shapes(net: Network) -> Parts:
    """The parts of a network, but for each variable only its shape and type."""
    return {
        name: (*part.shape, part.dtype.name) if isinstance(part, tf.Variable) else part
        for name, part in parts_of(net).items()
    }


def _write(path: str | os.PathLike[str], arrays: dict[str, Any]) -> None:
    with replacing(user_path(path), "wb") as file:
        np.savez(file, **arrays)


def _fill(
    variables: dict[str, tf.Variable],
    arrays: dict[str, npt.NDArray[np.generic]],
    path: Path,
    numbers: Set[str] = frozenset(),
) -> None:
    """Give each variable its array, when all of them are what they should be."""
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    others = numbers | {"iterations"}
    found = {name: array.shape for name, array in arrays.items() if name not in others}
    if found != expected:
        raise CheckpointError(
            f"{path} belongs to another network: expected {expected}, found {found}"
        )
    if any(arrays[name].dtype != np.float32 for name in expected):
        raise CheckpointError(f"{path} holds numbers other than float32")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _number(
    arrays: dict[str, npt.NDArray[np.generic]], name: str, path: Path, least: int = 0
) -> int:
    """Read one of the whole numbers of a file."""
    array = arrays.get(name)
    if array is None or array.shape != () or array.dtype != np.int64 or int(array) < least:
        raise CheckpointError(f"{path} does not say {_WHAT_NUMBERS_TELL[name]}")
    return int(array)
