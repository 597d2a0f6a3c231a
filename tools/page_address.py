"""A Sphinx extension: what a site that has an address says of itself.

`make address` keeps the address in ``[project.urls]`` of ``pyproject.toml``. If there is one,

- each page names its canonical address (Sphinx does that, by ``html_baseurl``);
- each page of the book has Open Graph tags, by which other sites show a link with its title,
  its first words and a picture (``draw_card.py``); so has the root, which people share most;
- ``sitemap.xml`` lists the pages for search engines.

Without an address, there is nothing of it: none of it can be said by a relative address.
"""

from __future__ import annotations

import re
import textwrap
import tomllib
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.typing import ExtensionMetadata

CARD = "_static/card.png"
CARD_SIZE = (1200, 630)
CARD_ALT = (
    "The book's title above four small filters of the network at five moments of its training: "
    "pale noise before it, strokes of red and blue after 10,000 iterations"
)
_MAX_WORDS = 200


def site_address(root: Path) -> str:
    """Where the site is served, with a slash at the end, or "" while that is not set."""
    settings = root / "pyproject.toml"
    if not settings.is_file():
        return ""
    project = tomllib.loads(settings.read_text(encoding="utf-8")).get("project", {})
    address = str(project.get("urls", {}).get("Documentation", ""))
    return address.rstrip("/") + "/" if address else ""


def first_words(doctree: nodes.document) -> str:
    """The first paragraph of a page, shortened: a chapter's says what one will see there."""
    paragraph = next(iter(doctree.findall(nodes.paragraph)), None)
    text = "" if paragraph is None else " ".join(paragraph.astext().split())
    text = text.removeprefix("What you will see: ")
    return textwrap.shorten(text[:1].upper() + text[1:], _MAX_WORDS, placeholder=" …")


def card_tags(title: str, book: str, words: str, address: str, page: str) -> str:
    """The tags by which other sites show a link to a page.

    Args:
        title: The page's.
        book: The book's title.
        words: What the page is about.
        address: The site's address, with a slash at the end.
        page: The page's path in the site, with its suffix.
    """
    named = {"description": words, "twitter:card": "summary_large_image"}
    properties = {
        "og:type": "website",
        "og:site_name": book,
        "og:title": title,
        "og:description": words,
        "og:url": address + page,
        "og:image": address + CARD,
        "og:image:width": str(CARD_SIZE[0]),
        "og:image:height": str(CARD_SIZE[1]),
        "og:image:alt": CARD_ALT,
    }
    tags = [f'<meta name="{name}" content="{escape(value)}" />' for name, value in named.items()]
    tags += [
        f'<meta property="{name}" content="{escape(value)}" />'
        for name, value in properties.items()
    ]
    return "\n".join(["", *tags, ""])


def sitemap(address: str, pages: list[str]) -> str:
    """The text of ``sitemap.xml`` (https://www.sitemaps.org/protocol.html)."""
    places = "".join(f"  <url><loc>{escape(address + page)}</loc></url>\n" for page in pages)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{places}</urlset>\n'
    )


def _set_address(app: Sphinx, config: Config) -> None:
    config.html_baseurl = site_address(Path(app.srcdir))


def _add_tags(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    address = app.config.html_baseurl
    if not address or doctree is None:
        return
    title = re.sub(r"<[^>]*>", "", context["title"])
    book = app.config.html_title
    tags = card_tags(title, book, first_words(doctree), address, f"{pagename}.html")
    context["metatags"] = context.get("metatags", "") + tags


def _finish(app: Sphinx, exception: Exception | None) -> None:
    address = app.config.html_baseurl
    if exception is not None or app.builder.format != "html" or not address:
        return
    folder = Path(app.outdir)
    pages = sorted(f"{name}.html" for name in app.env.found_docs)
    (folder / "sitemap.xml").write_text(sitemap(address, pages), encoding="utf-8")

    first = f"{app.config.root_doc}.html"
    words = first_words(app.env.get_doctree(app.config.root_doc))
    tags = card_tags(app.config.html_title, app.config.html_title, words, address, first)
    tags += f'<link rel="canonical" href="{escape(address + first)}" />\n'
    root = folder / "index.html"
    html = root.read_text(encoding="utf-8").replace("</head>", f"{tags}</head>", 1)
    root.write_text(html, encoding="utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension; the root is changed after `page_fixes` wrote it."""
    app.connect("config-inited", _set_address)
    app.connect("html-page-context", _add_tags)
    app.connect("build-finished", _finish, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
