"""Draw some filters of the first layer as they are at each checkpoint, as an SVG.

    python tools/draw_filters.py          writes book/images/filters.svg

The landing page holds the picture. Its colours are read from the checkpoints that come with
`mnist_helpers`: red for weights above zero, blue for those below, one scale for all.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_hex

from mnist_helpers import CHECKPOINT_ITERATIONS, load_checkpoint
from mnist_helpers.network import NUM_FILTERS1
from mnist_helpers.plots import TWO_SIGNS

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "book" / "images" / "filters.svg"

WIDTH = 360
NUM_FILTERS = 8
"""How many of the first layer's filters: as many as a phone's width holds."""

PIXEL = 6.3
GAP = 4.0
TOP = 24.0
LEFT = 68.0
LEVELS = 10
"""Shades of red, and of blue; more of them would make the file larger, not clearer."""

STYLE = """
.filters { width: 100%; max-width: 32rem; height: auto; display: block; margin: 0 auto;
  font-family: var(--pst-font-family-base, system-ui, sans-serif); }
.filters text { font-size: 13px; fill: var(--pst-color-text-base, #222832); }
.filters .number { text-anchor: end; }
.filters path { shape-rendering: crispEdges; }
"""


def checkpoint_filters() -> dict[int, npt.NDArray[np.float32]]:
    """Read the first filters ``[5, 5, n]`` of the first layer at each checkpoint."""
    return {
        iterations: load_checkpoint(iterations).conv1.weights.numpy()[:, :, 0, :NUM_FILTERS]
        for iterations in CHECKPOINT_ITERATIONS
    }


def shades(
    filters: dict[int, npt.NDArray[np.float32]],
) -> dict[int, npt.NDArray[np.int64]]:
    """Round weights to whole shades, -`LEVELS` to `LEVELS`, by one scale for all of them."""
    largest = max(float(np.abs(weights).max()) for weights in filters.values())
    return {
        iterations: np.rint(weights / largest * LEVELS).astype(np.int64)
        for iterations, weights in filters.items()
    }


def draw(filters: dict[int, npt.NDArray[np.float32]]) -> str:
    """Draw the filters, a row for each checkpoint and a column for each filter.

    Args:
        filters: For each number of iterations, filters ``[height, width, n]``.

    Returns:
        The text of the SVG file.
    """
    colours = matplotlib.colormaps[TWO_SIGNS]
    height, _, count = next(iter(filters.values())).shape
    side = height * PIXEL
    body: list[str] = []
    for row, (iterations, levels) in enumerate(shades(filters).items()):
        y = TOP + row * (side + GAP)
        middle = y + side / 2 + 5
        body.append(f'<text x="{LEFT - 8:g}" y="{middle:.1f}" class="number">{iterations:,}</text>')
        for level in range(-LEVELS, LEVELS + 1):
            path = "".join(
                f"M{LEFT + GAP + k * (side + GAP) + j * PIXEL:.1f} {y + i * PIXEL:.1f}"
                f"h{PIXEL}v{PIXEL}h-{PIXEL}z"
                for k, i, j in np.argwhere(np.moveaxis(levels, -1, 0) == level)
            )
            if path:
                colour = to_hex(colours((level + LEVELS) / (2 * LEVELS)))
                body.append(f'<path fill="{colour}" d="{path}"/>')
    bottom = TOP + len(filters) * (side + GAP)
    caption = f"{count} of the first layer's {NUM_FILTERS1} filters"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="filters" role="img" '
            f'viewBox="0 0 {WIDTH} {bottom + 4:g}" aria-labelledby="filters-title filters-desc">',
            '<title id="filters-title">Filters of the first layer while the network learns</title>',
            f'<desc id="filters-desc">{count} filters of {height} by {height} weights, in a row '
            "for each number of iterations. Before training they are pale noise; at the end most "
            "show a strong red stroke beside a blue one.</desc>",
            f"<style>{STYLE}</style>",
            '<text x="0" y="14">Iterations</text>',
            f'<text x="{LEFT + GAP:g}" y="14">{caption}</text>',
            *body,
            "</svg>",
            "",
        ]
    )


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(draw(checkpoint_filters()), encoding="utf-8", newline="\n")
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
