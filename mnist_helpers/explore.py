"""Controls that ask the kernel: a pad to draw on, layers to look into, training to watch.

Each function returns an :class:`Explorer`; as the last line of a cell it is shown. They work where
a notebook runs, with a network and data of your own too. Where nothing runs (the published
page, paper), what is stored stays: a picture of a finished state.

For pictures with controls that need no kernel, see :mod:`mnist_helpers.widgets`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anywidget
import ipywidgets
import numpy as np
import numpy.typing as npt
import traitlets
from matplotlib.axes import Axes
from PIL import Image, ImageDraw
from scipy import ndimage, special

from mnist_helpers._checks import check_count
from mnist_helpers._explorer import Explorer, as_bars, as_html, said
from mnist_helpers._live_training import Training
from mnist_helpers._style import Figure, in_own_style
from mnist_helpers.data import IMAGE_SIZE, Split
from mnist_helpers.handwriting import prepare_digit
from mnist_helpers.plots import (
    INK,
    ONE_SIGN,
    TWO_SIGNS,
    plot_image,
    plot_probabilities,
)
from mnist_helpers.widgets import as_picture

if TYPE_CHECKING:
    from mnist_helpers.network import ConvNet, Network
    from mnist_helpers.training import History

Numbers = npt.NDArray[Any]
Reader = Callable[[Numbers], npt.ArrayLike]
"""Gives ten shares, ``[1, 10]``, for an image ``[1, 784]``."""

# Not among the files that the site publishes: the pad is for notebooks alone.
_PAD = Path(__file__).with_name("pad")

# The drawing, in pixels; and its margin, so that a stroke at the edge has paper on both sides.
PAPER, RIM = 120, 14
# Width of the pen, as a share of the pad's; pad.js has the same.
PEN = 0.07
# What lies on the pad at first: a 2.
TWO = [0.28, 0.32, 0.36, 0.2, 0.5, 0.15, 0.64, 0.2, 0.69, 0.33, 0.6, 0.5]
TWO += [0.44, 0.66, 0.28, 0.84, 0.5, 0.82, 0.75, 0.84]

PRESETS: dict[str, list[list[float]]] = {
    "Upper edge": [[-1, -1, -1], [0, 0, 0], [1, 1, 1]],
    "Blur": [[1 / 9] * 3] * 3,
    "Sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "No change": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
}


# A pad


class _Pad(anywidget.AnyWidget):
    """A square to draw on; ``strokes`` holds x and y in turn, from 0 to 1."""

    _esm = (_PAD / "pad.js").read_text(encoding="utf-8")
    _css = (_PAD / "pad.css").read_text(encoding="utf-8")
    strokes = traitlets.List(traitlets.List(traitlets.Float())).tag(sync=True)


def draw_digit(net: Network | Reader) -> Explorer:
    """Show a pad to draw a digit on, and how a network reads it while you draw.

    Pen, mouse and finger draw, and so do the arrow keys. A photograph can be chosen instead.
    Either is prepared as :func:`~mnist_helpers.handwriting.prepare_digit` prepares an image of
    your own; where it finds no single digit, it says why.

    Args:
        net: The network; or any function that takes an image ``[1, 784]``, 0 to 1, and gives
            the probability of each class, ``[1, 10]``.

    Returns:
        Its ``controls.children[0].children[0]`` is the pad.
    """
    pad, seen, bars = _Pad(strokes=[TWO]), ipywidgets.HTML(), ipywidgets.HTML()
    note = ipywidgets.HTML()
    clear = ipywidgets.Button(description="Clear", icon="eraser")
    upload = ipywidgets.FileUpload(accept="image/*", description="Photograph")

    def read(picture: Image.Image) -> None:
        try:
            image = prepare_digit(picture)
        except ValueError as error:
            seen.value, bars.value, note.value = "", as_bars(None), said(str(error))
            return
        ink = Image.fromarray(np.uint8(255 * (1 - image)).reshape(IMAGE_SIZE, IMAGE_SIZE))
        seen.value = as_html(ink, "The 28 by 28 pixels that the network is given", 224)
        shares = _shares(net, image)
        bars.value, note.value = as_bars(shares), said(f"Read as {shares.argmax()}.")

    def drawn(_: Any = None) -> None:
        if pad.strokes:
            read(_ink(pad.strokes))
        else:
            seen.value, bars.value, note.value = "", as_bars(None), said("Draw a digit.")

    def chosen(change: Any) -> None:
        if not change["new"]:
            return
        pad.strokes = []
        try:
            read(Image.open(io.BytesIO(_last_file(change["new"]))))
        except (OSError, SyntaxError, Image.DecompressionBombError):
            note.value = said("This file cannot be read: save the picture as JPEG or PNG first.")

    pad.observe(drawn, "strokes")
    upload.observe(chosen, "value")
    clear.on_click(lambda _: setattr(pad, "strokes", []))
    drawn()
    image = prepare_digit(_ink(pad.strokes))
    figures = plot_image(image), plot_probabilities(_shares(net, image))
    wrap = ipywidgets.Layout(flex_flow="row wrap", grid_gap="8px 16px")
    controls = ipywidgets.VBox(
        [
            ipywidgets.HBox([pad, seen, bars], layout=wrap),
            ipywidgets.HBox([clear, upload], layout=wrap),
            note,
        ]
    )
    return Explorer(controls, figures, "A pad to draw a digit on, and how it is read.", across=True)


def _shares(net: Network | Reader, image: Numbers) -> Numbers:
    """What a network, or a function, gives each class."""
    # Without importing TensorFlow, which a function in NumPy can do without.
    compiled = getattr(net, "compiled", None)
    batch = image[np.newaxis]
    if compiled is not None:
        return np.asarray(special.softmax(np.asarray(compiled(batch))[0]))
    shares = np.asarray(cast(Reader, net)(batch), float)
    if shares.shape != (1, 10):
        raise ValueError(
            f"the function must give ten shares, [1, 10], for one image; got {list(shares.shape)}"
        )
    answer: Numbers = shares[0]
    return answer


def _ink(strokes: Sequence[Sequence[float]]) -> Image.Image:
    """Strokes as black ink on white paper."""
    sheet = Image.new("L", (PAPER + 2 * RIM,) * 2, 255)
    pen, draw = ImageDraw.Draw(sheet), PEN * PAPER
    for stroke in strokes:
        points = [
            (RIM + PAPER * x, RIM + PAPER * y)
            for x, y in zip(stroke[::2], stroke[1::2], strict=True)
        ]
        pen.line(points, fill=0, width=round(draw), joint="curve")
        for x, y in points:
            pen.ellipse((x - draw / 2, y - draw / 2, x + draw / 2, y + draw / 2), fill=0)
    return sheet


def _last_file(value: Any) -> bytes:
    """The content of the file that was chosen: ipywidgets 7 has a dict of them, 8 a tuple."""
    files = list(value.values()) if isinstance(value, dict) else list(value)
    return bytes(files[-1]["content"])


# Layers


def explore_layers(nets: ConvNet | Mapping[Any, ConvNet], split: Split) -> Explorer:
    """Show what each layer makes of an image, and what the network reads.

    Args:
        nets: The network; or several, by the name or number of each, such as the moments of
            training that come with the book.
        split: Where the images come from, ``data.test``.

    Raises:
        ValueError: If the split has no images, or there is no network.
    """
    by_name = dict(nets) if isinstance(nets, Mapping) else {nets.iterations: nets}
    if not by_name or len(split) == 0:
        raise ValueError("need at least one network and one image")
    names = [(f"{name:,}" if isinstance(name, int) else str(name), name) for name in by_name]
    moment = ipywidgets.SelectionSlider(
        options=names, value=names[-1][1], description="Iterations", continuous_update=False
    )
    number = ipywidgets.BoundedIntText(0, 0, len(split) - 1, description="Image")
    of_class = ipywidgets.Dropdown(
        options=[("any", None), *((str(c), c) for c in range(10))], description="Class"
    )
    forth = ipywidgets.Button(description="Next image", icon="arrow-right")
    mistake = ipywidgets.Button(description="Next mistake", icon="arrow-right")
    guess, picture = ipywidgets.HTML(), ipywidgets.HTML()
    misread: dict[Any, npt.NDArray[np.bool_]] = {}

    def show(_: Any = None) -> None:
        image, label = split.images[number.value], split.labels[number.value]
        shares = by_name[moment.value].activations(image[np.newaxis])["probabilities"][0]
        words = (
            f"Image {number.value:,}: a {label}, read as {shares.argmax()} ({shares.max():.0%})."
        )
        guess.value = said(words)
        figure = _layers_figure(by_name[moment.value], image)
        picture.value = as_html(as_picture(figure), f"What each layer puts out. {words}")

    def go_on(among: npt.NDArray[np.bool_]) -> None:
        if of_class.value is not None:
            among = among & (split.labels == of_class.value)
        places = np.flatnonzero(among)
        if len(places) == 0:
            guess.value = said("There are none.")
            return
        number.value = int(places[np.searchsorted(places, number.value + 1) % len(places)])

    def next_mistake(_: Any) -> None:
        from mnist_helpers.evaluation import evaluate

        if moment.value not in misread:
            guess.value = said(f"Reading all {len(split):,} images …")
            predictions = evaluate(by_name[moment.value], split).predictions
            misread[moment.value] = predictions != split.labels
        go_on(misread[moment.value])

    forth.on_click(lambda _: go_on(np.ones(len(split), bool)))
    mistake.on_click(next_mistake)
    for control in (moment, number):
        control.observe(show, "value")
    show()
    wrap = ipywidgets.Layout(flex_flow="row wrap")
    rows = [moment, number], [of_class, forth, mistake]
    lines = [ipywidgets.HBox(row, layout=wrap) for row in rows]
    figure = _layers_figure(by_name[moment.value], split.images[0])
    controls = ipywidgets.VBox([*lines, guess, picture])
    return Explorer(controls, [figure], "What each layer makes of an image of your choice.")


@in_own_style
def _layers_figure(net: ConvNet, image: Numbers) -> Figure:
    """The image, each layer's outputs, and the probabilities, in two rows."""
    outputs = net.activations(image[np.newaxis])
    shares = outputs.pop("probabilities")[0]
    panels = {"image": image.reshape(IMAGE_SIZE, IMAGE_SIZE)}
    before = image
    for name, (output,) in outputs.items():
        # A layer that only flattens has nothing new to show.
        if not np.array_equal(output.ravel(), before.ravel()):
            panels[name] = _mosaic(output)
        before = output
    columns = math.ceil((len(panels) + 1) / 2)
    figure = Figure(2.6 * columns, 5)
    *axes, last = figure.subplots(2, columns).flat
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    for ax, (name, panel) in zip(axes, panels.items(), strict=False):
        _panel(ax, panel, INK if name == "image" else None, name)
    bars = last.bar(range(len(shares)), shares, color="#4c78a8")
    bars[shares.argmax()].set_color("#d95f02")
    last.set(ylim=(0, 1), xticks=range(len(shares)))
    last.set_title("probabilities", fontsize=10)
    last.spines[["top", "right"]].set_visible(False)
    return figure


def _mosaic(output: Numbers) -> Numbers:
    """The channels ``[height, width, channels]`` as tiles, or a vector in rows."""
    tiles = output.transpose(2, 0, 1) if output.ndim == 3 else output.reshape(-1, 1, 1)
    gap = int(output.ndim == 3)
    # As nearly square as full rows allow; a dozen numbers stay one row.
    side = math.ceil(math.sqrt(len(tiles)))
    full = (n for n in range(side, 2 * side + 1) if len(tiles) % n == 0)
    columns = next(full, side) if len(tiles) > 12 else len(tiles)
    _, height, width = tiles.shape
    rows = math.ceil(len(tiles) / columns)
    shape = rows * (height + gap) - gap, columns * (width + gap) - gap
    mosaic = np.full(shape, np.nan)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        top, left = row * (height + gap), column * (width + gap)
        mosaic[top : top + height, left : left + width] = tile
    return mosaic


def _panel(ax: Axes, values: Numbers, cmap: str | None, title: str) -> None:
    """Draw numbers: of both signs in red and blue, of one from dark to bright, or as told."""
    high = float(np.nanmax(np.abs(values))) or 1.0
    both = cmap is None and bool((values < 0).any())
    colours = cmap or (TWO_SIGNS if both else ONE_SIGN)
    ax.imshow(values, colours, vmin=-high if both else 0, vmax=high, interpolation="nearest")
    ax.set(xticks=[], yticks=[], frame_on=False)
    ax.set_title(title, fontsize=10)


# A filter


def try_filter(image: npt.ArrayLike, kernel: npt.ArrayLike | None = None) -> Explorer:
    """Show a filter with a slider for each number, and what comes out of it.

    Args:
        image: ``[784]`` or ``[28, 28]``, or another picture ``[height, width]``; 0 to 1.
        kernel: The numbers to start from, square, up to 5×5; by default a 3×3 filter that
            finds upper edges.

    Returns:
        Its picture is padded with zeros, as in the network's layers.

    Raises:
        ValueError: If the image or the kernel has another shape.
    """
    pixels = np.asarray(image, float)
    pixels = pixels.reshape(IMAGE_SIZE, IMAGE_SIZE) if pixels.shape == (784,) else pixels
    start = np.asarray(PRESETS["Upper edge"] if kernel is None else kernel, float)
    if pixels.ndim != 2 or start.shape not in [(n, n) for n in range(1, 6)]:
        raise ValueError(
            "need one image [784] or [height, width], and a square kernel of up to 5×5; got "
            f"{list(pixels.shape)} and {list(start.shape)}"
        )
    size = len(start)
    slider = ipywidgets.Layout(width="100%")
    sliders = [
        ipywidgets.FloatSlider(
            value=start[place],
            min=min(-5, start.min()),
            max=max(5, start.max()),
            step=0.05,
            description=f"{place[0]}, {place[1]}",
            style={"description_width": "30px"},
            layout=slider,
        )
        for place in np.ndindex(size, size)
    ]
    numbers = {name: _centred(preset, size) for name, preset in PRESETS.items()}
    presets = [
        ipywidgets.Button(description=name, layout=ipywidgets.Layout(width="auto"))
        for name in numbers
    ] * (size >= 3)
    picture = ipywidgets.HTML()

    def weights() -> Numbers:
        return np.array([one.value for one in sliders]).reshape(size, size)

    def show(_: Any = None) -> None:
        alt = f"The image, the filter {weights().tolist()}, and what comes out"
        picture.value = as_html(as_picture(_filter_figure(pixels, weights())), alt)

    def take(button: Any) -> None:
        for one, value in zip(sliders, numbers[button.description].flat, strict=True):
            one.unobserve(show, "value")
            one.value = value
            one.observe(show, "value")
        show()

    for one in sliders:
        one.observe(show, "value")
    for button in presets:
        button.on_click(take)
    show()
    columns = ipywidgets.Layout(grid_template_columns=f"repeat({size}, minmax(0, 240px))")
    wrap = ipywidgets.Layout(flex_flow="row wrap")
    grid = ipywidgets.GridBox(sliders, layout=columns)
    controls = ipywidgets.VBox([ipywidgets.HBox(presets, layout=wrap), grid, picture])
    return Explorer(
        controls, [_filter_figure(pixels, start)], "A filter with a slider for each number."
    )


def _centred(preset: Sequence[Sequence[float]], size: int) -> Numbers:
    """A 3×3 filter with zeros around it to fill the size; an odd row or column comes last."""
    before = (size - 3) // 2
    return np.pad(np.array(preset, float), (before, size - 3 - before)) if size >= 3 else np.eye(1)


@in_own_style
def _filter_figure(image: Numbers, kernel: Numbers) -> Figure:
    """An image, a filter with its numbers, and what comes out, side by side."""
    figure = Figure(8, 2.9)
    axes = figure.subplots(1, 3)
    output = ndimage.correlate(image, kernel, mode="constant")
    _panel(axes[0], image, INK, "image")
    high = float(np.abs(kernel).max()) or 1.0
    # Paler than the scale's ends, so that each number can be read.
    axes[1].imshow(kernel, TWO_SIGNS, vmin=-1.6 * high, vmax=1.6 * high)
    for (row, column), value in np.ndenumerate(kernel):
        axes[1].text(column, row, f"{value + 0:.2g}", ha="center", va="center")
    axes[1].set(xticks=[], yticks=[], frame_on=False)
    axes[1].set_title("filter", fontsize=10)
    largest = float(np.abs(output).max()) or 1.0
    drawn = axes[2].imshow(output, TWO_SIGNS, vmin=-largest, vmax=largest)
    axes[2].set(xticks=[], yticks=[], frame_on=False)
    axes[2].set_title("what comes out", fontsize=10)
    figure.colorbar(drawn, ax=axes[2], fraction=0.046)
    return figure


# Training


def watch_training(
    net: Network,
    split: Split,
    validation: Split | None = None,
    history: History | None = None,
    every: int = 50,
) -> Training:
    """Show a network while it learns: loss, accuracy and filters, with buttons to start and pause.

    Training goes on in a thread beside the kernel, so that other cells can be run; while one
    runs, training waits. Its own button stops it, or :meth:`Training.pause`; interrupting the
    kernel does not. Once stopped, the network is as the last step left it, and
    :func:`~mnist_helpers.training.optimize` goes on from there.

    Args:
        net: The network; its weights are changed.
        split: Images and labels to learn from, ``data.train``.
        validation: Images to judge now and then, ``data.validation``.
        history: What ``optimize`` returned for the steps before, to be shown with what follows.
        every: How many steps are taken from one picture to the next.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If a split has no images, or ``every`` is not positive.
    """
    from mnist_helpers.evaluation import check_kinds

    check_kinds(net, split=split, **({} if validation is None else {"validation": validation}))
    return Training(net, split, validation, history, check_count("every", every))
