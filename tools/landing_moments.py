"""Write what the landing page shows before it has loaded anything.

    python tools/landing_moments.py          writes lab/src/landing/moments.json

For each checkpoint: how many of 100 test digits it reads right, the weights of the first layer's
filters, and the probabilities that it gives to the lab's ten examples. The last are computed by
the built lab itself, in Chromium, so that the page that draws an example and the one that reads
it agree; the book must be built, and MNIST be on this machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from chromium import open_chromium, serving
from numpy.typing import NDArray
from playwright.sync_api import Page

from mnist_helpers import CHECKPOINT_ITERATIONS, evaluate, load_checkpoint, load_mnist

ROOT = Path(__file__).resolve().parent.parent
MOMENTS = ROOT / "lab" / "src" / "landing" / "moments.json"
SITE = ROOT / "_build" / "html"

# A weight is a digit in base 35: 17 stands for 0, and 34 for the largest of all checkpoints.
LEVELS = 17
DIGITS = "0123456789abcdefghijklmnopqrstuvwxy"

PROBABILITIES = """async (iterations) => {
  const lab = await import("/_static/lab/core.js");
  const weights = await lab.loadCheckpoint(iterations);
  return lab.EXAMPLES.map((strokes) => {
    const image = lab.centre(lab.scanOf(strokes));
    return Array.from(lab.forward(lab.BOOK, weights, image).probabilities);
  });
}"""


def in_letters(filters: NDArray[np.float32], largest: float) -> str:
    """The weights ``[5, 5, 1, n]`` of filters, one filter after another, as digits."""
    levels = np.rint(filters[:, :, 0] / largest * LEVELS).astype(int) + LEVELS
    return "".join(DIGITS[level] for level in np.moveaxis(levels, -1, 0).ravel())


def all_filters() -> dict[int, str]:
    """The first layer's filters at each checkpoint, on one scale."""
    filters = {
        iterations: load_checkpoint(iterations).conv1.weights.numpy()
        for iterations in CHECKPOINT_ITERATIONS
    }
    largest = max(float(np.abs(weights).max()) for weights in filters.values())
    return {iterations: in_letters(weights, largest) for iterations, weights in filters.items()}


def probabilities(
    page: Page, checkpoints: Iterable[int] = CHECKPOINT_ITERATIONS
) -> dict[int, list[list[int]]]:
    """What each checkpoint makes of the ten examples, in whole thousandths.

    Args:
        page: Any page of the built book, served and open in a browser.
        checkpoints: Their numbers of iterations.
    """
    return {
        iterations: np.rint(1000 * np.array(page.evaluate(PROBABILITIES, iterations)))
        .astype(int)
        .tolist()
        for iterations in checkpoints
    }


def moments(site: Path) -> list[dict[str, Any]]:
    """All that the page knows of the five checkpoints."""
    test = load_mnist("mnist", download=False).test
    with serving(site) as address, open_chromium() as browser:
        page = browser.new_page()
        page.goto(f"{address}/book/references.html")
        shares = probabilities(page)
    filters = all_filters()
    return [
        {
            "iterations": iterations,
            "right": round(100 * evaluate(load_checkpoint(iterations), test).accuracy),
            "filters": filters[iterations],
            "probabilities": shares[iterations],
        }
        for iterations in CHECKPOINT_ITERATIONS
    ]


def main() -> None:
    """Write the file."""
    lines = ",\n".join(json.dumps(moment) for moment in moments(SITE))
    MOMENTS.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
