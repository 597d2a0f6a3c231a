"""A Sphinx extension: counts the chapters, parts and minutes on the landing page.

``book/index.md`` has a card for each part, which lists its chapters, one item each; the first
card is a short cut through the others. Before the page is parsed, each item gets the chapter's
number and the minutes that it takes to read; each card and the whole path get a line with the sums.
So nobody has to count when a chapter comes or goes.
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
_CARD = re.compile(r"^(::::\{grid-item-card\} .+\n)((?:(?!::::$).*\n)*)", re.MULTILINE)
_CHAPTER = re.compile(r"^- \[\]\(\.\./notebooks/(\w+)\.ipynb\)$", re.MULTILINE)
_WORDS = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen", "twenty", "twenty-one", "twenty-two", "twenty-three"),
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
    cards = [_CHAPTER.findall(listed) for _, listed in _CARD.findall(body)]
    names = [name for part in cards[1:] for name in part]
    numbers = {name: number for number, name in enumerate(names, start=1)}
    hours = round(sum(minutes[name] for name in names) / 60)
    total = (
        f"{_chapters(names)} in {_word(len(cards) - 1)} parts, {_word(hours)} hours of reading "
        "in all.\n\n"
    )

    def card(found: re.Match[str]) -> str:
        # The short cut, which comes first, leaves some out: its items have no numbers.
        is_path = "::::\n" in body[: found.start()]
        listed = _CHAPTER.findall(found[2])
        told = f"{_chapters(listed)}, {sum(minutes[name] for name in listed)} minutes"
        items = _CHAPTER.sub(lambda name: item(name[1], is_path), found[2])
        return f"{found[1]}{items}\n{{.path-sum}}\n{told}\n"

    def item(name: str, is_path: bool) -> str:
        mark = f"{numbers[name]}." if is_path else "-"
        return f"{mark} [](../notebooks/{name}.ipynb) ({minutes[name]} min)"

    return page[: path.start("body")] + total + _CARD.sub(card, body) + page[path.end("body") :]


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
