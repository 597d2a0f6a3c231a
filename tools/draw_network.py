"""Draw the network of the book with its shapes, as an SVG that the landing page holds.

    python tools/draw_network.py          writes book/images/network.svg

Every shape and every number of parameters is read from a `ConvNet`. The picture is put
into the page itself (not loaded as an image), so that its colours follow the page's light
or dark mode and its texts are links. It is 360 units wide, about a phone's width, so that
its letters are never smaller than they are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from mnist_helpers.data import IMAGE_SIZE, IMAGE_SIZE_FLAT
from mnist_helpers.network import ConvNet

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "book" / "images" / "network.svg"

WIDTH = 360
"""Width of the picture in its own units."""

FONT_SIZE = 13.5
LINE = 21.0
LEFT = 4.0
TEXT = 178.0
"""Where the column of texts begins."""

PIXEL = 3.5
"""Side of one pixel of an image or feature map."""

SHADE = 2.6
"""How far each sheet of a stack lies to the right of the one before it."""

RISE = 1.0
"""How far it lies above it."""

# A seven, as corners of a line through the 28 × 28 pixels. Drawn for this picture.
SEVEN = [(7.5, 7.5), (19.5, 7.0), (16.0, 14.0), (12.5, 22.0)]
PEN = 1.4

STYLE = """
.network { width: 100%; max-width: 27rem; height: auto; display: block; margin: 0 auto;
  font-family: var(--pst-font-family-base, system-ui, sans-serif); }
.network text { font-size: 13.5px; fill: var(--pst-color-text-base, #222832); }
.network .shape { font-weight: 600; }
.network .note { fill: var(--pst-color-text-muted, #48566b); }
.network a text { fill: var(--pst-color-link, #0a7d91); text-decoration: underline; }
.network a:hover text { fill: var(--pst-color-link-hover, #8045e5); }
.network .digit { text-anchor: middle; }
.network .sheet { fill: var(--pst-color-background, #fff);
  stroke: var(--pst-color-primary, #0a7d91); stroke-width: 0.8; }
.network .ink { fill: var(--pst-color-primary, #0a7d91); }
.network .answer { fill: var(--pst-color-background, #fff); font-weight: 600; }
.network .look { fill: none; stroke: var(--pst-color-accent, #8045e5); stroke-width: 1.5; }
.network .arrow { fill: none; stroke: var(--pst-color-text-muted, #48566b);
  stroke-width: 1.5; }
"""


@dataclass(frozen=True)
class Step:
    """One operation of the network and the tensor that comes out of it.

    Attributes:
        name: The tensor's name in `ConvNet.layer_outputs`.
        shape: Its shape for one image.
        lines: What is done, a line each, with the chapter that each line leads to.
        num_parameters: What the operation learns; 0 for none.
    """

    name: str
    shape: tuple[int, ...]
    lines: list[tuple[str, str]]
    num_parameters: int = 0


def network_steps(net: ConvNet) -> list[Step]:
    """Read the network's operations, shapes and numbers of parameters.

    Args:
        net: The network; it is called with one empty image.

    Returns:
        From the image to the ten probabilities.
    """
    outputs = net.activations(np.zeros([1, IMAGE_SIZE_FLAT], np.float32))
    shapes = {name: output.shape[1:] for name, output in outputs.items()}
    counts = {name: int(np.prod(variable.shape)) for name, variable in net.weights.items()}

    def parameters(layer: str) -> int:
        return counts[f"{layer}/weights"] + counts[f"{layer}/biases"]

    def convolution(layer: str, height_before: int) -> list[tuple[str, str]]:
        height, width, _, num_filters = getattr(net, layer).weights.shape
        pool = height_before // shapes[f"layer_{layer}"][0]
        return [
            (f"{num_filters} filters of {height} × {width}", "convolution"),
            (f"{pool} × {pool} max-pooling, ReLU", "pooling"),
        ]

    image = (IMAGE_SIZE, IMAGE_SIZE, net.conv1.weights.shape[2])
    return [
        Step("x_image", image, [("one image", "data")]),
        Step(
            "layer_conv1",
            shapes["layer_conv1"],
            convolution("conv1", IMAGE_SIZE),
            parameters("conv1"),
        ),
        Step(
            "layer_conv2",
            shapes["layer_conv2"],
            convolution("conv2", shapes["layer_conv1"][0]),
            parameters("conv2"),
        ),
        Step("layer_flat", shapes["layer_flat"], [("flatten", "flatten")]),
        Step(
            "layer_fc1",
            shapes["layer_fc1"],
            [("fully connected, ReLU", "fully_connected")],
            parameters("fc1"),
        ),
        Step(
            "logits",
            shapes["logits"],
            [("fully connected", "fully_connected")],
            parameters("fc2"),
        ),
        Step("probabilities", shapes["probabilities"], [("softmax", "loss")]),
    ]


def shape_text(shape: tuple[int, ...]) -> str:
    """Write a shape as people say it: ``14 × 14 × 16``, or ``1,764``."""
    return " × ".join(f"{size:,}" for size in shape)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    css = f" class={quoteattr(kind)}" if kind else ""
    return f'<text x="{_number(x)}" y="{_number(y)}"{css}>{escape(words)}</text>'


def _link(x: float, y: float, words: str, chapter: str) -> str:
    return f'<a href="../notebooks/{chapter}.html">{_text(x, y, words)}</a>'


def _rectangle(x: float, y: float, width: float, height: float, kind: str) -> str:
    return (
        f'<rect x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" '
        f'height="{_number(height)}" class="{kind}"/>'
    )


def _line(points: list[tuple[float, float]], kind: str) -> str:
    path = "L".join(f"{_number(x)} {_number(y)}" for x, y in points)
    return f'<path d="M{path}" class="{kind}"/>'


def _seven(x: float, y: float) -> str:
    """The pixels that a pen covers on its way along `SEVEN`."""
    rows, columns = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE] + 0.5
    inked = np.zeros([IMAGE_SIZE, IMAGE_SIZE], bool)
    for (x0, y0), (x1, y1) in zip(SEVEN[:-1], SEVEN[1:], strict=True):
        length = (x1 - x0) ** 2 + (y1 - y0) ** 2
        along = ((columns - x0) * (x1 - x0) + (rows - y0) * (y1 - y0)) / length
        along = along.clip(0, 1)
        distance = np.hypot(columns - x0 - along * (x1 - x0), rows - y0 - along * (y1 - y0))
        inked |= distance < PEN
    path = "".join(
        f"M{_number(x + column * PIXEL)} {_number(y + row * PIXEL)}h{PIXEL:g}v{PIXEL:g}h-{PIXEL:g}z"
        for row, column in np.argwhere(inked)
    )
    return f'<path d="{path}" class="ink"/>'


def _stack(y: float, shape: tuple[int, ...]) -> tuple[list[str], float]:
    """Feature maps behind each other, the first in front; also the height they take."""
    height, width, channels = shape
    rise = (channels - 1) * RISE
    sheets = [
        _rectangle(
            LEFT + channel * SHADE,
            y + rise - channel * RISE,
            width * PIXEL,
            height * PIXEL,
            "sheet",
        )
        for channel in reversed(range(channels))
    ]
    return sheets, rise + height * PIXEL


def _tensor(y: float, step: Step, features: tuple[int, ...]) -> tuple[list[str], float]:
    """Draw one tensor from `y` down; also the height it takes.

    Args:
        y: Its upper edge.
        step: The tensor, and what leads to it.
        features: Shape of the last feature maps, which `layer_flat` lays out in a row.
    """
    if len(step.shape) == 3:
        shapes, height = _stack(y, step.shape)
        if step.name == "x_image":
            shapes.append(_seven(LEFT, y))
        return shapes, height
    (length,) = step.shape
    room = TEXT - LEFT - 18
    if step.name == "layer_flat":
        # One box for each place of the feature maps; it stands for all channels there.
        places = features[0] * features[1]
        side = room / places
        return [_rectangle(LEFT + i * side, y, side, 12, "sheet") for i in range(places)], 12
    if step.name == "layer_fc1":
        side, columns = room / 32, 32
        return [
            _rectangle(
                LEFT + i % columns * side, y + i // columns * side, side - 1, side - 1, "ink"
            )
            for i in range(length)
        ], (length // columns) * side
    side = room / length
    if step.name == "logits":
        return [_rectangle(LEFT + i * side, y, side, side, "sheet") for i in range(length)], side
    shapes = []
    for digit in range(length):
        answer = digit == 7
        x = LEFT + digit * side
        shapes.append(_rectangle(x, y, side, 22, "sheet ink" if answer else "sheet"))
        kind = "digit answer" if answer else "digit"
        shapes.append(_text(x + side / 2, y + 16, str(digit), kind))
    return shapes, 22


def _look(y: float, step: Step, next_y: float, next_step: Step, size: int) -> list[str]:
    """Show where one filter looks, and the one number that comes of it."""
    rise = (step.shape[2] - 1) * RISE
    corner = (step.shape[1] - size) // 2 * PIXEL
    x, top = LEFT + corner, y + rise + (step.shape[0] - size) * PIXEL - 2 * PIXEL
    next_rise = (next_step.shape[2] - 1) * RISE
    target_x = LEFT + (next_step.shape[1] // 2) * PIXEL
    target_y = next_y + next_rise + (next_step.shape[0] - 4) * PIXEL
    side = size * PIXEL
    middle = target_x + PIXEL / 2
    return [
        _line([(x, top + side), (middle, target_y), (x + side, top + side)], "look"),
        _rectangle(x, top, side, side, "look"),
        _rectangle(target_x, target_y, PIXEL, PIXEL, "look"),
    ]


def draw(net: ConvNet) -> str:
    """Draw the network.

    Args:
        net: Whose shapes and numbers of parameters to show.

    Returns:
        The text of the SVG file.
    """
    steps = network_steps(net)
    drawn: list[str] = []
    looks: list[str] = []
    words: list[str] = []
    y = 4.0
    tops: list[float] = []
    features: tuple[int, ...] = ()
    for index, step in enumerate(steps):
        if index:
            # The operation stands in the gap above the tensor that it gives.
            notes = len(step.lines) + bool(step.num_parameters)
            gap = notes * LINE + 14
            line_y = y + 7 + LINE * 0.75
            for text, chapter in step.lines:
                words.append(_link(TEXT, line_y, text, chapter))
                line_y += LINE
            if step.num_parameters:
                words.append(_text(TEXT, line_y, f"{step.num_parameters:,} parameters", "note"))
            if len(steps[index - 1].shape) < 3 or len(step.shape) < 3:
                x = LEFT + 30
                tip = y + gap - 6
                drawn.append(_line([(x, y + 6), (x, tip)], "arrow"))
                drawn.append(_line([(x - 4, tip - 5), (x, tip), (x + 4, tip - 5)], "arrow"))
            y += gap
        tops.append(y)
        shapes, height = _tensor(y, step, features)
        drawn += shapes
        if len(step.shape) == 3:
            features = step.shape
        if index and len(step.shape) == 3:
            size = getattr(net, step.name.removeprefix("layer_")).weights.shape[0]
            looks += _look(tops[index - 1], steps[index - 1], y, step, size)
        height = max(height, 18)
        centre = y + height / 2 + FONT_SIZE * 0.36
        if index == 0:
            words.append(_link(TEXT, centre - LINE / 2, *step.lines[0]))
            centre += LINE / 2
        label = shape_text(step.shape)
        if step.name == "logits":
            label += " logits"
        elif step.name == "probabilities":
            label += " probabilities"
        elif len(step.shape) == 1:
            label += " numbers"
        words.append(_text(TEXT, centre, label, "shape"))
        y += height
    y += LINE + 14
    words.append(_text(TEXT, y - 6, f"{net.num_parameters:,} parameters in all", "note"))
    height = round(y + 4)
    description = "; ".join(
        ", ".join(text for text, _ in step.lines) + f": {shape_text(step.shape)}" for step in steps
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="network" role="group" '
            f'viewBox="0 0 {WIDTH} {height}" aria-labelledby="network-title network-desc">',
            '<title id="network-title">The network that this book builds, from image to answer'
            "</title>",
            f'<desc id="network-desc">From top to bottom, each step with the shape that comes '
            f"out of it: {escape(description)}.</desc>",
            f"<style>{STYLE}</style>",
            '<g aria-hidden="true">',
            *drawn,
            *looks,
            "</g>",
            *words,
            "</svg>",
            "",
        ]
    )


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(draw(ConvNet(seed=0)), encoding="utf-8", newline="\n")
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
