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
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
CELL_METADATA = {"tags", "mystnb", "drawn"}

FRONT_END = re.compile(r'<(script|style) class="mnist-widget">.*?</\1>', re.DOTALL)
_BASE64 = re.compile(r"(;base64,)[A-Za-z0-9+/=]+")
_MODEL = re.compile(r"IPY_MODEL_([0-9a-f]{32})")
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

    The cell that installs the helpers shows what went wrong.
    """
    tags = tags_of(cell)
    hides_source = bool({"hide-cell", "hide-input"}.intersection(tags))
    hides_outputs = not is_install_cell(cell) and bool(
        {"hide-cell", "hide-output"}.intersection(tags)
    )
    metadata: dict[str, Any] = {}
    if hides_source:
        metadata["cellView"] = "form"
        metadata["jupyter"] = {"source_hidden": True}
    if hides_outputs:
        metadata["collapsed"] = True
        metadata.setdefault("jupyter", {})["outputs_hidden"] = True
    return metadata


def normalise(notebook: NotebookNode) -> NotebookNode:
    """A copy of a notebook without anything that differs from one execution to the next.

    - metadata: the kernel, the language's name, and the widgets' state where there is any;
      of a cell its tags, what the book's pages need and how far its pictures may differ, not
      what an editor remembers; what its tags fold on the site is folded elsewhere too;
    - cell ids: kept; a missing or repeated one is made from the cell's source;
    - execution counts: 1, 2, 3, ... over the code cells that were executed;
    - text printed: one output for each stream of a cell, carriage returns acted upon;
    - widgets: models numbered in the order in which they appear, and base64 taken out of
      the text that stands for them (``tests/nbval_sanitize.cfg`` makes nbval do the same
      before it compares);
    - pictures: with a palette of 256 colours, a third of the size, where the eye hardly sees a
      difference;
    - pictures with controls: with today's script and style, which nbval passes over.
    """
    result = _node(json.loads(json.dumps(notebook)))
    result.nbformat, result.nbformat_minor = 4, 5
    metadata: dict[str, Any] = dict(METADATA)
    if result.metadata.get("widgets"):
        metadata["widgets"] = result.metadata["widgets"]
    result.metadata = _node(metadata)
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
            if "text/plain" in data:
                data["text/plain"] = _BASE64.sub(r"\g<1>STRIPPED", data["text/plain"])
            if isinstance(data.get("text/html"), str):
                data["text/html"] = FRONT_END.sub(_todays, data["text/html"])
    return _renumber_widgets(result)


def _smaller(encoded: str) -> str:
    """A PNG with a palette, in base64; one that has a palette stays as it is."""
    from mnist_helpers.widgets import png, small_picture

    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        # A picture that is transparent somewhere would lose that.
        opaque = picture.convert("RGBA").getchannel("A").getextrema() == (255, 255)
        if picture.mode == "P" or not opaque:
            return encoded
        reduced = small_picture(picture.convert("RGB"))
    return base64.b64encode(png(reduced)).decode() if reduced.mode == "P" else encoded


def _todays(part: re.Match[str]) -> str:
    """The script or style of a picture with controls as it is written today."""
    from mnist_helpers.widgets import front_end

    return front_end()[part[1]]


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


def _renumber_widgets(notebook: NotebookNode) -> NotebookNode:
    """Number the widgets' models, whose ids are drawn at random, as they appear.

    A model appears where a cell shows it, and then where a model that has appeared refers
    to it. Models that nothing refers to, left over from a cell that replaced its widget,
    are dropped: the page could not show them, and their order is not fixed.
    """
    widgets = notebook.metadata.get("widgets")
    if not widgets:
        return notebook
    models = widgets[WIDGET_STATE]["state"]
    shown = [
        output.data[WIDGET_VIEW]["model_id"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if WIDGET_VIEW in output.get("data", {})
    ]
    number: dict[str, str] = {}
    for model in shown:
        _number_from(model, models, number)
    # A link between two widgets refers to them; nothing refers to the link.
    links = [model for model in models if models[model]["model_name"].endswith("LinkModel")]
    ends = {model: _MODEL.findall(json.dumps(models[model], sort_keys=True)) for model in links}
    while True:
        joined = [
            model
            for model in links
            if model not in number and ends[model] and any(end in number for end in ends[model])
        ]
        if not joined:
            break
        joined.sort(key=lambda model: _renamed(models[model], number))
        _number_from(joined[0], models, number)
    text = json.dumps({number[model]: models[model] for model in number if model in models})
    state = json.loads(_MODEL.sub(lambda match: f"IPY_MODEL_{number[match[1]]}", text))
    widgets[WIDGET_STATE] = _node({"state": state, "version_major": 2, "version_minor": 0})
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if WIDGET_VIEW in output.get("data", {}):
                view = output.data[WIDGET_VIEW]
                view["model_id"] = number[view["model_id"]]
    return notebook


def _number_from(model: str, models: dict[str, Any], number: dict[str, str]) -> None:
    """Number a model and, depth first, those that it refers to."""
    if model in number:
        return
    number[model] = f"{len(number) + 1:032x}"
    for match in _MODEL.finditer(json.dumps(models.get(model, {}), sort_keys=True)):
        _number_from(match[1], models, number)


def _renamed(model: Any, number: dict[str, str]) -> str:
    """A model's text with the numbers that are settled, to sort by."""
    text = json.dumps(model, sort_keys=True)
    return _MODEL.sub(lambda match: f"IPY_MODEL_{number.get(match[1], '')}", text)
