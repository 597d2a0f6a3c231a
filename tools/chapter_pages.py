"""A Sphinx extension: what the page of a chapter adds to its notebook.

- An output whose columns stand below each other keeps its lines on a phone, where other long
  lines go on below: it gets the class ``aligned``, which ``book.css`` reads.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import ExtensionMetadata

# So many lines make a table, if in three of four of them columns are set apart by spaces.
MIN_TABLE_LINES = 4
MIN_TABLE_SHARE = 0.75


def is_aligned(text: str) -> bool:
    """Whether the lines of an output are the rows of a table."""
    lines = text.splitlines()
    apart = [line for line in lines if re.search(r"\S {2,}\S", line)]
    return len(lines) >= MIN_TABLE_LINES and len(apart) >= MIN_TABLE_SHARE * len(lines)


class Chapter(SphinxPostTransform):
    """Change a chapter before it is written; before MyST-NB folds the cells that are to be."""

    default_priority = 150
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Run the transform."""
        for block in self.document.findall(nodes.literal_block):
            if "output" in block["classes"] and is_aligned(block.astext()):
                block["classes"].append("aligned")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension."""
    app.add_post_transform(Chapter)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
