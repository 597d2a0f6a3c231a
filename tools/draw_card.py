"""Draw the picture that stands beside a link to the book where people share links.

    python tools/draw_card.py             writes book/static/card.png

The title, and filters of the first layer as they are at each checkpoint, read from the
checkpoints that come with `mnist_helpers`. The site names the picture once the book has a
public address (`page_address.py`).
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml
from draw_filters import checkpoint_filters
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from mnist_helpers.plots import TWO_SIGNS
from mnist_helpers.widgets import png

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "book" / "static" / "card.png"

SIZE = (1200, 630)
"""Width and height in pixels: the shape in which the usual services show it uncut."""

DPI = 100
NUM_FILTERS = 4
INK = "#222832"


def draw(title: str, filters: dict[int, npt.NDArray[np.float32]]) -> bytes:
    """Draw the picture.

    Args:
        title: The book's.
        filters: For each number of iterations, filters ``[height, width, n]``.

    Returns:
        The bytes of a PNG file of `SIZE`.
    """
    figure = Figure(figsize=(SIZE[0] / DPI, SIZE[1] / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.05, 0.78, title, size=40, weight="bold", color=INK)
    figure.text(0.05, 0.67, "A convolutional network in TensorFlow, one notebook a layer,", size=22)
    figure.text(0.05, 0.60, "and a lab in which you draw a digit and touch every number.", size=22)
    largest = max(float(np.abs(weights).max()) for weights in filters.values())
    width = 0.9 / len(filters)
    for column, (iterations, weights) in enumerate(filters.items()):
        left = 0.05 + column * width
        label = f"{iterations:,} iteration" + ("" if iterations == 1 else "s")
        figure.text(left, 0.47, label if iterations else "untrained", size=16, color=INK)
        for number in range(NUM_FILTERS):
            row, place = divmod(number, 2)
            axes = figure.add_axes(
                (left + place * 0.45 * width, 0.255 - row * 0.195, 0.41 * width, 0.185)
            )
            axes.imshow(weights[:, :, number], cmap=TWO_SIGNS, vmin=-largest, vmax=largest)
            axes.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    # Few colours, and a third of the bytes.
    return png(Image.open(buffer).convert("RGB").quantize(128))


def book_title(root: Path = ROOT) -> str:
    """The title of the book, from its settings."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    return str(config["title"])


def main() -> None:
    """Write the picture."""
    PICTURE.write_bytes(draw(book_title(), checkpoint_filters()))
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
