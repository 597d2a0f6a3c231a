"""The lab without its page, opened in a browser: what the tests of its network share."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page
from site_pages import ROOT

from mnist_helpers import quiet

with quiet():
    import tensorflow as tf

BUILT = ROOT / "book" / "static" / "lab"
ENGINES = ("wasm-simd", "javascript")

Arrays = dict[str, NDArray[Any]]

# What the tests need in the page beside the lab itself: arrays in and out.
PAGE = """<!doctype html><meta charset="utf-8"><title>The lab without its page</title>
<link rel="icon" href="data:,">
<script type="module">
  window.lab = await import("./core.js");
  window.engines = { "wasm-simd": await lab.Engine.load(), javascript: lab.Engine.plain() };
  window.read = async (name) => (await fetch(`test/${name}`, { cache: "no-store" })).arrayBuffer();
  window.readWeights = async (a, name) => {
    const numbers = new Float32Array(await read(name));
    const w = lab.zeroWeights(a);
    let start = 0;
    for (const key of lab.WEIGHT_NAMES) {
      w[key].set(numbers.subarray(start, (start += w[key].length)));
    }
    return w;
  };
  window.base64 = (array) => {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    let text = "";
    for (let i = 0; i < bytes.length; i += 8192) {
      text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    }
    return btoa(text);
  };
  window.all64 = (arrays) =>
    Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, base64(array)]));
  window.failure = async (action) => {
    try {
      await action();
      return null;
    } catch (error) {
      return { name: error.name, problem: error.problem, message: error.message };
    }
  };
  window.ready = true;
</script>"""


@dataclass(frozen=True)
class Architecture:
    filter_size: int
    num_filters1: int
    num_filters2: int
    fc_size: int
    pooling: bool

    @property
    def js(self) -> dict[str, Any]:
        return {
            "filterSize": self.filter_size,
            "numFilters1": self.num_filters1,
            "numFilters2": self.num_filters2,
            "fcSize": self.fc_size,
            "pooling": self.pooling,
        }


BOOK = Architecture(5, 16, 36, 128, True)
OTHERS = [
    Architecture(5, 16, 36, 128, False),
    Architecture(3, 8, 12, 32, True),
    Architecture(7, 4, 20, 12, False),
    Architecture(1, 12, 4, 4, True),
    Architecture(1, 4, 8, 8, False),
    Architecture(9, 8, 8, 20, True),
]


def open_lab(page: Page, address: str) -> Page:
    page.goto(f"{address}/index.html")
    page.wait_for_function("window.ready")
    return page


def put(folder: Path, name: str, *arrays: NDArray[Any]) -> str:
    """Write arrays where the page can read them."""
    (folder / "test" / name).write_bytes(b"".join(array.tobytes() for array in arrays))
    return name


def floats(text: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text), "<f4")


def random_weights(a: Architecture, seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    features = 49 * a.num_filters2
    shapes = {
        "conv1/weights": (a.filter_size, a.filter_size, 1, a.num_filters1),
        "conv1/biases": (a.num_filters1,),
        "conv2/weights": (a.filter_size, a.filter_size, a.num_filters1, a.num_filters2),
        "conv2/biases": (a.num_filters2,),
        "fc1/weights": (features, a.fc_size),
        "fc1/biases": (a.fc_size,),
        "fc2/weights": (a.fc_size, 10),
        "fc2/biases": (10,),
    }
    return {
        name: rng.normal(0, 0.1, shape).astype(np.float32)
        if name.endswith("weights")
        else np.full(shape, 0.05, np.float32)
        for name, shape in shapes.items()
    }


def reference(a: Architecture, weights: dict[str, Any], images: Any) -> dict[str, Any]:
    """What each layer gives, by TensorFlow's own operations, in the type of the images."""
    x = tf.reshape(images, [-1, 28, 28, 1])
    outputs = {}
    for layer in ("1", "2"):
        w, b = weights[f"conv{layer}/weights"], weights[f"conv{layer}/biases"]
        x = tf.nn.conv2d(x, w, strides=1 if a.pooling else 2, padding="SAME") + b
        outputs[f"conv{layer}"] = x
        if a.pooling:
            x = tf.nn.max_pool2d(x, 2, 2, "SAME")
        x = tf.nn.relu(x)
        outputs[f"pool{layer}"] = x
    flat = tf.reshape(x, [len(images), -1])
    fc1 = tf.nn.relu(flat @ weights["fc1/weights"] + weights["fc1/biases"])
    logits = fc1 @ weights["fc2/weights"] + weights["fc2/biases"]
    probabilities = tf.nn.softmax(logits)
    return {
        **outputs, "flat": flat, "fc1": fc1, "logits": logits, "probabilities": probabilities
    }  # fmt: skip


TRAINER = """
  window.reports = [];
  window.errors = [];
  window.trainer = new lab.Trainer();
  trainer.onprogress = (progress) => reports.push(progress);
  trainer.onerror = (error) => errors.push({ problem: error.problem, message: error.message });
  window.options = {
    architecture: { filterSize: 3, numFilters1: 4, numFilters2: 8, fcSize: 16, pooling: true },
    learningRate: 3e-3, batchSize: 16, seed: 1,
  };
  window.until = async (done) => {
    while (!done()) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  window.last = () => reports[reports.length - 1];
"""
