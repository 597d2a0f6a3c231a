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

PICTURE = Path(__file__).resolve().parent.parent / "book" / "images" / "filters.svg"
# As many filters as a phone's width holds. More shades of red and of blue would make the file
# larger, not clearer.
WIDTH, NUM_FILTERS, LEVELS = 360, 8, 10
PIXEL, GAP, TOP, LEFT = 6.3, 4.0, 24.0, 68.0
PAGE = """\
<svg xmlns="http://www.w3.org/2000/svg" class="filters" role="img" \
viewBox="0 0 {width} {height:g}" aria-labelledby="filters-title filters-desc">
<title id="filters-title">Filters of the first layer while the network learns</title>
<desc id="filters-desc">{count} filters of {side} by {side} weights, in a row \
for each number of iterations. Before training they are pale noise; at the end most \
show a strong red stroke beside a blue one.</desc>
<style>
.filters {{ width: 100%; max-width: 32rem; height: auto; display: block; margin: 0 auto;
  font-family: var(--pst-font-family-base, system-ui, sans-serif); }}
.filters text {{ font-size: 13px; fill: var(--pst-color-text-base, #222832); }}
.filters .number {{ text-anchor: end; }}
.filters path {{ shape-rendering: crispEdges; }}
</style>
<text x="0" y="14">Iterations</text>
<text x="{left:g}" y="14">{count} of the first layer's {of} filters</text>
{rows}
</svg>
"""


def checkpoint_filters() -> dict[int, npt.NDArray[np.float32]]:
    """Read the first filters ``[5, 5, n]`` of the first layer at each checkpoint."""
    return {
        iterations: load_checkpoint(iterations).conv1.weights.numpy()[:, :, 0, :NUM_FILTERS]
        for iterations in CHECKPOINT_ITERATIONS
    }


def shades(filters: dict[int, npt.NDArray[np.float32]]) -> dict[int, npt.NDArray[np.int64]]:
    """Round weights to whole shades, -`LEVELS` to `LEVELS`, by one scale for all of them."""
    largest = max(float(np.abs(weights).max()) for weights in filters.values())
    return {
        iterations: np.rint(weights / largest * LEVELS).astype(np.int64)
        for iterations, weights in filters.items()
    }


def draw(filters: dict[int, npt.NDArray[np.float32]]) -> str:
    """The text of the SVG: a row for each checkpoint and a column for each filter."""
    colours = matplotlib.colormaps[TWO_SIGNS]
    size, _, count = next(iter(filters.values())).shape
    step = size * PIXEL + GAP
    rows: list[str] = []
    for row, (iterations, levels) in enumerate(shades(filters).items()):
        y = TOP + row * step
        middle = y + size * PIXEL / 2 + 5
        rows.append(f'<text x="{LEFT - 8:g}" y="{middle:.1f}" class="number">{iterations:,}</text>')
        for level in range(-LEVELS, LEVELS + 1):
            path = "".join(
                f"M{LEFT + GAP + k * step + j * PIXEL:.1f} {y + i * PIXEL:.1f}"
                f"h{PIXEL}v{PIXEL}h-{PIXEL}z"
                for k, i, j in np.argwhere(np.moveaxis(levels, -1, 0) == level)
            )
            if path:
                colour = to_hex(colours((level + LEVELS) / (2 * LEVELS)))
                rows.append(f'<path fill="{colour}" d="{path}"/>')
    height = TOP + len(filters) * step + 4
    sizes = {"count": count, "side": size, "of": NUM_FILTERS1}
    return PAGE.format(width=WIDTH, height=height, left=LEFT + GAP, rows="\n".join(rows), **sizes)


if __name__ == "__main__":
    PICTURE.write_text(draw(checkpoint_filters()), encoding="utf-8", newline="\n")
