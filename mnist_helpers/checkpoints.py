"""Weights to look at without training: the book's network at five moments of its training.

A checkpoint is an ``.npz`` file of float32 arrays, one for each variable, and the number of
iterations. It holds no pickle, and none is ever loaded. Those that come with the package were
made by ``make checkpoints`` from real MNIST, with the seed that the chapters use.
"""

from __future__ import annotations

import operator
import os
import zipfile
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnist_helpers.network import ConvNet

CHECKPOINT_ITERATIONS = (0, 1, 100, 1_000, 10_000)
"""How many steps of optimisation the stored networks have had."""

CHECKPOINT_SEED = 0
"""Seed of the stored networks' first weights and of the order of their images."""


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged, or of another network."""


def save_checkpoint(net: ConvNet, path: str | os.PathLike[str]) -> None:
    """Write a network's weights, about 1 MB.

    The file appears whole or not at all: it is written under another name first.

    Args:
        net: The network.
        path: Where to; an older file there is replaced.

    Raises:
        OSError: If the file cannot be written.
    """
    target = Path(path)
    arrays = {name: variable.numpy() for name, variable in net.weights.items()}
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            np.savez(file, iterations=np.int64(net.iterations), **arrays)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def load_checkpoint(checkpoint: int | str | os.PathLike[str]) -> ConvNet:
    """Make a network with stored weights.

    Args:
        checkpoint: 0, 1, 100, 1,000 or 10,000 for a network that comes with the package, or
            the path of a file that :func:`save_checkpoint` wrote.

    Returns:
        The network, ready to use; its ``iterations`` tell how long it was trained.

    Raises:
        CheckpointError: If there is no such checkpoint, or the file is damaged, of another
            network, or anything but plain float32 numbers.
    """
    if isinstance(checkpoint, str | os.PathLike):
        return _network(_read(Path(checkpoint)), Path(checkpoint))
    iterations = operator.index(checkpoint)
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
        problem = "is no checkpoint, or is cut off" if path.exists() else "is missing"
        raise CheckpointError(f"{path} {problem}: write it anew with save_checkpoint(net, path)")
    try:
        with np.load(path, allow_pickle=False) as archive:
            # A member that is no array comes as bytes, here an array of another shape.
            return {name: np.asarray(archive[name]) for name in archive.files}
    except Exception as error:
        # A damaged file makes zipfile, the decompressors and NumPy raise errors of a dozen
        # kinds, from BadZipFile to MemoryError; to the caller they all mean the same.
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {error}") from error


def _network(arrays: dict[str, npt.NDArray[np.generic]], path: Path) -> ConvNet:
    net = ConvNet(seed=0)
    expected = {name: tuple(variable.shape) for name, variable in net.weights.items()}
    found = {name: array.shape for name, array in arrays.items() if name != "iterations"}
    if found != expected:
        raise CheckpointError(f"{path} is of another network: expected {expected}, found {found}")
    if any(arrays[name].dtype != np.float32 for name in expected):
        raise CheckpointError(f"{path} holds numbers other than float32")
    iterations = arrays.get("iterations")
    if (
        iterations is None
        or iterations.shape != ()
        or iterations.dtype != np.int64
        or int(iterations) < 0
    ):
        raise CheckpointError(f"{path} does not say how many iterations it has had")
    for name, variable in net.weights.items():
        variable.assign(arrays[name])
    net.iterations = int(iterations)
    return net
