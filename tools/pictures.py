"""Compare the pictures that a notebook stores with those that its code draws today.

What a picture shows is described in the metadata of its output (`drawn`), together with the
hash of the picture that was stored with the description. So a stored picture that was changed
no longer matches its hash, and a drawing that was changed no longer matches its description.

A figure that training draws differs from machine to machine. For such a figure, the metadata of
its cell says by how much: ``"drawn": {"within": 0.05, "why": "…"}``, in fractions of what a
figure's axes and colour scales span. Of fields that ``"differs": ["values"]`` names, only the
number of values is compared; things of a kind that it names ("patch") may also come and go.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from notebook_format import CONTROL, FRONT_END

KEY = "mnist-helpers"  # the key in an output's metadata

WITHIN = 0.002
"""Fractions of the axes, or of a colour scale, by which numbers may differ: a pixel at most."""

# A colour may be rounded to the next of 256 levels.
_LEVELS = 2
_COLOUR = re.compile(r"#(?:[0-9a-f]{2})+")
# By how many of 255 levels storing a picture with a palette may change it.
_PALETTE_ERROR = 40
# Pairs of numbers whose distance is the measure of a difference.
_SPANS = ("xlim", "ylim", "limits")

_DESCRIBED = (
    ("matplotlib.figure", "Figure"),
    ("mnist_helpers.widgets", "Widget"),
    ("mnist_helpers._explorer", "Explorer"),
)
_START_UP = """\
def _watch():
    def describe(shown):
        import sys

        sys.path.append({folder!r})
        import {module}

        sys.path.remove({folder!r})
        data, metadata, about = {module}.bundle(shown)
        return data, {{**metadata, {key!r}: about}}

    formatter = get_ipython().display_formatter.mimebundle_formatter
    for place in {places!r}:
        formatter.for_type_by_name(*place, describe)


_watch()
del _watch
"""


def watch_figures(settings: str, module: str = "drawn") -> None:
    """Make the kernels whose IPYTHONDIR is this folder describe the pictures that they show.

    Figures get twice as many pixels as they are shown with, for screens that have them.
    """
    profile = Path(settings) / "profile_default"
    folder = profile / "startup"
    folder.mkdir(parents=True, exist_ok=True)
    fine = 'c.InlineBackend.figure_formats = {"retina"}\n'
    (profile / "ipython_kernel_config.py").write_text(fine, encoding="utf-8")
    tools = str(Path(__file__).parent)
    text = _START_UP.format(folder=tools, module=module, key=KEY, places=_DESCRIBED)
    (folder / "describe.py").write_text(text, encoding="utf-8")


def shows_picture(output: NotebookNode) -> bool:
    """Whether an output is a figure, or a widget with pictures."""
    data = output.get("data", {})
    return "image/png" in data or CONTROL in data.get("text/html", "")


def fingerprint(output: NotebookNode) -> str:
    """The hash of what an output shows; of a widget without its script and style."""
    data = output["data"]
    shown = data.get("image/png") or FRONT_END.sub("", data["text/html"])
    return hashlib.sha256(shown.strip().encode()).hexdigest()


def bind(notebook: NotebookNode) -> None:
    """Shorten each new description of a picture, and note which picture it is about."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            about = output.get("metadata", {}).get(KEY, {"sha256": None})
            if "sha256" not in about:
                about["sha256"] = fingerprint(output)
                about["drawn"] = list(_shortened(about["drawn"]))


def _shortened(lines: Sequence[str]) -> Iterator[str]:
    """Lines without the fields that they share with the previous line of their kind."""
    last: dict[str, dict[str, Any]] = {}
    for place, fields in _parsed(lines):
        before = last.get(_kind(place), {})
        names = [n for n in before | fields if n not in before or before[n] != fields.get(n)]
        yield f"{place}: { {name: fields.get(name) for name in names} }"
        last[_kind(place)] = fields


def _completed(lines: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The lines as they were before `_shortened`; a field that is no longer there is None."""
    last: dict[str, dict[str, Any]] = {}
    for place, fields in _parsed(lines):
        last[_kind(place)] = last.get(_kind(place), {}) | fields
        yield place, last[_kind(place)]


def _parsed(lines: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for line in lines:
        place, _, fields = line.partition(": ")
        yield place, ast.literal_eval(fields)


def _kind(place: str) -> str:
    return re.sub(r"\d+", "", place)


def unbound(cell: NotebookNode) -> Iterator[str]:
    """Why the stored pictures of a cell are not those that were described."""
    for output in filter(shows_picture, cell.get("outputs", [])):
        about = output.metadata.get(KEY)
        if about is None:
            yield "its picture is stored without its description: run tools/outputs.py"
        elif about.get("sha256") != fingerprint(output):
            yield "its picture is not the one that was stored with its description"


def differences(stored: NotebookNode, outputs: Sequence[NotebookNode]) -> list[str]:
    """What is drawn differently from a stored cell, a sentence for each thing and field."""
    old, new = (
        [output.metadata.get(KEY, {}).get("drawn", []) for output in filter(shows_picture, found)]
        for found in (stored.outputs, outputs)
    )
    if len(old) != len(new):
        return [f"shows {len(new)} pictures, and {len(old)} are stored"]
    allowed = stored.metadata.get("drawn", {})
    return [text for pair in zip(old, new, strict=True) for text in _changes(*pair, allowed)]


def _changes(stored: list[str], drawn: list[str], allowed: dict[str, Any]) -> Iterator[str]:
    old, new = dict(_completed(stored)), dict(_parsed(drawn))
    for place in dict.fromkeys([*old, *new]):
        if place.split(", ")[-1].split()[0] in allowed.get("differs", []):
            continue
        if place not in new or place not in old:
            yield f"{place}: is {'no longer' if place in old else 'newly'} drawn"
            continue
        for field in dict.fromkeys([*old[place], *new[place]]):
            problem = _change(field, old[place].get(field), new[place].get(field), allowed)
            if problem:
                yield f"{place}: {field}: {problem}"


def _change(field: str, old: Any, new: Any, allowed: dict[str, Any]) -> str | None:
    """How the values of a field differ, or None."""
    before, after = _flat(old), _flat(new)
    if len(before) != len(after):
        return f"{len(after)} values, and {len(before)} are stored"
    if field in allowed.get("differs", []):
        return None
    within = allowed.get("within", WITHIN)
    span = abs(before[1] - before[0]) if field in _SPANS and len(before) == 2 else None
    pairs = list(zip(before, after, strict=True))
    bad = [(a, b) for a, b in pairs if not _alike(a, b, within, span)]
    if not bad:
        return None
    return f"{len(bad)} of {len(pairs)} differ: {bad[0][1]!r}, and {bad[0][0]!r} is stored"


def _flat(value: Any) -> list[Any]:
    return [part for item in value for part in _flat(item)] if isinstance(value, list) else [value]


def _alike(old: Any, new: Any, within: float, span: float | None) -> bool:
    if isinstance(old, int | float) and isinstance(new, int | float):
        scale = max(1.0, abs(old), abs(new)) if span is None else span
        return abs(old - new) <= within * scale
    if all(isinstance(side, str) and _COLOUR.fullmatch(side) for side in (old, new)):
        levels = zip(bytes.fromhex(old[1:]), bytes.fromhex(new[1:]), strict=True)
        return all(abs(a - b) <= _LEVELS for a, b in levels)
    return bool(old == new)


def write_pictures(
    stored: Sequence[NotebookNode], new: Sequence[NotebookNode], folder: Path, name: str
) -> list[Path]:
    """Write each picture that is not as it was: the old one, the new one and their difference."""
    import numpy as np
    from drawn import PICTURE, open_picture
    from PIL import Image, ImageChops

    def encoded(output: NotebookNode) -> list[str]:
        data = output.data
        return [data["image/png"]] if "image/png" in data else PICTURE.findall(data["text/html"])

    old, now = (
        [picture for output in filter(shows_picture, outputs) for picture in encoded(output)]
        for outputs in (stored, new)
    )
    written = []
    for number, both in enumerate(zip(old, now, strict=False), start=1):
        pair = [open_picture(picture) for picture in both]
        size = max(p.width for p in pair), max(p.height for p in pair)
        papers = [Image.new("RGB", size, "white") for _ in pair]
        for paper, picture in zip(papers, pair, strict=True):
            paper.paste(picture)
        difference = ImageChops.difference(*papers)
        if np.asarray(difference).max() <= _PALETTE_ERROR:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        shown = {"old": pair[0], "new": pair[1], "difference": ImageChops.invert(difference)}
        for which, picture in shown.items():
            written.append(folder / f"{name}-picture-{number}-{which}.png")
            picture.save(written[-1])
    return written
