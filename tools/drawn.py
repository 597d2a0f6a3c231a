"""What a figure draws, in words and numbers: it can be compared where pixels can't.

How Matplotlib renders text and lays panels out differs between its releases; what a figure is
made of does not. So each thing drawn becomes an entry: where it is ("axes 1, line 2"), and
its fields. Places are fractions of the axes, values fractions of the colour scale: a number
that is off by a thousandth moves nothing by a pixel, and no colour by a shade.

The module works in the kernel that runs a notebook, where a start-up file (see `pictures`) makes it
describe each Figure, Widget and Explorer that is shown, in the metadata of the output.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import Collection, QuadMesh
from matplotlib.colors import to_hex, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Annotation, Text
from matplotlib.ticker import LogFormatter, LogLocator, MaxNLocator, ScalarFormatter
from matplotlib.transforms import Transform
from PIL import Image

from mnist_helpers.widgets import Widget

if TYPE_CHECKING:
    from mnist_helpers._explorer import Explorer

Fields = dict[str, Any]
Entry = tuple[str, Fields]
Floats = npt.NDArray[np.float64]

PICTURE = re.compile(r"data:image/(?:png|webp);base64,([A-Za-z0-9+/=]+)")

COLUMN = 688  # the width of the page's column at a window of 1,280 pixels

# More numbers than this are described by this many sums of them with random signs. A pixel that
# changes, or two that change places, change most of the sums.
_NUM_VALUES = 12
_NUM_SUMS = 8
# What is further away than twice the size of the axes is out of sight, wherever it is.
_OUT_OF_SIGHT = 2.0


def bundle(
    shown: Figure | Widget | Explorer,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """An output's data and metadata, to which Matplotlib adds a Figure's, and what is drawn."""
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    if isinstance(shown, Widget):
        data = shown._repr_mimebundle_()
    elif not isinstance(shown, Figure):
        data, metadata = shown._repr_mimebundle_()
    figures = (shown,) if isinstance(shown, Figure) else shown.figures
    smallest = [size for size in map(smallest_label, figures) if size is not None]
    about = {"smallest_label": round(min(smallest), 1)} if smallest else {}
    return data, metadata, {"drawn": describe(shown), **about}


def smallest_label(figure: Figure) -> float | None:
    """How many pixels high the smallest text is on the page, or None if there is none.

    A figure wider than the page's column is shown only as wide as the column.
    """
    shown = min(1.0, COLUMN / (figure.dpi * figure.get_size_inches()[0]))
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    if not texts:
        return None
    points = min(float(text.get_fontsize()) for text in texts)
    pixels: float = points / 72 * figure.dpi * shown
    return pixels


def describe(shown: Figure | Widget | Explorer) -> list[str]:
    """A line for each thing that a figure draws, or the pictures of a widget."""
    if isinstance(shown, Figure):
        entries = list(_figure(shown))
    elif isinstance(shown, Widget) and not shown.figures:
        entries = _numbered([_pixels(found) for found in PICTURE.findall(shown.html)])
    else:
        entries = _numbered([list(_figure(figure)) for figure in shown.figures])
    # As Python writes it: in the file of a notebook, JSON would need a backslash before each quote.
    return [f"{place}: {fields}" for place, fields in json.loads(json.dumps(entries))]


def _numbered(pictures: list[list[Entry]]) -> list[Entry]:
    return [
        (f"picture {number}, {place}", fields)
        for number, entries in enumerate(pictures, start=1)
        for place, fields in entries
    ]


def open_picture(encoded: str) -> Image.Image:
    """A picture in base64, as RGB."""
    return Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")


def _pixels(encoded: str) -> list[Entry]:
    pixels = np.asarray(open_picture(encoded))
    return [("pixels", {"shape": pixels.shape, "values": _digest(pixels / 255)})]


def _figure(figure: Figure) -> Iterator[Entry]:
    size = [_rounded(side) for side in figure.get_size_inches()]
    yield "figure", {"size": size, "colour": _colours(figure.get_facecolor())}
    for number, text in enumerate(filter(_is_seen, figure.texts), start=1):
        # Without its place, to which the layout moves it.
        yield f"text {number}", _words(text)
    for number, legend in enumerate(figure.legends, start=1):
        yield f"legend {number}", {"text": [text.get_text() for text in legend.get_texts()]}
    for number, ax in enumerate(figure.axes, start=1):
        for place, fields in _axes(ax):
            yield f"axes {number}{place}", fields


def _axes(ax: Axes) -> Iterator[Entry]:
    framed = ax.axison and ax.get_frame_on()
    spec = ax.get_subplotspec()
    yield (
        "",
        {
            "grid": [int(number) for number in spec.get_geometry()] if spec else None,
            "xlim": _limits(ax.get_xlim()),
            "ylim": _limits(ax.get_ylim()),
            "scale": [ax.get_xscale(), ax.get_yscale(), str(ax.get_aspect())],
            "spines": [name for name, s in ax.spines.items() if framed and s.get_visible()],
            "colour": _colours(ax.get_facecolor()) if framed else None,
            "title": [ax.get_title(loc) for loc in ("left", "center", "right")],
        },
    )
    if ax.axison:
        yield ", x axis", _axis(ax.xaxis, ax, 0)
        yield ", y axis", _axis(ax.yaxis, ax, 1)
    legend = ax.get_legend()
    if legend:
        texts = [legend.get_title(), *legend.get_texts()]
        yield ", legend", {"text": [text.get_text() for text in texts]}
    kinds: dict[str, tuple[Any, Any]] = {
        "image": (_image, ax.images),
        "line": (_line, ax.lines),
        "patch": (_patch, ax.patches),
        "collection": (_collection, ax.collections),
        "text": (_text, ax.texts),
        "other": (lambda artist, _: {"type": type(artist).__name__}, [*ax.artists, *ax.tables]),
    }
    for kind, (fields_of, artists) in kinds.items():
        for number, artist in enumerate(filter(_is_seen, artists), start=1):
            yield f", {kind} {number}", fields_of(artist, ax)


def _is_seen(artist: Artist) -> bool:
    empty = isinstance(artist, Text) and not artist.get_text() and not _shapes(artist)
    return artist.get_visible() and not empty


def _shapes(text: Text) -> list[Any]:
    """The box around a text, and its arrow."""
    shapes = (text.get_bbox_patch(), getattr(text, "arrow_patch", None))
    return [shape for shape in shapes if shape]


def _axis(axis: Axis, ax: Axes, direction: int) -> Fields:
    """Label and ticks; for ticks whose number depends on the size of the letters, their form."""
    # Matplotlib 3.8 gives the sides of an x axis the names of a y axis's.
    shown = {name for name, on in axis.get_tick_params().items() if on is True}
    fields = _words(axis.get_label()) | {
        "marks": not shown.isdisjoint(ax.spines),
        "numbers": not shown.isdisjoint(f"label{name}" for name in ax.spines),
        "lines": "gridOn" in shown,
    }
    formatter = axis.get_major_formatter()
    if not isinstance(axis.get_major_locator(), MaxNLocator | LogLocator):
        places = axis.get_majorticklocs()
        fields["ticks"] = list(formatter.format_ticks(list(places)))
        points = _seen(np.stack([places, places], axis=1), ax.transData, ax)
        fields["at"] = _digest(points[:, direction])
    elif not isinstance(formatter, ScalarFormatter | LogFormatter):
        fields["ticks"] = [formatter(value, 0) for value in (0.5, 20)]
    return fields


def _image(image: AxesImage, ax: Axes) -> Fields:
    left, right, bottom, top = image.get_extent()
    corners = _seen([[left, bottom], [right, top]], ax.transData, ax)
    return {"corners": _digest(corners), "alpha": image.get_alpha(), **_mapped(image)}


def _line(line: Line2D, ax: Axes) -> Fields:
    points = _seen(line.get_xydata(), line.get_transform(), ax)
    look = [line.get_linestyle(), str(line.get_marker()), line.get_linewidth()]
    colours = [line.get_color(), line.get_markerfacecolor(), line.get_markeredgecolor()]
    return {
        "points": len(points),
        "x": _digest(points[:, 0]),
        "y": _digest(points[:, 1]),
        "look": [*look, line.get_markersize(), line.get_alpha()],
        "colour": [_colours(colour) for colour in colours],
    }


def _patch(patch: Patch, ax: Axes) -> Fields:
    points = patch.get_patch_transform().transform(patch.get_path().vertices)
    points = _seen(points, patch.get_data_transform(), ax)
    corners = np.stack([points.min(axis=0), points.max(axis=0)])
    # Which corner of a rectangle comes first differs between releases of Matplotlib.
    is_rectangle = len(points) == 5 and (points == corners[:, np.newaxis]).any(axis=0).all()
    return {
        "outline": _digest(corners if is_rectangle else points),
        "look": [patch.get_linestyle(), patch.get_linewidth(), patch.get_hatch()],
        "colour": [_colours(patch.get_facecolor()), _colours(patch.get_edgecolor())],
    }


def _collection(collection: Collection, ax: Axes) -> Fields:
    outlines: list[Any] = [path.vertices for path in collection.get_paths()]
    if isinstance(collection, QuadMesh):
        outlines = [np.reshape(collection.get_coordinates(), (-1, 2))]
    outline = np.concatenate([np.empty((0, 2)), *outlines])
    fields = {
        "outline": _digest(_seen(outline, collection.get_transform(), ax)),
        "at": _digest(_seen(collection.get_offsets(), collection.get_offset_transform(), ax)),
        "look": [_rounded(width) for width in np.ravel(collection.get_linewidth())[:1]],
    }
    if collection.get_array() is not None:
        return fields | _mapped(collection)
    colours = [_colours(collection.get_facecolor()), _colours(collection.get_edgecolor())]
    return fields | {"colour": colours}


def _text(text: Text, ax: Axes) -> Fields:
    places: list[tuple[Any, Any]] = [(text.get_transform(), text.get_unitless_position())]
    if isinstance(text, Annotation):
        places = [(text.xycoords, text.xy), (text.anncoords, text.xyann)]
    at = []
    for system, point in places:
        if system == "data":
            system = ax.transData
        if isinstance(system, Transform):
            point = _seen([point], system, ax)[0]
        at += [_rounded(number) for number in point]
    aligned = [text.get_horizontalalignment(), text.get_verticalalignment(), text.get_rotation()]
    fields = _words(text) | {"at": at, "aligned": aligned}
    for shape in _shapes(text):
        look = [shape.get_linestyle(), _colours(shape.get_facecolor())]
        fields[type(shape).__name__] = [*look, _colours(shape.get_edgecolor())]
    return fields


def _words(text: Text) -> Fields:
    look = [text.get_fontsize(), text.get_fontweight(), _colours(text.get_color())]
    return {"text": text.get_text(), "look": look}


def _mapped(shown: Any) -> Fields:
    """The values of an image as fractions of its colour scale, and the colours."""
    values = _filled(shown.get_array())
    if isinstance(shown, AxesImage) and values.ndim == 3:
        return {"shape": values.shape, "values": _digest(values / (255 if values.max() > 1 else 1))}
    # An end of the scale that is not set is that of the data.
    shown.autoscale_None()
    return {
        "shape": values.shape,
        "limits": _limits(shown.get_clim()),
        "colours": [to_hex(shown.cmap(place)) for place in (0.1, 0.4, 0.6, 0.9)],
        "values": _digest(_filled(shown.norm(values)).clip(0, 1)),
    }


def _seen(points: Any, transform: Transform, ax: Axes) -> Floats:
    """Points in fractions of the axes, in each direction in which they follow the data."""
    points = _filled(points).reshape(-1, 2)
    with np.errstate(all="ignore"):
        moved = (ax.transScale + ax.transLimits).transform(points)
    followed = transform.contains_branch_seperately(ax.transData)
    return np.where(followed, moved, points)


def _filled(values: Any) -> Floats:
    filled: Floats = np.ma.filled(np.ma.asarray(values, float), np.nan)
    return filled


def _digest(values: Floats) -> list[float]:
    """A few numbers, or for many of them their range, their mean and sums with random signs."""
    flat = np.nan_to_num(values.ravel(), nan=-_OUT_OF_SIGHT).clip(-_OUT_OF_SIGHT, _OUT_OF_SIGHT)
    if flat.size > _NUM_VALUES:
        sums = _signs(flat.size) @ flat / np.sqrt(flat.size)
        flat = np.array([flat.min(), flat.max(), flat.mean(), *sums])
    return [_rounded(number) for number in flat]


@cache
def _signs(size: int) -> Floats:
    # RandomState gives the same numbers in every release of NumPy.
    return np.random.RandomState(size).choice((-1.0, 1.0), (_NUM_SUMS, size))


def _rounded(number: float) -> float:
    # Adding zero turns -0.0 into 0.0.
    return round(float(number), 4) + 0.0


def _limits(ends: tuple[Any, Any]) -> list[float]:
    return [float(f"{end:.6g}") for end in ends]


def _colours(given: Any) -> str | list[float]:
    """One colour by name; for several that differ, a digest."""
    colours = to_rgba_array(given)
    if len(colours) and (colours == colours[0]).all():
        return to_hex(colours[0], keep_alpha=True)
    return _digest(colours)
