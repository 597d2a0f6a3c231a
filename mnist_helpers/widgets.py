"""Pictures with controls, which work in a notebook and on the published page alike.

Each function returns a :class:`Widget`; as the last line of a cell it is shown. A widget is plain
HTML: the picture it starts from with its alternative text and caption, the rest as data, and a
small script (``static/widgets.js``) that adds a browser's own sliders, buttons and tables. No
kernel is asked, so a reader of the site has all of it. Where scripts do not run (a notebook
that is not trusted, paper), the picture with its caption stays.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps, rc_context, rcParamsDefault
from PIL import Image, ImageDraw

from mnist_helpers.data import IMAGE_SIZE, as_images, as_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Label = int | str

STATIC = Path(__file__).with_name("static")
"""Where the script and the style sheet lie, which the site loads as files."""

_BOX = "#d95f02"
# Enlarged this much, pixels can be counted, and three panels fit side by side.
_SCALE = 7
# Each pixel of a figure, as shown, is stored as this many in each direction.
_PIXELS = 2
_SHEET_COLUMNS = 32
_STRIP_COLUMNS = 8
# A palette of 256 colours is used if no pixel is further from its own colour than this, out of
# 255: a few at the edges of letters and tiles are that far off, each a quarter of a pixel as shown.
_PALETTE_ERROR = 40


@dataclass(frozen=True)
class Widget:
    """A picture with controls.

    Attributes:
        text: What it is, in one plain sentence, for use where no HTML is shown.
        html: The figure, its data included, without script and style.
        figures: The Matplotlib figures whose pictures it shows, if it shows any.
    """

    text: str
    html: str = field(repr=False)
    figures: tuple[Figure, ...] = field(default=(), repr=False, compare=False)

    def __repr__(self) -> str:
        """The sentence."""
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook stores and shows (IPython's protocol)."""
        # The site takes style and script out of each figure and loads the files once.
        html = "\n".join([self.html, *front_end().values()])
        return {"text/plain": self.text, "text/html": html}


def frames(
    figures: Mapping[Label, Figure] | Mapping[tuple[Label, ...], Figure],
    controls: str | Sequence[str],
    alts: str | Sequence[str],
    captions: str | Sequence[str],
    start: Label | tuple[Label, ...] | None = None,
    play: bool = False,
) -> Widget:
    """Show one of several figures, as the reader sets the controls.

    A control whose labels are numbers is a slider; one with words is a row of buttons, one
    of them chosen. Figures that look alike are stored once, and smaller ones are centred on
    paper as large as the largest, in their own colour. A figure of this
    package looks the same in every Matplotlib style; one that you drew keeps the style in which
    you drew it.

    Args:
        figures: For each label its figure. With several controls the keys are tuples, one
            label for each control, and every combination of the labels must be there.
        controls: The name of the control, or the names of the controls, as shown beside them.
        alts: What each figure shows, in words, in the order of the figures; or one text in
            which ``{}`` stands for the label, ``{0}`` and ``{1}`` for those of two controls.
        captions: What is written below each figure; given in the same way as ``alts``.
        start: The key of the figure that is shown first; by default the first one.
        play: Add buttons that go through the figures. For a single slider.

    Raises:
        ValueError: If a figure is missing or there are fewer than two, if the number of
            texts differs from that of the figures, if there is no figure ``start``, or if
            ``play`` is asked for with anything but one slider.
    """
    names = (controls,) if isinstance(controls, str) else tuple(controls)
    by_key = {key if isinstance(key, tuple) else (key,): f for key, f in figures.items()}
    labels = _labels(list(by_key), len(names))
    slides = [all(isinstance(label, int) for label in row) for row in labels]
    if play and slides != [True]:
        raise ValueError("play needs exactly one slider: one control whose labels are all numbers")
    first = next(iter(by_key)) if start is None else start
    first = first if isinstance(first, tuple) else (first,)
    if first not in by_key:
        raise ValueError(f"start must be one of the figures' keys; got {start!r}")

    texts = [
        dict(zip(by_key, _texts(given, list(by_key), what), strict=True))
        for given, what in ((alts, "alts"), (captions, "captions"))
    ]
    pictures = _same_size({key: as_picture(figure, _PIXELS) for key, figure in by_key.items()})
    encoded = {key: _lossless(picture) for key, picture in pictures.items()}
    stored = list(dict.fromkeys([encoded[first], *encoded.values()]))
    shown = [
        [stored.index(encoded[key]), texts[0][key], texts[1][key]]
        for key in itertools.product(*labels)
    ]
    data = {
        "controls": [
            {
                "name": name,
                "labels": [_words(label) for label in row],
                "slides": slide,
                "start": row.index(label),
            }
            for name, row, slide, label in zip(names, labels, slides, first, strict=True)
        ],
        "play": play,
        # The first is the picture that the figure starts from.
        "images": [None, *stored[1:]],
        "frames": shown,
    }
    width, height = pictures[first].size
    image = _image(encoded[first], texts[0][first], (width // _PIXELS, height // _PIXELS))
    described = (
        f"{name} ({', '.join(_words(label) for label in row)})"
        for name, row in zip(names, labels, strict=True)
    )
    text = f"{len(by_key)} pictures to choose from by {' and '.join(described)}."
    html = _figure("frames", image, texts[1][first], data)
    return Widget(text, html, tuple(by_key.values()))


def mistakes_browser(
    images: npt.ArrayLike, labels: npt.ArrayLike, probabilities: npt.ArrayLike
) -> Widget:
    """Show the confusion matrix, and the mistakes of the cell that the reader chooses.

    The head of a row or a column gives all its mistakes, the corner all there are; the
    surest come first. It starts with the pair of classes that is confused most often.

    Args:
        images: ``[n, 784]`` or ``[n, 28, 28]``; values 0 to 1, or uint8.
        labels: True class numbers ``[n]``.
        probabilities: What the network gave to each class, ``[n, classes]``. The class with
            the largest is the prediction.

    Raises:
        TypeError: If an array does not hold numbers.
        ValueError: If the lengths differ, or an array has another shape or other values.
    """
    pictures, true = as_images(images), as_labels(labels)
    given = np.asarray(probabilities)
    if given.ndim != 2 or not len(pictures) == len(true) == len(given):
        raise ValueError(
            "need as many class numbers [n] and probabilities [n, classes] as images; got "
            f"{list(true.shape)} and {list(given.shape)} for {len(pictures)} images"
        )
    if not ((given >= 0) & (given <= 1)).all():
        raise ValueError(
            f"probabilities must be from 0 to 1; got {given.min():g} to {given.max():g} "
            "(softmax turns logits into probabilities)"
        )
    if len(true) and true.max() >= given.shape[1]:
        raise ValueError(f"there are {given.shape[1]} classes, but a label is {true.max()}")
    predicted = given.argmax(axis=1)
    matrix = np.zeros([given.shape[1]] * 2, int)
    np.add.at(matrix, (true, predicted), 1)

    wrong = np.flatnonzero(predicted != true)
    wrong = wrong[np.argsort(-given[wrong, predicted[wrong]], kind="stable")]
    table = _matrix_table(matrix)
    if len(wrong) == 0:
        return Widget("No image is misread.", _figure("table", table, "No image is misread."))
    off_diagonal = matrix - np.diag(np.diag(matrix))
    row, column = map(int, np.unravel_index(off_diagonal.argmax(), matrix.shape))
    ink = np.round(255 * (1 - pictures.reshape(-1, IMAGE_SIZE, IMAGE_SIZE))).astype(np.uint8)
    chosen = wrong[(true[wrong] == row) & (predicted[wrong] == column)]
    strip = _sheet(ink[chosen], _STRIP_COLUMNS, gap=2)
    strip = strip.resize((3 * strip.width, 3 * strip.height), Image.Resampling.NEAREST)
    data = {
        "start": [row, column],
        "columns": _SHEET_COLUMNS,
        "sheet": _data_uri(_sheet(ink[wrong], _SHEET_COLUMNS)),
        "mistakes": [
            [
                int(i),
                int(true[i]),
                int(predicted[i]),
                *(f"{given[i, of[i]]:.2f}" for of in (true, predicted)),
            ]
            for i in wrong
        ],
    }
    alt = f"The digits that are truly a {row} and that the network took for a {column}"
    content = table + _image(_data_uri(strip), alt, strip.size)
    caption = f"true {row}, predicted {column}: {len(chosen)} of the mistakes, the surest first."
    text = (
        f"A confusion matrix whose cells open the {len(wrong)} mistakes; "
        f"most often ({len(chosen)} times) a true {row} is called a {column}."
    )
    return Widget(text, _figure("mistakes", content, caption, data))


def convolution_steps(
    image: npt.ArrayLike, kernel: npt.ArrayLike, start: tuple[int, int] = (0, 0)
) -> Widget:
    """Slide a filter over an image, with the products and the sum that it makes at each place.

    Args:
        image: ``[height, width]``, square; uint8, or values 0 to 1, rounded to steps of 1/255.
        kernel: ``[size, size]``, no larger than the image. The weights are written with as many
            decimals as the largest needs for three digits; the sums use them unrounded.
        start: Row and column of the place that is shown first.

    Raises:
        ValueError: If the arrays are not square, a value is not finite or, in the image,
            not from 0 to 1, the kernel does not fit into the image, or there is no such place.
    """
    pixels, weights = np.asarray(image), np.asarray(kernel, float)
    pixels = pixels / 255 if pixels.dtype == np.uint8 else pixels.astype(float)
    for name, array in (("image", pixels), ("kernel", weights)):
        if array.ndim != 2 or array.shape[0] != array.shape[1] or array.size == 0:
            raise ValueError(f"the {name} must be square, [size, size]; got {list(array.shape)}")
    if not ((pixels >= 0) & (pixels <= 1)).all():
        raise ValueError(
            "the image must run from 0 (background) to 1 (full ink); "
            f"got {pixels.min():g} to {pixels.max():g}"
        )
    if not np.isfinite(weights).all():
        raise ValueError("the kernel holds NaN or infinity")
    size = len(weights)
    places = len(pixels) - size + 1
    if places < 1:
        raise ValueError(f"a filter of {size} does not fit into an image of {len(pixels)}")
    row, column = start
    if not (0 <= row < places and 0 <= column < places):
        raise ValueError(f"start must be a row and a column, each 0 to {places - 1}; got {start}")

    levels = np.round(255 * pixels).astype(np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(levels / 255, (size, size))
    products = windows * weights
    sums = products.sum(axis=(2, 3))
    largest = float(np.abs(sums).max()) or 1.0
    shades = colormaps["RdBu_r"](0.5 + 0.5 * sums / largest, bytes=True)
    digit = Image.fromarray(255 - levels)
    colours = Image.fromarray(np.ascontiguousarray(shades[:, :, :3]))

    names = _weight_names(weights)
    cells = [
        [f"{p:.2f} × {name}" for p, name in zip(*pair, strict=True)]
        for pair in zip(windows[row, column], names, strict=True)
    ]
    rows = "".join(f"<tr>{''.join(f'<td>{c}</td>' for c in line)}</tr>" for line in cells)
    panels = [
        _enlarged(digit, row, column, size, f"The image, an orange frame around {size} rows and "
                  f"{size} columns of its pixels, where the filter lies"),
        f"<table><caption>Pixel × weight</caption>{rows}</table>",
        _enlarged(colours, row, column, 1, "The filter's answers at all places, red where they "
                  "are positive and blue where they are negative"),
    ]  # fmt: skip
    caption = (
        f"Row {row}, column {column}: the {size * size} products add up to "
        f"{_two_decimals(_sum_in_order(products[row, column]))}."
    )
    data = {
        "image": levels.tolist(),
        "kernel": weights.tolist(),
        "names": names,
        "places": places,
        "scale": _SCALE,
        "start": [row, column],
        "largest": float(f"{np.abs(products).max() or 1.0:.6g}"),
        "digit": _data_uri(digit),
        "colours": _data_uri(colours),
    }
    content = f'<div class="panels">{"".join(panels)}</div>'
    text = f"A filter that slides over an image, at {places}×{places} places. {caption}"
    return Widget(text, _figure("convolution", content, caption, data))


@cache
def front_end(kind: str = "widget") -> dict[str, str]:
    """The elements ``style`` and ``script`` that a control brings into a notebook, by name.

    Args:
        kind: ``"widget"``, a picture with controls, or ``"answer"``, an exercise.
    """
    files = {"style": f"{kind}s.css", "script": f"{kind}s.js"}
    return {
        tag: f'<{tag} class="mnist-{kind}">\n{(STATIC / name).read_text("utf-8")}</{tag}>'
        for tag, name in files.items()
    }


def _figure(kind: str, content: str, caption: str, data: dict[str, Any] | None = None) -> str:
    """The HTML of a widget; without data it is a figure and no more."""
    # In a script, "</" would end it.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    script = f'\n<script type="application/json">{text}</script>' if data else ""
    return (
        f'<figure class="mnist-widget" data-kind="{kind}">\n{content}\n'
        f"<figcaption>{escape(caption)}</figcaption>{script}\n</figure>"
    )


def _labels(keys: list[tuple[Label, ...]], count: int) -> list[list[Label]]:
    """The labels of each control, in their order; every combination has a figure."""
    if len(keys) < 2 or any(len(key) != count for key in keys):
        raise ValueError(f"need two figures or more, with {count} labels for each; got {keys}")
    labels = [list(dict.fromkeys(column)) for column in zip(*keys, strict=True)]
    missing = set(itertools.product(*labels)) - set(keys)
    if missing:
        raise ValueError(f"no figure for {sorted(missing, key=str)}")
    return labels


def _words(label: Label) -> str:
    return f"{label:,}" if isinstance(label, int) else label


def _texts(given: str | Sequence[str], keys: list[tuple[Label, ...]], what: str) -> list[str]:
    if isinstance(given, str):
        return [given.format(*map(_words, key)) for key in keys]
    if len(given) != len(keys):
        raise ValueError(f"{len(keys)} figures need as many {what}; got {len(given)}")
    return list(given)


def as_picture(figure: Figure, fine: int = 1) -> Image.Image:
    """Render a figure on its own paper, or on white where it has none.

    Args:
        figure: The figure.
        fine: How many pixels, across and down, to store for each one shown.
    """
    buffer = io.BytesIO()
    as_shown = {name: rcParamsDefault[name] for name in rcParamsDefault if "savefig." in name}
    with rc_context(as_shown):
        figure.savefig(buffer, format="png", dpi=fine * figure.dpi)
    picture = Image.open(buffer).convert("RGBA")
    paper = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(paper, picture).convert("RGB")


def _same_size(
    pictures: dict[tuple[Label, ...], Image.Image],
) -> dict[tuple[Label, ...], Image.Image]:
    """Centre pictures on paper of the largest width and height."""
    width = max(picture.width for picture in pictures.values())
    height = max(picture.height for picture in pictures.values())
    laid = {}
    for key, picture in pictures.items():
        colour = picture.getpixel((0, 0))
        paper = Image.new("RGB", (width, height), colour)
        paper.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
        laid[key] = paper
    return laid


def small_picture(picture: Image.Image) -> Image.Image:
    """Give a picture a palette of 256 colours, if the eye can hardly see a difference.

    Args:
        picture: In RGB.

    Returns:
        The picture with a palette; or as it was, if some pixel would be too far from its
        colour.
    """
    reduced = picture.quantize(256, kmeans=1, dither=Image.Dither.NONE)
    error = np.abs(np.asarray(reduced.convert("RGB"), int) - np.asarray(picture, int)).max()
    return reduced if error <= _PALETTE_ERROR else picture


def png(picture: Image.Image) -> bytes:
    """A picture as a PNG file, as small as Pillow makes it."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _lossless(picture: Image.Image) -> str:
    """A picture of a figure as WebP, which needs half of what a PNG does and loses nothing."""
    buffer = io.BytesIO()
    picture.save(buffer, format="WEBP", lossless=True)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _data_uri(picture: Image.Image) -> str:
    return f"data:image/png;base64,{base64.b64encode(png(picture)).decode()}"


def _image(source: str, alt: str, size: tuple[int, int]) -> str:
    width, height = size
    return f'<img src="{source}" alt="{escape(alt)}" width="{width}" height="{height}">'


def _enlarged(picture: Image.Image, row: int, column: int, size: int, alt: str) -> str:
    """An image with each pixel as a square, and a frame around ``size`` by ``size`` of them."""
    large = picture.convert("RGB").resize(
        (_SCALE * picture.width, _SCALE * picture.height), Image.Resampling.NEAREST
    )
    corner = column * _SCALE, row * _SCALE
    ImageDraw.Draw(large).rectangle(
        (*corner, *(place + size * _SCALE - 1 for place in corner)), outline=_BOX, width=2
    )
    return _image(_data_uri(large), alt, large.size)


def _sheet(tiles: npt.NDArray[np.uint8], columns: int, gap: int = 0) -> Image.Image:
    """Lay tiles ``[n, height, width]`` out in rows on white paper."""
    _, height, width = tiles.shape
    columns = min(columns, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    sheet = Image.new("L", (columns * (width + gap) - gap, rows * (height + gap) - gap), 255)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.paste(Image.fromarray(tile), (column * (width + gap), row * (height + gap)))
    return sheet


def _matrix_table(matrix: npt.NDArray[Any]) -> str:
    classes = range(len(matrix))
    heads = "".join(f'<th scope="col">{number}</th>' for number in classes)
    rows = []
    for true in classes:
        cells = "".join(
            f'<td class="diagonal">{count}</td>' if true == guess else f"<td>{count}</td>"
            for guess, count in enumerate(matrix[true])
        )
        rows.append(f'<tr><th scope="row">{true}</th>{cells}</tr>')
    return (
        '<div class="scroll"><table><caption>Rows: true class. Columns: predicted class.</caption>'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _weight_names(weights: npt.NDArray[np.float64]) -> list[list[str]]:
    """The weights as text, with as many decimals as give the largest of them three digits."""
    largest = np.abs(weights).max() or 1.0
    decimals = max(0, 2 - math.floor(math.log10(largest)))
    return [[_minus(f"{w:.{decimals}f}", trim=True) for w in line] for line in weights.tolist()]


def _sum_in_order(products: npt.NDArray[np.float64]) -> float:
    """The sum as the script makes it: one after the other, so that both round alike."""
    return float(np.add.accumulate(products.ravel())[-1])


def _two_decimals(number: float) -> str:
    # JavaScript's toFixed: the exact binary number, and a tie goes away from zero.
    return _minus(str(Decimal(number).quantize(Decimal("0.01"), ROUND_HALF_UP)))


def _minus(text: str, trim: bool = False) -> str:
    """A number with a typographer's minus, which zero does not get."""
    if trim and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", "−" if text.strip("-0.") else "")
