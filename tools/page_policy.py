"""A Sphinx extension: a content security policy in every page of the site.

The policy tells the browser what the page may load and run. It is written when the site is
finished, because it names each script inside a page by its hash: a script that gets
into a page in any other way does not run, and nothing in a page can ask another host.

What goes beyond the site's own files is here, with its reason:

- ``sha256-…`` in ``script-src``: the few scripts that the theme and Sphinx write into a page.
- ``'wasm-unsafe-eval'`` in ``script-src``, where the page loads the lab: it lets the browser
  compile the lab's WebAssembly. It allows no ``eval`` of JavaScript.
- ``'unsafe-inline'`` in ``style-src``: tables in outputs, drawings and the theme carry ``style``
  attributes, and MathJax writes a style sheet into the page. A style runs nothing, and cannot
  fetch from another host either.
- ``data:`` in ``img-src``: a picture with controls holds its pictures in the page, and the
  theme's style sheet its small icons.

The theme's buttons say what they do in ``onclick`` attributes, which no policy without
``'unsafe-hashes'`` lets run. They get a ``data-action`` instead, which ``book.js`` reads.

Sphinx names the next page in ``<link rel="next">``. Firefox fetches that page in advance, for
which no directive but ``default-src`` counts: ``'none'`` refuses it, with an error in the console
of every page. The tag goes; the link at the foot of the page, which readers follow, stays. Wider,
``default-src`` would also let through whatever kind of request browsers think of next.

A page cannot say who may frame it; the host does (``hosting/``).
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata

_HEAD = re.compile(r'(<meta charset="utf-8"\s*/?>)(?:<meta http-equiv="Content-Security[^>]*>)?')
_ONCLICK = re.compile(r' onclick="(toggleFullScreen|window\.print)\(\)"')
_NEXT = re.compile(r'[ \t]*<link rel="next"[^>]*>\n?')
_ACTIONS = {"toggleFullScreen": "fullscreen", "window.print": "print"}
# The kinds of <script> that a browser runs; the others hold data.
_RUN = {None, "", "module", "text/javascript", "application/javascript"}
_LAB = "_static/lab/lab.js"


def policy(html: str) -> str:
    """The policy under which a page works: directives, separated by semicolons."""
    soup = BeautifulSoup(html, "html.parser")
    # Handlers in attributes, and addresses that are scripts.
    forbidden = [
        f"<{tag.name} {name}={value!r}>"
        for tag in soup(True)
        for name, value in tag.attrs.items()
        if name.startswith("on") or str(value).strip().lower().startswith("javascript:")
    ]
    if forbidden:
        raise ValueError(f"the content security policy forbids {', '.join(forbidden)}")
    inline = [tag for tag in soup("script", src=False) if tag.get("type") in _RUN]
    digests = [hashlib.sha256(tag.get_text().encode()).digest() for tag in inline]
    hashes = {f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests}
    scripts = ["'self'", *sorted(hashes)]
    if any(_LAB in str(tag["src"]) for tag in soup("script", src=True)):
        scripts.append("'wasm-unsafe-eval'")
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(scripts)}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
        ]
    )


def add_policy(html: str) -> str:
    """Put the policy into a page, as the first thing that matters, and take out what it refuses.

    An old policy goes. A page that holds what no policy lets run raises a ValueError.
    """
    html = _ONCLICK.sub(lambda match: f' data-action="{_ACTIONS[match[1]]}"', html)
    html = _NEXT.sub("", html)
    tag = f'<meta http-equiv="Content-Security-Policy" content="{policy(html)}">'
    html, count = _HEAD.subn(lambda match: match[1] + tag, html, count=1)
    if not count:
        raise ValueError('there is no <meta charset="utf-8"> to put the policy after')
    return html


def _add_policies(app: Sphinx, exception: Exception | None) -> None:
    """Change every page of the site (a ``build-finished`` handler)."""
    if exception is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir)
    for path in sorted(folder.rglob("*.html")):
        # The theme keeps templates of its own among the static files.
        if "_static" not in path.relative_to(folder).parts:
            try:
                changed = add_policy(path.read_text(encoding="utf-8"))
            except ValueError as error:
                logging.getLogger(__name__).warning("%s: %s", path.relative_to(folder), error)
            else:
                path.write_text(changed, encoding="utf-8", newline="\n")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension; last of all, when every page is as it will be served."""
    app.connect("build-finished", _add_policies, priority=1000)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
