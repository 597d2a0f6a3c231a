"""Print the built book as one PDF.

    make pdf                              writes _build/book.pdf
    python tools/pdf.py SITE FILE

The pages of the site, in the order of ``_toc.yml``, become one long page with a cover and a
table of contents, and Chromium prints it: with every picture and its caption, formulas, solutions
unfolded, and a control as the picture that it starts from. Links inside the book lead to places
in the PDF.
"""

from __future__ import annotations

import argparse
import posixpath
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag
from chromium import NoBrowserError, open_chromium, serving

ROOT = Path(__file__).resolve().parent.parent
STYLE = Path(__file__).with_name("pdf.css")
# Where the long page lies while it is printed: beside the pages, so that it finds the same files.
LONG_PAGE = "book-to-print.html"
FOOTER = (
    '<p style="width: 100%; margin: 0; font: 8pt sans-serif; text-align: center">'
    '<span class="pageNumber"></span></p>'
)
# Of no use on paper.
_LEFT_OUT = (
    "script, button, .headerlink, .controls, .sd-tab-set > input, .term-definitions, link, noscript"
)
NO_LAB = "What this page is about needs a browser: open it on the book's site."
# In thousandths of a second; the book has hundreds of pages.
_PATIENCE = 300_000


def parts_of_book() -> Iterator[tuple[str, list[str]]]:
    """The parts of the book in order: the caption ("" for the first page), and the pages."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    yield "", [toc["root"]]
    for part in toc["parts"]:
        yield part["caption"], [chapter["file"] for chapter in part["chapters"]]


def place(page: str, anchor: str = "") -> str:
    """The id that an anchor of a page, or the page itself, has in the long page."""
    slug = page.replace("/", "-")
    return f"{slug}--{anchor}" if anchor else slug


def chapter(soup: BeautifulSoup, page: str, pages: set[str]) -> Tag:
    """Turn a page's article into a part of the long page, with ids and links that work there.

    Args:
        soup: The page as it was built; it is changed.
        page: Its path without the suffix, such as ``notebooks/data``.
        pages: The paths of all pages of the book.
    """
    article = soup.select_one("article.bd-article")
    if article is None:
        raise ValueError(f"{page} holds no article")
    for tag in article.select(_LEFT_OUT):
        tag.decompose()
    labs = article.select("div.lab")
    if labs:
        labs[0].insert_before(BeautifulSoup(f"<p><em>{NO_LAB}</em></p>", "html.parser"))
    for lab in labs:
        lab.decompose()
    for link in article.select("a[aria-describedby]"):
        del link["aria-describedby"]
    for fold in article.find_all("details"):
        fold["open"] = ""
    # A fold's title has two wordings: one while it is closed, one while it is open.
    for closed in article.select("summary > .collapsed"):
        closed.decompose()
    for opened in article.select("summary > .expanded"):
        opened.string = opened.get_text().strip().removeprefix("Hide ").capitalize()
    folder = posixpath.dirname(page)
    for tag in article.find_all(src=True):
        tag["src"] = _file(str(tag["src"]), folder)
    for tag in article.find_all("a", href=True):
        _lead(tag, page, folder, pages)
    # A drawing refers to its own parts by id, in ways of its own.
    for tag in article.find_all(id=True):
        if tag.name != "svg" and not tag.find_parent("svg"):
            tag["id"] = place(page, str(tag["id"]))
    article["id"] = place(page)
    return article


def _file(address: str, folder: str) -> str:
    """The address of a file of the site, seen from the site's root."""
    if urlsplit(address).scheme:
        return address
    return posixpath.normpath(posixpath.join(folder, address))


def _lead(link: Tag, page: str, folder: str, pages: set[str]) -> None:
    """Let a link of a page lead to the same place in the PDF; one that cannot is only text."""
    parts = urlsplit(str(link["href"]))
    if parts.scheme:
        return
    target = page
    if parts.path:
        target = posixpath.normpath(posixpath.join(folder, unquote(parts.path)))
        target = target.removesuffix(".html")
    if target in pages:
        link["href"] = "#" + place(target, parts.fragment)
    else:
        del link["href"]


def long_page(site: Path) -> str:
    """Join a built site into one page, to be opened in the site's folder."""
    parts = list(parts_of_book())
    pages = {page for _, chapters in parts for page in chapters}
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    title = escape(config["title"])
    scripts: list[Tag] = []
    sheets: dict[str, None] = {}
    contents, articles = [], []
    for caption, chapters in parts:
        if caption:
            contents.append(f"<li>{escape(caption)}<ul>")
        for page in chapters:
            html = (site / f"{page}.html").read_text(encoding="utf-8")
            soup = BeautifulSoup(html, "html.parser")
            folder = posixpath.dirname(page)
            for link in soup.find_all("link", rel="stylesheet"):
                sheets[_file(str(link["href"]), folder)] = None
            if not scripts:
                scripts = mathjax(soup, folder)
            article = chapter(soup, page, pages)
            articles.append(str(article))
            named = article.h1.get_text().strip() if article.h1 else ""
            contents.append(f'<li><a href="#{place(page)}">{escape(named)}</a></li>')
        if caption:
            contents.append("</ul></li>")
    head = "".join(f'<link rel="stylesheet" href="{escape(sheet)}">' for sheet in sheets)
    return (
        f'<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light">'
        f'<head><meta charset="utf-8"><title>{title}</title>{head}'
        f"<style>{STYLE.read_text(encoding='utf-8')}</style>"
        f"{''.join(map(str, scripts))}</head><body>"
        f'<section class="cover"><img src="_static/logo.svg" alt=""><p>{title}</p></section>'
        f'<nav class="contents"><h1>Contents</h1><ul>{"".join(contents)}</ul></nav>'
        f"{''.join(articles)}</body></html>"
    )


def mathjax(soup: BeautifulSoup, folder: str) -> list[Tag]:
    """The scripts by which a page sets its formulas, if it has any."""
    found = [script for script in soup("script") if "mathjax" in str(script).lower()]
    for script in found:
        if script.has_attr("src"):
            script["src"] = _file(str(script["src"]), folder)
    return found


def print_book(site: Path, file: Path) -> None:
    """Print a built site as a PDF."""
    page_file = site / LONG_PAGE
    page_file.write_text(long_page(site), encoding="utf-8")
    try:
        with serving(site) as address, open_chromium() as chromium:
            page = chromium.new_page()
            page.set_default_timeout(_PATIENCE)
            page.goto(f"{address}/{LONG_PAGE}", wait_until="load")
            page.evaluate("window.MathJax?.startup.promise")
            page.evaluate("Promise.all([...document.images].map((image) => image.decode()))")
            page.evaluate("document.fonts.ready.then(() => {})")
            page.pdf(
                path=file,
                format="A4",
                margin={"top": "18mm", "bottom": "20mm", "left": "18mm", "right": "18mm"},
                print_background=True,
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=FOOTER,
                outline=True,
                tagged=True,
            )
    finally:
        page_file.unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Print the built book as one PDF.")
    parser.add_argument("site", type=Path, help="the folder of the built site")
    parser.add_argument("file", type=Path, help="the PDF to write")
    options = parser.parse_args(arguments)
    try:
        print_book(options.site.resolve(), options.file)
    except NoBrowserError as error:
        print(f"pdf: {error}", file=sys.stderr)
        return 1
    print(f"{options.file}: {options.file.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
