"""Alter every stored number and picture, and every drawing; see whether the tests notice.

    make mutants                       every notebook
    python tools/mutants.py tensors    one of them, keeping no count

Each notebook runs once, as in ``make test``. Then the comparison is made again, with one thing
altered at a time: a number in what is stored, a stored picture, a caption; or, on the other side,
what a figure draws: the kernel alters the live figure, describes it, and undoes the alteration.
Numbers in outputs that are not compared (tag nbval-ignore-output) are only counted: the next cell
checks them against a range. A drawing whose cell lets it differ, since training or a clock
decides it, is counted separately: a small alteration is allowed there. With ``--keep``, as in
``make mutants``, what was caught goes, by chapter, into ``tests/mutants.csv``, and the page "How
we know" shows it.
"""

from __future__ import annotations

import argparse
import base64
import copy
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from drawn import PICTURE, describe, open_picture
from drawn import bundle as as_drawn
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from mutants_kept import EXACT, KINDS, keep
from nbformat import NotebookNode
from notebook_format import CONTROL, FRONT_END
from PIL import Image

from mnist_helpers.widgets import Widget, png

if TYPE_CHECKING:
    from mnist_helpers._explorer import Explorer

LEAST_SHARE = 0.95

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_READ = ("text", "text/html", "text/markdown", "text/plain")
_CAPTION = re.compile(r"(?<=<figcaption>)[^<]+")

# Parts of a figure, with the name and the other value of a property.
Change = list[tuple[Any, str, Any]]


# In the kernel: what would be drawn.


def bundle(
    shown: Figure | Widget | Explorer,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """As `drawn.bundle`, with what altered drawings would draw."""
    data, metadata, about = as_drawn(shown)
    if isinstance(shown, Widget) and not shown.figures:
        others = altered_html(shown.html)
        altered = {name: describe(replace(shown, html=html)) for name, html in others}
    else:
        figures = [shown] if isinstance(shown, Figure) else shown.figures
        changes = changes_of(figures[len(figures) // 2])
        altered = {name: describe_changed(shown, change) for name, change in changes.items()}
    if about["drawn"] != describe(shown):
        raise RuntimeError("an alteration was not undone")
    return data, metadata, about | {"altered": altered}


def describe_changed(shown: Figure | Widget | Explorer, change: Change) -> list[str]:
    """What is drawn while some properties have other values."""
    before = [copy.copy(getattr(part, f"get_{name}")()) for part, name, _ in change]
    for part, name, value in change:
        getattr(part, f"set_{name}")(value)
    described = describe(shown)
    for (part, name, _), value in zip(change, before, strict=True):
        getattr(part, f"set_{name}")(value)
    return described


def changes_of(figure: Figure) -> dict[str, Change]:
    """What can be changed in a figure; of several things of a kind, the one in the middle."""
    found: dict[str, Change] = {}

    def all_of(kind: str) -> list[tuple[Any, Any]]:
        return [(ax, part) for ax in figure.axes for part in getattr(ax, kind)]

    images = [image for _, image in all_of("images")]
    for image in _middle(images):
        values = np.asarray(image.get_array())
        twins = [i for i in images if i.get_array().shape == values.shape]
        twins = [i for i in twins if not np.array_equal(i.get_array(), values)]
        other = twins[0].get_array() if twins else np.roll(values, max(1, len(values) // 4), axis=0)
        found["another image"] = [(image, "array", other)]
        if twins:
            found["two images swapped"] = [(image, "array", other), (twins[0], "array", values)]
    coloured = [*images, *(c for _, c in all_of("collections") if c.get_array() is not None)]
    for part in _middle(c for c in coloured if c.get_array().ndim < 3):
        low, high = part.get_clim()
        found["colours reversed"] = [(part, "cmap", part.get_cmap().reversed())]
        found["colour scale 5% wider"] = [(part, "clim", (low, high + 0.05 * (high - low)))]
    for ax, line in _middle(all_of("lines")):
        points = line.get_xydata()
        found["a curve 3% higher"] = [(line, "data", _moved(ax, points, 0.03).T)]
        dent = slice(len(points) // 2, len(points) // 2 + max(1, len(points) // 10))
        dented = np.concatenate(
            [points[: dent.start], _moved(ax, points[dent], 0.05), points[dent.stop :]]
        )
        found["a tenth of a curve 5% higher"] = [(line, "data", dented.T)]
        found["another colour of a curve"] = [(line, "color", "#123456")]
    bars = (bar for _, bar in all_of("patches") if isinstance(bar, Rectangle) and bar.get_height())
    for bar in _middle(bars):
        found["a bar 5% higher"] = [(bar, "height", bar.get_height() * 1.05)]
        found["another colour of a bar"] = [(bar, "facecolor", "#123456")]
    dots = ((ax, c) for ax, c in all_of("collections") if len(c.get_offsets()) > 1)
    for ax, points in _middle(dots):
        found["points 3% higher"] = [(points, "offsets", _moved(ax, points.get_offsets(), 0.03))]
    labels = (
        t for ax in figure.axes for t in (ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts)
    )
    for text in _middle(text for text in labels if text.get_text()):
        found["another letter"] = [(text, "text", _other_letter(text.get_text()))]
    boxes = (text.get_bbox_patch() for _, text in all_of("texts"))
    for box in _middle(box for box in boxes if box):
        found["another colour of a box"] = [(box, "facecolor", "#123456")]
    return found


def _middle(things: Iterable[Any]) -> list[Any]:
    listed = list(things)
    return listed[len(listed) // 2 :][:1]


def _moved(ax: Any, points: Any, share: float) -> Any:
    """Points, moved up by a share of the axes' height."""
    seen = ax.transScale + ax.transLimits
    return seen.inverted().transform(seen.transform(points) + [0, share])


def _other_letter(text: str) -> str:
    """A text with its last letter or digit changed."""
    place = max((i for i, letter in enumerate(text) if letter.isalnum()), default=0)
    other = _next_digit(text[place]) if text[place].isdigit() else "xy"[text[place] == "x"]
    return text[:place] + other + text[place + 1 :]


def _next_digit(digit: str) -> str:
    return str((int(digit) + 1) % 10)


# On the other side: what could be stored.


def _other_pictures(encoded: str) -> Iterator[tuple[str, str]]:
    """A picture in base64 as it could have been, whatever it shows."""
    pixels = np.asarray(open_picture(encoded))
    for name, other in {
        "halves swapped": np.roll(pixels, pixels.shape[1] // 2, axis=1),
        "moved by 3 pixels": np.roll(pixels, 3, axis=0),
        "colours permuted": pixels[:, :, [1, 2, 0]],
        "lighter": 255 - (0.9 * (255.0 - pixels)).astype(np.uint8),
    }.items():
        if not np.array_equal(other, pixels):
            picture = Image.fromarray(np.ascontiguousarray(other))
            yield name, base64.b64encode(png(picture)).decode()


def altered_html(html: str) -> Iterator[tuple[str, str]]:
    """A widget's HTML with its last picture altered."""
    for picture in PICTURE.findall(html)[-1:]:
        for name, other in _other_pictures(picture):
            yield f"last picture: {name}", html.replace(picture, other)


def altered_pictures(outputs: Sequence[NotebookNode]) -> Iterator[tuple[str, list[NotebookNode]]]:
    """Outputs with one picture altered, or one caption."""
    for place, output in enumerate(outputs):
        data = output.get("data", {})
        versions: list[tuple[str, str]] = []
        kind = "image/png" if "image/png" in data else "text/html"
        if kind == "image/png":
            versions = list(_other_pictures(data[kind]))
        elif CONTROL in data.get(kind, ""):
            caption = _CAPTION.sub(lambda words: _other_letter(words[0]), data[kind], count=1)
            versions = [*altered_html(data[kind]), ("caption", caption)]
        for name, shown in versions:
            yield name, _with(outputs, place, {**output, "data": {**data, kind: shown}})


def altered_numbers(outputs: Sequence[NotebookNode]) -> Iterator[tuple[str, list[NotebookNode]]]:
    """Outputs with the last digit of one number changed, for each number that can be read."""
    for place, output in enumerate(outputs):
        holder = output.get("data", output)
        kind = next((kind for kind in _READ if kind in holder), None)
        if kind is None or "image/png" in holder:
            continue
        text = readable = holder[kind]
        for unreadable in (PICTURE, FRONT_END):
            readable = unreadable.sub(lambda part: " " * len(part[0]), readable)
        for number in _NUMBER.finditer(readable):
            last = number.end() - 1
            other = text[:last] + _next_digit(text[last]) + text[last + 1 :]
            changed = {**holder, kind: other}
            changed = changed if holder is output else {**output, "data": changed}
            name = f"{number[0]} in {readable[max(0, last - 25) : last + 5]!r}"
            yield name, _with(outputs, place, changed)


def _with(outputs: Sequence[NotebookNode], place: int, other: Any) -> list[NotebookNode]:
    return [*outputs[:place], NotebookNode(other), *outputs[place + 1 :]]


@dataclass
class Tally:
    """The pytest plugin that compares again, with one thing altered at a time."""

    tried: Counter[tuple[str, str]] = field(default_factory=Counter)
    caught: Counter[tuple[str, str]] = field(default_factory=Counter)
    ranges: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)

    def pytest_configure(self) -> None:
        """Called when conftest.py has settled which start-up files the kernels read."""
        from pictures import watch_figures

        watch_figures(os.environ["IPYTHONDIR"], "mutants")

    def pytest_runtest_teardown(self, item: Any) -> None:
        """Called when a cell has been run."""
        from pictures import KEY, differences, unbound

        outputs, stored = item.test_outputs or [], item.cell.outputs
        if not item.options["check"]:
            self.ranges[item.path.stem] += len(list(altered_numbers(stored)))
            return
        item.format_output_compare = lambda *_: None
        for name, other in altered_numbers(stored):
            self._note(item, "numbers", name, not item.compare_outputs(outputs, other))
        for name, other in altered_pictures(stored):
            cell = NotebookNode(item.cell | {"outputs": other})
            self._note(item, "stored pictures", name, any(unbound(cell)))
        for place, output in enumerate(outputs):
            about = output.get("metadata", {}).get(KEY, {})
            for name, drawn in about.get("altered", {}).items():
                other = _with(outputs, place, {**output, "metadata": {KEY: {"drawn": drawn}}})
                kind = "drawings in ranges" if item.cell.metadata.get("drawn") else "drawings"
                self._note(item, kind, name, bool(differences(item.cell, other)))

    def _note(self, item: Any, kind: str, name: str, caught: bool) -> None:
        self.tried[item.path.stem, kind] += 1
        self.caught[item.path.stem, kind] += caught
        if not caught:
            self.missed.append(f"{item.path.stem}, cell {item.cell_num}, {kind}: {name}")

    def by_chapter(self) -> dict[str, list[tuple[int, int]]]:
        """How many alterations were caught, and tried, of each kind."""
        return {
            chapter: [(self.caught[chapter, k], self.tried[chapter, k]) for k in KINDS]
            for chapter, _ in self.tried
        }

    def report(self) -> bool:
        """Print what was caught; say whether it is enough of what is compared exactly."""
        rows = self.by_chapter()
        totals = [
            tuple(map(sum, zip(*column, strict=True)))
            for column in zip(*rows.values(), strict=True)
        ]
        print(*(f"not caught: {missed}" for missed in self.missed), sep="\n")
        print(
            f"{'caught of altered':20}", *(f"{kind:>18}" for kind in KINDS), "  numbers in ranges"
        )
        for chapter, row in (rows | {"all": totals}).items():
            cells = (f"{f'{caught} of {tried}':>18}" for caught, tried in row)
            print(f"{chapter:20}", *cells, f"{self.ranges[chapter] or '':18}")
        exact = totals[: len(EXACT)]
        return bool(exact) and all(caught >= LEAST_SHARE * tried for caught, tried in exact)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    import pytest
    from outputs import find_notebooks

    parser = argparse.ArgumentParser(description="Alter what is stored and what is drawn.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a notebook; default: all")
    parser.add_argument("--keep", action="store_true", help="keep what was caught")
    options = parser.parse_args(arguments)
    tally = Tally()
    paths = [str(path) for path in find_notebooks(options.names)]
    status = pytest.main([*paths, "-q", "-p", "no:cacheprovider"], plugins=[tally])
    passed = tally.report() and status == 0
    if options.keep and status == 0:
        keep(tally.by_chapter())
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
