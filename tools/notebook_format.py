"""Read, normalise and write notebooks, so that their diffs show what changed and no more.

Everything here is a function of a notebook alone: nothing is executed.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from PIL import Image

INSTALL_TAG = "install"
IGNORE = "nbval-ignore-output"
CONTROL = '<figure class="mnist-widget"'  # begins a picture with controls
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
CELL_METADATA = {"tags", "mystnb", "drawn"}

VERSIONS = {
    "Python": "python",
    "TensorFlow": "tensorflow",
    "Keras": "keras",
    "NumPy": "numpy",
    "Matplotlib": "matplotlib",
    "scikit-learn": "scikit-learn",
}
"""What made a notebook's outputs, as ``made_with`` in its metadata names it, and its package."""

FRONT_END = re.compile(r'<(script|style) class="mnist-(widget|answer)">.*?</\1>', re.DOTALL)
_OVERWRITTEN = re.compile(r"^.*\r(?=[^\n])", re.MULTILINE)


def read_notebook(text: str) -> NotebookNode:
    """Read a notebook, in format 4, from the text of its file."""
    notebook: NotebookNode = nbformat.reads(text, as_version=4)
    return notebook


def dump_notebook(notebook: NotebookNode) -> str:
    """The text of a notebook's file: one space of indent, sorted keys, a newline at the end."""
    text: str = nbformat.writes(notebook)
    return text.rstrip("\n") + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, with line feeds, whatever the platform."""
    from mnist_helpers._files import replacing

    with replacing(path, "w") as file:
        file.write(text)


def _node(value: dict[str, Any]) -> NotebookNode:
    node: NotebookNode = nbformat.from_dict(value)
    return node


def tags_of(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return list(cell.metadata.get("tags", []))


def is_install_cell(cell: NotebookNode) -> bool:
    """Whether a cell is the one that finds or installs ``mnist_helpers``."""
    return bool(cell.cell_type == "code" and INSTALL_TAG in tags_of(cell))


def folds(cell: NotebookNode) -> dict[str, Any]:
    """The metadata by which JupyterLab, Colab and older Jupyters fold a cell that the site folds.

    The cell that installs the helpers is folded, too, but not its output: it says what went wrong.
    """
    tags = set(tags_of(cell))
    metadata: dict[str, Any] = {}
    if tags & {"hide-cell", "hide-input"} or is_install_cell(cell):
        metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
    if tags & {"hide-cell", "hide-output"} and not is_install_cell(cell):
        metadata["collapsed"] = True
        metadata.setdefault("jupyter", {})["outputs_hidden"] = True
    return metadata


def normalise(notebook: NotebookNode) -> NotebookNode:
    """A copy of a notebook without anything that differs from one execution to the next.

    - metadata: the kernel, the language's name, the versions that made the outputs; for a cell, its
      tags, what the book's pages need and how far its pictures may differ, not what an editor
      remembers; what its tags fold on the site is folded elsewhere too;
    - cell ids: kept; a missing or repeated one is made from the cell's source;
    - execution counts: 1, 2, 3, ... over the code cells that were executed;
    - text printed: one output for each stream of a cell, carriage returns acted upon;
    - controls that ask the kernel (:mod:`mnist_helpers.explore`): their picture alone, as
      without a kernel there is nothing to ask;
    - pictures: with a palette of 256 colours, a third of the size, where the eye hardly sees a
      difference;
    - pictures with controls, and exercises: with today's script and style, which nbval passes
      over.
    """
    result = _node(json.loads(json.dumps(notebook)))
    result.nbformat, result.nbformat_minor = 4, 5
    made_with = result.metadata.get("made_with")
    result.metadata = _node(METADATA | ({"made_with": made_with} if made_with else {}))
    _settle_ids(result.cells)
    count = 0
    for cell in result.cells:
        cell.metadata = _node({k: v for k, v in cell.metadata.items() if k in CELL_METADATA})
        if cell.cell_type != "code":
            continue
        cell.metadata.update(_node(folds(cell)))
        if cell.execution_count is not None:
            count += 1
            cell.execution_count = count
        cell.outputs = _merge_streams(cell.outputs)
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = cell.execution_count
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = _smaller(data["image/png"])
            data.pop(WIDGET_VIEW, None)
            if isinstance(data.get("text/html"), str):
                data["text/html"] = FRONT_END.sub(_todays, data["text/html"])
    return result


def _smaller(encoded: str) -> str:
    """A PNG with a palette, in base64; one that has a palette stays as it is."""
    from mnist_helpers.widgets import png, small_picture

    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        # A picture that is transparent somewhere would lose its transparency.
        opaque = picture.convert("RGBA").getchannel("A").getextrema() == (255, 255)
        if picture.mode == "P" or not opaque:
            return encoded
        reduced = small_picture(picture.convert("RGB"))
    return base64.b64encode(png(reduced)).decode() if reduced.mode == "P" else encoded


def _todays(part: re.Match[str]) -> str:
    """The script or style of a control as it is written today."""
    from mnist_helpers.widgets import front_end

    return front_end(part[2])[part[1]]


def _settle_ids(cells: list[NotebookNode]) -> None:
    """Give each cell that has no id, or that of an earlier cell, one made from its source."""
    taken = {cell["id"] for cell in cells if "id" in cell}
    seen: set[str] = set()
    for cell in cells:
        identity = cell.get("id")
        attempt = 0
        while identity is None or identity in seen:
            text = f"{cell.cell_type}\n{cell.source}\n{attempt}"
            made = hashlib.sha256(text.encode()).hexdigest()[:8]
            identity = None if made in taken else made
            attempt += 1
        seen.add(identity)
        taken.add(identity)
        cell["id"] = identity


def _merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """One output for each stream, with what a carriage return overwrote taken away.

    How many messages a stream arrives in depends on the machine's speed. nbval merges
    both sides in the same way before it compares.
    """
    merged: list[NotebookNode] = []
    streams: dict[str, NotebookNode] = {}
    for output in outputs:
        if output.output_type != "stream":
            merged.append(output)
        elif output.name in streams:
            streams[output.name].text += output.text
        else:
            streams[output.name] = output
            merged.append(output)
    for output in streams.values():
        output.text = _OVERWRITTEN.sub("", output.text)
    return merged
