"""Checkpoints: what is saved comes back to the bit, and nothing else comes in."""

from __future__ import annotations

import io
import itertools
import os
import pickle
import re
import signal
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_helpers import (
    CHECKPOINT_ITERATIONS,
    CHECKPOINT_SEED,
    CheckpointError,
    ConvNet,
    Mnist,
    Split,
    evaluate,
    load_checkpoint,
    load_training,
    new_conv_layer,
    optimize,
    save_checkpoint,
    save_training,
)
from mnist_helpers.checkpoints import _read, _write
from mnist_helpers.network import Network
from mnist_helpers.speed.race import BatchNormNet

Arrays = dict[str, npt.NDArray[Any]]


def arrays_of(net: ConvNet) -> Arrays:
    return {name: variable.numpy() for name, variable in net.weights.items()}


def assert_same_bits(one: ConvNet, other: ConvNet) -> None:
    for name, array in arrays_of(one).items():
        assert array.tobytes() == other.weights[name].numpy().tobytes(), name
    assert one.iterations == other.iterations


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a good checkpoint."""
    path = tmp_path_factory.mktemp("valid") / "net.npz"
    save_checkpoint(ConvNet(seed=1), path)
    return path.read_bytes()


# What comes with the package


@pytest.mark.parametrize("iterations", CHECKPOINT_ITERATIONS)
def test_a_stored_network_is_ready_to_use(iterations: int) -> None:
    net = load_checkpoint(iterations)
    assert isinstance(net, ConvNet)
    assert net.iterations == iterations
    logits = net(np.random.default_rng(0).random((3, 784), np.float32)).numpy()
    assert logits.shape == (3, 10)
    assert np.isfinite(logits).all()


def test_the_first_stored_network_is_the_seeds_untrained_one() -> None:
    found, expected = arrays_of(load_checkpoint(0)), arrays_of(ConvNet(seed=CHECKPOINT_SEED))
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, err_msg=name)


@pytest.mark.needs_mnist
def test_training_again_gives_the_stored_networks(mnist: Mnist) -> None:
    net = ConvNet(seed=CHECKPOINT_SEED)
    start = arrays_of(net)
    optimize(net, mnist.train, 1, seed=CHECKPOINT_SEED, verbose=False)
    for name, stored in arrays_of(load_checkpoint(1)).items():
        np.testing.assert_allclose(net.weights[name], stored, rtol=0, atol=1e-6, err_msg=name)

    # Another processor rounds otherwise, which flips a ReLU now and then: with TensorFlow's
    # oneDNN kernels switched off, the weights end up 0.4% of their way elsewhere. The same
    # images in another order take them 12% to 50% of it elsewhere.
    optimize(net, mnist.train, 99, seed=CHECKPOINT_SEED, verbose=False)
    for name, stored in arrays_of(load_checkpoint(100)).items():
        elsewhere = np.abs(net.weights[name].numpy() - stored).mean()
        assert elsewhere < 0.03 * np.abs(stored - start[name]).mean(), name


@pytest.mark.needs_mnist
def test_the_last_stored_network_reads_98_5_percent_of_the_test_images(mnist: Mnist) -> None:
    assert evaluate(load_checkpoint(10_000), mnist.test).accuracy >= 0.985


@pytest.mark.needs_mnist
def test_stored_networks_are_the_better_the_longer_they_were_trained(mnist: Mnist) -> None:
    some = Split(mnist.test.images[:2_000], mnist.test.labels[:2_000])
    losses = [evaluate(load_checkpoint(n), some).loss for n in CHECKPOINT_ITERATIONS]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("kind", [int, np.int64, np.int32])
def test_iterations_may_be_a_whole_number_of_any_kind(kind: type) -> None:
    assert load_checkpoint(kind(100)).iterations == 100


@pytest.mark.parametrize("iterations", [2, 500, 100_000])
def test_an_unknown_checkpoint_is_refused_with_those_that_there_are(iterations: int) -> None:
    message = f"no checkpoint at {iterations:,} iterations; .* at 0, 1, 100, 1,000, 10,000"
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(iterations)


def test_a_negative_checkpoint_is_refused() -> None:
    with pytest.raises(ValueError, match="checkpoint must be at least 0; got -1"):
        load_checkpoint(-1)


@pytest.mark.parametrize("wrong", [100.0, None, [100]])
def test_a_checkpoint_is_a_whole_number_or_a_path(wrong: Any) -> None:
    with pytest.raises(TypeError, match="checkpoint must be a whole number; got"):
        load_checkpoint(wrong)


# Saving and loading


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**62))
@settings(max_examples=8, derandomize=True)
def test_what_is_saved_comes_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, seed: int, iterations: int
) -> None:
    folder = tmp_path_factory.mktemp("round_trip")
    rng = np.random.default_rng(seed)
    net = ConvNet(seed=0)
    for variable in net.weights.values():
        # Any pattern of bits: tiny, huge, minus zero, infinite, or not a number.
        bits = rng.integers(0, 2**32, variable.shape, dtype=np.uint32)
        variable.assign(bits.view(np.float32))
    net.iterations = iterations

    save_checkpoint(net, folder / "one.npz")
    loaded = load_checkpoint(folder / "one.npz")
    assert_same_bits(loaded, net)

    save_checkpoint(loaded, folder / "two.npz")
    assert (folder / "one.npz").read_bytes() == (folder / "two.npz").read_bytes()


@pytest.mark.parametrize("name", ["net.npz", "no ending", "Prüfpunkt.weights"])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_checkpoint_keeps_the_name_that_it_is_given(
    tmp_path: Path, name: str, kind: type
) -> None:
    net = ConvNet(seed=3)
    save_checkpoint(net, kind(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert_same_bits(load_checkpoint(kind(tmp_path / name)), net)


def test_an_older_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    save_checkpoint(ConvNet(seed=3), path)
    save_checkpoint(ConvNet(seed=4), path)
    assert_same_bits(load_checkpoint(path), ConvNet(seed=4))


def test_a_loaded_network_goes_on_with_the_next_batches(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    split = Split(rng.random((40, 784), np.float32), rng.integers(0, 10, 40))
    net = ConvNet(seed=0)
    optimize(net, split, 3, batch_size=8, seed=5, verbose=False)
    save_checkpoint(net, tmp_path / "net.npz")
    loaded = load_checkpoint(tmp_path / "net.npz")
    assert loaded.iterations == 3

    one = optimize(net, split, 1, batch_size=8, seed=5, verbose=False)
    other = optimize(loaded, split, 1, batch_size=8, seed=5, verbose=False)
    assert one.iterations.tolist() == other.iterations.tolist() == [4]
    # The loss before the step hangs on weights and batch alone.
    assert one.loss == pytest.approx(other.loss, rel=1e-6)


IMAGES = Split(
    np.random.default_rng(0).random((200, 784), np.float32),
    np.random.default_rng(1).integers(0, 10, 200),
)


@settings(max_examples=5)
@given(before=st.integers(0, 9), seed=st.integers(0, 5), batch_size=st.integers(1, 70))
def test_training_that_is_stored_goes_on_as_if_it_had_not_stopped(
    tmp_path_factory: pytest.TempPathFactory, before: int, seed: int, batch_size: int
) -> None:
    whole, net = ConvNet(seed=2), ConvNet(seed=2)
    optimize(whole, IMAGES, 12, seed=seed, batch_size=batch_size, verbose=False)
    path = tmp_path_factory.mktemp("training") / "state.npz"
    if before:
        optimize(net, IMAGES, before, seed=seed, batch_size=batch_size, verbose=False)
        save_training(net, path)
        net = load_training(path)
        optimize(net, IMAGES, 12 - before, verbose=False)
    else:
        save_training(net, path)
        net = load_training(path)
        optimize(net, IMAGES, 12, seed=seed, batch_size=batch_size, verbose=False)
    assert_same_bits(net, whole)


@pytest.mark.stress
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, so that 50 starts are quick")
def test_a_save_killed_anywhere_leaves_the_last_good_training_state(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    nets = [ConvNet(seed=0), ConvNet(seed=1)]
    files = []
    for net in nets:
        save_training(net, path)
        files.append(_read(path))
    rng = np.random.default_rng(0)
    unfinished = 0
    for _ in range(50):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:  # writes one state after the other, until it is killed
            for count in itertools.count():
                _write(path, files[count % 2])
                if count == 0:
                    os.write(writer, b"!")
        os.read(reader, 1)
        time.sleep(rng.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)
        loaded = arrays_of(load_training(path))["conv1/weights"].tobytes()
        assert loaded in [arrays_of(net)["conv1/weights"].tobytes() for net in nets]
        parts = [left for left in tmp_path.iterdir() if left != path]
        unfinished += len(parts)
        for part in parts:
            part.unlink()
    assert unfinished > 10


def test_a_state_after_a_checkpoint_keeps_both_counts(tmp_path: Path) -> None:
    """The network's iterations and Adam's steps differ: the checkpoint had forgotten Adam's."""
    whole, net = load_checkpoint(100), load_checkpoint(100)
    optimize(whole, IMAGES, 4, verbose=False)
    optimize(net, IMAGES, 2, verbose=False)
    save_training(net, tmp_path / "state.npz")
    net = load_training(tmp_path / "state.npz")
    assert net.iterations == 102
    optimize(net, IMAGES, 2, verbose=False)
    assert_same_bits(net, whole)


def test_weights_alone_are_no_training_state_and_the_other_way_round(tmp_path: Path) -> None:
    net = ConvNet(seed=0)
    save_checkpoint(net, tmp_path / "weights.npz")
    save_training(net, tmp_path / "state.npz")
    with pytest.raises(
        CheckpointError, match=r"weights.npz .* open it with load_checkpoint\(path\)"
    ):
        load_training(tmp_path / "weights.npz")
    with pytest.raises(CheckpointError, match=r"state.npz .* open it with load_training\(path\)"):
        load_checkpoint(tmp_path / "state.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": np.int64(-1)}, "how many steps its optimiser"),
        ({"seed": np.array(1.0)}, "in which order the images come"),
        ({"batch_size": np.int64(0)}, "how many images a step takes"),
        ({"mean/fc2/biases": np.zeros(10)}, "other than float32"),
        ({"square/fc2/biases": np.zeros(11, np.float32)}, "another network"),
    ],
)
def test_a_training_state_that_is_not_sound_is_refused(
    tmp_path: Path, change: Arrays, message: str
) -> None:
    path = tmp_path / "state.npz"
    save_training(ConvNet(seed=0), path)
    with np.load(path) as archive:
        arrays = dict(archive) | change
    path.write_bytes(npz(**arrays))
    with pytest.raises(CheckpointError, match=message):
        load_training(path)


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # not on Windows
    path = tmp_path / "net.npz"
    old = ConvNet(seed=3)
    save_checkpoint(old, path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, limits[1]))  # as if the disk were full
    try:
        with pytest.raises(OSError):
            save_checkpoint(ConvNet(seed=4), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [found.name for found in tmp_path.iterdir()] == ["net.npz"]
    assert_same_bits(load_checkpoint(path), old)


SAVES = [save_checkpoint, save_training]


@pytest.mark.parametrize("save", SAVES)
def test_a_save_to_where_nothing_can_be_written(
    tmp_path: Path, save: Callable[[ConvNet, Path], None]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    missing = re.escape(str(tmp_path / "no such"))
    with pytest.raises(FileNotFoundError, match=rf"cannot write {missing}/net.npz: .*er {missing}"):
        save(ConvNet(seed=0), tmp_path / "no such" / "net.npz")
    with pytest.raises(OSError, match="net.npz: there is no folder .*file"):
        save(ConvNet(seed=0), tmp_path / "file" / "net.npz")
    with pytest.raises(IsADirectoryError, match="folder is a folder: add the name of a file"):
        save(ConvNet(seed=0), tmp_path / "folder")
    assert {found.name for found in tmp_path.iterdir()} == {"folder", "file"}


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that refuses even root")
def test_a_folder_that_may_not_be_written_in_is_named() -> None:
    with pytest.raises(
        OSError, match=r"cannot write /proc/net.npz: .* name a folder that"
    ) as error:
        save_checkpoint(ConvNet(seed=0), "/proc/net.npz")
    assert "/.net" not in str(error.value)


@pytest.mark.parametrize(
    ("save", "load"), [(save_checkpoint, load_checkpoint), (save_training, load_training)]
)
def test_a_path_may_begin_at_home(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    save: Callable[..., None],
    load: Callable[..., ConvNet],
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    net = ConvNet(seed=3)
    for path in ("~/net", Path("~") / "net"):
        save(net, path)
        assert [found.name for found in tmp_path.iterdir()] == ["net"]
        assert_same_bits(load(path), net)
        (tmp_path / "net").unlink()
    with pytest.raises(CheckpointError, match=r"is missing, and so is the folder .*nowhere"):
        load("~/nowhere/net")


class Louder(ConvNet):
    def __call__(self, images: Any) -> Any:
        """Give louder logits."""
        return 2 * super().__call__(images)


def with_another_setting() -> ConvNet:
    net = ConvNet(seed=0)
    net.fc2.use_relu = True
    return net


def with_another_layer() -> ConvNet:
    net = ConvNet(seed=0)
    net.conv1, _ = new_conv_layer(1, 3, 16)
    return net


@pytest.mark.parametrize("save", SAVES)
@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: BatchNormNet(((3, 4, True),)), "this is a BatchNormNet"),
        (Louder, "this is a Louder"),
        (with_another_setting, "net.fc2.use_relu differs"),
        (with_another_layer, "net.conv1.weights differs"),
    ],
)
def test_a_network_that_a_file_would_not_bring_back_is_refused(
    tmp_path: Path, save: Callable[..., None], make: Callable[[], Network], what: str
) -> None:
    net = make()
    with pytest.raises(CheckpointError, match=rf"{what}: .*pickle.dump\(net, file\)"):
        save(net, tmp_path / "net.npz")
    assert not list(tmp_path.iterdir())
    again = pickle.loads(pickle.dumps(net))
    assert evaluate(again, IMAGES).loss == evaluate(net, IMAGES).loss


def test_net_and_path_in_the_wrong_order(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="network first, then the path; got (Posix|Windows)Path"):
        save_checkpoint(tmp_path / "net.npz", ConvNet(seed=0))  # type: ignore[arg-type]


# Files that are no checkpoints


def changed(**changes: Any) -> Callable[[], bytes]:
    """A checkpoint with other arrays; ``None`` leaves one out."""

    def make() -> bytes:
        arrays: Arrays = {**arrays_of(ConvNet(seed=0)), "iterations": np.int64(7)}
        for name, value in changes.items():
            if value is None:
                del arrays[name.replace("__", "/")]
            else:
                arrays[name.replace("__", "/")] = value
        file = io.BytesIO()
        np.savez(file, **arrays)
        return file.getvalue()

    return make


def bytes_for_an_array() -> bytes:
    """A checkpoint one of whose members is text."""
    file = io.BytesIO(changed()())
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["fc2/biases.npy"] = b"ten numbers"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def npy_before_a_zip() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue() + changed()()


FLOATS = np.zeros(10, np.float32)

BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is not a checkpoint, or is cut short"),
    "text": (lambda: b"<!doctype html><title>404</title>", "is not a checkpoint, or is cut short"),
    "cut off": (lambda: changed()()[:-1000], "is not a checkpoint, or is cut short"),
    "an array, no archive": (npy_before_a_zip, "cannot be read"),
    "text for an array": (bytes_for_an_array, "belongs to another network"),
    "other shape": (
        changed(fc2__biases=np.zeros(11, np.float32)),
        r"belongs to another network: expected .*\(10,\).*, found .*'fc2/biases': \(11,\)",
    ),
    "an array too few": (changed(fc2__biases=None), "belongs to another network"),
    "an array too many": (changed(fc3__biases=FLOATS), "another network.*found.*fc3/biases"),
    "another network": (
        lambda: npz(kernel=np.zeros((3, 3)), iterations=np.array(1)),
        "another network: expected .*conv1/weights.*found {'kernel': ",
    ),
    "float64": (changed(fc2__biases=np.zeros(10)), "other than float32"),
    "float16": (changed(fc2__biases=np.zeros(10, np.float16)), "other than float32"),
    "other byte order": (changed(fc2__biases=FLOATS.astype(">f4")), "other than float32"),
    "text in an array": (changed(fc2__biases=np.array(["a"] * 10)), "other than float32"),
    "no iterations": (changed(iterations=None), "does not say how many iterations"),
    "iterations a float": (changed(iterations=np.array(7.0)), "does not say how many iter"),
    "iterations a vector": (changed(iterations=np.array([7])), "does not say how many iter"),
    "iterations negative": (changed(iterations=np.int64(-7)), "does not say how many iter"),
}


def npz(**arrays: npt.NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_by_its_name(
    tmp_path: Path, make: Callable[[], bytes], message: str
) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(make())
    with pytest.raises(CheckpointError, match=f"{re.escape(str(path))} .*{message}"):
        load_checkpoint(path)


def test_the_changes_alone_are_what_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "good.npz"
    path.write_bytes(changed()())
    assert load_checkpoint(path).iterations == 7


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing.npz is missing: .*save_checkpoint"):
        load_checkpoint(tmp_path / "nothing.npz")
    with pytest.raises(CheckpointError, match="is a folder, not a checkpoint"):
        load_checkpoint(tmp_path)


@given(st.data())
@settings(max_examples=60, derandomize=True)
def test_a_damaged_file_is_refused_or_harmless(
    valid: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Bytes are changed where the archive and its arrays describe themselves."""
    file = io.BytesIO(valid)
    with zipfile.ZipFile(file) as archive:
        starts = [member.header_offset for member in archive.infolist()]
        directory = archive.start_dir
    headers = [place for start in starts for place in range(start, start + 200)]
    places = st.sampled_from([*headers, *range(directory, len(valid))])
    damaged = bytearray(valid)
    for place in data.draw(st.lists(places, min_size=1, max_size=3)):
        damaged[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(damaged)
    try:
        net = load_checkpoint(path)
    except CheckpointError as error:
        assert str(path) in str(error)
    else:
        assert_same_bits(net, ConvNet(seed=1))


@given(st.floats(0, 1, exclude_max=True))
@settings(max_examples=15, derandomize=True)
def test_a_file_cut_off_anywhere_is_refused(
    valid: bytes, tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.npz"
    path.write_bytes(valid[: int(share * len(valid))])
    with pytest.raises(CheckpointError, match="cut short"):
        load_checkpoint(path)


class Trap:
    """Something that, unpickled, makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def object_array(trap: Trap) -> npt.NDArray[Any]:
    array = np.empty((), object)
    array[()] = trap
    return array


def archive_of_pickles(trap: Trap) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in [*ConvNet(seed=0).weights, "iterations"]:
            archive.writestr(f"{name}.npy", pickle.dumps(trap))
    return file.getvalue()


def saved_object_array(trap: Trap) -> bytes:
    file = io.BytesIO()
    np.save(file, object_array(trap))
    return file.getvalue()


PICKLES: dict[str, Callable[[Trap], bytes]] = {
    "pickle": pickle.dumps,
    "object array": saved_object_array,
    "object array in an archive": lambda trap: npz(iterations=object_array(trap)),
    "object array among good ones": lambda trap: changed(fc2__biases=object_array(trap))(),
    "archive of pickles": archive_of_pickles,
    "pickle before an archive": lambda trap: pickle.dumps(trap) + changed()(),
}


@pytest.mark.parametrize("make", PICKLES.values(), ids=PICKLES.keys())
def test_a_pickle_is_never_executed(tmp_path: Path, make: Callable[[Trap], bytes]) -> None:
    trapped, path = tmp_path / "trapped", tmp_path / "net.npz"
    path.write_bytes(make(Trap(trapped)))
    with pytest.raises(CheckpointError, match=re.escape(str(path))):
        load_checkpoint(path)
    assert not trapped.exists()


def test_the_trap_of_the_pickles_would_have_snapped(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "trapped")))
    assert (tmp_path / "trapped").exists()
