"""What the lab's page loads besides its script: the five checkpoints, and digits to train on.

A Sphinx extension, which writes them into the site's ``_static/lab`` at the end of each build.
They are never kept in the repository: the checkpoints are there already, as ``.npz``, and
the digits are MNIST's if MNIST is on this machine (it is not downloaded for this), otherwise
the stand-in's. Their form is described where they are read, in ``lab/src/data.ts``, and for the
small copies of the checkpoints in ``lab/src/small.ts``. Each file is there once more as a script,
in ``offline``, for a page that is opened without a server (``lab/src/files.ts``).
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import struct
import zlib
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata

from mnist_helpers.data import DataError, Mnist, Split, load_mnist

NUM_TRAIN = 6_000
NUM_TEST = 1_000

WEIGHTS = [
    f"{layer}/{kind}"
    for layer in ("conv1", "conv2", "fc1", "fc2")
    for kind in ("weights", "biases")
]
"""The arrays of a checkpoint, in the order in which they are written."""

BITS = {"conv2/weights": 8, "fc1/weights": 6}
"""In a small copy, the weights that are whole numbers of steps, and how many bits they have."""


def write_checkpoints(folder: Path) -> None:
    """Write each checkpoint of the package as ``checkpoints/ITERATIONS.bin``, and a small copy.

    The arrays follow each other as little-endian float32; the CRC-32 of them all comes
    last, as a little-endian uint32. The copy, ``small/ITERATIONS.bin``, is what zlib makes of
    :func:`small_copy`.
    """
    for name in ("checkpoints", "small"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    # Read here, and not by load_checkpoint, which would import TensorFlow.
    for file in (resources.files("mnist_helpers") / "checkpoints").iterdir():
        name = file.name.removesuffix(".npz")
        if name.isdecimal():
            with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as stored:
                arrays = [stored[name].astype("<f4") for name in WEIGHTS]
            numbers = b"".join(array.tobytes() for array in arrays)
            checksum = zlib.crc32(numbers).to_bytes(4, "little")
            (folder / "checkpoints" / f"{name}.bin").write_bytes(numbers + checksum)
            (folder / "small" / f"{name}.bin").write_bytes(_packed(small_copy(arrays)))


def small_copy(arrays: list[NDArray[np.float32]]) -> bytes:
    """The weights with fewer bits: float32, but for those named in ``BITS``.

    For these, first the size of a step for each output (the last axis), float32, then how many
    steps each weight has, a signed byte. An output's largest weight has the largest count.
    """
    parts = []
    for name, array in zip(WEIGHTS, arrays, strict=True):
        if name not in BITS:
            parts.append(array.tobytes())
            continue
        rows = array.reshape(-1, array.shape[-1])
        steps = (np.abs(rows).max(axis=0) / (2 ** (BITS[name] - 1) - 1)).astype("<f4")
        parts += [steps.tobytes(), np.rint(rows / steps).astype(np.int8).tobytes()]
    return b"".join(parts)


def _packed(numbers: bytes) -> bytes:
    """As zlib packs what has few repetitions: 3% smaller than with its usual strategy."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_FILTERED)
    return packer.compress(numbers) + packer.flush()


def write_scripts(folder: Path, names: list[str]) -> None:
    """Write some of the folder's files once more, ``offline/NAME.js``: scripts that hold them.

    A page that is opened without a server may load nothing else.
    """
    for name in names:
        letters = base64.b64encode(zlib.compress((folder / name).read_bytes(), 9)).decode()
        script = f'(window.labFiles ??= {{}})["{name}"] = "{letters}";\n'
        target = folder / "offline" / f"{name}.js"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(script, encoding="ascii", newline="\n")


def mnist_on_this_machine() -> Mnist:
    """MNIST from ``MNIST_DATA_DIR`` or the cache, else the stand-in; never a download.

    Raises:
        DataError: ``MNIST_DATA_DIR`` names a folder that does not hold MNIST.
    """
    if os.environ.get("MNIST_SOURCE") == "digits":
        return load_mnist("digits")
    try:
        return load_mnist("mnist", download=False)
    except DataError:
        if os.environ.get("MNIST_DATA_DIR"):
            raise
        return load_mnist("digits")


def write_mnist(folder: Path, data: Mnist) -> int:
    """Write all of MNIST as its four files into ``mnist``, under names no host decodes.

    Returns:
        Their bytes in all.
    """
    target = folder / "mnist"
    target.mkdir(parents=True, exist_ok=True)
    total = 0
    whole = {"train": (data.validation, data.train), "test": (data.test,)}
    for part, splits in whole.items():
        images = np.concatenate([_grey_levels(split) for split in splits])
        labels = np.concatenate([split.labels.astype(np.uint8) for split in splits])
        # IDX: a magic number, which says type and rank, then the size along each axis.
        header = struct.pack(">4I", 0x803, len(images), 28, 28)
        for kind, content in (
            ("images", header + images.tobytes()),
            ("labels", struct.pack(">2I", 0x801, len(labels)) + labels.tobytes()),
        ):
            # The same bytes at each build.
            packed = gzip.compress(content, compresslevel=6, mtime=0)
            (target / f"{part}-{kind}.bin").write_bytes(packed)
            total += len(packed)
    return total


def write_digits(folder: Path) -> dict[str, Any]:
    """Write ``digits.bin`` and ``digits.json``.

    Returns:
        What ``digits.json`` says: the ``source``; how many digits there are to ``train``
        and to ``test`` on; in ``trainOf``, how many the whole training split has; the ``crc32``
        of ``digits.bin``; in ``mnistBytes``, how many bytes all of MNIST has, where it is here.
    """
    data = mnist_on_this_machine()
    train, test = _spread(data.train, NUM_TRAIN), _spread(data.test, NUM_TEST)
    content = b"".join(
        [
            *(_grey_levels(split).tobytes() for split in (train, test)),
            *(split.labels.astype(np.uint8).tobytes() for split in (train, test)),
        ]
    )
    about = {
        "source": data.source,
        "train": len(train),
        "trainOf": len(data.train),
        "test": len(test),
        "crc32": zlib.crc32(content),
        "mnistBytes": write_mnist(folder, data) if data.source == "mnist" else 0,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "digits.bin").write_bytes(content)
    (folder / "digits.json").write_text(json.dumps(about) + "\n", encoding="utf-8")
    return about


def _grey_levels(split: Split) -> NDArray[np.uint8]:
    """The images as MNIST's files have them, 0 to 255."""
    return np.rint(split.images * 255).astype(np.uint8)


def _spread(split: Split, count: int) -> Split:
    """Some of the images, from all over the split: MNIST's first ones are easier to read."""
    count = min(count, len(split))
    rows: NDArray[np.intp] = np.arange(count) * len(split) // count
    return Split(split.images[rows], split.labels[rows])


def write_all(folder: Path) -> str:
    """Write everything into the folder; returns one line that says what was written."""
    write_checkpoints(folder)
    about = write_digits(folder)
    written = [*folder.glob("checkpoints/*.bin"), *folder.glob("small/*.bin")]
    names = [path.relative_to(folder).as_posix() for path in sorted(written)]
    write_scripts(folder, [*names, "digits.json", "digits.bin", "network.wasm"])
    name = {"mnist": "MNIST", "digits": "scikit-learn's digits, as MNIST is not here"}
    return (
        f"The lab has its checkpoints, {about['train']:,} digits to train and "
        f"{about['test']:,} to test on: {name[about['source']]}."
    )


def _write_into_site(app: Sphinx, exception: Exception | None) -> None:
    folder = Path(app.outdir) / "_static" / "lab"
    # A book without the lab's script, such as a test builds, needs no data for it.
    if exception is None and folder.is_dir():
        logging.getLogger(__name__).info(write_all(folder))


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension."""
    app.connect("build-finished", _write_into_site)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
