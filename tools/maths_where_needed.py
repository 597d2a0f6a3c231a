"""A Sphinx extension: MathJax on the pages that hold maths, and on no other.

Sphinx itself loads it on a page with maths and on every page above it in the table of
contents: on the landing page too, because some chapter has a formula.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata


def drop_unneeded_mathjax(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Take MathJax and its settings off a page without a formula (``html-page-context``)."""
    kinds = (nodes.math, nodes.math_block)
    if doctree is not None and any(doctree.findall(lambda node: isinstance(node, kinds))):
        return
    context["script_files"] = [
        script
        for script in context["script_files"]
        if "mathjax" not in (script.filename or "")
        and "window.MathJax" not in script.attributes.get("body", "")
    ]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension; after Sphinx's own handler, which adds MathJax."""
    app.connect("html-page-context", drop_unneeded_mathjax, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
