"""The lab's network, in a real browser, against TensorFlow's: every number of it.

``core.js`` is the lab without its page. The tests import it into an empty page, call it, and
compare what it gives with what TensorFlow gives for the same numbers.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import lab_data
import numpy as np
import pytest
from lab_core import (
    BOOK,
    BUILT,
    ENGINES,
    OTHERS,
    Architecture,
    Arrays,
    floats,
    open_lab,
    put,
    random_weights,
    reference,
)
from numpy.typing import NDArray
from playwright.sync_api import Page, Route, expect

from mnist_helpers import data, quiet
from mnist_helpers.checkpoints import CHECKPOINT_ITERATIONS, load_checkpoint
from mnist_helpers.data import DataError, Mnist

with quiet():
    import tensorflow as tf

pytest_plugins = ["browser", "lab_fixtures"]


def images_of(mnist: Mnist, count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    split = mnist.train
    images = np.rint(split.images[:count] * 255).astype(np.uint8)
    return images, split.labels[:count].astype(np.uint8)


def reference_training(
    a: Architecture, start: Arrays, batches: list[tuple[NDArray[Any], NDArray[Any]]], rate: float
) -> tuple[Arrays, list[float]]:
    """Adam, as Keras defines it, in float64 throughout; the loss of each step."""
    weights = {name: tf.Variable(array, dtype=tf.float64) for name, array in start.items()}
    means = {name: np.zeros(array.shape) for name, array in start.items()}
    squares = {name: np.zeros(array.shape) for name, array in start.items()}
    losses = []
    for step, (images, labels) in enumerate(batches, 1):
        with tf.GradientTape() as tape:
            # The division in float32 is what the page does too.
            pixels = tf.constant(images.astype(np.float32) / np.float32(255), tf.float64)
            logits = reference(a, weights, pixels)["logits"]
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels.astype(np.int64), logits)
            )
        losses.append(float(loss))
        gradients = tape.gradient(loss, weights)
        for name, variable in weights.items():
            gradient = gradients[name].numpy()
            means[name] += 0.1 * (gradient - means[name])
            squares[name] += 0.001 * (gradient**2 - squares[name])
            step_size = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            variable.assign_sub(step_size * means[name] / (np.sqrt(squares[name]) + 1e-7))
    return {name: variable.numpy() for name, variable in weights.items()}, losses


def train_in_page(
    lab: Page,
    folder: Path,
    engine: str,
    a: Architecture,
    start: Arrays,
    batches: list[tuple[NDArray[Any], NDArray[Any]]],
    rate: float,
) -> tuple[Arrays, list[float]]:
    images = put(folder, "images.bin", *(images for images, _ in batches))
    labels = put(folder, "labels.bin", *(labels for _, labels in batches))
    weights = put(folder, "weights.bin", *start.values())
    result = lab.evaluate(
        """async ({ engine, a, images, labels, weights, rate, batchSize, steps }) => {
          const training = await lab.newTraining(engines[engine], {
            architecture: a, weights: await readWeights(a, weights), learningRate: rate, batchSize,
          });
          const bytes = new Uint8Array(await read(images));
          const allLabels = new Uint8Array(await read(labels));
          const losses = [];
          for (let step = 0; step < steps; step++) {
            const from = step * batchSize;
            const digits = {
              images: bytes.subarray(from * 784, (from + batchSize) * 784),
              labels: allLabels.subarray(from, from + batchSize),
            };
            losses.push(training.step(lab.toBatch(digits)).loss);
          }
          return { weights: all64(training.weights()), losses };
        }""",
        {
            "engine": engine,
            "a": a.js,
            "images": images,
            "labels": labels,
            "weights": weights,
            "rate": rate,
            "batchSize": len(batches[0][1]),
            "steps": len(batches),
        },
    )
    found = {
        name: floats(text).reshape(start[name].shape) for name, text in result["weights"].items()
    }
    return found, result["losses"]


def forward_in_page(
    lab: Page, folder: Path, engine: str, a: Architecture, weights: Arrays, image: NDArray[Any]
) -> Arrays:
    found = lab.evaluate(
        """async ({ engine, a, weights, image }) => {
          const w = await readWeights(a, weights);
          const pixels = new Float32Array(await read(image));
          return all64(engines[engine].forward(a, w, pixels));
        }""",
        {
            "engine": engine,
            "a": a.js,
            "weights": put(folder, "weights.bin", *weights.values()),
            "image": put(folder, "image.bin", image.astype("<f4")),
        },
    )
    return {name: floats(text) for name, text in found.items()}


def test_chromium_runs_the_fast_engine(lab: Page) -> None:
    assert lab.evaluate("[engines['wasm-simd'].kind, engines['wasm-simd'].reason]") == [
        "wasm-simd",
        None,
    ]
    assert lab.evaluate("engines['javascript'].kind") == "javascript"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("iterations", CHECKPOINT_ITERATIONS)
def test_every_layer_equals_tensorflows(
    lab: Page, engine: str, iterations: int, mnist: Mnist
) -> None:
    net = load_checkpoint(iterations)
    weights = {name: variable.numpy() for name, variable in net.weights.items()}
    rng = np.random.default_rng(iterations)
    images = np.concatenate([mnist.test.images[:3], rng.random((1, 784), np.float32)])
    expected = {
        **{name: value.numpy() for name, value in reference(BOOK, weights, images).items()},
        "logits": net(images).numpy(),
    }
    found = lab.evaluate(
        """async ({ engine, iterations, images }) => {
          const w = await lab.loadCheckpoint(iterations);
          return images.map((image) =>
            all64(engines[engine].forward(lab.BOOK, w, Float32Array.from(image))));
        }""",
        {"engine": engine, "iterations": iterations, "images": images.tolist()},
    )
    for n, outputs in enumerate(found):
        np.testing.assert_array_equal(floats(outputs["input"]), images[n])
        for name, value in expected.items():
            np.testing.assert_allclose(
                floats(outputs[name]), value[n].ravel(), rtol=0, atol=1e-4, err_msg=name
            )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("a", OTHERS, ids=str)
def test_every_layer_of_other_networks_equals_tensorflows(
    lab: Page, folder: Path, engine: str, a: Architecture, mnist: Mnist
) -> None:
    weights = random_weights(a, 1)
    image = mnist.test.images[:1]
    found = forward_in_page(lab, folder, engine, a, weights, image)
    for name, value in reference(a, weights, image).items():
        np.testing.assert_allclose(
            found[name], value.numpy().ravel(), rtol=0, atol=1e-4, err_msg=name
        )
    shapes = lab.evaluate("(a) => lab.shapes(a)", a.js)
    for name, array in found.items():
        assert array.size == np.prod(shapes[name])


@pytest.mark.parametrize(("engine", "size"), [("wasm-simd", 64), ("javascript", 8)])
def test_twenty_steps_equal_tensorflows_in_float64(
    lab: Page, folder: Path, engine: str, size: int, mnist: Mnist
) -> None:
    images, labels = images_of(mnist, 20 * size)
    batches = [(images[i : i + size], labels[i : i + size]) for i in range(0, len(images), size)]
    assert len(batches) == 20
    start = {name: variable.numpy() for name, variable in load_checkpoint(0).weights.items()}
    expected, expected_losses = reference_training(BOOK, start, batches, 1e-4)
    found, losses = train_in_page(lab, folder, engine, BOOK, start, batches, 1e-4)
    assert max(abs(expected[name] - start[name]).max() for name in start) > 1e-3
    np.testing.assert_allclose(losses, expected_losses, rtol=0, atol=1e-5)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("a", OTHERS, ids=str)
def test_steps_of_other_networks_equal_tensorflows(
    lab: Page, folder: Path, engine: str, a: Architecture, mnist: Mnist
) -> None:
    # Batches of a size that is no multiple of anything.
    images, labels = images_of(mnist, 3 * 7)
    batches = [(images[i : i + 7], labels[i : i + 7]) for i in range(0, len(images), 7)]
    start = random_weights(a, 2)
    expected, expected_losses = reference_training(a, start, batches, 1e-4)
    found, losses = train_in_page(lab, folder, engine, a, start, batches, 1e-4)
    np.testing.assert_allclose(losses, expected_losses, rtol=0, atol=1e-5)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_that_are_changed_in_place_are_seen(lab: Page, engine: str) -> None:
    same, silenced = lab.evaluate(
        """async (engine) => {
          const w = await lab.loadCheckpoint(100);
          const image = new Float32Array(784).map((_, i) => (i % 28) / 27);
          const before = engines[engine].forward(lab.BOOK, w, image);
          const kept = before.logits.slice();
          for (let i = 0; i < 25; i++) w["conv1/weights"][i * 16 + 3] = 0;
          w["conv1/biases"][3] = 0;
          const after = engines[engine].forward(lab.BOOK, w, image);
          return [
            // What an earlier call gave stays as it was.
            before.logits.every((value, k) => value === kept[k]),
            after.pool1.every((value, i) => i % 16 !== 3 || value === 0) &&
              after.logits.some((value, k) => value !== kept[k]),
          ];
        }""",
        engine,
    )
    assert same
    assert silenced


def test_the_engine_may_go_from_one_network_to_another_and_back(lab: Page) -> None:
    assert lab.evaluate(
        """async (other) => {
          const image = new Float32Array(784).fill(0.5);
          const w = await lab.loadCheckpoint(1000);
          const small = lab.initialWeights(other, 1);
          const engine = engines["wasm-simd"];
          const first = engine.forward(lab.BOOK, w, image).logits.join();
          const between = engine.forward(other, small, image).logits;
          const plain = lab.forward(other, small, image).logits;
          return (
            between.every((value, k) => Math.abs(value - plain[k]) < 1e-5) &&
            engine.forward(lab.BOOK, w, image).logits.join() === first
          );
        }""",
        OTHERS[1].js,
    )


def test_evaluation_does_not_depend_on_the_batch(lab: Page) -> None:
    found = lab.evaluate(
        """async () => {
          const weights = await lab.loadCheckpoint(100);
          const { test } = await lab.loadDigits();
          const some = {
            images: test.images.subarray(0, 100 * 784), labels: test.labels.subarray(0, 100),
          };
          const results = [];
          const ways = [["wasm-simd", 64], ["wasm-simd", 7], ["javascript", 1]];
          for (const [engine, batchSize] of ways) {
            const training = await lab.newTraining(engines[engine], {
              architecture: lab.BOOK, weights, learningRate: 1e-4, batchSize,
            });
            results.push(training.evaluate(lab.toBatch(some)));
          }
          return results;
        }"""
    )
    assert all(one["accuracy"] == found[0]["accuracy"] for one in found)
    assert [one["loss"] for one in found] == pytest.approx([found[0]["loss"]] * 3, abs=1e-6)


def test_first_weights_are_the_books_kind(lab: Page) -> None:
    found = lab.evaluate("all64(lab.initialWeights(lab.BOOK, 5))")
    again = lab.evaluate("all64(lab.initialWeights(lab.BOOK, 5))")
    other = lab.evaluate("all64(lab.initialWeights(lab.BOOK, 6))")
    assert found == again
    assert lab.evaluate("lab.numParameters(lab.BOOK)") == load_checkpoint(0).num_parameters
    for name, text in found.items():
        array = floats(text)
        if name.endswith("biases"):
            assert (array == np.float32(0.05)).all()
        else:
            assert other[name] != text
            assert abs(array).max() <= np.float32(0.1)
    large = floats(found["fc1/weights"])
    # A normal distribution cut at two standard deviations keeps 0.88 of its spread.
    assert large.std() == pytest.approx(0.88 * 0.05, rel=0.01)
    assert large.mean() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("choice", "value"),
    [("filterSize", 4), ("filterSize", 11), ("numFilters1", 6), ("numFilters2", 0),
     ("fcSize", 1000), ("fcSize", None), ("numFilters1", 4.5)],
)  # fmt: skip
def test_an_impossible_network_is_refused(lab: Page, choice: str, value: object) -> None:
    failure = lab.evaluate(
        """({ choice, value }) => failure(async () => {
          const a = { ...lab.BOOK, [choice]: value };
          await lab.newTraining(engines["wasm-simd"], {
            architecture: a, weights: lab.initialWeights(lab.BOOK, 1), learningRate: 1e-3,
            batchSize: 4,
          });
        })""",
        {"choice": choice, "value": value},
    )
    assert failure["name"] == "LabError"
    assert failure["problem"] == "invalid"
    assert choice in failure["message"]


def test_batches_take_every_image_once_before_any_again(lab: Page) -> None:
    batches = lab.evaluate(
        """() => {
          const count = 50;
          const labels = new Uint8Array(count).map((_, i) => i);
          const images = new Uint8Array(count * 784).map((_, i) => Math.floor(i / 784));
          const list = (seed, steps) => {
            const batches = new lab.Batches({ images, labels }, 8, seed);
            return Array.from({ length: steps }, () => {
              const batch = batches.next();
              const first = Array.from(batch.labels, (_, n) => batch.images[n * 784] * 255);
              return [Array.from(batch.labels), first.map(Math.round)];
            });
          };
          return [list(1, 25), list(1, 25), list(2, 25)];
        }"""
    )
    first, again, other = batches
    assert first == again != other
    labels = np.concatenate([labels for labels, _ in first])
    assert [labels for labels, _ in first] == [images for _, images in first]
    epochs = labels.reshape(4, 50)
    for epoch in epochs:
        assert sorted(epoch) == list(range(50))
    assert not (epochs[0] == epochs[1]).all()


# Without WebAssembly, and with it under difficult circumstances


@pytest.mark.parametrize("how", ["missing", "damaged", "unreachable"])
def test_without_the_kernels_the_plain_network_takes_over(
    own_page: Page, address: str, how: str
) -> None:
    def answer(route: Route) -> None:
        if how == "missing":
            route.fulfill(status=404)
        elif how == "damaged":
            route.fulfill(body=(BUILT / "network.wasm").read_bytes()[:1000])
        else:
            route.abort()

    own_page.route("**/network.wasm", answer)
    lab = open_lab(own_page, address)
    assert lab.evaluate("engines['wasm-simd'].kind") == "javascript"
    assert lab.evaluate("engines['wasm-simd'].reason")
    guess = lab.evaluate(
        """async () => {
          const image = new Float32Array(784).fill(0.5);
          const x = engines["wasm-simd"].forward(lab.BOOK, await lab.loadCheckpoint(0), image);
          return Array.from(x.probabilities);
        }"""
    )
    assert sum(guess) == pytest.approx(1, abs=1e-5)


def test_the_kernels_may_be_served_as_any_type(own_page: Page, address: str) -> None:
    body = (BUILT / "network.wasm").read_bytes()
    own_page.route(
        "**/network.wasm", lambda route: route.fulfill(body=body, content_type="text/plain")
    )
    lab = open_lab(own_page, address)
    assert lab.evaluate("engines['wasm-simd'].kind") == "wasm-simd"


def test_a_strict_content_policy_lets_everything_run(own_page: Page, address: str) -> None:
    policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
    script = """
      import { Engine, Trainer, BOOK } from "./core.js";
      const engine = await Engine.load();
      const options = { architecture: BOOK, learningRate: 1e-3, batchSize: 4, seed: 1 };
      const info = await new Trainer().start(options);
      document.title = `${engine.kind} ${info.engine}`;"""

    def answer(route: Route) -> None:
        # The policy comes with the scripts too: a worker has that of its own script.
        name = route.request.url.rsplit("/", 1)[1]
        kind = "text/javascript"
        if name == "strict.html":
            kind, body = "text/html", '<title>-</title><script type="module" src="strict.js">'
            body += "</script>"
        elif name == "strict.js":
            body = script
        else:
            body = (BUILT / name).read_text(encoding="utf-8")
        headers = {"content-security-policy": policy, "content-type": kind}
        route.fulfill(body=body, headers=headers)

    own_page.route(re.compile(r"/(strict\.html|\w+\.js)$"), answer)
    own_page.goto(f"{address}/strict.html")
    expect(own_page).to_have_title("wasm-simd wasm-simd")


# Bad files


def damage(body: bytes, how: str) -> bytes:
    if how == "cut off":
        return body[: len(body) // 2]
    if how == "a bit turned":
        middle = len(body) // 2
        return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
    if how == "too long":
        return body + b"\0\0\0\0"
    if how == "a web page":
        return b"<!doctype html><title>Please log in</title>"
    assert how == "empty"
    return b""


DAMAGES = ["cut off", "a bit turned", "too long", "a web page", "empty"]
LOADS = [
    ("checkpoints/100.bin", "lab.loadCheckpoint(100)"),
    ("digits.bin", "lab.loadDigits()"),
    ("digits.json", "lab.loadDigits()"),
]


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize(("name", "load"), LOADS)
def test_a_damaged_file_is_refused(
    own_page: Page, folder: Path, address: str, name: str, load: str, how: str
) -> None:
    if (name, how) == ("digits.json", "too long"):
        how = "cut off"
    body = damage((folder / name).read_bytes(), how)
    if (name, how) == ("digits.json", "a bit turned"):
        # In the checksum's digits, so that it is still JSON.
        about = json.loads((folder / name).read_text(encoding="utf-8"))
        body = json.dumps({**about, "crc32": about["crc32"] ^ 1}).encode()
        name = "digits.bin"
        own_page.route("**/digits.json", lambda route: route.fulfill(body=body))
    else:
        own_page.route(f"**/{name}", lambda route: route.fulfill(body=body))
    failure = open_lab(own_page, address).evaluate(f"failure(() => {load})")
    assert failure["name"] == "LabError"
    assert failure["problem"] == "damaged"
    assert name in failure["message"]
    assert "Reload the page" in failure["message"]


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize(("name", "load"), LOADS)
def test_a_missing_file_is_reported_and_asked_for_again(
    own_page: Page, address: str, name: str, load: str, answered: bool
) -> None:
    lab = open_lab(own_page, address)
    own_page.route(
        f"**/{name}", lambda route: route.fulfill(status=404) if answered else route.abort()
    )
    failure = lab.evaluate(f"failure(() => {load})")
    assert failure["problem"] == "missing"
    assert name in failure["message"]
    assert ("404" in failure["message"]) == answered
    own_page.unroute(f"**/{name}")
    assert lab.evaluate(f"failure(() => {load})") is None


@pytest.mark.parametrize(
    "about",
    [
        "null",
        "[]",
        '{"source": "mnist"}',
        '{"source": "else", "train": 1, "test": 1}',
        '{"source": "mnist", "train": 1.5, "test": 1}',
        '{"source": "mnist", "train": "6000", "test": 1000}',
        '{"source": "mnist", "train": 0, "test": 1}',
        '{"source": "mnist", "train": 1e300, "test": 1}',
    ],
)
def test_nonsense_about_the_digits_is_refused(lab: Page, about: str) -> None:
    failure = lab.evaluate(
        "(about) => failure(() => lab.parseDigits(about, new ArrayBuffer(1570)))", about
    )
    assert failure["problem"] == "damaged"


def test_labels_and_weights_that_are_none_are_refused(lab: Page) -> None:
    failures = lab.evaluate(
        """() => {
          const bytes = new Uint8Array(1570).fill(10);
          const about = { source: "mnist", train: 1, test: 1, crc32: lab.crc32(bytes) };
          const count = lab.numParameters(lab.BOOK);
          const numbers = new DataView(new ArrayBuffer(4 * count + 4));
          numbers.setFloat32(400, NaN, true);
          const checksum = lab.crc32(new Uint8Array(numbers.buffer, 0, 4 * count));
          numbers.setUint32(4 * count, checksum, true);
          return Promise.all([
            failure(() => lab.parseDigits(JSON.stringify(about), bytes.buffer)),
            failure(() => lab.parseCheckpoint(numbers.buffer, "checkpoints/0.bin")),
            failure(() => lab.loadCheckpoint(5)),
          ]);
        }"""
    )
    assert [failure["problem"] for failure in failures] == ["damaged", "damaged", "invalid"]
    assert "label" in failures[0]["message"]
    assert "finite" in failures[1]["message"]
    assert "10000" in failures[2]["message"]


# Training in the worker


def test_the_worker_trains_pauses_steps_and_begins_again(trainer: Page, folder: Path) -> None:
    about = json.loads((folder / "digits.json").read_text(encoding="utf-8"))
    info = trainer.evaluate("trainer.start(options)")
    assert info == {
        "engine": "wasm-simd",
        "source": about["source"],
        "numTrain": about["train"],
        "numTest": about["test"],
        "workers": info["workers"],
        "iteration": 0,
    }
    # The report on the untrained network comes by itself.
    trainer.evaluate("until(() => reports.length === 1)")
    assert trainer.evaluate("last().iteration") == 0
    assert trainer.evaluate(
        """Object.entries(lab.initialWeights(options.architecture, options.seed))
          .every(([name, array]) => array.join() === last().weights[name].join())"""
    )
    assert 0 <= trainer.evaluate("last().testAccuracy") <= 0.4

    trainer.evaluate("trainer.step(); until(() => last().iteration === 1)")
    assert trainer.evaluate("last().loss") == pytest.approx(trainer.evaluate("reports[0].loss"))
    first_step = trainer.evaluate("all64(last().weights)")

    trainer.evaluate("trainer.run(); until(() => last().iteration >= 300)")
    trainer.evaluate(
        """async () => {
          reports.length = 0;
          trainer.pause();
          // A pause ends with a report of everything.
          await until(() => last()?.weights && last().testAccuracy !== undefined);
          // One of those before it may look the same.
          for (let count = -1; count !== reports.length; ) {
            count = reports.length;
            await new Promise((resolve) => setTimeout(resolve, 300));
          }
          const before = last().iteration;
          trainer.step();
          await until(() => last().iteration > before);
          window.stopped = last().iteration;
          await new Promise((resolve) => setTimeout(resolve, 200));
        }"""
    )
    assert trainer.evaluate("last().iteration === stopped")
    assert trainer.evaluate("last().loss") < 1.5
    iterations = trainer.evaluate("reports.map((report) => report.iteration)")
    assert iterations == sorted(iterations)
    assert trainer.evaluate("reports.every(({ msPerStep }) => msPerStep >= 0)")

    trainer.evaluate(
        "reports.length = 0; trainer.start(options); until(() => reports.length === 1)"
    )
    assert trainer.evaluate("last().iteration") == 0
    trainer.evaluate("trainer.step(); until(() => last().iteration === 1)")
    assert trainer.evaluate("all64(last().weights)") == first_step
    assert trainer.evaluate("errors") == []


def test_training_in_the_page_learns_to_read(trainer: Page) -> None:
    trainer.evaluate("trainer.start(options)")
    trainer.evaluate(
        """async () => {
          trainer.run();
          await until(() => last()?.iteration >= 2000);
          trainer.pause();
          await until(() => last().weights && last().testAccuracy !== undefined);
        }"""
    )
    assert trainer.evaluate("last().testAccuracy") > 0.8


def test_orders_right_after_a_start_are_for_the_new_network(trainer: Page) -> None:
    trainer.evaluate(
        """async () => {
          await trainer.start(options);
          trainer.run();
          await until(() => last()?.iteration >= 20);
          reports.length = 0;
          trainer.start(options);
          trainer.step();
          await until(() => last()?.iteration === 1);
          reports.length = 0;
          const other = { ...options, architecture: { ...options.architecture, numFilters1: 8 } };
          trainer.start(other);
          trainer.step();
          await until(() => last()?.iteration === 1);
        }"""
    )
    assert trainer.evaluate("reports.map(({ iteration }) => iteration)") == [0, 1]
    assert trainer.evaluate("last().weights['conv1/biases'].length") == 8


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"batchSize": 0}, "batch size"),
        ({"batchSize": 1e6}, "batch size"),
        ({"learningRate": 0}, "learning rate"),
        ({"learningRate": None}, "learning rate"),
        ({"architecture": {"filterSize": 2}}, "filterSize"),
    ],
)
def test_impossible_choices_are_refused_and_better_ones_taken(
    trainer: Page, change: dict[str, Any], named: str
) -> None:
    start = "(change) => failure(() => trainer.start({ ...options, ...change }))"
    failure = trainer.evaluate(start, change)
    assert failure["problem"] == "invalid"
    assert named in failure["message"]
    assert trainer.evaluate("failure(() => trainer.start(options))") is None


def test_training_without_digits_says_so_and_can_be_tried_again(
    trainer: Page, address: str
) -> None:
    context = trainer.context
    context.route("**/digits.bin", lambda route: route.fulfill(status=404))
    failure = trainer.evaluate("failure(() => trainer.start(options))")
    assert failure["problem"] == "missing"
    assert "digits.bin" in failure["message"]
    context.unroute("**/digits.bin")
    assert trainer.evaluate("failure(() => trainer.start(options))") is None


def test_missing_digits_are_named_while_the_kernels_are_on_their_way(trainer: Page) -> None:
    on_their_way: list[Route] = []
    trainer.context.route("**/network.wasm", lambda route: on_their_way.append(route))
    trainer.context.route("**/digits.bin", lambda route: route.fulfill(status=404))
    failure = trainer.evaluate("failure(() => trainer.start(options))")
    assert failure["problem"] == "missing"
    assert "digits.bin" in failure["message"]
    on_their_way[0].abort()


def test_the_worker_trains_without_the_kernels_too(trainer: Page) -> None:
    trainer.context.route("**/network.wasm", lambda route: route.fulfill(status=404))
    info = trainer.evaluate("trainer.start(options)")
    assert info["engine"] == "javascript"
    assert info["numTest"] == 200
    trainer.evaluate("trainer.step(); until(() => last()?.iteration === 1)")
    assert trainer.evaluate("errors") == []


def test_training_without_the_worker_says_so(trainer: Page) -> None:
    trainer.context.route("**/worker.js", lambda route: route.fulfill(status=404))
    failure = trainer.evaluate("failure(() => trainer.start(options))")
    assert failure["problem"] == "missing"
    assert "worker.js" in failure["message"]


def test_training_that_goes_astray_stops_and_says_so(trainer: Page) -> None:
    trainer.evaluate(
        """async () => {
          await trainer.start({ ...options, learningRate: 1e30 });
          trainer.run();
          await until(() => errors.length > 0 || last()?.iteration > 300);
        }"""
    )
    assert trainer.evaluate("errors.map(({ problem }) => problem)") == ["diverged"]
    assert "smaller learning rate" in trainer.evaluate("errors[0].message")


# The files that the site gets


def test_the_sites_checkpoints_are_the_packages(folder: Path) -> None:
    names = {path.name for path in (folder / "checkpoints").iterdir()}
    assert names == {f"{iterations}.bin" for iterations in CHECKPOINT_ITERATIONS}
    for iterations in CHECKPOINT_ITERATIONS:
        numbers = np.fromfile(folder / "checkpoints" / f"{iterations}.bin", "<f4")[:-1]
        net = load_checkpoint(iterations)
        expected = np.concatenate([v.numpy().ravel() for v in net.weights.values()])
        np.testing.assert_array_equal(numbers, expected)


def test_the_sites_digits_are_those_of_this_run(folder: Path, mnist: Mnist) -> None:
    about = json.loads((folder / "digits.json").read_text(encoding="utf-8"))
    assert about["source"] == mnist.source
    train, test = about["train"], about["test"]
    assert train == min(6_000, len(mnist.train))
    assert test == min(1_000, len(mnist.test))
    content = np.fromfile(folder / "digits.bin", np.uint8)
    images = content[: (train + test) * 784].reshape(-1, 784)
    labels = content[(train + test) * 784 :]
    np.testing.assert_array_equal(images[0], np.rint(mnist.train.images[0] * 255))
    np.testing.assert_array_equal(images[train], np.rint(mnist.test.images[0] * 255))
    assert labels[0] == mnist.train.labels[0]
    assert labels[train] == mnist.test.labels[0]
    # Every digit often enough to be learnt and judged.
    assert np.bincount(labels[:train], minlength=10).min() > train / 15
    assert np.bincount(labels[train:], minlength=10).min() > test / 15


def test_a_folder_that_is_named_is_used_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MNIST_SOURCE", raising=False)
    monkeypatch.setenv("MNIST_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match="lacks"):
        lab_data.write_digits(tmp_path / "lab")


def test_nothing_is_downloaded_for_the_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MNIST_SOURCE", raising=False)
    monkeypatch.delenv("MNIST_DATA_DIR", raising=False)
    monkeypatch.setattr(data, "_cache_folder", lambda: tmp_path / "empty cache")
    assert lab_data.write_digits(tmp_path)["source"] == "digits"
    assert "Downloading" not in capfd.readouterr().err
