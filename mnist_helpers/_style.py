"""The package's own style: its figures look the same whatever style the reader has chosen."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache, wraps
from typing import Any, ParamSpec

import matplotlib.pyplot as plt
from matplotlib import figure, style
from matplotlib.backends.backend_agg import FigureCanvasAgg

_P = ParamSpec("_P")


def own_style() -> AbstractContextManager[None]:
    """Matplotlib's default settings, until the reader's come back."""
    return style.context("default")


class Figure(figure.Figure):
    """A figure that is in the package's own style whenever it is drawn.

    Many settings are read only then: how a minus sign is written, which font is used, how a
    new tick looks, how wide the margin of a saved picture is.
    """

    def __init__(self, width: float, height: float) -> None:
        """Begin a figure of this size in inches, which pyplot knows nothing about.

        Its name is that of Matplotlib's class, which a notebook shows beside the picture.
        """
        super().__init__(figsize=(width, height), layout="constrained")
        _Canvas(self)

    def draw(self, renderer: Any) -> None:
        """Draw, for a window or a file."""
        with own_style():
            super().draw(renderer)

    def savefig(self, *args: Any, **options: Any) -> None:
        """Save; options that you give yourself still count."""
        with own_style():
            super().savefig(*args, **options)


class _Canvas(FigureCanvasAgg):
    def print_figure(self, *args: Any, **options: Any) -> Any:
        # A notebook calls this, without savefig.
        with own_style():
            return super().print_figure(*args, **options)


def in_own_style(plot: Callable[_P, Figure]) -> Callable[_P, Figure]:
    """Decorate a function that makes a :class:`Figure`: all of it is made in our style."""

    @wraps(plot)
    def styled(*args: _P.args, **options: _P.kwargs) -> Figure:
        _load_backend()
        with own_style():
            return plot(*args, **options)

    return styled


@cache
def _load_backend() -> None:
    """Make pyplot load its backend, from which a notebook learns to show figures as pictures.

    That happens with pyplot's first figure. We make it outside our style, because the backend
    may choose settings for the rest of the session.
    """
    plt.close(plt.figure())
