"""A Sphinx extension: what a site that has an address says of itself.

`make address` keeps the address in ``[project.urls]`` of ``pyproject.toml``. If there is one,

- each page names its canonical address (Sphinx does that, by ``html_baseurl``);
- each page has Open Graph tags, by which other sites show a link with its title, what it is
  about (``page_description.py``) and a picture (sphinxext-opengraph);
- ``sitemap.xml`` lists the pages for search engines (sphinx-sitemap would warn where there is no
  address, and bring another package along).

Without an address there is none of this: a relative address cannot say it. The page for wrong
addresses, ``404.html``, is there in either case; its links begin at the top of the host, or at
the folder that the address names.
"""

from __future__ import annotations

import tomllib
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

CARD = "_static/card.png"
CARD_SIZE = (1200, 630)
CARD_ALT = (
    "The book's title above four small filters of the network at five moments of its training: "
    "pale noise before it, strokes of red and blue after 10,000 iterations"
)
_NOT_FOUND = {
    "title": "There is no such page",
    "body": (
        "<h1>There is no such page</h1>\n<p>The address may have a typo, or the page may "
        "have moved. The contents on the left list every chapter, and the search finds words in "
        "all of them.</p>"
    ),
}


def site_address(root: Path) -> str:
    """Where the site is served, with a slash at the end, or "" while that is not set."""
    settings = root / "pyproject.toml"
    if not settings.is_file():
        return ""
    project = tomllib.loads(settings.read_text(encoding="utf-8")).get("project", {})
    address = str(project.get("urls", {}).get("Documentation", ""))
    return address.rstrip("/") + "/" if address else ""


def sitemap(address: str, pages: list[str]) -> str:
    """The text of ``sitemap.xml`` (https://www.sitemaps.org/protocol.html)."""
    places = "".join(f"  <url><loc>{escape(address + page)}</loc></url>\n" for page in pages)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{places}</urlset>\n'
    )


def _list_pages(app: Sphinx, exception: Exception | None) -> None:
    """Write the sitemap, if the site has an address (a ``build-finished`` handler)."""
    address = app.config.html_baseurl
    if exception is None and app.builder.format == "html" and address:
        pages = sorted(f"{name}.html" for name in app.env.found_docs)
        file = Path(app.outdir) / "sitemap.xml"
        file.write_text(sitemap(address, pages), encoding="utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension."""
    address = site_address(Path(app.srcdir))
    app.config.html_baseurl = address
    app.setup_extension("notfound.extension")
    app.config.notfound_urls_prefix = urlsplit(address).path or "/"
    app.config.notfound_context = _NOT_FOUND
    if address:
        app.setup_extension("sphinxext.opengraph")
        app.config.ogp_site_url = address
        app.config.ogp_image = CARD
        app.config.ogp_image_alt = CARD_ALT
        card = '<meta name="twitter:card" content="summary_large_image" />'
        app.config.ogp_custom_meta_tags = [card]
    app.connect("build-finished", _list_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
