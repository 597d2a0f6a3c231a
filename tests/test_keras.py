"""The larger network in Keras: its layers, the recipe, the stored runs, and the book's network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_helpers import ConvNet, Mnist, Split, evaluate, load_checkpoint, load_study, quiet
from mnist_helpers._keras_door import settings_problem
from mnist_helpers.keras.recipe import build_model, to_keras, train_recipe
from mnist_helpers.keras.variants import Variant, build_variant

with quiet():
    import keras
    import tensorflow as tf

Columns = dict[str, npt.NDArray[Any]]

COLUMNS = [
    "steps",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
]


def some_images(n: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).random((n, 784), dtype=np.float32)


def tiny_problem() -> Mnist:
    """Images of ten rough shapes, one for each class, with noise; easy to learn."""
    shapes = np.random.default_rng(99).random((10, 784)) > 0.7

    def split(n: int, seed: int) -> Split:
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 10, n)
        images = 0.6 * shapes[labels] + 0.4 * rng.random((n, 784))
        return Split(images.astype(np.float32), labels)

    return Mnist(split(250, 0), split(30, 1), split(40, 2), source="digits")


TINY = tiny_problem()


@pytest.fixture(scope="module")
def model() -> keras.Sequential:
    keras.utils.set_random_seed(1)
    return build_model()


@pytest.fixture(scope="module")
def trained() -> Columns:
    return train_recipe(TINY, 6, 2, keras.optimizers.Adam(1e-3))


# The network


def test_layers_have_the_sizes_of_the_tutorial(model: keras.Sequential) -> None:
    sizes = {layer.name: (layer.output.shape[1:], layer.count_params()) for layer in model.layers}
    assert sizes == {
        "image": ((28, 28, 1), 0),
        "conv1": ((28, 28, 32), 832),
        "pool1": ((14, 14, 32), 0),
        "conv2": ((14, 14, 64), 51_264),
        "pool2": ((7, 7, 64), 0),
        "flatten": ((3_136,), 0),
        "fc1": ((1_024,), 3_212_288),
        "dropout": ((1_024,), 0),
        "fc2": ((10,), 10_250),
    }
    assert model.count_params() == 3_274_634


def test_it_computes_what_tensorflows_operations_do(model: keras.Sequential) -> None:
    filters1, biases1, filters2, biases2, weights1, biases3, weights2, biases4 = model.get_weights()
    images = some_images(5)
    x = tf.reshape(images, [-1, 28, 28, 1])
    for filters, biases in ((filters1, biases1), (filters2, biases2)):
        x = tf.nn.relu(tf.nn.conv2d(x, filters, 1, "SAME") + biases)
        x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    x = tf.nn.relu(tf.reshape(x, [5, 3136]) @ weights1 + biases3)
    logits = x @ weights2 + biases4
    assert np.ptp(logits) > 0.01
    np.testing.assert_allclose(model(images), logits, atol=1e-5)
    np.testing.assert_allclose(model.predict(images, verbose=0), logits, atol=1e-5)


def test_the_seed_settles_the_first_weights() -> None:
    def first(seed: int) -> list[npt.NDArray[np.float32]]:
        keras.utils.set_random_seed(seed)
        weights: list[npt.NDArray[np.float32]] = build_model().get_weights()
        return weights

    for one, same, other in zip(first(1), first(1), first(2), strict=True):
        np.testing.assert_array_equal(one, same)
        assert one.ndim == 1 or not np.array_equal(one, other)


def test_dropout_is_for_training_alone(model: keras.Sequential) -> None:
    images = some_images(3)
    np.testing.assert_array_equal(model(images), model(images, training=False))
    assert not np.allclose(model(images, training=True), model(images, training=True), atol=1e-3)

    ones = np.ones((200, 1_024), np.float32)
    dropped = model.get_layer("dropout")(ones, training=True).numpy()
    assert np.mean(dropped == 0) == pytest.approx(0.4, abs=0.01)
    np.testing.assert_allclose(dropped[dropped != 0], 1 / 0.6, rtol=1e-6)


# The recipe


def test_a_row_follows_every_few_steps(trained: Columns) -> None:
    assert list(trained) == COLUMNS
    assert {column.shape for column in trained.values()} == {(3,)}
    assert trained["steps"].tolist() == [2, 4, 6]
    for split, n in (("validation", 30), ("test", 40)):
        right = trained[f"{split}_accuracy"] * n
        np.testing.assert_allclose(right, right.round(), atol=1e-4)


def test_rows_do_not_depend_on_how_often_they_are_written(trained: Columns) -> None:
    once = train_recipe(TINY, 6, 6, keras.optimizers.Adam(1e-3))
    for name in ("validation_loss", "validation_accuracy", "test_loss", "test_accuracy"):
        assert once[name][0] == pytest.approx(trained[name][-1], abs=1e-5)
    for name in ("train_loss", "train_accuracy"):
        assert once[name][0] == pytest.approx(trained[name].mean(), abs=1e-5)


def test_another_seed_gives_another_run(trained: Columns) -> None:
    other = train_recipe(TINY, 2, 2, keras.optimizers.Adam(1e-3), seed=1)
    assert other["train_loss"][0] != trained["train_loss"][0]
    assert other["test_loss"][0] != trained["test_loss"][0]


def test_steps_that_change_nothing_leave_the_first_network() -> None:
    columns = train_recipe(TINY, 2, 1, keras.optimizers.SGD(0.0), seed=3)
    keras.utils.set_random_seed(3)
    first = build_model()
    for name, split in (("validation", TINY.validation), ("test", TINY.test)):
        logits = first(split.images).numpy()
        surprise = keras.losses.sparse_categorical_crossentropy(split.labels, logits, True)
        np.testing.assert_allclose(columns[f"{name}_loss"], np.mean(surprise), rtol=1e-5)
        right = np.mean(logits.argmax(axis=1) == split.labels)
        np.testing.assert_allclose(columns[f"{name}_accuracy"], right, rtol=1e-5)


def test_the_recipe_is_gradient_descent_at_its_rate() -> None:
    default = train_recipe(TINY, 2, 1)
    named = train_recipe(TINY, 2, 1, keras.optimizers.SGD(0.001))
    faster = train_recipe(TINY, 2, 1, keras.optimizers.SGD(0.002))
    assert default["test_loss"].tolist() == pytest.approx(named["test_loss"].tolist(), abs=1e-6)
    fall, faster_fall = (np.diff(c["test_loss"])[0] for c in (default, faster))
    assert fall < 0
    assert faster_fall < 1.5 * fall


def test_the_recipe_learns_a_tiny_problem() -> None:
    columns = train_recipe(TINY, 24, 12, keras.optimizers.Adam(1e-3))
    assert columns["test_accuracy"][-1] > 0.9, "images that it has not seen"
    assert columns["train_loss"][-1] < columns["train_loss"][0] / 2


def test_each_row_is_printed_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    train_recipe(TINY, 1, 1)
    assert capsys.readouterr().out == ""
    train_recipe(TINY, 2, 1, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["steps 1", "steps 2"]


@pytest.mark.parametrize(("steps", "log_every"), [(0, 1), (10, 0), (10, 3), (-4, 2), (5, 10)])
def test_steps_that_make_no_whole_rows_are_refused(steps: int, log_every: int) -> None:
    with pytest.raises(
        ValueError, match=f"multiple of log_every.*steps={steps}, log_ev.*{log_every}"
    ):
        train_recipe(TINY, steps, log_every)


# The stored runs


@pytest.mark.parametrize(("name", "steps"), [("keras_sgd", 20_000), ("keras_adam", 4_000)])
def test_a_stored_run_is_complete(name: str, steps: int) -> None:
    run = load_study(name)
    assert list(run) == COLUMNS
    assert run["steps"].tolist() == list(range(200, steps + 1, 200))
    for part in ("train", "validation", "test"):
        loss, right = run[f"{part}_loss"], run[f"{part}_accuracy"]
        assert ((loss > 0) & (loss < 2.31)).all()
        assert ((right > 0) & (right <= 1)).all()
        # The curve is smooth, for a small rate: no row is far from the one before it.
        assert (np.diff(loss) < 0.05).all()
        assert right[-1] > 0.95
    # Each share is a whole number of MNIST's images.
    for part, n in (("validation", 5_000), ("test", 10_000)):
        count = run[f"{part}_accuracy"] * n
        np.testing.assert_allclose(count, count.round(), atol=0.1)


@pytest.mark.stress
@pytest.mark.needs_mnist
def test_a_short_run_begins_like_the_stored_one(mnist: Mnist) -> None:
    """Two hundred steps; the chapter compares its own, written out, with the same row."""
    stored, again = load_study("keras_sgd"), train_recipe(mnist, 200, 200)
    for name in COLUMNS[1:]:
        tolerance = 0.002 if name.endswith("loss") else 0.01
        assert again[name][0] == pytest.approx(stored[name][0], abs=tolerance)


# The book's network in Keras


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=5, derandomize=True)
def test_a_rebuilt_network_gives_the_same_logits(seed: int) -> None:
    net = ConvNet(seed=seed)
    for variable in net.weights.values():  # biases start equal: they could be mixed up unseen
        variable.assign_add(0.1 * np.random.default_rng(seed).normal(size=variable.shape))
    rebuilt, images = to_keras(net), some_images(7, seed)
    assert rebuilt.count_params() == net.num_parameters
    logits = net(images).numpy()
    assert np.abs(logits).max() > 0.1
    np.testing.assert_allclose(rebuilt(images), logits, rtol=1e-3, atol=1e-3)


def test_a_rebuilt_network_has_weights_of_its_own() -> None:
    net = ConvNet(seed=0)
    rebuilt, images = to_keras(net), some_images(2)
    before = rebuilt(images).numpy()
    for variable in net.weights.values():
        variable.assign(tf.zeros_like(variable))
    np.testing.assert_array_equal(rebuilt(images), before)


def test_the_trained_network_reads_every_test_image_the_same(mnist: Mnist) -> None:
    net = load_checkpoint(10_000)
    result = evaluate(net, mnist.test)
    logits = to_keras(net).predict(mnist.test.images, batch_size=256, verbose=0)
    np.testing.assert_array_equal(logits.argmax(axis=1), result.predictions)
    np.testing.assert_allclose(tf.nn.softmax(logits), result.probabilities, atol=1e-5)


# The door: what another course has left is found before Keras is imported


CHAPTER = (
    "from mnist_helpers import quiet\nwith quiet():\n    import keras\n    import tensorflow\n"
)
TORCH_IS_LOADED = """
import sys, types
sys.modules["keras"] = types.SimpleNamespace(config=types.SimpleNamespace(backend=lambda: "torch"))
"""


def last_line(code: str, **variables: str) -> str:
    """The last line that a new Python writes, to standard error if it fails."""
    kept = {name: os.environ[name] for name in os.environ.keys() - {"KERAS_BACKEND", "KERAS_HOME"}}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | variables, capture_output=True, text=True
    )
    return (done.stderr if done.returncode else done.stdout).splitlines()[-1]


@pytest.mark.parametrize("name", ["torch", "jax", "TensorFlow"])
def test_another_backend_in_the_variable_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", name)
    assert settings_problem() == (
        f"the environment variable KERAS_BACKEND is {name!r}, but this book needs Keras on "
        "'tensorflow': remove the variable or set it to tensorflow, then restart the kernel"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"backend": "jax"}', "backend is 'jax' in .*keras.json.* needs 'tensorflow'"),
        ('{"backend": "theano", "image_dim_ordering": "th"}', "backend is 'theano'"),
        (
            '{"backend": "tensorflow", "image_data_format": "channels_first"}',
            "image_data_format is 'channels_first' in .*keras.json.* needs 'channels_last'",
        ),
        ('{"floatx": "float16"}', "floatx is 'float16' in .*keras.json.* needs 'float32'"),
        ("[]", "cannot read its settings file .*keras.json: delete it"),
        ('{"backend": "tensorflow", "image_data_format": "channels_last"}', None),
        ("{}", None),
        ("", None),  # Keras reads nothing from it, and neither do we
    ],
)
@pytest.mark.parametrize("folder", ["KERAS_HOME", "~"])
def test_a_settings_file_is_named_with_what_is_wrong_in_it(
    text: str, problem: str | None, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if folder == "~":
        monkeypatch.delenv("KERAS_HOME", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("USERPROFILE", str(tmp_path))
        file = tmp_path / ".keras" / "keras.json"
        file.parent.mkdir()
    else:
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        file = tmp_path / "keras.json"
    file.write_text(text)
    found = settings_problem()
    if problem is None or found is None:
        assert found == problem
    else:
        assert re.search(problem, found)
        assert str(file) in found
    assert file.read_text() == text


def test_the_variable_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    assert settings_problem() is None
    monkeypatch.setenv("KERAS_BACKEND", "")  # Keras takes it for none
    assert "backend is 'jax'" in str(settings_problem())


@pytest.mark.parametrize("code", [CHAPTER, "import mnist_helpers.keras.recipe"])
def test_keras_with_another_backend_is_not_imported(code: str) -> None:
    line = last_line(code, KERAS_BACKEND="torch")
    assert line.startswith("ImportError: the environment variable KERAS_BACKEND is 'torch', but")


def test_what_needs_no_keras_runs_with_any_backend() -> None:
    code = "import mnist_helpers.training, sys; print('keras' in sys.modules)"
    assert last_line(code, KERAS_BACKEND="torch") == "False"


def test_a_keras_that_runs_on_another_backend_already_is_left_to_its_user() -> None:
    without = TORCH_IS_LOADED + "import mnist_helpers.network; print(sys.modules['keras'].config)"
    assert last_line(without).startswith("namespace(backend=")
    assert last_line(TORCH_IS_LOADED + CHAPTER).startswith(
        "ImportError: Keras already runs on 'torch' in this process, but this book needs"
    )


def test_the_books_layers_keep_channels_last_whatever_is_set_later() -> None:
    images, net = some_images(2), ConvNet(seed=0)
    expected = to_keras(net)(images)
    variant = build_variant(Variant(pooling="average"), seed=1)(images)
    keras.config.set_image_data_format("channels_first")
    try:
        np.testing.assert_array_equal(to_keras(net)(images), expected)
        again = build_variant(Variant(pooling="average"), seed=1)(images)
        np.testing.assert_array_equal(again, variant)
    finally:
        keras.config.set_image_data_format("channels_last")
