"""MNIST as NumPy arrays, from wherever it can be had.

`load_mnist` looks in a folder that you name, then in your cache folder, then downloads
the four files from a mirror. When none of these works it falls back on scikit-learn's
small set of digits, so that every chapter can be run without a network. Unless
you pass ``check=False``, nothing whose SHA-256 is not MNIST's is taken for MNIST.

The files are in the IDX format: a big-endian header (a magic number that gives type and
rank, then the size along each axis), then the values, one byte each. It is described on
the MNIST database's own page: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database
of handwritten digits".
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import re
import struct
import sys
import tempfile
import threading
import time
import warnings
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, TypeVar, cast, get_args

import numpy as np
import platformdirs
from numpy.typing import ArrayLike, NDArray

from mnist_helpers._files import user_path

__all__ = ["DataError", "Mnist", "Split", "as_images", "as_labels", "load_mnist"]

IMAGE_SIZE = 28  # height and width of an MNIST image in pixels
IMAGE_SIZE_FLAT = IMAGE_SIZE * IMAGE_SIZE  # pixels of an image laid out in one row: 784
NUM_CLASSES = 10  # the digits 0 to 9

_Array = TypeVar("_Array", bound=NDArray[Any])
Source = Literal["auto", "mnist", "digits"]
_SOURCES = get_args(Source)


class _File(NamedTuple):
    magic: int  # 0x803: bytes, three axes; 0x801: bytes, one axis
    items: int
    sha256: str  # of the uncompressed bytes: the gzip wrapper differs from mirror to mirror


# The smallest first: a mirror that does not work is found out soonest.
_FILES = {
    "t10k-labels-idx1-ubyte": _File(
        0x801, 10_000, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    ),
    "train-labels-idx1-ubyte": _File(
        0x801, 60_000, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    ),
    "t10k-images-idx3-ubyte": _File(
        0x803, 10_000, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    "train-images-idx3-ubyte": _File(
        0x803, 60_000, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
}
# Other names for them: with a dot, numbered by a browser, EMNIST's. And all four in one.
_NAME = re.compile(
    r"(emnist-[a-z]+-)?(train|t10k|test)-(images|labels)[-.](idx[13])-ubyte(?: ?\(\d+\))?(?:\.gz)?"
)
_KERAS_NAME = re.compile(r"mnist( ?\(\d+\))?\.npz")
_MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)

# A download is tried at each mirror in turn, and all of them once more after a pause.
_ROUNDS = 2
_PAUSE = 1.0  # seconds
_TIMEOUT = (5.0, 15.0)  # seconds: to connect; of silence between two pieces
# A mirror that sends, but hardly anything, is given up on: after the grace period it must have
# sent this many bytes per second on average. That also limits the total time.
_GRACE = 20.0  # seconds
_SLOWEST = 20_000  # bytes per second

# A part of a file that nobody has written to for this long was left behind.
_STALE = 3600.0  # seconds

# The largest set that check=False lets in. It bounds the memory that a file can ask for.
_MOST_IMAGES = 1_000_000

_HOW_TO_GET = (
    f"To use files of your own, get the four .gz files from {_MIRRORS[0]} or {_MIRRORS[1]}, "
    "put them in one folder, and name it in the environment variable MNIST_DATA_DIR "
    "or in load_mnist(data_dir=...)."
)


class DataError(Exception):
    """A data file is missing or bad; the message names it and says what to do."""


def as_images(images: ArrayLike) -> NDArray[np.float32]:
    """Convert images to the one form in which the package keeps them, or refuse them.

    Args:
        images: [n, 784], [n, 28, 28], or the latter with a channel axis of 1 last or first: an
            array, a list or a tensor. uint8 is divided by 255. Other numbers, and ``True`` for ink,
            are only converted; they must lie between 0 (background) and 1 (full ink).

    Returns:
        float32 [n, 784]: the array itself if it is that already, else a new one or a new view.
    """
    array = _as_array("images", images)
    square = (IMAGE_SIZE, IMAGE_SIZE)
    if array.shape[1:] not in ((IMAGE_SIZE_FLAT,), square, (*square, 1), (1, *square)):
        hint = (
            "; for a single image, pass images[np.newaxis]" if array.size == IMAGE_SIZE_FLAT else ""
        )
        raise ValueError(
            f"images have shape {list(array.shape)}, expected [n, 784] or [n, 28, 28]: "
            f"28x28 grey pixels for each of n images{hint}"
        )
    if array.ndim != 2:
        array = array.reshape(len(array), IMAGE_SIZE_FLAT)
    with np.errstate(over="ignore"):  # what becomes infinite is refused below
        result = array.astype(np.float32, order="C", copy=False)
    if not array.size:
        return result
    if array.dtype == np.uint8:
        if array.max() == 1:
            warnings.warn(
                "uint8 images are divided by 255, and these hold only 0 and 1: "
                "if 1 is full ink, pass images.astype(bool)",
                stacklevel=3,  # where a split is made
            )
        result /= 255
        return result
    low, high = result.min(), result.max()
    if 0 <= low and high <= 1:
        return result
    if not np.isfinite([low, high]).all():
        row = np.flatnonzero(~np.isfinite(result).all(axis=1))[0]
        raise ValueError(f"images hold NaN or infinity, first in images[{row}]: leave them out")
    if low >= 0 and 1.5 < high <= 255:
        advice = "divide them by 255"
    elif low > -0.5 and high < 1.5:
        advice = "clip them with np.clip(images, 0, 1)"
    else:
        advice = "subtract their lowest value, then divide by their highest"
    raise ValueError(
        f"images run from {low:.8g} to {high:.8g}, expected 0 (background) to 1 (full ink): "
        f"{advice}"
    )


def as_labels(labels: ArrayLike) -> NDArray[np.int64]:
    """Convert class numbers to the one form in which the package keeps them, or refuse them.

    Args:
        labels: [n], whole numbers from 0 to 9 of any type: an array, a list or a tensor.

    Returns:
        int64 [n]: the array itself if it is that already, else a new one.
    """
    array = _as_array("labels", labels)
    if array.dtype == bool:
        raise TypeError("labels are booleans, expected class numbers from 0 to 9: pass those")
    if array.ndim != 1:
        hint = ": pass labels.argmax(axis=1)" if array.shape[1:] == (10,) else ""
        raise ValueError(
            f"labels have shape {list(array.shape)}, expected [n], one class number per image{hint}"
        )
    whole = array.dtype.kind in "iu"
    if not whole and (bad := array[array != np.rint(array)]).size:
        raise ValueError(f"labels hold {bad[0]:g}, expected whole numbers from 0 to 9")
    if array.size and not (array.min() >= 0 and array.max() <= 9):
        low, high = array.min(), array.max()
        letters = ": in EMNIST these are letters, so use its files emnist-digits-... instead"
        raise ValueError(
            f"labels run from {low:g} to {high:g}, expected 0 to 9"
            f"{letters if low >= 0 and high <= 61 else ''}"
        )
    return array.astype(np.int64, copy=False)


def _as_array(name: str, values: ArrayLike) -> NDArray[Any]:
    """An array of real numbers or booleans, not copied if it is one already."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # a ragged list, a tensor that refuses
        raise TypeError(f"{name} do not make an array of numbers: {error}") from error
    if not np.can_cast(array.dtype, np.float32, "same_kind"):
        found = "text" if array.dtype.kind in "SUT" else f"of type {array.dtype}"
        raise TypeError(
            f"{name} are {found}, expected real numbers: convert them first, "
            f"for example with np.array({name}, float)"
        )
    return array


def _frozen(array: _Array, given: _Array) -> _Array:
    """Make an array read-only: itself where nobody else can change it, else a copy."""
    shared = array is given or np.may_share_memory(array, given)
    if shared and (array.flags.writeable or not array.flags.owndata):
        array = array.copy()
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Split:
    """Images and their labels, which nobody can change afterwards.

    A split takes whatever `as_images` and `as_labels` take, and copies it: your own arrays stay
    as they are. (An array that is read-only, owns its memory and needs no conversion is shared.)
    Both of its own arrays are read-only, because training keeps what it makes of them: to change
    something, make a new split, as in ``Split(split.images, other_labels)``.

    Attributes:
        images: float32 [n, 784], each row the 28 rows of one image, one after the other;
            0 is the background and 1 is full ink.
        labels: int64 [n], the class numbers 0 to 9.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __init__(self, images: ArrayLike, labels: ArrayLike) -> None:
        """Convert, check, copy where needed, and freeze."""
        for name, values, convert in ("images", images, as_images), ("labels", labels, as_labels):
            given = _as_array(name, values)
            object.__setattr__(self, name, _frozen(convert(given), given))
        if len(self.labels) != len(self.images):
            raise ValueError(
                f"labels must have shape [{len(self.images)}], one for each image, "
                f"not {list(self.labels.shape)}"
            )

    def __reduce__(self) -> tuple[type[Split], tuple[NDArray[Any], NDArray[Any]]]:
        """Copy and pickle through the constructor: NumPy makes writable copies."""
        return Split, (self.images, self.labels)

    @cached_property
    def pixels(self) -> NDArray[np.uint8] | None:
        """The images as whole numbers 0 to 255, in a quarter of the memory: uint8 [n, 784].

        ``None`` where that would lose something: images that were not made by dividing such
        numbers by 255.
        """
        # A piece at a time: the whole of MNIST would need half a gigabyte here.
        pixels = np.empty(self.images.shape, np.uint8)
        for start in range(0, len(self), 1_000):
            piece = self.images[start : start + 1_000]
            with np.errstate(invalid="ignore"):  # not finite: the comparison below refuses it
                whole = np.rint(piece * 255).astype(np.uint8)
            if not np.array_equal(whole / np.float32(255), piece):
                return None
            pixels[start : start + 1_000] = whole
        pixels.flags.writeable = False
        return pixels

    @property
    def one_hot(self) -> NDArray[np.float32]:
        """The labels as float32 [n, 10]: 1 in the label's column, 0 elsewhere."""
        return np.eye(10, dtype=np.float32)[self.labels]

    def __len__(self) -> int:
        """The number of images."""
        return len(self.labels)

    def __repr__(self) -> str:
        """The arrays' types and shapes, not their values."""
        return (
            f"Split(images={self.images.dtype}{list(self.images.shape)}, "
            f"labels={self.labels.dtype}{list(self.labels.shape)})"
        )


@dataclass(frozen=True, eq=False)
class Mnist:
    """The three splits of a data set.

    Attributes:
        train: what the network learns from (MNIST: 55,000 images).
        validation: held back from the training file, to judge choices by (5,000).
        test: never looked at before the end (10,000).
        source: "mnist" when it was read from files, "digits" for the stand-in.
    """

    train: Split
    validation: Split
    test: Split
    source: Literal["mnist", "digits"]


def load_mnist(
    source: Source = "auto",
    data_dir: str | os.PathLike[str] | None = None,
    check: bool = True,
    download: bool = True,
) -> Mnist:
    """Load the images and labels, split for training, validation and test.

    The first of these that applies is used:

    1. the folder `data_dir`;
    2. the folder that the environment variable `MNIST_DATA_DIR` names;
    3. your cache folder, after downloading whatever is missing or damaged there;
    4. under "auto" only, and with one line on standard error: the stand-in, which is
       scikit-learn's 1,797 digits of 8x8 pixels drawn at 28x28.

    A folder that you name is used or refused, never passed over. It holds the four files
    (train-images-idx3-ubyte, ...), each as it is or with .gz. They may also be named
    train-images.idx3-ubyte, carry a browser's number (" (1)"), lie in MNIST/raw or raw below the
    folder, where torchvision puts them, or be one file, Keras's mnist.npz. EMNIST's files
    (emnist-digits-train-images-idx3-ubyte, ...) hold each image column by column; under those
    names they are turned upright.
    The validation split is the first twelfth of the training file (MNIST: the first 5,000
    images), the training split is the rest. The stand-in is divided 55 : 5 : 10 as well.

    Args:
        source: "mnist" for MNIST or an error; "digits" for the stand-in, read from no
            file; "auto" for MNIST if it can be had. The environment variable
            `MNIST_SOURCE` gives "auto" another meaning: `MNIST_SOURCE=digits` is the
            stand-in at once, `MNIST_SOURCE=mnist` is MNIST or an error.
        data_dir: a folder with the four files.
        check: compare the SHA-256 of the files in a named folder with MNIST's. Without
            it any well-formed set of 28x28 images with labels 0 to 9 is let in
            (Fashion-MNIST, EMNIST's digits, your own), with a warning when a split lacks a
            class that another has. What is cached or downloaded is always compared.
        download: fetch what the cache lacks. Without it no other computer is asked, and
            the cache is used if it is complete.

    Returns:
        The splits. Pixels are the files' bytes divided by 255.

    Raises:
        DataError: a file is missing, damaged or not what it should be.
    """
    if source not in _SOURCES:
        raise ValueError(f'source must be "auto", "mnist" or "digits", not {source!r}')
    if data_dir is not None:
        if source == "digits":
            raise ValueError('source="digits" reads no folder: leave out source or data_dir')
        return _from_folder(data_dir, "data_dir", check)
    if source == "auto":
        source = _source_from_environment()
    if source == "digits":
        return _digits()
    if folder := os.environ.get("MNIST_DATA_DIR"):
        return _from_folder(folder, "MNIST_DATA_DIR", check)
    try:
        return _from_cache_or_mirrors(download)
    except DataError:
        if source == "mnist":
            raise
    why = "MNIST is not at hand and could not be downloaded" if download else "MNIST is not here"
    _print_to_stderr(
        f"{why}: using scikit-learn's small set of "
        "digits instead, so the numbers will differ from the book's. "
        'load_mnist("mnist") says why, and how to get the files.'
    )
    return _digits()


def _source_from_environment() -> Source:
    named = os.environ.get("MNIST_SOURCE") or "auto"
    if named not in _SOURCES:
        raise ValueError(
            f"the environment variable MNIST_SOURCE is {named!r}: "
            "set it to auto, mnist or digits, or remove it"
        )
    if named == "digits":
        _print_to_stderr(
            "MNIST_SOURCE=digits: using scikit-learn's small set of digits instead of MNIST, "
            "so the numbers will differ from the book's."
        )
    return cast(Source, named)


def _print_to_stderr(line: str) -> None:
    """Print one line to standard error, which stored outputs do not include."""
    print(line, file=sys.stderr, flush=True)


# Files on disk


def _from_folder(named: str | os.PathLike[str], named_by: str, check: bool) -> Mnist:
    folder = user_path(named)
    which = f"{folder}, which {named_by} names,"
    if os.path.isfile(folder):
        raise DataError(f"{which} is a file: name the folder in which it lies.")
    if not os.path.isdir(folder):
        raise DataError(f"There is no folder {which[:-1]}. {_HOW_TO_GET}")
    try:
        contents = _contents(folder)
        # Below the folder: where torchvision puts the files.
        places = filter(os.path.isdir, (folder, folder / "raw", folder / "MNIST" / "raw"))
        origin, paths = max(map(_find_set, places), key=lambda found: len(found[1]))
    except OSError as error:
        raise DataError(f"The folder {which} cannot be read: {error.strerror}.") from error
    if missing := [name for name in _FILES if name not in paths]:
        more = f" and {len(contents) - 8} more" if len(contents) > 8 else ""
        holds = f"It holds {', '.join(contents[:8])}{more}." if contents else "It is empty."
        raise DataError(
            f"The folder {which} lacks {', '.join(missing)}. {holds} All four files must be there, "
            f"each as it is or with .gz, or else Keras's mnist.npz. {_HOW_TO_GET}"
        )
    try:
        arrays = {name: _read_file(path, name, check) for name, path in paths.items()}
    except DataError as error:
        advice = _HOW_TO_GET
        if check:
            advice += " If it is another set on purpose, pass check=False."
        raise DataError(f"{error} {advice}") from error
    if origin.startswith("emnist"):  # which stores each image column by column
        for name, array in arrays.items():
            if array.ndim == 2:
                arrays[name] = array.reshape(-1, 28, 28).transpose(0, 2, 1)
    mnist = _to_mnist(arrays, where=str(folder))
    if not check:
        _warn_of_missing_classes(mnist)
    return mnist


def _contents(folder: Path) -> list[str]:
    """The names in a folder, the plainest first; those of folders end in a slash."""
    with os.scandir(folder) as entries:
        names = [entry.name + "/" * entry.is_dir() for entry in entries]
    return sorted(names, key=lambda name: (len(name), name))


def _find_set(folder: Path) -> tuple[str, dict[str, Path]]:
    """Find the most complete set in a folder: its origin, and the files by their usual names.

    Among several complete ones, the origin that is named first here wins.
    """
    origins = "", "emnist-digits-", "emnist-mnist-", "keras"
    sets: dict[str, dict[str, Path]] = {origin: {} for origin in origins}
    for found in _contents(folder):
        if match := _NAME.fullmatch(found):
            origin, part, kind, idx = match.groups(default="")
            name = f"{part.replace('test', 't10k')}-{kind}-{idx}-ubyte"
            sets.setdefault(origin, {}).setdefault(name, folder / found)
        elif _KERAS_NAME.fullmatch(found):
            sets["keras"] = dict.fromkeys(_FILES, folder / found)
    return max(sets.items(), key=lambda item: len(item[1]))


def _warn_of_missing_classes(mnist: Mnist) -> None:
    splits = {"training": mnist.train, "validation": mnist.validation, "test": mnist.test}
    counts = {name: np.bincount(split.labels, minlength=10) for name, split in splits.items()}
    for name, count in counts.items():
        missing = np.flatnonzero((count == 0) & (sum(counts.values()) > 0)).tolist()
        if missing:
            warnings.warn(
                f"The {name} split has no image of the classes {missing}. If the files are sorted "
                "by class, shuffle them: validation gets the first twelfth of the training file.",
                stacklevel=4,
            )


def _read_file(path: Path, name: str, check: bool) -> NDArray[np.uint8]:
    try:
        with open(path, "rb") as stream:
            if path.suffix == ".npz":
                return _read_npz(stream, name, str(path), check)
            return _read_idx(stream, name, str(path), check)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}.") from error


def _read_idx(stream: IO[bytes], name: str, where: str, check: bool) -> NDArray[np.uint8]:
    """Read one IDX file, gzip-compressed or not: [n, 784] for images, [n] for labels.

    Never takes more than the header promises, nor more than is expected of the file, so
    that a small file that expands without end does no harm.
    """
    magic, count, sha256 = _FILES[name]
    header_format, values_each = (">4I", IMAGE_SIZE_FLAT) if magic == 0x803 else (">2I", 1)
    header_size = struct.calcsize(header_format)

    def bad(problem: str) -> DataError:
        return DataError(f"{where} {problem}.")

    reader: IO[bytes] | gzip.GzipFile = stream
    try:
        if stream.read(2) == b"\x1f\x8b":
            reader = gzip.GzipFile(fileobj=stream)
        stream.seek(0)
        header = bytes(_read(reader, header_size))
        if header.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            raise bad(f"is a web page (perhaps a login page), expected {name} as IDX or gzip")
        if len(header) < header_size:
            raise bad(f"ends after {len(header)} bytes, expected a header of {header_size}")
        number, n, *axes = struct.unpack(header_format, header)
        if number != magic:
            raise bad(f"begins with the number {number:#010x}, expected IDX's {magic:#010x}")
        if axes not in ([], [28, 28]):
            raise bad(f"holds images of {axes[0]}x{axes[1]} pixels, expected 28x28")
        if check and n != count:
            raise bad(f"holds {n:,} items, expected MNIST's {count:,}")
        if not 1 <= n <= _MOST_IMAGES:
            raise bad(f"holds {n:,} items, expected 1 to {_MOST_IMAGES:,}")
        # One byte more than promised: it shows when a file is too long, and reading to
        # the end makes gzip verify its own checksum.
        values = _read(reader, n * values_each + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise bad(f"is cut short or damaged ({error})") from error
    if len(values) != n * values_each:
        length = "more" if len(values) > n * values_each else f"only {len(values):,}"
        raise bad(f"holds {length} bytes of values, expected {n * values_each:,}")
    if check:
        digest = hashlib.sha256(header)
        digest.update(values)
        if digest.hexdigest() != sha256:
            raise bad(f"is not MNIST's: its SHA-256 is {digest.hexdigest()}, expected {sha256}")
    array = np.frombuffer(values, np.uint8)
    return array.reshape(n, IMAGE_SIZE_FLAT) if magic == 0x803 else array


def _read_npz(stream: IO[bytes], name: str, where: str, check: bool) -> NDArray[np.uint8]:
    """Read one array of Keras's mnist.npz as if it were the IDX file. Nothing is unpickled."""
    magic, count, _ = _FILES[name]
    key = f"{'x' if magic == 0x803 else 'y'}_{name.split('-')[0].replace('t10k', 'test')}"
    rank, most = magic & 0xFF, count if check else _MOST_IMAGES
    try:
        with zipfile.ZipFile(stream) as archive, archive.open(f"{key}.npy") as member:
            np.lib.format.read_magic(member)
            shape, columns_first, dtype = np.lib.format.read_array_header_1_0(member)
            if len(shape) != rank or dtype != np.uint8 or columns_first:
                raise ValueError(
                    f"{key} is {dtype}{list(shape)}, expected uint8 "
                    f"{'[n, 28, 28]' if rank == 3 else '[n]'}"
                )
            values = _read(member, min(math.prod(shape), most * IMAGE_SIZE_FLAT) + 1)
        header = struct.pack(f">{1 + rank}I", magic, *shape)
    # What zipfile and NumPy raise for damaged files has no common base class.
    except Exception as error:
        raise DataError(f"{where} is not Keras's mnist.npz, or is damaged ({error}).") from error
    return _read_idx(io.BytesIO(header + values), name, f"{key} in {where}", check)


def _read(stream: IO[bytes] | gzip.GzipFile, size: int) -> bytearray:
    """Up to `size` bytes, in memory that grows with what comes, not with `size`."""
    data = bytearray()
    while chunk := stream.read(min(size - len(data), 1 << 20)):
        data += chunk
    return data


def _to_mnist(arrays: dict[str, NDArray[np.uint8]], where: str) -> Mnist:
    pairs = {}
    for part in ("train", "t10k"):
        names = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
        images, labels = pairs[part] = arrays[names[0]], arrays[names[1]]
        if len(images) != len(labels):
            raise DataError(
                f"{where} holds {len(images):,} images in {names[0]} but "
                f"{len(labels):,} labels in {names[1]}, expected the same number."
            )
    images, labels = pairs["train"]
    cut = len(images) // 12
    if cut == 0:
        raise DataError(f"{where} holds {len(images)} training images, expected 12 or more.")
    try:
        return Mnist(
            train=Split(images[cut:], labels[cut:]),
            validation=Split(images[:cut], labels[:cut]),
            test=Split(*pairs["t10k"]),
            source="mnist",
        )
    except ValueError as error:  # the labels: any byte makes a pixel
        raise DataError(f"In {where}, {error}.") from error


# The cache and the mirrors


def _cache_folder() -> Path:
    return platformdirs.user_cache_path("mnist_helpers", appauthor=False)


def _from_cache_or_mirrors(download: bool) -> Mnist:
    folder = _cache_folder()
    mirrors = list(_MIRRORS)
    arrays = {}
    announced = False
    not_kept = None
    for name in _FILES:
        path = folder / f"{name}.gz"
        if os.path.isfile(path):
            try:
                arrays[name] = _read_file(path, name, check=True)
                continue
            except DataError as error:
                if not download:
                    raise
                _print_to_stderr(f"{error} It will be replaced.")
        if not download:
            raise DataError(
                f"{path} is missing, and download=False forbids a download. {_HOW_TO_GET}"
            )
        if not announced:
            _print_to_stderr(f"Downloading MNIST (11 MB) into {folder}")
            announced = True
        arrays[name], raw = _download(name, mirrors)
        try:
            _store(path, raw)
        except OSError as error:
            # On Windows a file that another process is reading cannot be replaced: then it is
            # there already, and nothing needs to be said.
            if not os.path.isfile(path):
                not_kept = error
    if not_kept is not None:
        _print_to_stderr(
            f"MNIST could not be kept in {folder} ({not_kept}): next time it is downloaded again."
        )
    return _to_mnist(arrays, where=str(folder))


def _store(path: Path, raw: bytes) -> None:
    """Put the file in place in one step, so that no other process sees only part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob("*.part"):
        # Left by a process that was killed. A newer one may be in use still, or be gone by now.
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE:
                left.unlink()
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with open(descriptor, "wb") as stream:
            stream.write(raw)
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)


def _download(name: str, mirrors: list[str]) -> tuple[NDArray[np.uint8], bytes]:
    """Get one file from the first mirror that sends it intact; move that mirror to the front."""
    magic, count, _ = _FILES[name]
    # More than the file without compression: some servers send it unpacked.
    limit = count * (IMAGE_SIZE_FLAT if magic == 0x803 else 1) + 10_000
    reasons = []
    for attempt in range(_ROUNDS):
        if attempt > 0:
            time.sleep(_PAUSE)
        for mirror in tuple(mirrors):
            url = f"{mirror}{name}.gz"
            try:
                raw = _fetch(url, limit)
                array = _read_idx(io.BytesIO(raw), name, url, check=True)
            except DataError as error:
                reasons.append(str(error))
                continue
            mirrors.remove(mirror)
            mirrors.insert(0, mirror)
            return array, raw
    told = "\n".join(dict.fromkeys(reasons))
    raise DataError(f"MNIST could not be downloaded:\n{told}\n{_HOW_TO_GET}")


def _fetch(url: str, limit: int) -> bytes:
    """Download into memory, within a limit of bytes and of time.

    The transfer runs in a thread of its own, because the library's timeouts count from
    one piece to the next and begin after the host's name is found: only from outside can
    the whole be limited. A transfer that is given up on finds its sink closed, and ends.
    """
    import requests

    sink = io.BytesIO()
    errors: list[Exception] = []

    def transfer() -> None:
        try:
            with requests.get(url, stream=True, timeout=_TIMEOUT) as response:
                response.raise_for_status()
                for piece in response.iter_content(1 << 14):
                    sink.write(piece)
                    if sink.tell() > limit:
                        raise ValueError(f"more than {limit:,} bytes, too many for this file")
        except Exception as error:  # whatever goes wrong, it is this mirror that fails
            errors.append(error)

    show = sys.stderr.isatty()

    def tell() -> None:
        if show:
            name, size = url.rsplit("/", 1)[-1], sink.tell() / 1e6
            print(f"\r{name} {size:.1f} MB", end="", file=sys.stderr, flush=True)

    thread = threading.Thread(target=transfer, daemon=True)
    start = time.monotonic()
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.1)
            tell()
            elapsed = time.monotonic() - start
            if sink.tell() < (elapsed - _GRACE) * _SLOWEST:
                raise DataError(f"{url} is too slow: {sink.tell():,} bytes in {elapsed:.0f} s.")
        tell()
        if errors:
            raise DataError(f"{url} failed: {errors[0]}.") from errors[0]
        return sink.getvalue()
    finally:
        sink.close()
        if show:
            print(file=sys.stderr)


# The stand-in


def _digits() -> Mnist:
    """scikit-learn's digits in MNIST's form, in their own order, 55 : 5 : 10."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = _draw(pixels.reshape(-1, 8, 8) / 16)
    labels = labels.astype(np.int64)
    validation = len(labels) // 14
    test = len(labels) - len(labels) // 7
    return Mnist(
        train=Split(images[validation:test], labels[validation:test]),
        validation=Split(images[:validation], labels[:validation]),
        test=Split(images[test:], labels[test:]),
        source="digits",
    )


def _draw(small: NDArray[np.float64]) -> NDArray[np.float32]:
    """Draw [n, 8, 8] in 0..1 as MNIST's digits are: 20x20 in the middle of 28x28, [n, 784].

    Cubic convolution makes the strokes smooth (R. Keys, "Cubic convolution interpolation
    for digital image processing", 1981, with a = -1/2). Then the contrast is raised until
    the strokes are as full, and the background as empty, as MNIST's: about 20% of the
    pixels with ink, 9% darker than 0.9.
    """
    positions = (np.arange(20) + 0.5) * 8 / 20 - 0.5
    x = np.abs(positions[:, np.newaxis] - np.arange(8))  # [20, 8]
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x <= 1, near, np.where(x < 2, far, 0))
    large = weights @ small @ weights.T  # [n, 20, 20]
    images = np.zeros((len(small), 28, 28), np.float32)
    images[:, 4:24, 4:24] = np.clip((large - 0.3) / 0.5, 0, 1)
    return images.reshape(-1, IMAGE_SIZE_FLAT)
