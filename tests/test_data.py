"""The data: what is let in, what is refused, and where it is looked for.

Files are written for each test, mirrors are web servers on this machine. No test reads or
writes the user's own cache, none asks another host.
"""

from __future__ import annotations

import copy
import gc
import gzip
import hashlib
import io
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import data_server
import numpy as np
import pytest
from data_server import Answer, Mirror, serve
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from mnist_helpers import data
from mnist_helpers.data import DataError, Mnist, Split, as_images, as_labels, load_mnist

NAMED_FOLDER = os.environ.get("MNIST_DATA_DIR")
NAMES = tuple(data._FILES)
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"

laws = settings(derandomize=True)
pytestmark = pytest.mark.filterwarnings("ignore:The [a-z]* split has no image of")

Files = dict[str, bytes]


def idx(array: NDArray[np.uint8]) -> bytes:
    """An array as an IDX file, written from the format's description."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


def small_set(num_train: int = 24, num_test: int = 5, seed: int = 0) -> Files:
    """The four files of a set in MNIST's form, of noise."""
    rng = np.random.default_rng(seed)

    def images(n: int) -> bytes:
        return idx(rng.integers(0, 256, (n, 28, 28), np.uint8))

    def labels(n: int) -> bytes:
        return idx(rng.integers(0, 10, n, np.uint8))

    return {
        TRAIN_IMAGES: images(num_train),
        TRAIN_LABELS: labels(num_train),
        TEST_IMAGES: images(num_test),
        TEST_LABELS: labels(num_test),
    }


def write(folder: Path, files: Files, suffix: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / (name + suffix)).write_bytes(gzip.compress(content) if suffix else content)
    return folder


def whole(mnist: Mnist) -> Files:
    """The IDX files that a loaded set comes from."""

    def images(*splits: Split) -> bytes:
        pixels = np.concatenate([split.images for split in splits]) * 255
        return idx(np.rint(pixels).astype(np.uint8).reshape(-1, 28, 28))

    def labels(*splits: Split) -> bytes:
        return idx(np.concatenate([split.labels for split in splits]).astype(np.uint8))

    return {
        TRAIN_IMAGES: images(mnist.validation, mnist.train),
        TRAIN_LABELS: labels(mnist.validation, mnist.train),
        TEST_IMAGES: images(mnist.test),
        TEST_LABELS: labels(mnist.test),
    }


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache folder, no mirror, no variable set: what each test starts from."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(data, "_cache_folder", lambda: folder)
    monkeypatch.setattr(data, "_MIRRORS", ())
    monkeypatch.setattr(data, "_PAUSE", 0.0)
    for variable in ("MNIST_DATA_DIR", "MNIST_SOURCE"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "127.0.0.1")
    return folder


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Files:
    """A small set that counts as MNIST: its sizes and checksums are the expected ones."""
    files = small_set()
    table = {
        name: data._File(
            data._FILES[name].magic,
            int.from_bytes(files[name][4:8], "big"),
            hashlib.sha256(files[name]).hexdigest(),
        )
        for name in NAMES
    }
    monkeypatch.setattr(data, "_FILES", table)
    return files


@pytest.fixture
def mnist_dir() -> Path:
    """The folder with the real files."""
    if not NAMED_FOLDER:
        pytest.skip("MNIST_DATA_DIR names no folder with the real files")
    return Path(NAMED_FOLDER)


StartMirrors = Callable[..., list[Mirror]]


@pytest.fixture
def mirrors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> StartMirrors:
    """Start mirrors that answer in the ways given, and make them the only ones."""
    stack = ExitStack()
    request.addfinalizer(stack.close)

    def start(files: Files, *answers: Answer) -> list[Mirror]:
        packed = {f"{name}.gz": gzip.compress(content, 1) for name, content in files.items()}
        started = [stack.enter_context(serve(packed, answer)) for answer in answers]
        monkeypatch.setattr(data, "_MIRRORS", tuple(mirror.url for mirror in started))
        return started

    return start


# The door: images, labels and splits

NUMBERS = [np.bool_, np.int8, np.int64, np.uint16, np.float16, np.float32, np.float64, ">f4"]
SHAPES = [(-1, 784), (-1, 28, 28), (-1, 28, 28, 1), (-1, 1, 28, 28)]


def noise(n: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, 784), np.uint8)


@given(arrays(np.uint8, st.tuples(st.integers(0, 3), st.just(784))), st.sampled_from(SHAPES))
@pytest.mark.filterwarnings("ignore:uint8 images")
@laws
def test_uint8_images_are_divided_by_255(pixels: NDArray[np.uint8], shape: tuple[int, ...]) -> None:
    given_pixels = pixels.reshape(len(pixels), *shape[1:])
    before = given_pixels.copy()
    split = Split(given_pixels, np.zeros(len(pixels), np.int64))
    np.testing.assert_array_equal(split.images, pixels / np.float32(255), strict=True)
    np.testing.assert_array_equal(split.pixels, pixels, strict=True)
    np.testing.assert_array_equal(given_pixels, before)
    assert given_pixels.flags.writeable


@given(st.sampled_from(NUMBERS), st.sampled_from(SHAPES), st.booleans(), st.integers(0, 9))
@laws
def test_numbers_that_a_float32_can_hold_stay_the_same(
    dtype: Any, shape: tuple[int, ...], as_list: bool, seed: int
) -> None:
    whole = np.dtype(dtype).kind != "f"
    images = (
        (noise(2, seed) // 64 / np.float16(3)).round(0 if whole else 2).clip(0, 1).astype(dtype)
    )
    given_images = images.reshape(shape).tolist() if as_list else images.reshape(shape)
    expected = images.astype(np.float32)
    np.testing.assert_array_equal(as_images(given_images), expected, strict=True)
    np.testing.assert_array_equal(Split(given_images, [0, 1]).images, expected, strict=True)


@given(st.lists(st.integers(0, 9)), st.sampled_from(["u1", "i1", ">i8", "u8", "f2", "f8", "O"]))
@laws
def test_whole_numbers_from_0_to_9_are_labels(labels: list[int], dtype: str) -> None:
    values: Any = labels if dtype == "O" else np.array(labels, dtype)
    np.testing.assert_array_equal(as_labels(values), np.array(labels, np.int64), strict=True)


def test_tensors_and_memory_maps_are_taken(tmp_path: Path) -> None:
    import tensorflow as tf

    pixels, labels = noise(), [7, 0, 9]
    np.save(tmp_path / "pixels.npy", pixels)
    np.save(tmp_path / "images.npy", pixels / np.float32(255))
    expected = Split(pixels, labels)
    for images in (
        tf.constant(pixels),
        tf.Variable(expected.images),
        np.load(tmp_path / "pixels.npy", mmap_mode="r"),
        np.load(tmp_path / "images.npy", mmap_mode="r"),
        [tf.constant(row) for row in pixels],
    ):
        split = Split(images, tf.constant(labels, tf.uint8))
        np.testing.assert_array_equal(split.images, expected.images, strict=True)
        np.testing.assert_array_equal(split.labels, expected.labels, strict=True)
        assert split.images.flags.owndata
    assert as_images(tf.ones([2, 784], tf.bfloat16)).dtype == np.float32


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (noise().astype(int), "from 0 to 255, expected 0 .*: divide them by 255"),
        (noise().astype(np.float32), "from 0 to 255, .*: divide them by 255"),
        (noise() / 127.5 - 1, "from -1 to 1, expected .*subtract their lowest value"),
        ((noise() / 255 - 0.1307) / 0.3081, r"from -0\.42\d* to 2\.82\d*, .*subtract"),
        (noise().astype(np.uint16) * 257, "from 0 to 65535, .*divide by their highest"),
        (noise() / 255 * 1.04, r"to 1\.04, .*clip"),
        (np.full((2, 784), np.nextafter(np.float32(1), 2)), r"to 1\.0000001, .*clip"),
        (np.where(noise() < 250, 0, np.nan), r"NaN or infinity, first in images\[0\]: leave"),
        (np.full((2, 784), -np.inf), "NaN or infinity"),
        (noise().astype(str), "are text, expected real numbers: convert them"),
        (noise().astype(object), "are of type object"),
        (noise() * 1j, "are of type complex128"),
        ([[0.0] * 784, [0.0]], "do not make an array of numbers"),
        (None, "are of type object"),
        (noise()[0].reshape(28, 28), r"\[28, 28\], expected .*single image.*\[np.newaxis\]"),
        (np.zeros((2, 783)), r"have shape \[2, 783\], expected \[n, 784\] or \[n, 28, 28\]"),
        (np.zeros((2, 32, 32)), r"have shape \[2, 32, 32\], .*28x28 grey pixels"),
        (np.zeros((2, 28, 28, 3)), r"have shape \[2, 28, 28, 3\]"),
        ([], r"have shape \[0\]"),
    ],
)
def test_other_images_are_refused_in_one_sentence(values: Any, message: str) -> None:
    for door in (as_images, lambda images: Split(images, [0] * 3)):
        with pytest.raises((TypeError, ValueError), match=f"^images .*?{message}") as caught:
            door(values)
        assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [1, 10, 26],
            "from 1 to 26, expected 0 to 9: in EMNIST these are letters, .*emnist-digits",
        ),
        ([-1, 3, 3], "from -1 to 3, expected 0 to 9$"),
        (np.array([2**63, 1, 1], np.uint64), r"to 9\.22337e\+18"),
        (np.array([0, 5, 9]) * 0.9, r"hold 4\.5, expected whole numbers"),
        ([1, 2, np.nan], "hold nan, expected whole numbers"),
        ([1, 2, np.inf], "to inf"),
        (["7", "1", "2"], r"are text, .*np.array\(labels, float\)"),
        ([b"7", b"1", b"2"], "are text"),
        ([True, False, True], "are booleans, expected class numbers"),
        ([None, 1, 2], "are of type object"),
        (np.eye(10)[:3], r"have shape \[3, 10\], .*: pass labels.argmax\(axis=1\)"),
        ([[1], [2], [3]], r"have shape \[3, 1\], expected \[n\]"),
        (5, r"have shape \[\]"),
        ([[1, 2], [3]], "do not make an array"),
    ],
)
def test_other_labels_are_refused_in_one_sentence(values: Any, message: str) -> None:
    for door in (as_labels, lambda labels: Split(noise(), labels)):
        with pytest.raises((TypeError, ValueError), match=f"^labels .*?{message}") as caught:
            door(values)
        assert len(str(caught.value)) < 250


def test_text_becomes_labels_as_the_message_says() -> None:
    assert as_labels(np.array(["7", "0"], float)).tolist() == [7, 0]


def test_as_many_labels_as_images_are_needed() -> None:
    with pytest.raises(ValueError, match=r"labels must have shape \[2\].* not \[3\]"):
        Split(np.zeros((2, 784)), [1, 2, 3])


def test_black_and_white_images_of_uint8_are_divided_with_a_warning() -> None:
    ink = noise() > 127
    with pytest.warns(UserWarning, match=r"hold only 0 and 1.*images.astype\(bool\)"):
        assert as_images(ink.astype(np.uint8)).max() == np.float32(1 / 255)
    assert as_images(ink).max() == 1


CHANGES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "as it is": lambda array: array,
    "a view": lambda array: array[:],
    "every other": lambda array: np.repeat(array, 2, axis=0)[::2],
    "column by column": np.asfortranarray,
    "a read-only view": lambda array: np.broadcast_to(array, array.shape),
    "empty": lambda array: array[:0],
    "a subclass": lambda array: array.view(np.ma.MaskedArray),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("dtypes", [("f4", "i8"), ("f8", "u1"), ("u1", "f4")])
def test_a_split_and_its_callers_arrays_share_nothing(change: str, dtypes: tuple[str, str]) -> None:
    """Nobody's array is changed or frozen, and what is changed later leaves the split alone."""
    owners = noise().clip(0, 1).astype(dtypes[0]), np.array([7, 0, 9], dtypes[1])
    if dtypes[0] == "u1":
        owners[0][0, 0] = 255
    passed = [CHANGES[change](array) for array in owners]
    writable = [array.flags.writeable for array in passed]
    split = Split(*passed)
    images, labels = split.images.copy(), split.labels.copy()
    assert [array.flags.writeable for array in passed] == writable
    for array in owners:
        array[:] = 1
    for array in passed:
        if array.flags.writeable:
            array[:] = 1
    np.testing.assert_array_equal(split.images, images)
    np.testing.assert_array_equal(split.labels, labels)
    assert split.images.flags.c_contiguous
    for frozen in (split.images, split.labels, split.images[:1]):
        with pytest.raises(ValueError, match="read-only"):
            frozen[:] = 0


def test_what_nobody_can_change_is_not_copied() -> None:
    split = Split(noise(), [7, 0, 9])
    again = Split(split.images, split.labels)
    relabelled = replace(split, labels=np.array([1, 1, 1]))
    assert again.images is split.images is relabelled.images
    assert again.labels is split.labels
    assert relabelled.labels.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda split: pickle.loads(pickle.dumps(split))]
)
def test_a_copy_of_a_split_cannot_be_changed_either(duplicate: Callable[[Split], Split]) -> None:
    split = Split(noise(), [7, 0, 9])
    found = duplicate(split)
    np.testing.assert_array_equal(found.images, split.images)
    np.testing.assert_array_equal(found.labels, split.labels)
    assert not (found.images.flags.writeable or found.labels.flags.writeable)


def test_an_empty_split_is_allowed() -> None:
    split = Split(np.zeros((0, 28, 28)), [])
    assert (len(split), split.images.shape, split.one_hot.shape) == (0, (0, 784), (0, 10))
    assert split.pixels is not None


@given(st.lists(st.integers(0, 9), min_size=1))
@laws
def test_one_hot_is_one_in_the_labels_column_and_zero_elsewhere(labels: list[int]) -> None:
    split = Split(np.zeros((len(labels), 784), np.float32), np.array(labels, np.int64))
    assert split.one_hot.dtype == np.float32
    assert split.one_hot.shape == (len(split), 10)
    assert split.one_hot.tolist() == [[float(c == label) for c in range(10)] for label in labels]


def test_a_split_is_shown_by_its_shapes() -> None:
    split = Split(np.zeros((3, 784), np.float32), np.zeros(3, np.int64))
    assert repr(split) == "Split(images=float32[3, 784], labels=int64[3])"


# Folders


@given(st.integers(12, 60), st.integers(1, 9), st.integers(0, 99), st.sampled_from(["", ".gz"]))
@settings(laws, max_examples=25)
def test_what_is_written_is_what_is_read(
    num_train: int, num_test: int, seed: int, suffix: str
) -> None:
    files = small_set(num_train, num_test, seed)
    with tempfile.TemporaryDirectory() as folder:
        mnist = load_mnist(data_dir=write(Path(folder), files, suffix), check=False)
    assert whole(mnist) == files
    assert mnist.source == "mnist"
    assert len(mnist.validation) == num_train // 12
    assert len(mnist.train) == num_train - num_train // 12
    for split in (mnist.train, mnist.validation, mnist.test):
        assert split.images.dtype == np.float32
        assert split.images.shape == (len(split), 784)
        assert split.labels.dtype == np.int64
        assert 0 <= split.images.min() <= split.images.max() <= 1


def test_a_folder_may_hold_plain_and_compressed_files(tmp_path: Path, files: Files) -> None:
    write(tmp_path, {name: files[name] for name in NAMES[:2]})
    write(tmp_path, {name: files[name] for name in NAMES[2:]}, ".gz")
    assert whole(load_mnist(data_dir=tmp_path)) == files


def test_a_folder_is_read_without_a_word(
    tmp_path: Path, files: Files, capfd: pytest.CaptureFixture[str]
) -> None:
    load_mnist(data_dir=str(write(tmp_path, files)))
    assert capfd.readouterr() == ("", "")


def test_another_set_is_let_in_on_request_only(tmp_path: Path) -> None:
    files = small_set()
    write(tmp_path, files)
    with pytest.raises(DataError, match="holds .* items, expected MNIST's .*check=False"):
        load_mnist(data_dir=tmp_path)
    assert whole(load_mnist(data_dir=tmp_path, check=False)) == files


def test_a_set_of_mnists_size_with_other_contents_is_refused(tmp_path: Path, files: Files) -> None:
    write(tmp_path, small_set(seed=1))
    with pytest.raises(DataError, match="SHA-256 is [0-9a-f]{64}, expected [0-9a-f]{64}"):
        load_mnist(data_dir=tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder .*nowhere.*data_dir.*To use files of your own"):
        load_mnist(data_dir=tmp_path / "nowhere")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    path.touch()
    with pytest.raises(
        DataError, match=r"mnist\.npz, which data_dir names, is a file: name the folder"
    ):
        load_mnist(data_dir=path)


def test_all_missing_files_are_named(tmp_path: Path, files: Files) -> None:
    write(tmp_path, {TRAIN_IMAGES: files[TRAIN_IMAGES]})
    (tmp_path / TEST_LABELS).mkdir()
    with pytest.raises(DataError) as caught:
        load_mnist(data_dir=tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message
    assert f"lacks {TEST_LABELS}, {TRAIN_LABELS}, {TEST_IMAGES}. It holds" in message
    assert f"It holds {TEST_LABELS}/, {TRAIN_IMAGES}. All four" in message


def test_of_a_full_folder_a_handful_of_names_is_shown(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"scan{number:03}.jpg").touch()
    with pytest.raises(DataError, match=r"It holds scan000\.jpg, .* and 292 more\.") as caught:
        load_mnist(data_dir=tmp_path)
    assert len(str(caught.value)) < 1_000


def test_an_empty_folder_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lacks .* It is empty"):
        load_mnist(data_dir=tmp_path)


# Other people's files

OTHER_NAMES: dict[str, Callable[[str], str]] = {
    "a dot": lambda name: name.replace("-idx", ".idx"),
    "a dot and compressed": lambda name: name.replace("-idx", ".idx") + ".gz",
    "numbered by Chrome": "{} (1).gz".format,
    "numbered by Firefox": "{}(2).gz".format,
    "numbered and unpacked": "{} (1)".format,
    "torchvision": "MNIST/raw/{}".format,
    "torchvision's own folder": "raw/{}.gz".format,
}


@pytest.mark.parametrize("how", OTHER_NAMES)
def test_mnist_is_taken_under_other_names(tmp_path: Path, files: Files, how: str) -> None:
    for name, content in files.items():
        path = tmp_path / OTHER_NAMES[how](name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)
    (tmp_path / "t10k-images-idx3-ubyte.gz.part").touch()
    (tmp_path / "._train-images-idx3-ubyte.gz").touch()
    assert whole(load_mnist(data_dir=tmp_path)) == files


@pytest.mark.parametrize("how", OTHER_NAMES)
def test_what_is_not_mnist_is_refused_under_other_names_too(
    tmp_path: Path, files: Files, how: str
) -> None:
    for name, content in small_set(seed=1).items():
        path = tmp_path / OTHER_NAMES[how](name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"is not MNIST's: its SHA-256 is .* pass check=False"):
        load_mnist(data_dir=tmp_path)


def test_the_plain_name_goes_before_the_others(tmp_path: Path, files: Files) -> None:
    write(tmp_path, small_set(seed=1), " (1).gz")
    write(tmp_path, files, ".gz")
    assert whole(load_mnist(data_dir=tmp_path)) == files


def keras_arrays(files: Files) -> dict[str, Any]:
    values = {name: np.frombuffer(content, np.uint8) for name, content in files.items()}
    return {
        "x_train": values[TRAIN_IMAGES][16:].reshape(-1, 28, 28),
        "y_train": values[TRAIN_LABELS][8:],
        "x_test": values[TEST_IMAGES][16:].reshape(-1, 28, 28),
        "y_test": values[TEST_LABELS][8:],
    }


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("name", ["mnist.npz", "mnist (1).npz"])
def test_kerass_file_is_taken(
    tmp_path: Path, files: Files, save: Callable[..., None], name: str
) -> None:
    write(tmp_path, {TEST_LABELS: files[TEST_LABELS]})
    save(tmp_path / name, **keras_arrays(files))
    assert whole(load_mnist(data_dir=tmp_path)) == files


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"x_train": np.zeros((24, 784), np.uint8)},
            r"x_train is uint8\[24, 784\], expected uint8",
        ),
        ({"y_train": np.zeros(24, np.int64)}, r"y_train is int64\[24\], expected uint8 \[n\]"),
        ({"y_test": np.array(["7", {}], object)}, r"y_test is object\[2\]"),
        ({"x_test": np.zeros((5, 28, 28), np.uint8, order="F")}, "x_test is uint8"),
        ({"x_test": np.zeros((5, 32, 32), np.uint8)}, "x_test in .*images of 32x32 pixels"),
        ({"x_test": np.zeros((0, 28, 28), np.uint8)}, "x_test in .* holds 0 items"),
        ({"x_test": None}, r"no item named 'x_test\.npy'"),
    ],
)
def test_another_npz_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    held = keras_arrays(SMALL) | changes
    held = {key: array for key, array in held.items() if array is not None}
    np.savez(tmp_path / "mnist.npz", **held)
    with pytest.raises(DataError, match=message):
        load_mnist(data_dir=tmp_path, check=False)


def test_kerass_file_with_other_contents_is_refused(tmp_path: Path, files: Files) -> None:
    np.savez(tmp_path / "mnist.npz", **keras_arrays(small_set(seed=1)))
    with pytest.raises(DataError, match=r"y_test in .*mnist\.npz is not MNIST's: its SHA-256"):
        load_mnist(data_dir=tmp_path)
    assert len(load_mnist(data_dir=tmp_path, check=False).test) == 5


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04"])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mnist.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"mnist\.npz is not Keras's mnist\.npz, or is damaged"):
        load_mnist(data_dir=tmp_path)


@given(st.data())
@settings(laws, max_examples=200)
def test_a_damaged_npz_gives_a_data_error_or_the_same_set(draw: st.DataObject) -> None:
    packed = io.BytesIO()
    np.savez_compressed(packed, **keras_arrays(TINY))
    content = bytearray(packed.getvalue())
    for _ in range(draw.draw(st.integers(1, 3))):
        content[draw.draw(st.integers(0, len(content) - 1))] ^= draw.draw(st.integers(1, 255))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "mnist.npz").write_bytes(content)
        try:
            mnist = load_mnist(data_dir=folder, check=False)
        except DataError as error:
            assert folder in str(error)
        else:
            assert len(mnist.train) + len(mnist.validation) == 12


def test_an_npz_that_promises_or_expands_without_end_takes_no_memory(
    tmp_path: Path, files: Files
) -> None:
    bomb = np.broadcast_to(np.uint8(0), (60_000, 28, 28))  # 47 MB, in 46 kB
    np.savez_compressed(tmp_path / "mnist.npz", **keras_arrays(files) | {"x_test": bomb})
    assert peak_memory_of_refusing(tmp_path, True, "x_test in .*60,000 items") < 8 << 20
    promise = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        promise, {"descr": "|u1", "fortran_order": False, "shape": (10**9,)}
    )
    with zipfile.ZipFile(tmp_path / "mnist.npz", "w") as archive:
        archive.writestr("y_test.npy", promise.getvalue())
    assert peak_memory_of_refusing(tmp_path, False, "y_test in .*1,000,000,000 items") < 8 << 20


def emnist(files: Files, name: str = "digits") -> Files:
    """A set as EMNIST has it: other names, and each image stored column by column."""
    found = {}
    for old, content in files.items():
        if "images" in old:
            images = np.frombuffer(content[16:], np.uint8).reshape(-1, 28, 28)
            content = content[:16] + images.transpose(0, 2, 1).tobytes()
        found[f"emnist-{name}-{old.replace('t10k', 'test')}"] = content
    return found


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_emnists_digits_stand_upright(tmp_path: Path, name: str, suffix: str) -> None:
    write(tmp_path, emnist(SMALL, name), suffix)
    with pytest.raises(DataError, match="If it is another set on purpose, pass check=False"):
        load_mnist(data_dir=tmp_path)
    assert whole(load_mnist(data_dir=tmp_path, check=False)) == SMALL


def test_of_all_of_emnists_files_the_digits_are_taken(tmp_path: Path) -> None:
    for seed, name in enumerate(["balanced", "digits", "letters", "mnist"]):
        write(tmp_path, emnist(small_set(seed=seed), name), ".gz")
    assert whole(load_mnist(data_dir=tmp_path, check=False)) == small_set(seed=1)


@pytest.mark.parametrize("highest", [10, 26, 46, 61])
def test_letters_are_refused_in_words(tmp_path: Path, highest: int) -> None:
    labels = np.arange(highest - 23, highest + 1).clip(0).astype(np.uint8)
    write(tmp_path, emnist(SMALL | {TRAIN_LABELS: idx(labels)}, "letters"), ".gz")
    with pytest.raises(DataError, match=f"to {highest}, expected 0 to 9: .*letters") as caught:
        load_mnist(data_dir=tmp_path, check=False)
    assert "emnist-digits" in str(caught.value)
    assert "https://" not in str(caught.value)


def test_a_class_missing_from_a_split_is_warned_of(tmp_path: Path) -> None:
    labels = np.repeat(np.arange(10, dtype=np.uint8), 36)
    images = np.zeros((360, 28, 28), np.uint8)
    files = {TRAIN_IMAGES: idx(images), TEST_IMAGES: idx(images), TEST_LABELS: idx(labels)}
    write(tmp_path, files | {TRAIN_LABELS: idx(labels)})
    message = (
        r"validation split has no image of the classes \[1, 2, .*, 9\]\. .*sorted by class, shuffle"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        load_mnist(data_dir=tmp_path, check=False)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("classes", [np.arange(10), np.array([3, 7])])
def test_nothing_is_warned_of_where_each_split_has_all_classes(
    tmp_path: Path, classes: NDArray[np.int64]
) -> None:
    labels = np.resize(classes.astype(np.uint8), 360)
    images = np.zeros((360, 28, 28), np.uint8)
    files = {TRAIN_IMAGES: idx(images), TEST_IMAGES: idx(images), TEST_LABELS: idx(labels)}
    write(tmp_path, files | {TRAIN_LABELS: idx(labels)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_mnist(data_dir=tmp_path, check=False)


def test_the_home_folder_can_be_written_as_a_tilde(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write(tmp_path / "digits", files)
    for folder in ("~/digits", Path("~/digits")):
        assert whole(load_mnist(data_dir=folder)) == files


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user may read all folders")
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, files: Files) -> None:
    folder = write(tmp_path / "locked", files)
    folder.chmod(0)
    try:
        with pytest.raises(DataError, match="locked, .*, cannot be read: Permission denied"):
            load_mnist(data_dir=folder)
    finally:
        folder.chmod(0o700)


def with_header(content: bytes, place: int, number: int) -> bytes:
    return content[: 4 * place] + struct.pack(">I", number) + content[4 * place + 4 :]


SMALL = small_set()
BAD_FILES = {
    "empty": (TRAIN_IMAGES, b"", "ends after 0 bytes, expected a header of 16"),
    "short header": (TEST_LABELS, SMALL[TEST_LABELS][:7], "ends after 7 bytes"),
    "truncated": (TEST_IMAGES, SMALL[TEST_IMAGES][:-1], "only 3,919 bytes .* expected 3,920"),
    "too long": (TRAIN_LABELS, SMALL[TRAIN_LABELS] + b"\0", "more bytes .* expected 24"),
    "web page": (TEST_LABELS, data_server.WEB_PAGE, f"is a web page.* expected {TEST_LABELS}"),
    "wrong magic": (
        TRAIN_IMAGES,
        with_header(SMALL[TRAIN_IMAGES], 0, 0xD03),
        "begins with the number 0x00000d03, expected IDX's 0x00000803",
    ),
    "images for labels": (TRAIN_LABELS, SMALL[TRAIN_IMAGES], "expected IDX's 0x00000801"),
    "wrong dimensions": (
        TRAIN_IMAGES,
        idx(np.zeros((49, 16, 24), np.uint8)),
        "images of 16x24 pixels, expected 28x28",
    ),
    "no images": (TEST_IMAGES, idx(np.zeros((0, 28, 28), np.uint8)), "holds 0 items"),
    "too many images": (
        TEST_IMAGES,
        with_header(SMALL[TEST_IMAGES], 1, 0xFFFFFFFF),
        "holds 4,294,967,295 items, expected 1 to 1,000,000",
    ),
    "truncated gzip": (TEST_IMAGES, gzip.compress(SMALL[TEST_IMAGES])[:-9], "is cut short"),
    "damaged gzip": (TEST_IMAGES, gzip.compress(SMALL[TEST_IMAGES])[:-8] + bytes(8), "CRC check"),
    "gzip magic alone": (TEST_IMAGES, b"\x1f\x8b", "is cut short"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_with_its_name_and_what_to_do(tmp_path: Path, case: str) -> None:
    name, content, message = BAD_FILES[case]
    write(tmp_path, SMALL | {name: content})
    with pytest.raises(DataError, match=message) as caught:
        load_mnist(data_dir=tmp_path, check=False)
    assert str(tmp_path) in str(caught.value)
    assert name in str(caught.value)
    assert "To use files of your own, get the four .gz files from" in str(caught.value)


def test_more_labels_than_images_are_refused(tmp_path: Path) -> None:
    write(tmp_path, SMALL | {TEST_LABELS: idx(np.zeros(6, np.uint8))})
    message = "5 images in t10k-images-idx3-ubyte but 6 labels in t10k-labels-idx1-ubyte"
    with pytest.raises(DataError, match=message):
        load_mnist(data_dir=tmp_path, check=False)


def test_a_set_too_small_to_be_split_is_refused(tmp_path: Path) -> None:
    write(tmp_path, small_set(num_train=11))
    with pytest.raises(DataError, match="11 training images, expected 12 or more"):
        load_mnist(data_dir=tmp_path, check=False)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user may read all files")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    write(tmp_path, SMALL)
    (tmp_path / TEST_IMAGES).chmod(0)
    with pytest.raises(DataError, match=f"{TEST_IMAGES} cannot be read"):
        load_mnist(data_dir=tmp_path, check=False)


def gzip_of_zeros_after(start: bytes, size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    piece = bytes(1 << 20)
    packed = [packer.compress(start), *(packer.compress(piece) for _ in range(size >> 20))]
    return b"".join([*packed, packer.flush()])


def peak_memory_of_refusing(folder: Path, check: bool, message: str) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=message):
            load_mnist(data_dir=folder, check=check)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("check", [True, False])
def test_a_gzip_that_expands_without_end_is_refused_in_little_memory(
    tmp_path: Path, files: Files, check: bool
) -> None:
    bomb = gzip_of_zeros_after(files[TRAIN_IMAGES], size=200 << 20)
    assert len(bomb) < 1 << 20
    write(tmp_path, files | {TRAIN_IMAGES: bomb})
    assert peak_memory_of_refusing(tmp_path, check, "holds more bytes") < 8 << 20


def test_a_header_that_promises_much_takes_no_memory(tmp_path: Path) -> None:
    write(tmp_path, SMALL | {TRAIN_IMAGES: with_header(SMALL[TRAIN_IMAGES], 1, 1_000_000)})
    assert peak_memory_of_refusing(tmp_path, False, "expected 784,000,000") < 8 << 20


def mangled(content: bytes) -> st.SearchStrategy[bytes]:
    """Bytes near the right ones, and bytes far from them."""
    place = st.integers(0, len(content) - 1)
    header = st.tuples(st.integers(0, 3), st.integers(0, 2**32 - 1))
    changed = st.one_of(
        st.binary(max_size=64),
        place.map(lambda end: content[:end]),
        st.binary(min_size=1).map(lambda more: content + more),
        st.tuples(place, st.integers(1, 255)).map(
            lambda at: content[: at[0]] + bytes([content[at[0]] ^ at[1]]) + content[at[0] + 1 :]
        ),
        header.map(lambda at: with_header(content, *at)),
    )
    packed = gzip.compress(content, mtime=0)
    return st.one_of(
        changed,
        changed.map(gzip.compress),
        st.integers(0, len(packed) - 1).map(lambda end: packed[:end]),
        st.tuples(st.integers(0, len(packed) - 1), st.integers(1, 255)).map(
            lambda at: packed[: at[0]] + bytes([packed[at[0]] ^ at[1]]) + packed[at[0] + 1 :]
        ),
        st.binary(max_size=64).map(lambda rest: b"\x1f\x8b\x08" + rest),
    )


TINY = small_set(num_train=12, num_test=1)


@given(
    st.sampled_from(NAMES).flatmap(lambda name: st.tuples(st.just(name), mangled(TINY[name]))),
)
@example((TRAIN_IMAGES, TINY[TRAIN_IMAGES]))
@settings(laws, max_examples=500)
def test_malformed_bytes_give_a_data_error_or_a_well_formed_set(changed: tuple[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), TINY | dict([changed]))
        try:
            mnist = load_mnist(data_dir=path, check=False)
        except DataError as error:
            assert str(path) in str(error)
        else:
            assert whole(mnist).keys() == TINY.keys()
            assert len(mnist.train) + len(mnist.validation) == 12
            assert len(mnist.test) == 1


@given(st.data())
@laws
def test_one_changed_byte_is_never_taken_for_mnist(draw: st.DataObject) -> None:
    name = draw.draw(st.sampled_from(NAMES))
    content = bytearray(TINY[name])
    content[draw.draw(st.integers(0, len(content) - 1))] ^= draw.draw(st.integers(1, 255))
    table = {
        name: data._File(
            data._FILES[name].magic,
            int.from_bytes(TINY[name][4:8], "big"),
            hashlib.sha256(TINY[name]).hexdigest(),
        )
        for name in NAMES
    }
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "_FILES", table)
        path = write(Path(folder), TINY)
        assert whole(load_mnist(data_dir=path)) == TINY
        write(path, {name: bytes(content)})
        with pytest.raises(DataError, match=name):
            load_mnist(data_dir=path)


# Which source is taken


def test_the_argument_goes_before_the_environment(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNIST_DATA_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("MNIST_SOURCE", "digits")
    assert whole(load_mnist(data_dir=write(tmp_path / "mine", files))) == files


def test_the_folder_in_the_environment_goes_before_the_cache(
    tmp_path: Path, cache: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(cache, files, ".gz")
    other = small_set(seed=1)
    monkeypatch.setenv("MNIST_DATA_DIR", str(write(tmp_path / "other", other)))
    assert whole(load_mnist(check=False)) == other


@pytest.mark.parametrize("source", ["auto", "mnist"])
def test_a_bad_folder_in_the_environment_is_never_passed_over(
    tmp_path: Path,
    cache: Path,
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
    source: data.Source,
) -> None:
    write(cache, files, ".gz")
    monkeypatch.setenv("MNIST_DATA_DIR", str(write(tmp_path / "half", {TEST_LABELS: b""})))
    with pytest.raises(DataError, match="half, which MNIST_DATA_DIR names, lacks"):
        load_mnist(source)


def test_the_cache_is_used_without_a_word_and_without_a_mirror(
    cache: Path, files: Files, mirrors: StartMirrors, capfd: pytest.CaptureFixture[str]
) -> None:
    (mirror,) = mirrors(files, data_server.good)
    write(cache, files, ".gz")
    assert whole(load_mnist()) == files
    assert mirror.requests == []
    assert capfd.readouterr() == ("", "")


def test_without_a_download_the_cache_is_whole_or_passed_over(
    cache: Path, files: Files, mirrors: StartMirrors, capfd: pytest.CaptureFixture[str]
) -> None:
    (mirror,) = mirrors(files, data_server.good)
    with pytest.raises(DataError, match="is missing, and download=False forbids a download"):
        load_mnist("mnist", download=False)
    assert load_mnist(download=False).source == "digits"
    assert "MNIST is not here: using scikit-learn's" in capfd.readouterr().err
    write(cache, files, ".gz")
    assert whole(load_mnist(download=False)) == files
    bad = cache / f"{TRAIN_LABELS}.gz"
    bad.write_bytes(damaged := bad.read_bytes()[:-3])
    with pytest.raises(DataError, match="is cut short or damaged"):
        load_mnist("mnist", download=False)
    assert bad.read_bytes() == damaged
    assert mirror.requests == []


def test_the_stand_in_is_announced_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MNIST_SOURCE", "digits")
    monkeypatch.setenv("MNIST_DATA_DIR", str(tmp_path / "nowhere"))
    assert load_mnist().source == "digits"
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("MNIST_SOURCE=digits: using scikit-learn's small set of digits")
    assert err.count("\n") == 1


def test_the_stand_in_asked_for_by_name_needs_no_word(capfd: pytest.CaptureFixture[str]) -> None:
    assert load_mnist("digits").source == "digits"
    assert capfd.readouterr() == ("", "")


def test_mnist_asked_for_by_name_is_mnist_or_an_error(
    cache: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNIST_SOURCE", "digits")
    with pytest.raises(DataError, match="MNIST_DATA_DIR"):
        load_mnist("mnist")
    write(cache, files, ".gz")
    assert whole(load_mnist("mnist")) == files


def test_the_environment_may_ask_for_mnist_or_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_SOURCE", "mnist")
    with pytest.raises(DataError, match="could not be downloaded"):
        load_mnist()


def test_empty_variables_count_as_not_set(
    cache: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNIST_SOURCE", "")
    monkeypatch.setenv("MNIST_DATA_DIR", "")
    write(cache, files, ".gz")
    assert whole(load_mnist()) == files


def test_unknown_sources_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not 'fashion'"):
        load_mnist("fashion")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="leave out source or data_dir"):
        load_mnist("digits", data_dir=tmp_path)
    monkeypatch.setenv("MNIST_SOURCE", "fashion")
    with pytest.raises(ValueError, match="MNIST_SOURCE is 'fashion': set it to"):
        load_mnist()


@pytest.mark.skipif(sys.platform != "linux", reason="the variable is that of Linux")
def test_the_cache_is_in_the_users_cache_folder(tmp_path: Path) -> None:
    printed = run_python(
        "from mnist_helpers import data; print(data._cache_folder())",
        XDG_CACHE_HOME=str(tmp_path / "own"),
    )
    assert printed.stdout == f"{tmp_path / 'own' / 'mnist_helpers'}\n"


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )


# Mirrors

MISBEHAVIOURS: list[Answer] = [
    data_server.not_found,
    data_server.forbidden,
    data_server.server_error,
    data_server.web_page,
    data_server.nothing,
    data_server.flipped_bit,
    data_server.damaged_gzip,
    data_server.cut_short,
    data_server.cut_off,
    data_server.hung_up,
    data_server.not_http,
    data_server.endless,
    data_server.redirected_for_ever,
    data_server.redirected_to_a_file,
]
TOO_SLOW: list[Answer] = [data_server.dripping, data_server.dripping_header, data_server.silent]


def cached(folder: Path) -> Files:
    return {path.name: gzip.decompress(path.read_bytes()) for path in folder.iterdir()}


@pytest.mark.parametrize("answer", MISBEHAVIOURS + TOO_SLOW)
def test_when_a_mirror_misbehaves_the_next_is_taken(
    cache: Path,
    files: Files,
    mirrors: StartMirrors,
    answer: Answer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if answer in TOO_SLOW:
        monkeypatch.setattr(data, "_GRACE", 1.5)
    bad, good = mirrors(files, answer, data_server.good)
    assert whole(load_mnist()) == files
    assert cached(cache) == {f"{name}.gz": content for name, content in files.items()}
    # The first file shows that the one does not work: the rest comes from the other.
    assert set(bad.requests) == {f"{NAMES[0]}.gz"}
    assert good.requests == [f"{name}.gz" for name in NAMES]
    assert capfd.readouterr() == ("", f"Downloading MNIST (11 MB) into {cache}\n")
    assert whole(load_mnist()) == files
    assert len(good.requests) == 4


@pytest.mark.parametrize("answer", MISBEHAVIOURS)
def test_a_download_that_fails_leaves_no_connection_open(
    files: Files, mirrors: StartMirrors, answer: Answer
) -> None:
    mirrors(files, answer)
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        with pytest.raises(DataError, match="could not be downloaded"):
            load_mnist("mnist")
        # A connection that nobody has closed says so when it is thrown away.
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


@pytest.mark.parametrize("percent", range(0, 100, 5))
def test_a_connection_cut_anywhere_leaves_no_file_and_the_next_mirror_is_taken(
    cache: Path, files: Files, mirrors: StartMirrors, percent: int
) -> None:
    mirrors(files, data_server.cut_at(percent / 100))
    with pytest.raises(DataError, match="could not be downloaded"):
        load_mnist("mnist")
    assert not cache.exists()
    mirrors(files, data_server.cut_at(percent / 100), data_server.good)
    assert whole(load_mnist("mnist")) == files


@pytest.mark.parametrize("answer", MISBEHAVIOURS)
def test_when_all_mirrors_misbehave_nothing_is_kept_and_the_error_names_them(
    cache: Path, files: Files, mirrors: StartMirrors, answer: Answer
) -> None:
    started = mirrors(files, answer, answer)
    with pytest.raises(DataError, match="could not be downloaded") as caught:
        load_mnist("mnist")
    for mirror in started:
        assert mirror.url in str(caught.value)
        assert set(mirror.requests) == {f"{NAMES[0]}.gz"}
    assert "put them in one folder" in str(caught.value)
    assert not cache.exists()


def test_mirrors_that_are_too_slow_are_given_up(
    files: Files, mirrors: StartMirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "_GRACE", 0.3)
    monkeypatch.setattr(data, "_ROUNDS", 1)
    started = mirrors(files, *TOO_SLOW)
    with pytest.raises(DataError) as caught:
        load_mnist("mnist")
    for mirror in started:
        assert f"{mirror.url}{NAMES[0]}.gz is too slow: 0 bytes in" in str(caught.value)


def test_a_mirror_that_is_down_is_passed_over(
    files: Files, mirrors: StartMirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    (good,) = mirrors(files, data_server.good)
    with serve({}, data_server.good) as gone:
        pass
    monkeypatch.setattr(data, "_MIRRORS", (gone.url, good.url))
    assert whole(load_mnist("mnist")) == files


def test_each_mirror_is_tried_again(files: Files, mirrors: StartMirrors) -> None:
    (mirror,) = mirrors(files, data_server.first_times(data_server.server_error, 1))
    assert whole(load_mnist("mnist")) == files
    assert len(mirror.requests) == 5


def test_a_redirection_is_followed(files: Files, mirrors: StartMirrors) -> None:
    (target,) = mirrors(files, data_server.good)
    mirrors(files, data_server.redirected_to(target.url))
    assert whole(load_mnist("mnist")) == files
    assert len(target.requests) == 4


def test_a_file_that_is_unpacked_on_the_way_is_taken(
    cache: Path, files: Files, mirrors: StartMirrors
) -> None:
    mirrors(files, data_server.unpacked_on_the_way)
    assert whole(load_mnist("mnist")) == files
    assert whole(load_mnist("mnist")) == files


def test_without_any_mirror_auto_takes_the_stand_in(capfd: pytest.CaptureFixture[str]) -> None:
    assert load_mnist().source == "digits"
    out, err = capfd.readouterr()
    assert out == ""
    announced, warned = err.splitlines()
    assert announced.startswith("Downloading MNIST")
    assert "using scikit-learn's small set of digits instead" in warned


def test_a_damaged_file_in_the_cache_is_replaced(
    cache: Path, files: Files, mirrors: StartMirrors, capfd: pytest.CaptureFixture[str]
) -> None:
    (mirror,) = mirrors(files, data_server.good)
    write(cache, files, ".gz")
    bad = cache / f"{TRAIN_LABELS}.gz"
    bad.write_bytes(bad.read_bytes()[:-3])
    assert whole(load_mnist()) == files
    assert mirror.requests == [bad.name]
    assert gzip.decompress(bad.read_bytes()) == files[TRAIN_LABELS]
    assert f"{bad} is cut short or damaged" in capfd.readouterr().err


def test_a_damaged_file_in_the_cache_is_not_trusted_and_the_good_ones_stay(
    cache: Path, files: Files, mirrors: StartMirrors
) -> None:
    mirrors(files, data_server.flipped_bit)
    write(cache, files | {TRAIN_LABELS: small_set(seed=1)[TRAIN_LABELS]}, ".gz")
    before = cached(cache)
    with pytest.raises(DataError, match="could not be downloaded"):
        load_mnist("mnist")
    assert load_mnist("auto").source == "digits"
    assert cached(cache) == before


def test_a_cache_that_cannot_be_written_is_said_once_and_does_no_harm(
    cache: Path, files: Files, mirrors: StartMirrors, capfd: pytest.CaptureFixture[str]
) -> None:
    mirrors(files, data_server.good)
    cache.write_text("a file where the folder should be")
    assert whole(load_mnist("mnist")) == files
    assert capfd.readouterr().err.count(f"could not be kept in {cache}") == 1


def test_a_store_that_fails_leaves_the_old_file_and_no_part(cache: Path) -> None:
    path = cache / "file"
    path.mkdir(parents=True)  # a folder cannot be replaced by a file
    with pytest.raises(OSError):
        data._store(path, b"new")
    assert list(cache.iterdir()) == [path]


def start_loading(cache: Path, mirror: Mirror) -> subprocess.Popen[str]:
    """A process of its own that loads the set as soon as it reads a line."""
    table = {name: tuple(file) for name, file in data._FILES.items()}
    code = f"""
from pathlib import Path
from mnist_helpers import data
data._FILES = {{name: data._File(*file) for name, file in {table!r}.items()}}
data._MIRRORS = ({mirror.url!r},)
data._cache_folder = lambda: Path({str(cache)!r})
input()
print(data.load_mnist("mnist").test.labels.tolist())
"""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


@pytest.mark.parametrize("number", [2, 8])
def test_several_processes_fill_an_empty_cache_at_once(
    cache: Path, files: Files, mirrors: StartMirrors, number: int
) -> None:
    (mirror,) = mirrors(files, data_server.good)
    processes = [start_loading(cache, mirror) for _ in range(number)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    labels = f"{list(files[TEST_LABELS][8:])}\n"
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out) == (0, labels), err
    assert cached(cache) == {f"{name}.gz": content for name, content in files.items()}


@pytest.mark.stress
def test_a_process_killed_anywhere_leaves_a_cache_that_the_next_can_use(
    cache: Path, files: Files, mirrors: StartMirrors
) -> None:
    (mirror,) = mirrors(files, data_server.slow)
    rng = np.random.default_rng(0)
    interrupted = 0
    for _ in range(50):
        shutil.rmtree(cache, ignore_errors=True)
        asked = len(mirror.requests)
        with start_loading(cache, mirror) as process:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
            while len(mirror.requests) == asked:
                assert process.poll() is None, process.communicate()
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.9))
            process.kill()
        for part in cache.glob("*.part"):
            part.unlink()
        kept = cached(cache) if cache.exists() else {}
        interrupted += len(kept) < len(files)
        assert all(content == files[name.removesuffix(".gz")] for name, content in kept.items())
        assert whole(load_mnist("mnist")) == files
    assert interrupted > 25


def test_what_a_killed_process_left_behind_is_cleared_away(
    cache: Path, files: Files, mirrors: StartMirrors
) -> None:
    mirrors(files, data_server.good)
    cache.mkdir()
    old, new = cache / "old.part", cache / "new.part"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    load_mnist("mnist")
    assert new.exists() and not old.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="not everybody may make a link there")
def test_a_part_that_another_process_has_just_taken_away_does_no_harm(
    cache: Path, files: Files, mirrors: StartMirrors, capfd: pytest.CaptureFixture[str]
) -> None:
    mirrors(files, data_server.good)
    cache.mkdir()
    # Listed, but not there any more: as this link, whose file is not there.
    (cache / "taken.part").symlink_to(cache / "nowhere")
    load_mnist("mnist")
    assert "could not be kept" not in capfd.readouterr().err
    assert all((cache / f"{name}.gz").exists() for name in NAMES)


def test_in_a_terminal_the_amount_received_is_shown(
    files: Files,
    mirrors: StartMirrors,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mirrors(files, data_server.good)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    load_mnist("mnist")
    err = capsys.readouterr().err
    assert all(f"\r{name}.gz 0.0 MB" in err for name in NAMES)


# The stand-in


@pytest.fixture(scope="module")
def stand_in() -> Mnist:
    return load_mnist("digits")


def test_the_stand_in_is_split_as_mnist_is(stand_in: Mnist) -> None:
    from sklearn.datasets import load_digits

    splits = stand_in.validation, stand_in.train, stand_in.test
    assert [len(split) for split in splits] == [128, 1413, 256]
    labels = np.concatenate([split.labels for split in splits])
    # Each digit is in one split only: together they are the whole set, in its own order.
    np.testing.assert_array_equal(labels, load_digits().target)
    for split in splits:
        assert split.images.dtype == np.float32
        assert split.images.shape == (len(split), 784)
        assert split.labels.dtype == np.int64
        assert split.images.min() == 0
        assert split.images.max() == 1
        assert np.bincount(split.labels, minlength=10).min() >= 12


def test_the_stand_in_is_the_same_each_time(stand_in: Mnist) -> None:
    again = load_mnist("digits")
    np.testing.assert_array_equal(again.train.images, stand_in.train.images)
    np.testing.assert_array_equal(again.test.images, stand_in.test.images)


def test_the_stand_in_is_drawn_as_mnists_digits_are(stand_in: Mnist) -> None:
    from sklearn.datasets import load_digits

    images = stand_in.train.images.reshape(-1, 28, 28)
    border = images.copy()
    border[:, 4:24, 4:24] = 0
    assert not border.any()
    # Of MNIST's pixels 19% carry ink, and 9% are darker than 0.9.
    assert 0.17 < (images > 0).mean() < 0.22
    assert 0.07 < (images > 0.9).mean() < 0.11
    # Read back at 8x8, it is the digit that was drawn: neither mirrored nor turned.
    rows = np.arange(4, 24).reshape(4, 5)
    coarse = images[:, rows][..., rows].mean(axis=(2, 4))  # [n, 4, 4]
    original = load_digits().images[128:-256].reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4))
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(coarse, original, strict=True)]
    assert min(alike) > 0.9


def test_the_stand_ins_digits_can_be_told_apart(stand_in: Mnist) -> None:
    train, test = stand_in.train, stand_in.test
    distances = (train.images**2).sum(axis=1) - 2 * test.images @ train.images.T
    nearest = train.labels[distances.argmin(axis=1)]
    assert (nearest == test.labels).mean() > 0.9


# The real files


def test_mnist_is_as_its_authors_describe_it(
    mnist_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mnist = load_mnist("mnist", data_dir=mnist_dir)
    assert mnist.source == "mnist"
    assert [len(mnist.train), len(mnist.validation), len(mnist.test)] == [55_000, 5_000, 10_000]
    assert mnist.test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert mnist.validation.labels[:5].tolist() == [5, 0, 4, 1, 9]
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(mnist.test.labels).tolist() == counts
    # The mean and the standard deviation that everybody normalises MNIST by.
    train = np.concatenate([mnist.train.images, mnist.validation.images])
    assert round(float(train.mean(dtype=np.float64)), 4) == 0.1307
    assert round(float(train.std(dtype=np.float64)), 4) == 0.3081
    assert capfd.readouterr() == ("", "")


def test_the_real_files_are_downloaded_checked_and_kept(
    mnist_dir: Path, cache: Path, mirrors: StartMirrors
) -> None:
    files = {}
    for name in NAMES:
        plain = mnist_dir / name
        packed = mnist_dir / f"{name}.gz"
        files[name] = (
            plain.read_bytes() if plain.is_file() else gzip.decompress(packed.read_bytes())
        )
    bad, good = mirrors(files, data_server.flipped_bit, data_server.good)
    first = load_mnist("mnist")
    assert bad.requests == [f"{NAMES[0]}.gz"]
    assert len(good.requests) == 4
    assert cached(cache) == {f"{name}.gz": content for name, content in files.items()}
    second = load_mnist("mnist")
    assert len(good.requests) == 4
    for split in ("train", "validation", "test"):
        before, after = getattr(first, split), getattr(second, split)
        np.testing.assert_array_equal(before.images, after.images)
        np.testing.assert_array_equal(before.labels, after.labels)


# Pixels


def test_every_pixel_value_survives_the_way_to_floats_and_back() -> None:
    pixels = np.resize(np.arange(256, dtype=np.uint8), [4, 784])
    split = Split(pixels / np.float32(255), np.zeros(4, np.int64))
    np.testing.assert_array_equal(split.pixels, pixels, strict=True)
    assert split.pixels is split.pixels


@pytest.mark.parametrize("value", [0.3, 1e-9, 0.5 / 255, 1 - 1e-7])
def test_images_that_are_no_whole_numbers_have_no_pixels(value: float) -> None:
    images = np.zeros([2, 784], np.float32)
    images[1, 5] = value
    assert Split(images, np.zeros(2, np.int64)).pixels is None
