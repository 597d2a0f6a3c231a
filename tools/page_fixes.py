"""A Sphinx extension: small changes to every page of the site.

- MathJax is loaded on the pages that hold maths, and on no other. Sphinx itself loads it on
  a page with maths and on every page above it in the table of contents: on the landing page
  too, because some chapter has a formula.
- A fold is called what its title says ("Show the solution"). MyST-NB gives all of them the
  label "Toggle hidden content", and a screen reader says that in place of the title.
- A picture with controls (mnist_helpers.widgets) and an exercise that answers back
  (mnist_helpers.exercises) bring their script and style along, since in a notebook they stand
  alone. Here they are taken out, and the page loads them as files.
- The index of the search, a sixth of a page's weight, is loaded by the page that searches.
  The theme loads it everywhere, for results while one types, which the book does not show.
- The root of the site, the address that people share most, leads to the first page, and says of
  itself what that page does (`page_description`, `page_address`). Its icon is empty, or a browser
  would ask for one and be gone before it came.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from notebook_format import CONTROL, FRONT_END
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

_FOLD_LABEL = ' aria-label="Toggle hidden content"'
_CONTROLS = {"widgets": CONTROL, "answers": '<div class="mnist-answer"'}
_ABOUT = re.compile(
    r'<meta (?:name="(?:description|twitter)|property="og:)[^>]*>|<link rel="canonical"[^>]*>'
)
_SEARCH = re.compile(
    r'[ \t]*<script src="[^"]*\b(?:searchtools|language_data|searchindex)\.js[^"]*"></script>\n?'
)


def fix_page(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Change what a page is rendered from (an ``html-page-context`` handler)."""
    body = context.get("body", "").replace(_FOLD_LABEL, "")
    for name, start in _CONTROLS.items():
        if start in body:
            app.add_js_file(f"{name}.js", loading_method="defer")
            app.add_css_file(f"{name}.css")
    context["body"] = FRONT_END.sub("", body)

    kinds = (nodes.math, nodes.math_block)
    if doctree is None or not any(doctree.findall(lambda node: isinstance(node, kinds))):
        context["script_files"] = [
            script
            for script in context["script_files"]
            if "mathjax" not in (script.filename or "")
            and "window.MathJax" not in script.attributes.get("body", "")
        ]


def leave_search_alone(app: Sphinx, exception: Exception | None) -> None:
    """Take the search's scripts out of all pages but its own (a ``build-finished`` handler)."""
    if exception is not None or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        if path.name != "search.html" and "_static" not in path.parts:
            html = path.read_text(encoding="utf-8")
            path.write_text(_SEARCH.sub("", html), encoding="utf-8", newline="\n")


def write_root(app: Sphinx, exception: Exception | None) -> None:
    """Write the page at the root of the site (a ``build-finished`` handler)."""
    if exception is not None or app.builder.format != "html":
        return
    title, first = escape(app.config.html_title), f"{app.config.root_doc}.html"
    html = (Path(app.outdir) / first).read_text(encoding="utf-8")
    about = "\n".join(_ABOUT.findall(html))
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="icon" href="data:,">
<meta http-equiv="refresh" content="0; url={first}">
{about}
</head>
<body><main><h1><a href="{first}">{title}</a></h1></main></body>
</html>
"""
    (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension; after others' handlers, which add MathJax and a bare root."""
    app.connect("html-page-context", fix_page, priority=900)
    app.connect("build-finished", leave_search_alone, priority=900)
    app.connect("build-finished", write_root, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
