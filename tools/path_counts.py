"""A Sphinx extension: counts the chapters, parts and minutes on the landing page.

``book/index.md`` lists each part's chapters, one item each. Before the page is parsed, each item
gets the chapter's number and the minutes that it takes to read, each part and the whole path a
line with their sums. So nobody has to count when a chapter comes or goes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from notebook_format import read_notebook
from reading_time import reading_minutes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

PAGE = "book/index"

_PATH = re.compile(r"^## The path\n\n(?P<body>.*?)(?=^## )", re.MULTILINE | re.DOTALL)
_PART = re.compile(r"^(### .+\n\n)((?:(?!### ).*\n)*)", re.MULTILINE)
_CHAPTER = re.compile(r"^- \[\]\(\.\./notebooks/(\w+)\.ipynb\): ", re.MULTILINE)
_WORDS = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen", "twenty"),
)


def minutes_of(folder: Path) -> dict[str, int]:
    """How many minutes each notebook of a folder takes to read, by its name."""
    return {
        path.stem: reading_minutes(read_notebook(path.read_text(encoding="utf-8")))
        for path in folder.glob("*.ipynb")
    }


def count_path(page: str, minutes: Mapping[str, int]) -> str:
    """The landing page's Markdown, given each chapter's minutes, with the counts written in."""
    path = _PATH.search(page)
    if path is None:
        raise ValueError('the landing page has no section "The path" with another after it')
    body = path["body"]
    names = _CHAPTER.findall(body)
    numbers = {name: number for number, name in enumerate(names, start=1)}
    hours = round(sum(minutes[name] for name in names) / 60)
    parts = len(_PART.findall(body))
    total = (
        f"{_chapters(names)} in {_word(parts)} parts, {_word(hours)} hours of reading in all.\n\n"
    )

    def sums(part: re.Match[str]) -> str:
        listed = _CHAPTER.findall(part[2])
        told = f"{_chapters(listed)}, {sum(minutes[name] for name in listed)} minutes.\n\n"
        return part[1] + told + part[2]

    def item(chapter: re.Match[str]) -> str:
        name = chapter[1]
        link = f"[](../notebooks/{name}.ipynb)"
        return f"{numbers[name]}. {link} ({minutes[name]} minutes): "

    counted = _CHAPTER.sub(item, _PART.sub(sums, body))
    return page[: path.start("body")] + total + counted + page[path.end("body") :]


def _word(number: int) -> str:
    return _WORDS[number] if number < len(_WORDS) else str(number)


def _chapters(names: list[str]) -> str:
    noun = "chapter" if len(names) == 1 else "chapters"
    return f"{_word(len(names)).capitalize()} {noun}"


def count_chapters(app: Sphinx, docname: str, source: list[str]) -> None:
    """Write the counts into the landing page (a ``source-read`` handler)."""
    if docname == PAGE and "\n## The path\n" in source[0]:
        source[0] = count_path(source[0], minutes_of(Path(app.srcdir) / "notebooks"))


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension."""
    app.connect("source-read", count_chapters)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
