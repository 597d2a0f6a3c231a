"""A Sphinx extension: what the page of a chapter adds to its notebook.

- A line below the title says which chapter it is, of how many, and how many minutes it takes.
- The cell that finds the helpers and the one that imports are one fold, "Set-up".
- A cell with the tag ``check``, which prints True and teaches nothing more, is a fold, "✓ checked".
- The links to the chapters before and after say how long those take, and what one will see there.
- A picture is shown as wide as its output says: it is stored with twice as many pixels.
- An output whose columns line up keeps its lines on a phone, where other long lines wrap: it gets
  the class ``aligned``, which ``book.css`` reads.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from notebook_format import read_notebook
from reading_time import reading_minutes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import ExtensionMetadata

# This many lines make a table, if in three out of four of them spaces separate columns.
MIN_TABLE_LINES = 4
MIN_TABLE_SHARE = 0.75

_IMPORT = re.compile(r"(import|from) ")
_SEE = "What you will see:"


def is_aligned(text: str) -> bool:
    """Whether the lines of an output are the rows of a table."""
    lines = text.splitlines()
    apart = [line for line in lines if re.search(r"\S {2,}\S", line)]
    return len(lines) >= MIN_TABLE_LINES and len(apart) >= MIN_TABLE_SHARE * len(lines)


def _element(node: nodes.Node) -> str:
    """What MyST-NB says a node of a notebook is."""
    return str(node.get("nb_element", "")) if isinstance(node, nodes.container) else ""


def _is_cell(node: nodes.Node) -> bool:
    return _element(node) == "cell_code"


def _is_tagged(cell: nodes.Element, tag: str) -> bool:
    return tag in cell["cell_metadata"].get("tags", [])


def what_one_sees(document: nodes.document) -> str:
    """The promise in the box that opens a chapter, as a sentence; nothing where there is none."""
    for words in document.findall(nodes.strong):
        if words.astext() == _SEE and isinstance(words.parent, nodes.paragraph):
            sentence = str(words.parent.astext()).partition(_SEE)[2].strip()
            return sentence[:1].upper() + sentence[1:]
    return ""


def _minutes(app: Sphinx) -> int:
    """The minutes of the chapter that is being read."""
    notebook = Path(app.env.doc2path(app.env.docname))
    return reading_minutes(read_notebook(notebook.read_text(encoding="utf-8")))


def note(app: Sphinx, document: nodes.document) -> None:
    """Remember what other pages say about a chapter (a ``doctree-read`` handler)."""
    if any(_is_cell(node) for node in document.findall(nodes.container)):
        about = {"minutes": _minutes(app), "sees": what_one_sees(document)}
        app.env.metadata[app.env.docname]["chapter"] = about


def number(env: BuildEnvironment, name: str) -> int | None:
    """Which chapter a page is; None for a page that is not one."""
    if "chapter" not in env.metadata.get(name, {}):
        return None
    numbers = env.toc_secnumbers.get(name, {}).get("")
    return numbers[0] if numbers else None


class Chapter(SphinxPostTransform):
    """Change a chapter before it is written; before MyST-NB folds what is to be folded."""

    default_priority = 150
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Run the transform."""
        for block in self.document.findall(nodes.literal_block):
            if "output" in block["classes"] and is_aligned(block.astext()):
                block["classes"].append("aligned")
        place = number(self.env, self.env.docname)
        if place is not None:
            self._say_which(place)
        for cell in list(self.document.findall(_is_cell)):
            if _is_tagged(cell, "install"):
                self._gather_set_up(cell)
            elif _is_tagged(cell, "check"):
                _fold(cell, "✓ checked", "check")
        self._size_pictures()

    def _say_which(self, place: int) -> None:
        """Put the line below the title."""
        of = sum(number(self.env, name) is not None for name in self.env.found_docs)
        time = self.env.metadata[self.env.docname]["chapter"]["minutes"]
        words = f"Chapter {place} of {of} · {in_words(time)}"
        title = next(iter(self.document.findall(nodes.title)))
        line = nodes.paragraph("", words, classes=["chapter-line"])
        title.parent.insert(title.parent.index(title) + 1, line)

    def _gather_set_up(self, cell: nodes.container) -> None:
        """Fold a chapter's first cell, and with it the imports that come next."""
        after = cell.parent.children[cell.parent.index(cell) + 1 :]
        following = after[0] if after else None
        if following is not None and _is_cell(following) and _IMPORT.match(following.astext()):
            if all(_element(child) == "cell_code_source" for child in following.children):
                cell.extend(following.children)
                cell.parent.remove(following)
        _fold(cell, "Set-up", "set-up")

    def _size_pictures(self) -> None:
        """Say of each picture of a cell how wide it is shown, where the notebook says so."""
        widths = picture_widths(Path(self.env.doc2path(self.env.docname)))
        for image in self.document.findall(nodes.image):
            width = widths.get(PurePosixPath(image["uri"]).stem)
            if width is not None and "width" not in image:
                image["width"] = f"{width}px"


def _fold(cell: nodes.container, words: str, kind: str) -> None:
    """Let MyST-NB fold a cell into a line with these words."""
    cell["hide_mode"] = "all"
    cell["prompt_show"] = cell["prompt_hide"] = words
    cell["classes"].append(f"folded-{kind}")


def picture_widths(path: Path) -> dict[str, int]:
    """The width of each stored picture, by its hash, after which MyST-NB names its file."""
    if path.suffix != ".ipynb":
        return {}
    widths = {}
    for cell in read_notebook(path.read_text(encoding="utf-8")).cells:
        for output in cell.get("outputs", []):
            width = output.get("metadata", {}).get("image/png", {}).get("width")
            if width is not None and "image/png" in output.get("data", {}):
                picture = base64.b64decode(output.data["image/png"])
                widths[hashlib.sha256(picture).hexdigest()] = int(width)
    return widths


def in_words(time: int) -> str:
    """A number of minutes, with the unit."""
    return "1 minute" if time == 1 else f"{time} minutes"


def tell_neighbours(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Put the words on the links to the previous and next pages (``html-page-context``)."""
    context["is_chapter"] = number(app.env, pagename) is not None
    relations = getattr(app.builder, "relations", {}).get(pagename, (None, None, None))
    for which, name in zip(("prev", "next"), relations[1:], strict=True):
        about = app.env.metadata.get(name or "", {}).get("chapter")
        if about:
            context[f"{which}_time"] = in_words(about["minutes"])
            context[f"{which}_sees"] = about["sees"]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension."""
    app.add_post_transform(Chapter)
    app.connect("doctree-read", note)
    app.connect("html-page-context", tell_neighbours)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "env_version": 1}
