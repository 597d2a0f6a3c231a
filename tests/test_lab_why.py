"""Why a digit is read as it is, and which pixels mislead: the lab against TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lab_core import (
    BOOK,
    ENGINES,
    OTHERS,
    Architecture,
    Arrays,
    floats,
    put,
    random_weights,
    reference,
)
from numpy.typing import NDArray
from playwright.sync_api import Page

from mnist_helpers import quiet
from mnist_helpers.attribution import fewest_pixels, grad_cam, occlusion_map, pixel_gradients
from mnist_helpers.checkpoints import CHECKPOINT_ITERATIONS, load_checkpoint
from mnist_helpers.data import Mnist

with quiet():
    import tensorflow as tf

pytest_plugins = ["browser", "lab_fixtures"]

TARGETS = [3, 1, 4, 9, 9, 7]

# All maps of an image, for one digit.
MAPS = """async ({ engine, iterations, image, digit }) => {
  const a = lab.BOOK;
  const w = await lab.loadCheckpoint(iterations);
  const pixels = Float32Array.from(image);
  const x = engines[engine].forward(a, w, pixels);
  const slopes = lab.logitSlopes(a, w, x, digit);
  const { pixels: parts, ink, biases } = lab.shares(w, x, slopes);
  const occlusion = Float32Array.from({ length: 784 }, (_, place) =>
    engines[engine].forward(a, w, lab.occluded(pixels, place)).probabilities[digit]);
  return {
    ...all64({
      occlusion, slopes: slopes.numbers.input, parts,
      cam: lab.gradCam(lab.convolutions(a).conv2, x, slopes),
      sums: x.conv1,
    }),
    ink, biases, logit: x.logits[digit],
  };
}"""

# One pixel after another, until the target leads.
FOOL = """async ({ a, weights, iterations, image, target, most }) => {
  const w = weights ? await readWeights(a, weights) : await lab.loadCheckpoint(iterations);
  const pixels = Float32Array.from(image);
  const places = [];
  const values = [];
  let x = engines["wasm-simd"].forward(a, w, pixels);
  while (lab.lead(x.logits, target) <= 0 && places.length < most) {
    const next = lab.nextPixel(a, w, x, target, places);
    if (next === null) break;
    places.push(next.place);
    values.push(next.value);
    pixels[next.place] = next.value;
    x = engines["wasm-simd"].forward(a, w, pixels);
  }
  return { places, values, guess: lab.guess(x.logits) };
}"""


def maps(page: Page, image: NDArray[Any], digit: int, **kind: Any) -> dict[str, Any]:
    order = {"engine": "wasm-simd", "iterations": 10_000, **kind}
    found: dict[str, Any] = page.evaluate(
        MAPS, {**order, "image": image.ravel().tolist(), "digit": digit}
    )
    return {name: floats(one) if isinstance(one, str) else one for name, one in found.items()}


@pytest.fixture(scope="module")
def digits(mnist: Mnist) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return mnist.test.images[:6], mnist.test.labels[:6].astype(np.int64)


@pytest.mark.parametrize("iterations", CHECKPOINT_ITERATIONS)
def test_the_maps_are_tensorflows(
    lab: Page, iterations: int, digits: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> None:
    net = load_checkpoint(iterations)
    images, labels = digits
    for image, label in zip(images[:2], labels[:2], strict=True):
        for digit in (int(label), (int(label) + 5) % 10):
            found = maps(lab, image, digit, iterations=iterations)
            np.testing.assert_allclose(
                found["occlusion"], occlusion_map(net, image, digit).ravel(), rtol=0, atol=1e-4
            )
            for name, expected in (
                ("slopes", pixel_gradients(net, image[np.newaxis], [digit])),
                ("cam", grad_cam(net, image[np.newaxis], [digit])),
            ):
                largest = abs(expected).max()
                np.testing.assert_allclose(
                    found[name], expected.ravel(), rtol=0, atol=1e-3 * largest, err_msg=name
                )
            np.testing.assert_allclose(
                found["parts"], image.ravel() * found["slopes"], rtol=1e-6, atol=0
            )
            assert found["ink"] + found["biases"] == pytest.approx(found["logit"], abs=1e-4)


@pytest.mark.needs_mnist
@pytest.mark.parametrize("engine", ENGINES)
def test_the_first_test_image_has_the_chapters_numbers(
    lab: Page, engine: str, digits: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> None:
    found = maps(lab, digits[0][0], 7, engine=engine)
    assert np.unravel_index(found["occlusion"].argmin(), (28, 28)) == (12, 15)
    assert found["occlusion"].min() == pytest.approx(0.638, abs=5e-4)
    assert [found["ink"], found["biases"], found["logit"]] == pytest.approx(
        [13.882, -0.138, 13.744], abs=5e-4
    )


@pytest.mark.needs_mnist
def test_the_fewest_pixels_are_tensorflows_in_their_order(
    lab: Page, digits: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> None:
    images, _ = digits
    changed, places = fewest_pixels(load_checkpoint(10_000), images, TARGETS)
    assert [len(one) for one in places] == [9, 21, 8, 14, 4, 8]
    for image, target, after, expected in zip(images, TARGETS, changed, places, strict=True):
        found = lab.evaluate(
            FOOL,
            {"a": BOOK.js, "iterations": 10_000, "image": image.tolist(), "target": target,
             "most": 784},
        )  # fmt: skip
        assert found["places"] == expected
        assert found["values"] == after[expected].tolist()
        assert found["guess"] == target


def test_a_square_is_cut_at_the_rim(lab: Page) -> None:
    found = lab.evaluate(
        """() => [0, 2 * 28 + 14, 27 * 28 + 27, 14 * 28 + 14].map((place) =>
          base64(lab.occluded(new Float32Array(784).fill(0.25), place)))"""
    )
    expected = np.full((4, 28, 28), 0.25, np.float32)
    expected[0, :4, :4] = expected[1, :6, 11:18] = expected[2, 24:, 24:] = 0.5
    expected[3, 11:18, 11:18] = 0.5
    for one, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(floats(one).reshape(28, 28), wanted)


@pytest.mark.parametrize("a", OTHERS, ids=str)
def test_other_networks_are_asked_and_misled_too(lab: Page, folder: Any, a: Architecture) -> None:
    weights = random_weights(a, 4)
    image = np.random.default_rng(5).random(784).astype(np.float32)
    # In float64: TensorFlow's float32 kernel for 1×1 filters that move by two has crashed here.
    exact = {name: array.astype(np.float64) for name, array in weights.items()}
    logits = reference(a, exact, image[np.newaxis].astype(np.float64))["logits"].numpy()[0]
    digit = int(logits.argmax())
    target = (digit + 3) % 10
    name = put(folder, "weights.bin", *weights.values())
    order = {"a": a.js, "weights": name, "image": image.tolist(), "target": target, "most": 5}
    found = lab.evaluate(
        """async ({ a, weights, image, target }) => {
          const w = await readWeights(a, weights);
          const x = engines["wasm-simd"].forward(a, w, Float32Array.from(image));
          const slopes = lab.logitSlopes(a, w, x, target);
          const { ink, biases } = lab.shares(w, x, slopes);
          const cam = lab.gradCam(lab.convolutions(a).conv2, x, slopes);
          return { ...all64({ slopes: slopes.numbers.input, cam }), sum: ink + biases };
        }""",
        order,
    )
    with tf.GradientTape() as tape:
        pixels = tf.constant(image[np.newaxis], tf.float64)
        tape.watch(pixels)
        out = reference(a, exact, pixels)
        logit = out["logits"][0, target]
    slopes, by_layer = tape.gradient(logit, [pixels, out["pool2"]])
    cam = np.maximum((out["pool2"] * tf.reduce_mean(by_layer, (1, 2))).numpy().sum(-1).ravel(), 0)
    for given, expected in ((found["slopes"], slopes.numpy().ravel()), (found["cam"], cam)):
        np.testing.assert_allclose(
            floats(given), expected, rtol=0, atol=1e-3 * max(abs(expected).max(), 1e-6)
        )
    assert found["sum"] == pytest.approx(logits[target], abs=1e-4)
    fooled = lab.evaluate(FOOL, order)
    assert fooled["places"] == greedy(a, exact, image, target, len(fooled["places"]))
    assert 0 < len(fooled["places"]) <= 5


def greedy(
    a: Architecture, weights: Arrays, image: NDArray[np.float32], target: int, count: int
) -> list[int]:
    """The first ``count`` places of ``fewest_pixels``, for a network of any kind."""
    places: list[int] = []
    now = image.astype(np.float64)
    for _ in range(count):
        with tf.GradientTape() as tape:
            pixels = tf.constant(now[np.newaxis])
            tape.watch(pixels)
            logits = reference(a, weights, pixels)["logits"][0]
            others = tf.where(tf.range(10) == target, logits.dtype.min, logits)
            leads = logits[target] - tf.reduce_max(others)
        slopes = tape.gradient(leads, pixels).numpy()[0]
        gains = np.where(slopes > 0, slopes * (1 - now), -slopes * now)
        gains[places] = -1
        place = int(gains.argmax())
        now[place] = slopes[place] > 0
        places.append(place)
    return places


def test_no_pixel_is_named_where_none_has_anything_to_gain(lab: Page) -> None:
    """A network without filters: the drawing moves none of its logits."""
    assert lab.evaluate(
        """() => {
          const w = lab.zeroWeights(lab.BOOK);
          const image = new Float32Array(784).fill(0.5);
          const x = engines["wasm-simd"].forward(lab.BOOK, w, image);
          return lab.nextPixel(lab.BOOK, w, x, 3, []);
        }"""
    ) is None  # fmt: skip


def test_of_equal_gains_the_first_pixel_is_changed(lab: Page, folder: Any) -> None:
    """Without pooling, and with weights of 1, every fourth pixel of a row has the same slope."""
    a = OTHERS[4]
    weights = {name: np.zeros_like(array) for name, array in random_weights(a, 0).items()}
    for name in ("conv1/weights", "conv1/biases", "conv2/weights", "fc1/weights"):
        weights[name][:] = 1
    weights["fc2/weights"][:, 3] = 1
    weights["fc2/biases"][5] = 1e9
    found = lab.evaluate(
        FOOL,
        {"a": a.js, "weights": put(folder, "weights.bin", *weights.values()),
         "image": [0] * 784, "target": 3, "most": 9},
    )  # fmt: skip
    assert found["places"] == [0, 4, 8, 12, 16, 20, 24, 4 * 28, 4 * 28 + 4]
    assert found["values"] == [1] * 9


def test_a_pixel_that_was_changed_is_left_alone(lab: Page) -> None:
    """Even where it has most to gain, as one might that another network changed."""
    first, second = lab.evaluate(
        """async () => {
          const w = await lab.loadCheckpoint(10000);
          const image = new Float32Array(784).map((_, at) => (at % 3) / 2);
          const x = engines["wasm-simd"].forward(lab.BOOK, w, image);
          const { place } = lab.nextPixel(lab.BOOK, w, x, 3, []);
          return [place, lab.nextPixel(lab.BOOK, w, x, 3, [place]).place];
        }"""
    )
    assert first != second
