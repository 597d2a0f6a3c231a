"""Pictures of digits, filters, layer outputs, errors and training.

Every function takes arrays and returns a Matplotlib ``Figure`` that pyplot does not hold: as
the last line of a notebook cell it is shown once, and it can be saved with
``figure.savefig("name.png")``. It looks the same whatever Matplotlib style you have chosen, and
changes none of your settings. Images are ink on paper (``gray_r``); numbers of one sign run
from dark to bright (``viridis``); weights are red where positive and blue where negative
(``RdBu_r``). Readers who cannot tell red from green can read all three.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from mnist_helpers._style import Figure, in_own_style
from mnist_helpers.data import IMAGE_SIZE_FLAT, as_images, as_labels

if TYPE_CHECKING:
    from mnist_helpers.training import History

INK = "gray_r"
ONE_SIGN = "viridis"
TWO_SIGNS = "RdBu_r"

MAX_GRID_IMAGES = 9  # images in a grid of examples: three rows of three

MAX_WIDTH = 6.88
"""Inches: a figure that is wider is made smaller on the book's pages, its letters too."""

STEPS = ("convolution", "pooling", "flatten", "fully connected", "loss")
"""What the network does on the way from an image to the loss, as :func:`plot_network` calls it."""

# Between small pictures, as a share of their width.
GAP = 0.15


@in_own_style
def plot_images(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    predictions: npt.ArrayLike | None = None,
) -> Figure:
    """Plot up to nine images in rows of three, each with its true class below it.

    Args:
        images: ``[n, 784]`` or ``[n, 28, 28]``, ``n`` from 1 to 9; values 0 to 1, or uint8.
        labels: True class numbers ``[n]``.
        predictions: The classes that a network gave, ``[n]``, to be written beside them.
    """
    pictures = _pictures(images)
    true = as_labels(labels)
    guessed = None if predictions is None else _predictions(predictions)
    lengths = {len(pictures), len(true)} | (set() if guessed is None else {len(guessed)})
    if len(lengths) > 1 or not 1 <= len(pictures) <= MAX_GRID_IMAGES:
        raise ValueError(
            f"need 1 to {MAX_GRID_IMAGES} images with as many labels and predictions; "
            f"got lengths {sorted(lengths)}"
        )
    num_rows = math.ceil(len(pictures) / 3)
    figure = Figure(5, 1.87 * num_rows)
    axes = figure.subplots(num_rows, 3, squeeze=False)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.set_frame_on(False)
    for index, (ax, picture) in enumerate(zip(axes.flat, pictures, strict=False)):
        ax.imshow(picture, cmap=INK, vmin=0, vmax=1)
        text = f"True: {true[index]}"
        ax.set_xlabel(text if guessed is None else f"{text}, predicted: {guessed[index]}")
    return figure


@in_own_style
def plot_image(image: npt.ArrayLike) -> Figure:
    """Plot one image, ``[784]`` or ``[28, 28]``, values 0 to 1 or uint8."""
    array = np.asarray(image)
    if array.size != IMAGE_SIZE_FLAT:
        raise ValueError(f"one image has shape [784] or [28, 28]; got {list(array.shape)}")
    # [1, 784], a batch of one image, is one image as well.
    (picture,) = _pictures(array if len(array) == 1 else array[np.newaxis])
    figure = Figure(3, 3)
    ax = figure.subplots()
    ax.imshow(picture, cmap=INK, vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    return figure


@in_own_style
def plot_example_errors(
    images: npt.ArrayLike, labels: npt.ArrayLike, predictions: npt.ArrayLike
) -> Figure:
    """Plot the first nine images whose prediction is wrong; fewer where there are fewer.

    It takes what :func:`plot_images` takes, for any number of images.
    """
    pictures, true, guessed = _pictures(images), as_labels(labels), _predictions(predictions)
    if not len(pictures) == len(true) == len(guessed):
        raise ValueError(
            f"need as many images as labels and predictions; got {len(pictures)}, "
            f"{len(true)} and {len(guessed)}"
        )
    wrong = np.flatnonzero(true != guessed)[:MAX_GRID_IMAGES]
    if len(wrong) == 0:
        figure = Figure(5, 1)
        # A notebook does not show a figure that has no Axes.
        ax = figure.subplots()
        ax.text(0.5, 0.5, "No image is misread.", ha="center", va="center")
        ax.set_axis_off()
        return figure
    return plot_images(pictures[wrong], true[wrong], guessed[wrong])


@in_own_style
def plot_confusion_matrix(matrix: npt.ArrayLike) -> Figure:
    """Plot a confusion matrix, the count or the share written in each cell.

    The colour is the share of the row (of the images truly of that class), on a square-root
    scale, so that rare mistakes can still be seen beside the full diagonal.

    Args:
        matrix: ``[classes, classes]``: row the true class, column the predicted one. Whole
            numbers are written as they are, shares to two decimals.
    """
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.size == 0:
        raise ValueError(f"a confusion matrix is square; got shape {list(counts.shape)}")
    for (row, column), count in np.ndenumerate(counts):
        if not 0 <= count < np.inf:
            raise ValueError(
                "a confusion matrix holds counts or shares of images, 0 or more; "
                f"got {count} in row {row}, column {column}"
            )
    fmt = ".0f" if (counts == np.round(counts)).all() else ".2f"
    rows = counts.sum(axis=1, keepdims=True)
    share = counts / np.where(rows > 0, rows, 1)
    figure = Figure(6, 5.6)
    ax = figure.subplots()
    ax.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if share[row, column] > 0.3 else "black" if count else "0.7"
        text = ax.text(column, row, format(count, fmt), ha="center", va="center", fontsize=9)
        text.set_color(colour)
    ticks = range(len(counts))
    ax.set(xticks=ticks, yticks=ticks, xlabel="Predicted class", ylabel="True class")
    ax.spines[:].set_visible(False)
    return figure


@in_own_style
def plot_conv_weights(
    weights: npt.ArrayLike, input_channel: int = 0, limit: float | None = None
) -> Figure:
    """Plot the filters of a convolutional layer for one of its input channels.

    Args:
        weights: ``[height, width, in_channels, num_filters]``; a variable will do.
        input_channel: Which of the input's channels the filters look at.
        limit: The colour scale runs from ``-limit`` to ``limit``; by default to the largest
            weight of the layer, so that all its channels can be compared.
    """
    values = np.asarray(weights)
    if values.ndim != 4:
        raise ValueError(
            "filters have shape [height, width, in_channels, num_filters]; "
            f"got {list(values.shape)}"
        )
    if not 0 <= input_channel < values.shape[2]:
        raise ValueError(f"input_channel must be 0 to {values.shape[2] - 1}; got {input_channel}")
    if limit is not None and not limit > 0:
        raise ValueError(f"limit must be positive; got {limit}")
    largest = _largest(values) if limit is None else limit
    tiles = np.moveaxis(values[:, :, input_channel, :], -1, 0)
    return _tiles(tiles, TWO_SIGNS, -largest, largest, "weight")


@in_own_style
def plot_conv_layer(layer: npt.ArrayLike, image: int = 0) -> Figure:
    """Plot every channel of a layer's output ``[n, height, width, channels]`` for one image.

    Outputs after ReLU run from dark to bright; those before it, which have both signs, are
    coloured as weights are.
    """
    values = np.asarray(layer)
    if values.ndim != 4:
        raise ValueError(
            f"a layer's output has shape [n, height, width, channels]; got {list(values.shape)}"
        )
    if not 0 <= image < len(values):
        raise ValueError(f"image must be 0 to {len(values) - 1}; got {image}")
    tiles = np.moveaxis(values[image], -1, 0)
    high = _largest(tiles)
    if (tiles < 0).any():
        return _tiles(tiles, TWO_SIGNS, -high, high, "output")
    return _tiles(tiles, ONE_SIGN, 0, high, "output")


@in_own_style
def plot_rows(
    rows: Mapping[str, npt.ArrayLike], two_signs: bool = False, one_scale: bool = True
) -> Figure:
    """Plot rows of small pictures, one below the other, each with its name.

    Made for the same filters, or the same layer's outputs, at several moments of training.

    Args:
        rows: For each name, pictures ``[k, height, width]``, ``k`` the same in every row.
        two_signs: Colour as weights (red above zero, blue below) instead of dark to bright.
        one_scale: Use one colour scale for all, and show it; else each row has its own, up
            to its largest number, so that faint rows can be seen too.
    """
    stacks = {name: np.asarray(row) for name, row in rows.items()}
    shapes = {name: list(stack.shape) for name, stack in stacks.items()}
    if any(len(shape) != 3 or 0 in shape for shape in shapes.values()):
        raise ValueError(f"each row has shape [k, height, width]; got {shapes}")
    if len({shape[0] for shape in shapes.values()}) != 1:
        raise ValueError(
            f"need at least one row, and the same number of pictures in each; got {shapes}"
        )
    num_columns = len(next(iter(stacks.values())))
    highs = [_largest(stack) for stack in stacks.values()]
    if one_scale:
        highs = [max(highs)] * len(highs)
    cmap = TWO_SIGNS if two_signs else ONE_SIGN
    norms = [Normalize(-high if two_signs else 0.0, high) for high in highs]
    # The names need about an inch; where there are many columns, pictures are smaller.
    side = min(0.62, (MAX_WIDTH - 1) / num_columns)
    figure = Figure(1 + side * num_columns, 0.35 + (side + 0.04) * len(stacks))
    ax = figure.subplots()
    middles = _draw_rows(ax, list(stacks.values()), cmap, norms)
    ax.set_yticks(middles, list(stacks))
    ax.tick_params(length=0)
    if one_scale:
        figure.colorbar(ScalarMappable(norms[0], cmap), ax=ax, fraction=0.03, pad=0.01)
    return figure


@in_own_style
def plot_values(
    arrays: Mapping[str, npt.ArrayLike], fmt: str = ".2f", two_signs: bool = True
) -> Figure:
    """Plot small matrices side by side with the number written in each cell.

    Args:
        arrays: For each title a matrix ``[height, width]``, small enough to read.
        fmt: How to write the numbers, as in ``format(number, fmt)``.
        two_signs: Colour as weights instead of as ink on paper. Each matrix has its own
            scale.
    """
    matrices = [np.asarray(array) for array in arrays.values()]
    if not matrices or any(matrix.ndim != 2 or matrix.size == 0 for matrix in matrices):
        raise ValueError(
            "need at least one matrix, each of shape [height, width]; got "
            f"{ {title: list(np.shape(array)) for title, array in arrays.items()} }"
        )
    widths = [matrix.shape[1] for matrix in matrices]
    height = max(len(matrix) for matrix in matrices)
    figure = Figure(0.3 + 0.52 * sum(widths), 0.5 + 0.48 * height)
    axes = figure.subplots(1, len(matrices), squeeze=False, width_ratios=widths)
    for ax, title, matrix in zip(axes.flat, arrays, matrices, strict=True):
        high = _largest(matrix) or 1.0
        if two_signs:
            # Stretched, so that no cell is too dark for the black number in it.
            ax.imshow(matrix, cmap=TWO_SIGNS, vmin=-1.6 * high, vmax=1.6 * high)
        else:
            ax.imshow(matrix, cmap=INK, vmin=0, vmax=2.5 * high)
        for (row, column), value in np.ndenumerate(matrix):
            # Adding zero turns a product's -0.0 into 0.0.
            ax.text(column, row, format(value + 0, fmt), ha="center", va="center", fontsize=8)
        ax.set_title(title, fontsize=10)
        ax.set(xticks=[], yticks=[])
    return figure


@in_own_style
def plot_probabilities(probabilities: npt.ArrayLike, label: int | None = None) -> Figure:
    """Plot the probability of each class as a bar.

    Args:
        probabilities: ``[classes]``, adding up to 1.
        label: The true class, whose bar is dark orange instead of blue.
    """
    values = np.asarray(probabilities)
    if values.ndim != 1:
        raise ValueError(f"one image's probabilities have shape [10]; got {list(values.shape)}")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(
            f"probabilities must be from 0 to 1; got {values.min():g} to {values.max():g} "
            "(softmax turns logits into probabilities)"
        )
    if label is not None and (np.ndim(label) or not 0 <= label < len(values)):
        raise ValueError(f"label must be one number, 0 to {len(values) - 1}; got {label}")
    figure = Figure(5, 2.2)
    ax = figure.subplots()
    bars = ax.bar(range(len(values)), values, color="#4c78a8")
    if label is not None:
        bars[label].set_color("#d95f02")
        ax.set_title(f"True class: {label}", fontsize=10)
    ax.set(xticks=range(len(values)), xlabel="Class", ylabel="Probability", ylim=(0, 1))
    ax.spines[["top", "right"]].set_visible(False)
    return figure


@in_own_style
def plot_network(
    lit: str | Sequence[str] = (), num_filters: tuple[int, int] = (16, 36), units: int = 128
) -> Figure:
    """Plot the network from the image to the loss: each step, and the shape that it leaves.

    Args:
        lit: Names from :data:`STEPS`, one or several; every step of that name is drawn in orange.
        num_filters: How many filters the two convolutions have.
        units: How many units the first fully connected layer has.

    Raises:
        ValueError: If there is no step of that name.
    """
    chosen = [lit] if isinstance(lit, str) else list(lit)
    unknown = sorted(set(chosen) - set(STEPS))
    if unknown:
        raise ValueError(f"the steps are called {', '.join(STEPS)}; got {', '.join(unknown)}")
    first, second = num_filters
    flat = 7 * 7 * second
    stages: list[tuple[str, str, tuple[int, ...]]] = [
        ("", "image", (28, 1)),
        ("convolution", "5×5\nfilters", (28, first)),
        ("pooling", "2×2 max,\nReLU", (14, first)),
        ("convolution", "5×5\nfilters", (14, second)),
        ("pooling", "2×2 max,\nReLU", (7, second)),
        ("flatten", "", (flat,)),
        ("fully connected", "ReLU", (units,)),
        ("fully connected", "", (10,)),
        ("loss", "", (1,)),
    ]
    figure = Figure(MAX_WIDTH, 1.8)
    ax = figure.subplots()
    for place, (step, note, shape) in enumerate(stages):
        _draw_stage(ax, place, step, note, shape, step in chosen)
    ax.set(xlim=(-0.5, len(stages) - 0.5), ylim=(-0.75, 1.65))
    ax.set_axis_off()
    return figure


def _draw_stage(
    ax: Axes, place: int, step: str, note: str, shape: tuple[int, ...], lit: bool
) -> None:
    """Draw what one step leaves, at its place from left to right, with its labels."""
    colour, edge = ("#fdb863", "#b35806") if lit else ("#e8eef7", "#7f7f7f")
    style: dict[str, Any] = {"facecolor": colour, "edgecolor": edge, "lw": 0.8}
    if len(shape) == 2:
        # A sheet for each channel would be a smudge: draw only as many as can be told apart.
        side, sheets = 0.25 + 0.4 * shape[0] / 28, 1 + min(shape[1], 36) // 8
        for sheet in reversed(range(sheets)):
            shift = 0.04 * (sheet - (sheets - 1) / 2)
            corner = (place + shift - side / 2, 0.35 - side / 2 + shift)
            ax.add_patch(Rectangle(corner, side, side, **style))
    else:
        # Low enough to leave room for the words below it.
        height = min(0.1 + 0.1 * math.log2(shape[0] + 1), 1.2)
        ax.add_patch(Rectangle((place - 0.06, 0.35 - height / 2), 0.12, height, **style))
    words: dict[str, Any] = {"ha": "center", "fontsize": 8}
    words["color"] = "#8c3f00" if lit else "black"
    title = "\n".join(part for part in (step.replace(" ", "\n"), note) if part)
    ax.text(place, 1.62, title, va="top", weight="bold" if lit else "normal", **words)
    size = f"{shape[0]}×{shape[0]}\n×{shape[1]}" if len(shape) == 2 else f"{shape[0]:,}"
    ax.text(place, -0.28, size, va="top", **words)
    if place:
        arrow = {"arrowstyle": "->", "color": "#b35806" if lit else "0.5", "lw": 1}
        ax.annotate("", (place - 0.36, 0.35), (place - 0.64, 0.35), arrowprops=arrow)


@in_own_style
def plot_history(history: History, smooth: int = 50) -> Figure:
    """Plot loss and accuracy against iterations, for the batches and for the validation images.

    Args:
        history: What :func:`~mnist_helpers.training.optimize` returned.
        smooth: The batches' curves are means over this many neighbouring steps, because one
            batch is easier or harder than the next.
    """
    if smooth < 1:
        raise ValueError(f"smooth must be at least 1; got {smooth}")
    width = min(smooth, len(history.iterations))
    window = np.full(width, 1 / width)
    figure = Figure(8, 3.2)
    axes = figure.subplots(1, 2)
    curves = [
        ("Loss (nats)", history.loss, history.validation_loss),
        ("Accuracy", history.accuracy, history.validation_accuracy),
    ]
    for ax, (name, training, validation) in zip(axes, curves, strict=True):
        # The mean of steps i … i + width - 1 is drawn above their middle.
        middle = np.convolve(history.iterations, window, "valid")
        ax.plot(middle, np.convolve(training, window, "valid"), color="#4c78a8", label="training")
        if len(validation):
            look = {"color": "#d95f02", "linestyle": "--", "marker": ".", "label": "validation"}
            ax.plot(history.validation_iterations, validation, **look)
        ax.set(xlabel="Iteration", ylabel=name)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_yscale("log")
    axes[0].legend()
    axes[1].yaxis.set_major_formatter(PercentFormatter(1.0))
    return figure


def _pictures(images: npt.ArrayLike) -> npt.NDArray[np.float32]:
    return as_images(images).reshape(-1, 28, 28)


def _largest(values: npt.NDArray[Any]) -> float:
    """The end of a colour scale; a cell that is not finite does not count, and stays blank."""
    finite = np.abs(values[np.isfinite(values)])
    if finite.size == 0:
        raise ValueError("there is nothing to draw: no number is finite")
    return float(finite.max())


def _predictions(predictions: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Class numbers; probabilities are refused, with what to pass instead."""
    shape = np.shape(predictions)
    if len(shape) == 2:
        raise ValueError(
            f"predictions are class numbers of shape [n]; got {list(shape)}: "
            "pass predictions.argmax(axis=1)"
        )
    return as_labels(predictions)


def _tiles(
    tiles: Sequence[npt.NDArray[Any]] | npt.NDArray[Any],
    cmap: str,
    low: float,
    high: float,
    unit: str,
) -> Figure:
    """Plot pictures on one colour scale, in the squarest grid that holds them."""
    num_columns = math.ceil(math.sqrt(len(tiles)))
    rows = [tiles[start : start + num_columns] for start in range(0, len(tiles), num_columns)]
    norm = Normalize(low, high)
    figure = Figure(6, 5.4)
    ax = figure.subplots()
    _draw_rows(ax, rows, cmap, [norm] * len(rows))
    figure.colorbar(ScalarMappable(norm, cmap), ax=ax, label=unit, fraction=0.04, pad=0.02)
    return figure


def _draw_rows(
    ax: Axes,
    rows: Sequence[Sequence[npt.NDArray[Any]] | npt.NDArray[Any]],
    cmap: str,
    norms: Sequence[Normalize],
) -> list[float]:
    """Draw rows of pictures, each one unit wide, one row below the other; return the rows' middles.

    They share one Axes: laying out an Axes for each channel of a layer takes seconds.
    """
    top, middles = 0.0, []
    for row, norm in zip(rows, norms, strict=True):
        height = row[0].shape[0] / row[0].shape[1]
        for column, picture in enumerate(row):
            left = column * (1 + GAP)
            extent = (left, left + 1, top + height, top)
            ax.imshow(picture, cmap=cmap, norm=norm, extent=extent)
            # A filter that is white at its edge ends somewhere too.
            frame = Rectangle((left, top), 1, height, fill=False, ec="0.6", lw=0.5, clip_on=False)
            ax.add_patch(frame)
        middles.append(top + height / 2)
        top += height + GAP
    right = max(map(len, rows)) * (1 + GAP) - GAP
    ax.set(xlim=(0, right), ylim=(top - GAP, 0), xticks=[], yticks=[])
    ax.set_frame_on(False)
    return middles
