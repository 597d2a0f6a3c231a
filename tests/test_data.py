"""The data: what is let in, what is refused, and where it is looked for.

Files are written for each test, mirrors are web servers on this machine. No test reads or
writes the user's own cache, none asks another host.
"""

from __future__ import annotations

import gc
import gzip
import hashlib
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import data_server
import numpy as np
import pytest
from data_server import Answer, Mirror, serve
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnist_helpers import data
from mnist_helpers.data import DataError, Mnist, Split, load_mnist

NAMED_FOLDER = os.environ.get("MNIST_DATA_DIR")
NAMES = tuple(data._FILES)
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"

laws = settings(derandomize=True)

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


# The arrays


@given(st.lists(st.integers(0, 9), min_size=1))
@laws
def test_one_hot_is_one_in_the_labels_column_and_zero_elsewhere(labels: list[int]) -> None:
    split = Split(np.zeros((len(labels), 784), np.float32), np.array(labels, np.int64))
    assert split.one_hot.dtype == np.float32
    assert split.one_hot.shape == (len(split), 10)
    assert split.one_hot.tolist() == [[float(c == label) for c in range(10)] for label in labels]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        ((2, 28, 28), [1, 2], r"images must have shape \[n, 784\], not \[2, 28, 28\]"),
        ((2, 783), [1, 2], r"not \[2, 783\]"),
        ((2, 784), [1, 2, 3], r"labels must have shape \[2\].* not \[3\]"),
        ((2, 784), [1, 10], "0 to 9"),
        ((2, 784), [1, -1], "0 to 9"),
    ],
)
def test_a_split_of_other_shapes_or_labels_is_refused(
    images: tuple[int, ...], labels: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Split(np.zeros(images, np.float32), np.array(labels, np.int64))


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
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(DataError, match="no folder"):
        load_mnist(data_dir=path)


def test_all_missing_files_are_named(tmp_path: Path, files: Files) -> None:
    write(tmp_path, {TRAIN_IMAGES: files[TRAIN_IMAGES]})
    (tmp_path / TEST_LABELS).mkdir()
    with pytest.raises(DataError) as caught:
        load_mnist(data_dir=tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message
    assert all(name in message for name in (TRAIN_LABELS, TEST_IMAGES, TEST_LABELS))
    assert TRAIN_IMAGES not in message


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
    "label past 9": (
        TEST_LABELS,
        idx(np.array([0, 1, 2, 3, 10], np.uint8)),
        "the label 10, expected labels from 0 to 9",
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
    "more labels than images": (
        TEST_LABELS,
        idx(np.zeros(6, np.uint8)),
        "5 images in t10k-images-idx3-ubyte but 6 labels in t10k-labels-idx1-ubyte",
    ),
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
    with pytest.raises(DataError, match="is missing, and was not to be downloaded"):
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


def test_importing_the_module_loads_no_large_library() -> None:
    large = "tensorflow", "keras", "matplotlib", "sklearn", "scipy", "requests"
    code = f"import sys, mnist_helpers.data; print([m for m in {large} if m in sys.modules])"
    assert run_python(code).stdout == "[]\n"


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
    np.testing.assert_array_equal(split.pixels, pixels)
    assert split.pixels.dtype == np.uint8
    assert split.pixels is split.pixels


@pytest.mark.parametrize("value", [0.3, -1 / 255, 256 / 255, np.nan, np.inf])
def test_images_that_are_no_whole_numbers_have_no_pixels(value: float) -> None:
    images = np.zeros([2, 784], np.float32)
    images[1, 5] = value
    assert Split(images, np.zeros(2, np.int64)).pixels is None
