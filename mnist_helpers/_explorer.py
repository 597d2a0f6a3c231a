"""What the controls of :mod:`mnist_helpers.explore` are made of: a widget and its still."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import ipywidgets
import numpy as np
import numpy.typing as npt
from PIL import Image

from mnist_helpers._style import Figure
from mnist_helpers.widgets import as_picture, png

VIEW = "application/vnd.jupyter.widget-view+json"

# Each pixel of a still, as shown, is stored as this many in each direction.
_FINE = 2


class Explorer:
    """Controls, and a picture for use where they do not work.

    Attributes:
        controls: The widget, to be put into others or to be set from code.
        figures: What its picture shows, side by side if ``across``, else one above the other.
        text: What it is, and where it works, in plain words.
    """

    def __init__(
        self,
        controls: ipywidgets.Widget,
        figures: Sequence[Figure],
        text: str,
        across: bool = False,
    ) -> None:
        """Put controls and picture together."""
        self.controls, self.figures, self.across = controls, tuple(figures), across
        self.text = f"{text} The picture is a still: run this cell in a notebook to use it."

    def __repr__(self) -> str:
        """The words."""
        return self.text

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a notebook shows and stores, and how large (IPython's protocol)."""
        still = joined(self.figures, self.across, _FINE)
        encoded = base64.b64encode(png(still)).decode()
        view = {"version_major": 2, "version_minor": 0, "model_id": self.controls.model_id}
        shown = {"width": still.width // _FINE, "height": still.height // _FINE}
        data = {"text/plain": self.text, "image/png": encoded, VIEW: view}
        return data, {"image/png": shown}


def joined(figures: Iterable[Figure], across: bool = False, fine: int = 1) -> Image.Image:
    """Figures joined into one picture, side by side or one below the other.

    Args:
        figures: The figures.
        across: Whether they stand side by side.
        fine: How many pixels, across and down, to store for each one shown.
    """
    pictures = [as_picture(figure, fine) for figure in figures]
    widths, heights = [p.width for p in pictures], [p.height for p in pictures]
    size = (sum(widths), max(heights)) if across else (max(widths), sum(heights))
    paper, place = Image.new("RGB", size, "white"), 0
    for picture in pictures:
        middle = (size[across] - picture.size[across]) // 2
        paper.paste(picture, (place, middle) if across else (middle, place))
        place += picture.size[1 - across]
    return paper


def as_html(picture: Image.Image, alt: str, width: int | None = None) -> str:
    """A picture as HTML."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", compress_level=1)
    source = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    style = "max-width: 100%; height: auto; background: #fff"
    # Enlarged, its pixels are what there is to see.
    style += "; image-rendering: pixelated" if width else ""
    size = width or picture.width
    return f'<img src="{source}" alt="{escape(alt)}" width="{size}" style="{style}">'


def said(text: str) -> str:
    """A sentence as HTML, which screen readers read out when it changes."""
    return f'<p role="status" style="line-height: 1.4; margin: 0">{escape(text)}</p>'


def as_bars(shares: npt.NDArray[Any] | None) -> str:
    """Ten bars, each with its number, as an HTML table."""
    rows = []
    for number, share in enumerate(np.zeros(10) if shares is None else shares):
        # Orange for the answer, blue for the others.
        colour = "#d95f02" if shares is not None and number == shares.argmax() else "#4c78a8"
        bar = f"height: 12px; width: {100 * share:.1f}%; background: {colour}"
        rows.append(
            f'<tr><th scope="row">{number}</th>'
            f'<td style="width: 160px"><div style="{bar}"></div></td>'
            f'<td style="width: 3.5em; text-align: right">{share:.0%}</td></tr>'
        )
    style = "line-height: 1.5; font-variant-numeric: tabular-nums"
    return f'<table style="{style}" aria-label="Share of each class">{"".join(rows)}</table>'
