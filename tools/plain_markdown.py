"""A Sphinx extension: what the site makes of plain Markdown.

The notebooks hold CommonMark, formulas and no other markup, so that JupyterLab, Colab and GitHub
show them as they are meant. The site adds what those have no means for:

- A quotation that begins with a line in bold becomes a box with that title.
- A picture with a line in italics below it becomes a figure with that caption, numbered as those
  of the code cells are.
- A link to a term in the glossary shows the term's definition, on hover and on focus. The
  definitions are written into the page: it needs no server for them (``terms.js``).
- Separate anchors (``<a id="relu"></a>``), which JupyterLab needs for headings with capitals, are
  dropped: here the heading has that anchor.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import PurePosixPath
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

GLOSSARY = "book/glossary"

_ANCHOR = re.compile(r'<a id="[^"]*"></a>')
_MARKS = {nodes.literal: "code", nodes.emphasis: "em", nodes.strong: "strong"}


def mark_up(app: Sphinx, doctree: nodes.document) -> None:
    """Make boxes and figures, and drop anchors (a ``doctree-read`` handler)."""
    for quotation in list(doctree.findall(nodes.block_quote)):
        title = _heading(quotation)
        if title is not None:
            rest = quotation.children[1:]
            quotation.replace_self(nodes.admonition("", title, *rest))
    for paragraph in list(doctree.findall(nodes.paragraph)):
        if _ANCHOR.fullmatch(paragraph.astext()):
            paragraph.parent.remove(paragraph)
        else:
            _make_figure(paragraph)


def _only_child(node: nodes.Node | None, kind: type[nodes.Element]) -> nodes.Element | None:
    """What a paragraph consists of, if that is one element of a kind."""
    if not isinstance(node, nodes.paragraph):
        return None
    parts = [child for child in node.children if not isinstance(child, nodes.Text) or child.strip()]
    return parts[0] if len(parts) == 1 and isinstance(parts[0], kind) else None


def _make_figure(paragraph: nodes.paragraph) -> None:
    """Make a figure of a picture and the caption below it."""
    image = _only_child(paragraph, nodes.image)
    if image is None:
        return
    after = paragraph.next_node(descend=False, siblings=True)
    words = _only_child(after, nodes.emphasis)
    if after is None or words is None:
        return
    # Sphinx numbers what has a name.
    name = f"picture-{nodes.make_id(PurePosixPath(image['uri']).stem)}"
    caption = nodes.caption("", "", *words.children)
    paragraph.replace_self(nodes.figure("", image, caption, ids=[name], align="default"))
    after.parent.remove(after)


def _heading(quotation: nodes.block_quote) -> nodes.title | None:
    """The title that a quotation begins with: a paragraph that is bold from end to end."""
    words = _only_child(quotation.children[0] if quotation.children else None, nodes.strong)
    return None if words is None else nodes.title("", "", *words.children)


def inline_html(node: nodes.Element) -> str:
    """A paragraph's text as HTML: code and emphasis stay, links become their words."""
    html = ""
    for child in node.children:
        if isinstance(child, nodes.Element):
            tag = _MARKS.get(type(child))
            inner = inline_html(child)
            html += f"<{tag}>{inner}</{tag}>" if tag else inner
        else:
            html += escape(re.sub(r"\s+", " ", child.astext()), quote=False)
    return html


def definitions(glossary: nodes.document) -> dict[str, str]:
    """The definition of each term in HTML, by the anchor of its heading."""
    found: dict[str, str] = {}
    for section in glossary.findall(nodes.section):
        paragraphs = [child for child in section.children if isinstance(child, nodes.paragraph)]
        if paragraphs:
            html = " ".join(map(inline_html, paragraphs))
            found |= {str(name): html for name in section["ids"]}
    return found


def define_terms(body: str, page: str, terms: dict[str, str]) -> str:
    """A page's HTML with the definitions of the terms that it links to.

    Such links lead to ``page``, the glossary; ``terms`` are what `definitions` gives.
    """
    used: dict[str, str] = {}

    def described(link: re.Match[str]) -> str:
        name = link["name"]
        if name not in terms:
            return link[0]
        used[name] = terms[name]
        return f'<a class="term {link["classes"]}" aria-describedby="term-{name}" {link["href"]}'

    href = rf'href="{re.escape(page)}#(?P<name>[\w-]+)"'
    body = re.sub(rf'<a class="(?P<classes>[^"]*)" (?P<href>{href})', described, body)
    if not used:
        return body
    listed = "".join(f'<p id="term-{name}">{html}</p>\n' for name, html in sorted(used.items()))
    return f'{body}\n<div class="term-definitions" hidden>\n{listed}</div>\n'


def _add_definitions(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Write the definitions into a page (an ``html-page-context`` handler)."""
    if doctree is None or pagename == GLOSSARY or GLOSSARY not in app.env.found_docs:
        return
    terms = definitions(app.env.get_doctree(GLOSSARY))
    page = app.builder.get_relative_uri(pagename, GLOSSARY)
    body = define_terms(context["body"], page, terms)
    if body != context["body"]:
        context["body"] = body
        app.add_js_file("terms.js", loading_method="defer")
        app.add_css_file("terms.css")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension."""
    app.connect("doctree-read", mark_up)
    app.connect("html-page-context", _add_definitions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
