"""A Sphinx extension: each page says in a sentence or two what it is about.

Search engines show it below a page's title (``<meta name="description">``), and other sites
below a link, where the site has an address (``page_address.py``). A chapter says it in its box
*In this chapter*; for another page it is the first paragraph.
"""

from __future__ import annotations

from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

MAX_LENGTH = 200
_LABEL = "What you will see:"


def shortened(text: str) -> str:
    """A text in one line: cut after a sentence if one ends late enough, or else after a word."""
    text = " ".join(text.split())
    if len(text) <= MAX_LENGTH:
        return text
    cut = text[:MAX_LENGTH]
    sentence = max(cut.rfind(mark) for mark in (". ", "? ", "! ")) + 1
    if sentence > MAX_LENGTH // 2:
        return cut[:sentence]
    return cut[: cut.rfind(" ")].rstrip(" ,;:–") + "…"


def description(doctree: nodes.document) -> str:
    """What a page is about, or "" if it has no paragraph."""
    texts = [paragraph.astext() for paragraph in doctree.findall(nodes.paragraph)]
    told = [text.removeprefix(_LABEL) for text in texts if text.startswith(_LABEL)]
    text = shortened((told or texts or [""])[0])
    return text[:1].upper() + text[1:]


def _describe(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Describe a page (an ``html-page-context`` handler)."""
    text = description(doctree) if doctree is not None else ""
    if not text:
        title = str(context.get("title") or pagename)
        text = f"{title[:1].upper()}{title[1:]}, a page of “{app.config.html_title}”."
    tag = f'<meta name="description" content="{escape(text)}" />\n'
    context["metatags"] = context.get("metatags", "") + tag
    context["meta"] = (context.get("meta") or {}) | {"og:description": text}


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension: before `sphinxext.opengraph` looks for a description."""
    app.connect("html-page-context", _describe, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
