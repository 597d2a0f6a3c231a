"""How the lab learns: all of MNIST, workers that share a step, the way back, files for Python."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab_core import (
    BOOK,
    OTHERS,
    TRAINER,
    Architecture,
    Arrays,
    floats,
    put,
    random_weights,
    reference,
)
from numpy.typing import NDArray
from playwright.sync_api import Page
from site_pages import ROOT

from mnist_helpers import quiet
from mnist_helpers.checkpoints import CHECKPOINT_ITERATIONS, load_checkpoint, save_checkpoint
from mnist_helpers.data import Mnist
from mnist_helpers.optimizer import one_cycle

with quiet():
    import tensorflow as tf

pytest_plugins = ["browser", "lab_fixtures"]

NAMES = list(random_weights(OTHERS[1], 0))


# All of MNIST


@pytest.mark.parametrize("length", [0, 1, 55, 56, 63, 64, 65, 119, 120, 100_000])
def test_its_sha256_is_everybodys(lab: Page, folder: Path, length: int) -> None:
    content = np.random.default_rng(length).integers(0, 256, length, np.uint8)
    name = put(folder, "bytes.bin", content)
    found = lab.evaluate("async (name) => lab.sha256(new Uint8Array(await read(name)))", name)
    assert found == hashlib.sha256(content.tobytes()).hexdigest()


def test_all_of_mnist_comes_on_demand(lab: Page, folder: Path, mnist: Mnist) -> None:
    about = json.loads((folder / "digits.json").read_text(encoding="utf-8"))
    if mnist.source != "mnist":
        assert about["mnistBytes"] == 0
        assert not (folder / "mnist").exists()
        return
    found = lab.evaluate(
        """async () => {
          let last = 0, before = 0, grows = true;
          const sets = await lab.loadMnist((bytes) => {
            grows &&= bytes > last;
            last = bytes;
          });
          const hash = ({ images, labels }) => [lab.sha256(images), lab.sha256(labels)];
          return { grows, last, train: hash(sets.train), test: hash(sets.test) };
        }"""
    )
    assert found["grows"]
    assert found["last"] == about["mnistBytes"]
    for part in ("train", "test"):
        split = getattr(mnist, part)
        images = np.rint(split.images * 255).astype(np.uint8)
        expected = [images.tobytes(), split.labels.astype(np.uint8).tobytes()]
        assert found[part] == [hashlib.sha256(one).hexdigest() for one in expected]


@pytest.mark.parametrize("how", ["missing", "cut off", "another set", "no gzip"])
def test_mnist_that_is_none_is_refused(
    own_page: Page, address: str, folder: Path, mnist: Mnist, how: str
) -> None:
    if mnist.source != "mnist":
        pytest.skip("MNIST is not here")
    body = (folder / "mnist" / "test-labels.bin").read_bytes()
    if how == "cut off":
        body = body[:2000]
    elif how == "another set":
        body = gzip.compress(gzip.decompress(body)[::-1])
    elif how == "no gzip":
        body = b"<!doctype html><title>Please log in</title>"
    status = 404 if how == "missing" else 200
    own_page.route(
        "**/mnist/test-labels.bin", lambda route: route.fulfill(status=status, body=body)
    )
    own_page.goto(f"{address}/index.html")
    own_page.wait_for_function("window.ready")
    failure = own_page.evaluate("failure(() => lab.loadMnist())")
    assert failure["problem"] == ("missing" if how == "missing" else "damaged")
    assert "test-labels.bin" in failure["message"]


# The recipe


@pytest.mark.parametrize(("steps", "peak"), [(750, 6e-3), (7, 1.0), (1, 0.5)])
def test_one_cycle_is_the_packages(lab: Page, steps: int, peak: float) -> None:
    found = lab.evaluate(
        """({ steps, peak }) =>
          Array.from({ length: steps }, (_, i) => lab.oneCycle(i + 1, steps, peak))""",
        {"steps": steps, "peak": peak},
    )
    np.testing.assert_allclose(found, one_cycle(steps, peak), rtol=1e-6)


def test_the_races_first_weights_fit_the_layers(lab: Page) -> None:
    found = lab.evaluate("all64(lab.heWeights(lab.BOOK, 5))")
    for name, shape in lab.evaluate("lab.shapes(lab.BOOK)").items():
        if name.endswith("biases"):
            assert not floats(found[name]).any()
        elif name.endswith("weights"):
            deviation = np.sqrt(2 / np.prod(shape[:-1]))
            numbers = floats(found[name])
            assert abs(numbers).max() <= np.float32(2 * deviation)
            # A normal distribution cut at two standard deviations keeps 0.88 of its spread.
            assert numbers.std() == pytest.approx(0.88 * deviation, rel=0.1)


@pytest.mark.parametrize("engine", ["wasm-simd", "javascript"])
def test_smoothed_labels_and_one_cycle_are_tensorflows(
    lab: Page, folder: Path, engine: str, mnist: Mnist
) -> None:
    a, rate, smoothing, steps, size = OTHERS[1], 3e-3, 0.05, 6, 10
    start = random_weights(a, 3)
    images = np.rint(mnist.train.images[: steps * size] * 255).astype(np.uint8)
    labels = mnist.train.labels[: steps * size].astype(np.uint8)
    found = lab.evaluate(
        """async ({ engine, a, weights, images, labels, rate, labelSmoothing, cycle, size }) => {
          const training = await lab.newTraining(engines[engine], {
            architecture: a, weights: await readWeights(a, weights), learningRate: rate,
            batchSize: size, labelSmoothing, cycle,
          });
          const bytes = new Uint8Array(await read(images));
          const all = new Uint8Array(await read(labels));
          for (let step = 0; step < cycle; step++) {
            const from = step * size;
            training.step(lab.toBatch({
              images: bytes.subarray(from * 784, (from + size) * 784),
              labels: all.subarray(from, from + size),
            }));
          }
          return all64(training.weights());
        }""",
        {
            "engine": engine,
            "a": a.js,
            "weights": put(folder, "weights.bin", *start.values()),
            "images": put(folder, "images.bin", images),
            "labels": put(folder, "labels.bin", labels),
            "rate": rate,
            "labelSmoothing": smoothing,
            "cycle": steps,
            "size": size,
        },
    )
    expected = _smoothed_training(a, start, images, labels, one_cycle(steps, rate), smoothing)
    for name, array in expected.items():
        largest = abs(array - start[name]).max()
        assert largest > 1e-3
        np.testing.assert_allclose(
            floats(found[name]), array.ravel(), rtol=0, atol=1e-2 * largest, err_msg=name
        )


def _smoothed_training(
    a: Architecture,
    start: Arrays,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    rates: NDArray[np.float32],
    smoothing: float,
) -> Arrays:
    """Adam in float64, with the loss that TensorFlow smooths itself."""
    weights = {name: tf.Variable(array, dtype=tf.float64) for name, array in start.items()}
    means = {name: np.zeros(array.shape) for name, array in start.items()}
    squares = {name: np.zeros(array.shape) for name, array in start.items()}
    size = len(labels) // len(rates)
    for step, rate in enumerate(rates.astype(np.float64), 1):
        part = slice((step - 1) * size, step * size)
        with tf.GradientTape() as tape:
            pixels = tf.constant(images[part].astype(np.float32) / np.float32(255), tf.float64)
            logits = reference(a, weights, pixels)["logits"]
            wanted = tf.one_hot(labels[part].astype(np.int64), 10, dtype=tf.float64)
            loss = tf.keras.losses.categorical_crossentropy(
                wanted, logits, from_logits=True, label_smoothing=smoothing
            )
            loss = tf.reduce_mean(loss)
        for name, gradient in tape.gradient(loss, weights).items():
            means[name] += 0.1 * (gradient.numpy() - means[name])
            squares[name] += 0.001 * (gradient.numpy() ** 2 - squares[name])
            step_size = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            weights[name].assign_sub(step_size * means[name] / (np.sqrt(squares[name]) + 1e-7))
    return {name: variable.numpy() for name, variable in weights.items()}


@pytest.mark.stress
def test_the_quickest_recipe_reads_988_in_1000_test_digits(trainer: Page, mnist: Mnist) -> None:
    if mnist.source != "mnist":
        pytest.skip("MNIST is not here")
    options = {
        "architecture": BOOK.js, "learningRate": 6e-3, "batchSize": 32, "start": "he",
        "cycle": 750, "last": 750, "labelSmoothing": 0.05, "digits": "all",
    }  # fmt: skip
    shares = []
    for seed in range(1, 6):
        trainer.evaluate("reports.length = 0")
        trainer.evaluate(TRAIN, {"options": {**options, "seed": seed}, "workers": 2})
        assert trainer.evaluate("last().tested") == 10_000
        shares.append(trainer.evaluate("last().testAccuracy"))
    assert np.median(shares) >= 0.988


# Workers that share a step


TRAIN = """async ({ options, workers }) => {
  await trainer.start({ ...options, workers });
  trainer.run();
  await until(() => errors.length > 0 || last()?.finished);
  if (errors.length > 0) throw new Error(errors[0].message);
  return { weights: all64(last().weights), samples: last().samples, loss: last().loss };
}"""


@pytest.mark.parametrize("batch_size", [64, 30])
@pytest.mark.parametrize("kernels", [True, False])
def test_however_many_workers_the_weights_are_the_same_to_the_bit(
    trainer: Page, kernels: bool, batch_size: int
) -> None:
    if not kernels:
        trainer.context.route("**/network.wasm", lambda route: route.fulfill(status=404))
    options = {
        "architecture": BOOK.js if kernels else OTHERS[1].js,
        "learningRate": 1e-3, "batchSize": batch_size, "seed": 3, "last": 8,
    }  # fmt: skip
    found = []
    for workers in (1, 2, 4):
        info = trainer.evaluate(
            "(options) => trainer.start(options)", {**options, "workers": workers}
        )
        assert info["workers"] == workers
        assert info["engine"] == ("wasm-simd" if kernels else "javascript")
        trainer.evaluate("reports.length = 0")
        found.append(trainer.evaluate(TRAIN, {"options": options, "workers": workers}))
    start = trainer.evaluate("(a) => all64(lab.initialWeights(a, 3))", options["architecture"])
    assert all(found[0]["weights"][name] != text for name, text in start.items())
    assert found[0]["weights"] == found[1]["weights"] == found[2]["weights"]
    assert found[0]["samples"] == found[1]["samples"] == found[2]["samples"]
    assert len(set(found[0]["samples"])) == 4


@pytest.mark.parametrize(("shared", "alone"), [(5, 9), (9, 5)])
def test_a_step_is_shared_only_where_that_is_quicker(lab: Page, shared: int, alone: int) -> None:
    found = lab.evaluate(
        """({ shared, alone }) => {
          const pace = new lab.Pace();
          return Array.from({ length: 2 * lab.Pace.AGAIN }, () => {
            const { shares } = pace;
            pace.took(shares ? shared : alone);
            return shares;
          });
        }""",
        {"shared": shared, "alone": alone},
    )
    trial, again = lab.evaluate("[lab.Pace.TRIAL, lab.Pace.AGAIN]")
    once = [True] * trial + [False] * trial + [shared < alone] * (again - 2 * trial)
    assert found == once + once


def test_steps_shared_now_and_then_give_the_same_weights(trainer: Page) -> None:
    given = {**trainer.evaluate("options"), "last": 20}
    found = []
    for workers in (1, None):
        trainer.evaluate("reports.length = 0")
        found.append(trainer.evaluate(TRAIN, {"options": given, "workers": workers})["weights"])
    assert found[0] == found[1]


def test_an_odd_number_of_workers_is_refused(trainer: Page) -> None:
    failure = trainer.evaluate("failure(() => trainer.start({ ...options, workers: 3 }))")
    assert failure["problem"] == "invalid"
    assert "1, 2 or 4" in failure["message"]


def test_training_goes_on_after_a_reload_as_if_nothing_had_been(
    trainer: Page, address: str
) -> None:
    given = trainer.evaluate("options")
    whole = trainer.evaluate(TRAIN, {"options": {**given, "last": 40}, "workers": 1})
    trainer.evaluate("reports.length = 0")
    trainer.evaluate(TRAIN, {"options": {**given, "last": 15}, "workers": 1})
    assert trainer.evaluate("last().kept")
    # Another page of the same site, with nothing of the first one in memory.
    other = trainer.context.new_page()
    other.goto(f"{address}/index.html")
    other.wait_for_function("window.ready")
    other.evaluate(f"() => {{ {TRAINER} }}")
    assert other.evaluate("lab.aboutKept().then(({ iteration }) => iteration)") == 15
    assert other.evaluate("trainer.start('kept').then(({ iteration }) => iteration)") == 15
    other.evaluate(
        """async () => {
          for (let step = 16; step <= 40; step++) {
            trainer.step();
            await until(() => last()?.iteration === step && last().weights);
          }
        }"""
    )
    assert other.evaluate("all64(last().weights)") == whole["weights"]
    assert other.evaluate("last().seconds") > 0


def test_without_anything_kept_going_on_is_refused(trainer: Page) -> None:
    trainer.evaluate(
        """() => new Promise((resolve, reject) => {
          const request = indexedDB.deleteDatabase("mnist-lab");
          request.onsuccess = resolve;
          request.onerror = reject;
        })"""
    )
    failure = trainer.evaluate("failure(() => trainer.start('kept'))")
    assert failure["problem"] == "missing"
    assert "Start afresh" in failure["message"]


def test_training_ends_where_another_page_holds_the_storage(trainer: Page, address: str) -> None:
    given = trainer.evaluate("options")
    trainer.evaluate(TRAIN, {"options": {**given, "last": 1}, "workers": 1})
    assert trainer.evaluate("last().kept")
    # A transaction that always asks for something more never ends.
    other = trainer.context.new_page()
    other.goto(f"{address}/index.html")
    other.evaluate(
        """() => new Promise((resolve) => {
          indexedDB.open("mnist-lab").onsuccess = ({ target }) => {
            const transaction = target.result.transaction("training", "readwrite");
            const store = transaction.objectStore("training");
            const again = () => {
              store.get("about").onsuccess = again;
              resolve();
            };
            again();
          };
        })"""
    )
    trainer.evaluate("reports.length = 0")
    trainer.evaluate(TRAIN, {"options": {**given, "last": 2}, "workers": 1})
    assert trainer.evaluate("[last().iteration, last().kept]") == [2, False]
    other.close()
    trainer.evaluate("reports.length = 0")
    trainer.evaluate(TRAIN, {"options": {**given, "last": 3}, "workers": 1})
    assert trainer.evaluate("[last().iteration, last().kept]") == [3, True]


def test_the_test_digits_are_shown_with_what_they_are_taken_for(trainer: Page) -> None:
    found = trainer.evaluate(
        """async () => {
          await trainer.start(options);
          await until(() => last()?.guesses);
          const { guesses, testAccuracy } = last();
          const { test } = await lab.loadDigits();
          const right = guesses.filter((guess, n) => guess === test.labels[n]).length;
          const shown = await trainer.show([5, 7, 100_000]);
          const same = [5, 7].every((digit, n) =>
            test.images.subarray(digit * 784, digit * 784 + 784).join() ===
              shown.images.subarray(n * 784, n * 784 + 784).join());
          return [right / guesses.length, testAccuracy, same, Array.from(shown.labels),
                  [test.labels[5], test.labels[7]]];
        }"""
    )
    assert found[0] == found[1]
    assert found[2]
    assert found[3] == found[4]


# The way back


def _reference_way_back(
    weights: Arrays, image: NDArray[np.float32], label: int, winners: list[NDArray[Any]]
) -> tuple[float, Arrays]:
    """All derivatives by ``tf.GradientTape`` in float64; pooling takes what the page's took.

    Where two of a window differ by no more than rounding, the two could take different ones.
    """
    tensors: dict[str, Any] = {
        name: tf.constant(array, tf.float64) for name, array in weights.items()
    }
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        x = tensors["input"] = tf.constant(image.reshape(1, 28, 28, 1), tf.float64)
        tape.watch(x)
        for layer, winner in enumerate(winners, 1):
            w, b = tensors[f"conv{layer}/weights"], tensors[f"conv{layer}/biases"]
            x = tensors[f"conv{layer}"] = tf.nn.conv2d(x, w, strides=1, padding="SAME") + b
            size, channels = x.shape[1] // 2, x.shape[-1]
            windows = tf.reshape(x, [size, 2, size, 2, channels])
            windows = tf.reshape(tf.transpose(windows, [0, 2, 4, 1, 3]), [size, size, channels, 4])
            gaps = np.max(windows, axis=-1) - tf.gather(windows, winner, batch_dims=3).numpy()
            assert gaps.max() < 1e-4
            x = tf.nn.relu(tf.gather(windows, winner, batch_dims=3))[tf.newaxis]
            tensors[f"pool{layer}"] = x
        flat = tf.reshape(x, [1, -1])
        fc1 = tensors["fc1"] = tf.nn.relu(flat @ tensors["fc1/weights"] + tensors["fc1/biases"])
        logits = tensors["logits"] = fc1 @ tensors["fc2/weights"] + tensors["fc2/biases"]
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits([label], logits)[0]
    gradients = tape.gradient(loss, tensors)
    return float(loss), {name: array.numpy().ravel() for name, array in gradients.items()}


def _winners(sums: NDArray[np.float32], channels: int) -> NDArray[np.int64]:
    size = int(np.sqrt(sums.size // channels)) // 2
    windows = sums.reshape(size, 2, size, 2, channels).transpose(0, 2, 4, 1, 3)
    return windows.reshape(size, size, channels, 4).argmax(axis=-1)


@pytest.mark.parametrize("iterations", CHECKPOINT_ITERATIONS)
def test_every_derivative_is_tensorflows(lab: Page, iterations: int, mnist: Mnist) -> None:
    net = load_checkpoint(iterations)
    weights = {name: variable.numpy() for name, variable in net.weights.items()}
    for n in range(3):
        image, right = mnist.test.images[n], int(mnist.test.labels[n])
        for label in (right, (right + 5) % 10):
            found = lab.evaluate(
                """async ({ iterations, image, label }) => {
                  const w = await lab.loadCheckpoint(iterations);
                  const x = engines["wasm-simd"].forward(lab.BOOK, w, Float32Array.from(image));
                  const { loss, weights, numbers } = lab.wayBack(lab.BOOK, w, x, label);
                  const sums = { conv1: base64(x.conv1), conv2: base64(x.conv2) };
                  return { loss, sums, all: { ...all64(weights), ...all64(numbers) } };
                }""",
                {"iterations": iterations, "image": image.tolist(), "label": label},
            )
            winners = [
                _winners(floats(found["sums"]["conv1"]), BOOK.num_filters1),
                _winners(floats(found["sums"]["conv2"]), BOOK.num_filters2),
            ]
            loss, expected = _reference_way_back(weights, image, label, winners)
            assert found["loss"] == pytest.approx(loss, rel=1e-4, abs=1e-6)
            assert {*expected, "flat", "probabilities"} == set(found["all"])
            for name, array in expected.items():
                largest = abs(array).max()
                assert largest > 0
                np.testing.assert_allclose(
                    floats(found["all"][name]), array, rtol=0, atol=1e-4 * largest,
                    err_msg=f"{name}, image {n}, label {label}",
                )  # fmt: skip


@pytest.mark.parametrize("a", [BOOK, OTHERS[0], OTHERS[1]], ids=str)
def test_the_terms_that_are_shown_add_up(lab: Page, folder: Path, a: Architecture) -> None:
    found = lab.evaluate(
        """async ({ a, weights }) => {
          const w = await readWeights(a, weights);
          const random = lab.randomNumbers(1, 1);
          const image = new Float32Array(784).map(() => Math.max(0, random() - 0.5));
          const x = engines["wasm-simd"].forward(a, w, image);
          const back = lab.wayBack(a, w, x, 3);
          const result = [];
          const compare = (name, all, termsOf) => {
            const size = (index) => Math.abs(all[index]);
            const order = Array.from(all.keys()).sort((i, j) => size(j) - size(i));
            // The largest ones, and some from everywhere.
            const spread = order.filter((_, i) => i % 97 === 0);
            const some = [...order.slice(0, 6), ...spread.slice(0, 6)];
            for (const index of some) {
              const terms = termsOf(name, index);
              const sum = terms.reduce((so, { product }) => so + product, 0);
              const whole = terms.every((t) => t.product === t.derivative * t.factor &&
                t.derivative === back.numbers[t.layer][t.index]);
              result.push([name, index, sum, all[index], size(order[0]), whole]);
            }
          };
          for (const name of lab.WEIGHT_NAMES) {
            compare(name, back.weights[name], (n, i) => lab.termsOfWeight(a, x, back, n, i));
          }
          for (const layer of ["input", "conv1", "pool1", "conv2", "pool2", "flat", "fc1"]) {
            compare(layer, back.numbers[layer], (n, i) => lab.termsOfNumber(a, w, x, back, n, i));
          }
          return result;
        }""",
        {"a": a.js, "weights": put(folder, "weights.bin", *random_weights(a, 4).values())},
    )
    assert {name for name, *_ in found} == {
        *NAMES, "input", "conv1", "pool1", "conv2", "pool2", "flat", "fc1"
    }  # fmt: skip
    for name, index, total, derivative, largest, whole in found:
        assert largest > 0
        assert whole
        assert total == pytest.approx(derivative, abs=1e-5 * largest), (name, index)


# Files for Python, and from it


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


def test_a_network_from_the_page_is_a_checkpoint_to_the_bit(lab: Page, tmp_path: Path) -> None:
    found = lab.evaluate(
        """() => {
          const w = lab.heWeights(lab.BOOK, 7);
          return [base64(lab.checkpointFile(lab.BOOK, w, 321)), all64(w)];
        }"""
    )
    path = tmp_path / "network.npz"
    path.write_bytes(_bytes(found[0]))
    net = load_checkpoint(path)
    assert net.iterations == 321
    for name, variable in net.weights.items():
        np.testing.assert_array_equal(variable.numpy().ravel(), floats(found[1][name]))


@pytest.mark.parametrize("packed", [False, True])
def test_a_checkpoint_is_a_network_of_the_page_to_the_bit(
    lab: Page, folder: Path, tmp_path: Path, packed: bool
) -> None:
    net = load_checkpoint(100)
    path = tmp_path / "network.npz"
    save_checkpoint(net, path)
    if packed:
        with np.load(path) as arrays:
            np.savez_compressed(path, **arrays)
    name = put(folder, "network.npz", np.frombuffer(path.read_bytes(), np.uint8))
    found = lab.evaluate(
        """async (name) => {
          const given = await lab.readNetwork(new Uint8Array(await read(name)));
          return { ...given, weights: all64(given.weights) };
        }""",
        name,
    )
    assert found["architecture"] == BOOK.js
    assert found["iterations"] == 100
    for key, variable in net.weights.items():
        np.testing.assert_array_equal(floats(found["weights"][key]), variable.numpy().ravel())


def test_another_network_of_the_labs_kind_is_taken_too(lab: Page) -> None:
    assert lab.evaluate(
        """async (a) => {
          const w = lab.initialWeights(a, 1);
          const given = await lab.readNetwork(lab.checkpointFile(a, w, 5));
          return JSON.stringify(given.architecture) === JSON.stringify(a) &&
            lab.WEIGHT_NAMES.every((name) => given.weights[name].join() === w[name].join());
        }""",
        OTHERS[1].js,
    )


def _archive(change: str) -> bytes:
    arrays: dict[str, Any] = {
        name: variable.numpy() for name, variable in load_checkpoint(1).weights.items()
    }
    arrays["iterations"] = np.int64(1)
    if change == "lacks one":
        del arrays["fc1/biases"]
    elif change == "another shape":
        arrays["fc2/biases"] = np.zeros(11, np.float32)
    elif change == "a vector":
        arrays["conv1/weights"] = np.zeros(400, np.float32)
    elif change == "doubles":
        arrays["fc2/biases"] = np.zeros(10)
    elif change == "pickled":
        arrays["fc2/biases"] = np.array([None] * 10, object)
    elif change == "no number":
        arrays["fc1/weights"][0, 0] = np.nan
    elif change == "by columns":
        arrays["fc1/weights"] = np.asfortranarray(arrays["fc1/weights"])
    elif change == "huge":
        arrays["more"] = np.zeros(9_000_000, np.float32)
    target = io.BytesIO()
    np.savez_compressed(target, **arrays) if change == "huge" else np.savez(target, **arrays)
    content = target.getvalue()
    if change == "cut off":
        return content[: len(content) // 2]
    if change == "a bit turned":
        middle = len(content) // 2
        return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    if change == "the end alone":
        return content[-22:]
    if change == "a web page":
        return b"<!doctype html><title>Please log in</title>"
    if change == "empty":
        return b""
    if change == "a photograph in a zip":
        with zipfile.ZipFile(target, "w") as file:
            file.writestr("photo.jpg", b"\xff\xd8\xff")
        return target.getvalue()
    return content


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("lacks one", "it lacks fc1/biases"),
        ("another shape", "fc2/biases has shape 11, expected 10"),
        ("a vector", "conv1/weights has shape 400"),
        ("doubles", "instead of float32"),
        ("pickled", "instead of float32"),
        ("no number", "not finite float32"),
        ("by columns", "column by column"),
        ("huge", "more than any network"),
        ("cut off", "not a .npz archive"),
        ("a bit turned", "checksum"),
        ("the end alone", "cut off"),
        ("a web page", "not a .npz archive"),
        ("empty", "not a .npz archive"),
        ("a photograph in a zip", "not an array"),
    ],
)
def test_a_file_that_holds_no_network_is_refused_in_words(
    lab: Page, folder: Path, change: str, said: str
) -> None:
    name = put(folder, "given.npz", np.frombuffer(_archive(change), np.uint8))
    failure = lab.evaluate(
        "async (name) => failure(async () => lab.readNetwork(new Uint8Array(await read(name))))",
        name,
    )
    assert failure["name"] == "LabError"
    assert said in failure["message"]


@pytest.mark.parametrize("recipe", ["own", "race"])
def test_ten_lines_of_python_repeat_the_training(
    trainer: Page, tmp_path: Path, recipe: str
) -> None:
    given: dict[str, Any] = {"architecture": BOOK.js, "workers": 1, "last": 12, "batchSize": 32}
    if recipe == "race":
        given |= {"start": "he", "cycle": 12, "labelSmoothing": 0.05, "learningRate": 6e-3}
    found = trainer.evaluate(
        """async (given) => {
          const all = { ...options, ...given };
          await trainer.start(all);
          const losses = [];
          for (let step = 1; step <= given.last; step++) {
            trainer.step();
            await until(() => last()?.iteration === step);
            losses.push(last().loss);
          }
          const { train, trainOf } = await lab.loadDigits();
          const file = lab.trainingFile(all, last().weights, 12, train.labels.length, trainOf);
          return [losses, base64(file), all64(last().weights)];
        }""",
        given,
    )
    losses, file, weights = found
    with zipfile.ZipFile(io.BytesIO(_bytes(file))) as archive:
        archive.extractall(tmp_path)
    script = (tmp_path / "repeat.py").read_text(encoding="utf-8")
    assert len(script.splitlines()) <= 14
    printed = subprocess.run(
        [sys.executable, "repeat.py"], cwd=tmp_path, check=True, capture_output=True, text=True,
        env=_environment(),
    ).stdout  # fmt: skip
    np.testing.assert_allclose([float(line) for line in printed.split()], losses, atol=2e-3)
    net = load_checkpoint(tmp_path / "network.npz")
    for name, variable in net.weights.items():
        np.testing.assert_array_equal(variable.numpy().ravel(), floats(weights[name]))


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
