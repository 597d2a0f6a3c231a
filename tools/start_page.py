"""Write the page that `make lab` opens: the chapters as notebooks, in reading order.

    python tools/start_page.py

It is a notebook, ``start.ipynb``, because JupyterLab shows the text of a notebook at once, but
opens a Markdown file as its source. The order comes from ``_toc.yml``, the titles come from the
chapters, whose minutes are counted.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import yaml
from address import ROOT
from nbformat.v4 import new_markdown_cell, new_notebook
from notebook_format import dump_notebook, normalise, read_notebook, write_text
from reading_time import reading_minutes

PAGE = "start.ipynb"
_INTRODUCTION = """\
# Start here

The chapters of this book, in reading order. Each runs on its own: choose *Run*, then *Run All
Cells*, or press Shift and Enter in one cell after another. Then change a number, and see what
changes with it. Exercises are at the end of each chapter; a click on the three dots below a
solution's heading unfolds it.
"""
_END = """\
New words are explained in the [glossary](book/glossary.md). [How to run](book/how-to-run.md) says
what to do if something does not work.
"""


def _line(number: int, path: Path) -> str:
    chapter = read_notebook(path.read_text(encoding="utf-8"))
    title = chapter.cells[0].source.partition("\n")[0].removeprefix("# ")
    link = f"[{title}]({path.parent.name}/{path.name})"
    return f"{number}. {link} ({reading_minutes(chapter)} minutes)"


def start_page() -> str:
    """The text of the page's file."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    parts = [_INTRODUCTION]
    numbers = itertools.count(1)
    for part in contents["parts"]:
        paths = [(ROOT / chapter["file"]).with_suffix(".ipynb") for chapter in part["chapters"]]
        lines = [_line(next(numbers), path) for path in paths if path.is_file()]
        if lines:
            parts.append("\n".join([f"## {part['caption']}\n", *lines, ""]))
    cell = new_markdown_cell("\n".join([*parts, _END]).rstrip("\n"), id="chapters")
    return dump_notebook(normalise(new_notebook(cells=[cell])))


if __name__ == "__main__":
    write_text(ROOT / PAGE, start_page())
